"""A run as data frames: what a replay wrote, as Arrow, pandas or Polars.

Law: it reads the run's own files and changes nothing; a table is read when it is first asked for, and kept. Needs
`pip install "kithkin[frames]"`.

>>> from stream.offline.runs.frames import Run
>>> run = Run("answers")  # doctest: +SKIP
>>> run.identities.to_pandas().groupby("tier").size()  # doctest: +SKIP
"""

from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from stream.brokers.log_files import LogReader
from stream.contract.credentials import private
from stream.contract.errors import ConfigError
from stream.contract.records import OUTPUT_TOPICS, Record

from ..replay.manifest import read_manifest
from ..replay.replay import PARQUET_FILES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Frame", "Run", "refuse_without_arrow", "write_parquet"]

EXTRA = 'pip install "kithkin[frames]"'


class Frame:
    """A table that can be had as whatever one works with.

    It speaks the Arrow PyCapsule interface, so that Polars, DuckDB, narwhals and others also take it as it is.
    """

    def __init__(self, table: "pa.Table") -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return f"Frame({len(self):,} rows: {', '.join(self.columns)})"

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> list[str]:
        """Names, in order."""
        return list(self._table.column_names)

    def to_arrow(self) -> "pa.Table":
        """As a table of pyarrow."""
        return self._table

    def to_pandas(self) -> Any:
        """As a DataFrame of pandas; what is by name (a posterior) is a dict in its cell."""
        return self._table.to_pandas(maps_as_pydicts="strict")

    def to_polars(self) -> Any:
        """As a DataFrame of Polars; what is by name is a list of structs `key` and `value`."""
        import polars

        return polars.from_arrow(self._table)


class Run:
    """The directory of a replay, table by table; columns are told in docs/frames.md.

    Raises
    ------
    ConfigError
        It is no directory that a replay wrote, or pyarrow is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        refuse_without_arrow()
        self.folder = Path(folder)
        if not (self.folder / "identities.jsonl").is_file():
            right = "a directory that `kithkin replay --out` wrote"
            raise ConfigError("dir", str(folder), "which has no identities.jsonl", right)

    @cached_property
    def identities(self) -> Frame:
        """Who it was: a row an answer, every revision."""
        return self._frame("identities")

    @cached_property
    def posteriors(self) -> Frame:
        """The same in long form: a row an answer and person, with the probability."""
        from .tables import posteriors_of

        return Frame(posteriors_of(self.identities.to_arrow()))

    @cached_property
    def profiles(self) -> Frame:
        """Profiles as they were published, with their vectors; a tombstone where one was forgotten."""
        return self._frame("profiles")

    @cached_property
    def labels(self) -> Frame:
        """Events that were labelled without asking; also labels that were withdrawn."""
        return self._frame("labels")

    @cached_property
    def presence(self) -> Frame:
        """Who is at home, as it was published; empty where the policy has none published."""
        return self._frame("presence")

    @cached_property
    def signals(self) -> Frame:
        """Evidence of change, as homes told it."""
        return self._frame("drift-signals")

    @cached_property
    def alerts(self) -> Frame:
        """Alerts: a row a state."""
        return self._frame("drift-alerts")

    @cached_property
    def dead_letters(self) -> Frame:
        """Records that could not be read, with the reason."""
        return self._frame("dead-letters")

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What it was made of (docs/backtests.md). Raises Incomparable: the run is not finished, or of an earlier version."""
        return dict(msgspec.to_builtins(read_manifest(self.folder)))

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _frame(self, topic: str) -> Frame:
        import pyarrow as pa

        from .tables import batches_of, schema_of

        return Frame(pa.Table.from_batches(batches_of(topic, _records(self.folder, topic)), schema=schema_of(topic)))


def write_parquet(folder: Path) -> list[Path]:
    """Write each output topic of a replay as Parquet too, beside its lines, in the columns of its frame; the files."""
    import pyarrow.parquet as pq

    from .tables import batches_of, schema_of

    written = []
    for topic, name in zip(OUTPUT_TOPICS, PARQUET_FILES, strict=True):
        path = folder / name
        with open(path, "wb", opener=private) as file, pq.ParquetWriter(file, schema_of(topic), compression="zstd") as parquet:
            for batch in batches_of(topic, _records(folder, topic)):
                parquet.write_batch(batch)
        written.append(path)
    return written


def refuse_without_arrow() -> None:
    """Raises ConfigError where pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ConfigError("frames", None, "pyarrow, which is not installed", EXTRA) from None


def _records(folder: Path, topic: str) -> Iterator[Record]:
    path = folder / f"{topic}.jsonl"
    if path.is_file() and path.stat().st_size:
        with closing(LogReader([str(path)], [topic], prefix=None)) as file:
            yield from file
