"""A small recorded log for tests: three simulated homes for four days."""

from functools import cache
from pathlib import Path

from stream.brokers.log_files import encode_line
from stream.contract.ports import Encoded
from stream.contract.records import Record
from stream.offline.simulation.records import neighbourhood

__all__ = ["line_of", "recorded", "recorded_lines", "write_log"]


def line_of(record: Record) -> bytes:
    return encode_line(Encoded(record.topic, record.partition, record.timestamp, record.key, record.value), record.offset)


@cache
def recorded(seed: int = 1) -> tuple[Record, ...]:
    return tuple(neighbourhood(homes=3, days=4, seed=seed).records)


def recorded_lines(seed: int = 1) -> tuple[bytes, ...]:
    return tuple(map(line_of, recorded(seed)))


def write_log(path: Path, lines: tuple[bytes, ...]) -> str:
    """The lines as a file; its name, as an operator would write it."""
    path.write_bytes(b"".join(lines))
    return str(path)
