"""Whose fault it is, as an exit code and one message.

Law: what an operator did wrong is 2, what failed is 1, a replay that answered nothing is 3, an interruption is 130; a traceback
is a defect of ours. Of runs that are compared, 1 is a difference, and 3 that they cannot be compared.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

__all__ = [
    "EXIT_DIFFERENT", "EXIT_FAILED", "EXIT_INCOMPARABLE", "EXIT_INTERRUPTED", "EXIT_NOTHING", "EXIT_OPERATOR", "faults_explained",
]  # fmt: skip

EXIT_FAILED: Final = 1
EXIT_DIFFERENT: Final = 1  # of two runs, or of what was expected of one
EXIT_OPERATOR: Final = 2
EXIT_NOTHING: Final = 3  # of a replay: there were recognitions, and none was answered
EXIT_INCOMPARABLE: Final = 3
EXIT_INTERRUPTED: Final = 130


@contextmanager
def faults_explained() -> Iterator[None]:
    """Turn whose fault it is into an exit code and one message."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("\nInterrupted.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except ImportError as error:
        from stream.contract.errors import lacking_extra

        lacking = lacking_extra(error)
        if lacking is None:
            raise
        typer.secho(f"kithkin: {lacking}", fg="red", err=True)
        raise typer.Exit(EXIT_OPERATOR) from None
    except (ValueError, RuntimeError) as error:
        code = _exit_code(error)
        if code is None:
            raise
        typer.secho(f"kithkin: {error}", fg="red", err=True)
        raise typer.Exit(code) from None


def _exit_code(error: Exception) -> int | None:
    """None: a fault that nobody foresaw, whose traceback is worth more than a sentence."""
    from stream.brokers.log_files import InvalidLog
    from stream.contract.errors import ConfigError, Incomparable, RecoveryError, TooManyDeadLetters, UnknownState
    from stream.contract.ports import BrokerError, Fenced, StoreError
    from stream.offline.replay.jobs.processes import JobLost
    from stream.ops.local_cluster.processes import ClusterError
    from stream.runtime.fleet.webhook import DeliveryError

    if isinstance(error, (ConfigError, InvalidLog)):
        return EXIT_OPERATOR
    if isinstance(error, Incomparable):
        return EXIT_INCOMPARABLE
    failed = (BrokerError, ClusterError, DeliveryError, Fenced, JobLost, RecoveryError, StoreError)
    if isinstance(error, (*failed, TooManyDeadLetters, UnknownState)):
        return EXIT_FAILED
    return None
