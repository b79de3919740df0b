"""What a worker says of itself: one JSON object a line on standard error, or readable text when that is a terminal.

Law: a line names positions (topic, partition, offset) and never a person, a household, an embedding or a password. So of an
exception only its type and its place are told; its message too if the class is ours, for then we have chosen the words.
"""

import json
import logging
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, Final, TextIO

__all__ = ["JsonLines", "ReadableLines", "error_text", "log_to"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS: Final = "stream"  # the package whose messages are known to name nobody
_FRAMES_MAX: Final = 12  # innermost ones of an exception: enough to find the line


class _Lines(logging.Formatter):
    """A line for each record.

    Parameters
    ----------
    worker
        The slot of the worker, or what else speaks.
    """

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker


class JsonLines(_Lines):
    """One line, one object: `time` (UTC), `level`, `message`, `worker`, and what the call gave as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _time(record), "level": record.levelname.lower(), "message": record.getMessage(), "worker": self._worker}
        return json.dumps(line | _extra(record) | _error(record), default=str)


class ReadableLines(_Lines):
    """The same for eyes: time, level, worker, message, and the rest as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        rest = "".join(f"  {name}={value}" for name, value in (_extra(record) | _error(record)).items())
        return f"{_time(record)[11:19]} {record.levelname.lower():7} {self._worker}: {record.getMessage()}{rest}"


def log_to(stream: TextIO, worker: str, level: str = "info") -> None:
    """Send the log of this process there: ours from `level` on, that of the libraries from warnings on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ReadableLines(worker) if stream.isatty() else JsonLines(worker))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_OURS).setLevel(level.upper())
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, _: logging.getLogger(_OURS).critical("a defect of ours", exc_info=error)


def _time(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _error(record: logging.LogRecord) -> dict[str, Any]:
    """What may be told of an exception, the one that was the cause of it included."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return {}
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    place = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": "; because of ".join(map(error_text, _chain(error))), "place": place}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def error_text(error: BaseException) -> str:
    """What may be told of an exception: its type, and its message if the class is ours."""
    kind = type(error)
    return f"{kind.__name__}: {error}" if kind.__module__.partition(".")[0] == _OURS else kind.__name__
