"""The load that peers are measured with (peers/flood.py of the shared folder), as a log.

Law: the same households, events and seed give the same bytes. Every home has four members, enrolled from two recognitions each;
three events in ten have a face, one in ten is a guest's, one in twenty is corrected. Vectors are drawn from a sphere and not from
what encoders give, so nothing is said of quality.
"""

import importlib.util
import os
from collections import Counter
from pathlib import Path
from typing import Any

from stream.brokers.log_files import encode_line
from stream.brokers.partitioning import partition_of
from stream.contract.ports import Encoded
from stream.offline.simulation.records import PARTITIONS

__all__ = ["write_flood"]

SHARED = Path(os.environ.get("KITHKIN_SHARED", Path(__file__).resolve().parents[2] / "shared"))
TOPICS = ("recognitions", "feedback")
FACES, TOLD, ENROLMENTS = 0.3, 0.05, 2  # as peers/compare.py has them
APART_MS = 37


def write_flood(path: Path, households: int, events: int, seed: int) -> int:
    """Write the log; return its number of records (enrolment, events and what is said of them)."""
    flood = _peers_flood()
    load = flood.World(households, seed, FACES)
    ends: Counter[tuple[str, int]] = Counter()
    with path.open("wb") as file:
        for number, (which, house, value) in enumerate([*load.enrolment(ENROLMENTS), *load.main(events, TOLD, 0, None)]):
            topic, key = TOPICS[which], f"h-{house:05d}".encode()
            partition = partition_of(key, PARTITIONS)
            offset = ends[topic, partition]
            ends[topic, partition] += 1
            file.write(encode_line(Encoded(topic, partition, flood.T0 + APART_MS * number, key, value), offset))
    return sum(ends.values())


def _peers_flood() -> Any:
    """The module, by its path: the shared folder is no package."""
    path = SHARED / "peers" / "flood.py"
    if not path.is_file():
        raise SystemExit(f"There is no {path}: set KITHKIN_SHARED to the folder with peers/flood.py.")
    spec = importlib.util.spec_from_file_location("flood", path)
    assert spec is not None, "a file of Python has a specification"
    assert spec.loader is not None, "and a loader"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
