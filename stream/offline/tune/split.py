"""Homes in two parts: one to tune on, one to confirm on.

Law: the part of a home depends on its id and the seed alone, so that it is the same whenever a log is read, and however it grows.
"""

import hashlib
from contextlib import closing
from pathlib import Path

from stream.brokers.journal_order import JOURNALLED
from stream.brokers.log_files import LogReader, encode_record
from stream.contract.codec import household_of_key
from stream.contract.credentials import private
from stream.contract.records import INPUT_TOPICS

from ..compare.ground import Ground

__all__ = ["is_confirming", "part"]


def is_confirming(home: str, share: float, seed: int) -> bool:
    """Whether a home is of the part that is not tuned on.

    >>> sum(is_confirming(f"h-{n}", 0.5, 0) for n in range(1000)) // 50
    10
    """
    digest = hashlib.blake2b(f"{seed}/{home}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def part(ground: Ground, share: float, seed: int, folder: Path) -> tuple[Path, Path]:
    """The log in two: records of homes to tune on, and of those to confirm on, in their order, each with the whole journal."""
    paths, journal = (folder / "tuned.jsonl", folder / "confirmed.jsonl"), list[bytes]()
    with (
        closing(LogReader(ground.logs, JOURNALLED, ground.wiring.prefix)) as log,
        open(paths[0], "wb", opener=private) as tuned, open(paths[1], "wb", opener=private) as confirmed,
    ):  # fmt: skip
        for record in log:
            if record.topic not in INPUT_TOPICS:
                journal.append(encode_record(record))
                continue
            file = confirmed if is_confirming(household_of_key(record.key), share, seed) else tuned
            file.write(encode_record(record))
        for file in (tuned, confirmed):
            file.writelines(journal if file.tell() else ())
    return paths
