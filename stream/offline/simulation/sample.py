"""A small log with its truth, to try everything on.

Law: the same homes, days and seed give the same bytes; nothing that stands there is overwritten.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from stream.brokers.log_files import encode_record
from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.errors import ConfigError

from .records import neighbourhood

__all__ = ["Sample", "Written", "write_sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What to simulate: `homes` (1 to 99), `days` (at least 1), and the `seed` that makes this neighbourhood and no other."""

    homes: int
    days: int
    seed: int


class Written(NamedTuple):
    """The two files, and how many records and truths they hold."""

    log: Path
    truth: Path
    records: int
    truths: int


def write_sample(sample: Sample, folder: Path) -> Written:
    """Write `log.jsonl`, and `truth.jsonl` with a line an event: who it really was.

    Of a truth, `person_id` is what a right answer names (a member of the home by then, or guest), `who` the person's own name.

    Raises
    ------
    ConfigError
        One of the files is there already; nothing was written.
    """
    log, truth = folder / "log.jsonl", folder / "truth.jsonl"
    for file in (log, truth):
        if file.exists() or file.is_symlink():
            raise ConfigError("DIR", str(folder), f"which has a {file.name} already", "another directory")
    street = neighbourhood(homes=sample.homes, days=sample.days, seed=sample.seed)
    folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    with open(log, "xb", opener=private) as written:
        written.writelines(map(encode_record, street.records))
    truths = sorted(street.truths.values(), key=lambda t: (t.observed_at_ms, t.household_id, t.event_id))
    with open(truth, "xb", opener=private) as written:
        for one in truths:
            told = one._asdict()
            told["observed_at"] = told.pop("observed_at_ms")
            written.write(msgspec.json.encode(told) + b"\n")
    return Written(log, truth, len(street.records), len(truths))
