"""How a process of ours ends: its last words, and an exit code that says whether to start it again.

Law: whoever supervises learns from the number alone whether a restart heals it.
"""

import logging
from typing import Final

from stream.contract.errors import ConfigError, RecoveryError, TooManyDeadLetters, UnknownState, lacking_extra
from stream.contract.ports import BrokerError, Fenced, StoreError

from .supervisor import EXIT_BEYOND_REPAIR, EXIT_FAILED, EXIT_FENCED, EXIT_OPERATOR, EXIT_SERVER_AWAY

__all__ = ["exit_code_of"]

_CODES: Final = {
    (Fenced,): EXIT_FENCED,
    (RecoveryError, TooManyDeadLetters, UnknownState): EXIT_BEYOND_REPAIR,
    (BrokerError, StoreError): EXIT_SERVER_AWAY,
}


def exit_code_of(error: BaseException, log: logging.Logger) -> int:
    """Log how it ended, and say it as a number."""
    error = (lacking_extra(error) or error) if isinstance(error, ImportError) else error
    if isinstance(error, ConfigError):
        log.critical(str(error))
        return EXIT_OPERATOR
    log.critical("the process ends", exc_info=error)
    return next((code for kinds, code in _CODES.items() if isinstance(error, kinds)), EXIT_FAILED)
