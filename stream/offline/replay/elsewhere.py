"""Logs that lie elsewhere, fetched into the directory of the run before it begins.

Law: a file is there whole or not at all, and is fetched once: a replay that goes on, `why`, `report` and `diff --explain` read it
there. So the network is no part of a replay.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copyfileobj
from typing import Any, Final
from urllib.parse import urlsplit

from stream.brokers.log_files import InvalidLog
from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.errors import ConfigError, first_line, how_to_install

__all__ = ["FETCHED", "fetch", "is_elsewhere"]

FETCHED: Final = "logs"  # the folder, in that of the run
_CHUNK: Final = 2**20
_ADDRESS: Final = re.compile(r"\w+://[^\s'\"]+")
_EXTRAS: Final = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}  # by scheme, what brings its client


def is_elsewhere(name: str) -> bool:
    """Whether a log is named by a URL.

    >>> is_elsewhere("s3://logs/monday.jsonl.gz"), is_elsewhere("monday.jsonl.gz")
    (True, False)
    """
    return "://" in name


def fetch(names: Sequence[str], out: Path, fresh: bool = False, say: Callable[[str], object] = lambda _: None) -> list[str]:
    """The logs by their paths here: those of elsewhere in `out`/logs, where what was fetched before is not fetched again.

    Parameters
    ----------
    fresh
        Whether to fetch them again all the same.
    say
        Told what is being fetched.

    Raises
    ------
    ConfigError
        What reads such addresses is not installed.
    InvalidLog
        One of them cannot be fetched.
    """
    found = []
    for number, name in enumerate(names):
        if not is_elsewhere(name):
            found.append(name)
            continue
        path = out / FETCHED / f"{number}-{Path(urlsplit(name).path).name or 'log'}"
        if fresh or not path.exists():
            say(f"fetching {_hide_secrets(name)}")
            _fetch(name, path)
        found.append(str(path))
    return found


def _fetch(name: str, path: Path) -> None:
    draft = path.with_name(f"{path.name}.part")
    try:
        with _open(name) as source:
            path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
            with open(draft, "wb", opener=private) as target:
                copyfileobj(source, target, _CHUNK)
    except ImportError as error:
        scheme = urlsplit(name).scheme
        right = f"{how_to_install(_EXTRAS.get(scheme, 'remote'))}, or what else reads {scheme}:// ({error})"
        raise ConfigError("LOG", _hide_secrets(name), "a log that lies elsewhere", right) from None
    except Exception as error:  # of many clients, each with its own
        raise InvalidLog(f"{_hide_secrets(name)}: cannot be fetched ({_why(error)})") from None
    draft.replace(path)


def _open(name: str) -> Any:
    import fsspec

    return fsspec.open(name, "rb").open()


def _why(error: Exception) -> str:
    """What a client says, its addresses without what may be secret."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file or bucket"
    if type(error).__name__ == "NoCredentialsError":  # of botocore, which need not be there
        return "no credentials were found: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return f"{type(error).__name__}: {_ADDRESS.sub(lambda found: _hide_secrets(found[0]), first_line(error))}"


def _hide_secrets(name: str) -> str:
    """An address without what may be secret of it."""
    parts = urlsplit(name)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
