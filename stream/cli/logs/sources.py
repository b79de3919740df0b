"""Where logs come from: files, addresses, or a stretch of a cluster.

Law: whatever is not a file here is brought here first, into the run's directory where there is one, and read from there.
"""

import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import typer

from ..connection import client_logs_silenced, wiring_in_force
from ..faults import EXIT_INTERRUPTED
from ..interruption import until_interrupted
from ..live.identities import moment_ms

__all__ = ["logs_here", "logs_of"]


def logs_of(logs: list[str], out: Path, cluster: tuple[str | None, str, str | None, Path | None], fresh: bool) -> list[str]:
    """The logs by their paths; `cluster` is since when, until when, its broker and the wiring, and logs are given or since when.

    Raises ConfigError, InvalidLog and what `record` does.
    """
    from stream.contract.errors import ConfigError
    from stream.offline.replay.elsewhere import fetch

    since, until, broker, wiring = cluster
    if since is None and not logs:
        raise ConfigError("LOG", "", "the command line", "one log file or more; or --since, to replay what came to a cluster")
    if since is None and broker is not None:
        raise ConfigError("broker", broker, "the command line", "given with --since, which says from when it is replayed")
    if since is not None and logs:
        raise ConfigError("since", since, "the command line", "given without log files: a replay is of a cluster, or of files")
    if since is not None:
        return [str(_record_once(out, (since, until, broker), wiring, fresh))]
    return fetch(logs, out, fresh, lambda told: typer.echo(told, err=True))


@contextmanager
def logs_here(logs: list[str]) -> Iterator[list[str]]:
    """The logs by their paths; those of elsewhere lie here until the end of the block. Raises ConfigError and InvalidLog."""
    from stream.offline.replay.elsewhere import fetch

    with tempfile.TemporaryDirectory(prefix="kithkin-logs-") as folder:
        yield fetch(logs, Path(folder), say=lambda told: typer.echo(told, err=True))


def _record_once(out: Path, told: tuple[str, str, str | None], wiring: Path | None, fresh: bool) -> Path:
    """A stretch of a cluster as a log in the run's directory, which is recorded once, or goes on being recorded."""
    from stream.brokers.kafka.topics import require_client
    from stream.contract.credentials import PRIVATE_FOLDER
    from stream.offline.replay.elsewhere import FETCHED
    from stream.ops.recording.recording import Recording, record
    from stream.ops.recording.spans import Between

    since, until, broker = told
    wired, now_s = wiring_in_force(wiring, broker=broker), time.time()
    between = Between(moment_ms(since, now_s, "since"), moment_ms(until, now_s, "until"))
    which = hashlib.sha256(repr((since, until, wired.broker, wired.prefix)).encode()).hexdigest()[:8]
    path = out / FETCHED / f"cluster-{which}.jsonl.zst"
    beside = path.with_name(f"{path.name}.progress")
    if fresh:
        path.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
    if path.exists() and not beside.exists():
        return path
    client_logs_silenced()
    with require_client(wired):
        from stream.brokers.kafka.kafka_python import open_reader
    path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    with closing(open_reader(wired)) as history, until_interrupted() as stop:
        found = record(Recording(between, (since, until), path), wired, history, stop)
    if not found.finished:
        typer.echo(f"\nInterrupted with {found.records:,} records read. Give the same command again to go on.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    typer.echo(f"{path}: {found.records:,} records of the cluster.", err=True)
    return path
