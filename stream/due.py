"""When a home has to speak to the fleet of what it is watched for.

Law: a function of what is believed now, of what was told last, and of the time between.
"""

import math
from typing import Final

from .household import DAY_MS

__all__ = ["CENSUS_EVERY_MS", "ERASED", "HOUR_MS", "NOTABLE", "is_due"]

HOUR_MS: Final = 3_600_000
ERASED: Final = "erased"  # the kind of a signal that asks to forget a person, or with no person the home
NOTABLE: Final = math.log(5)  # nats
NOTABLE_EVERY_MS: Final = 6 * HOUR_MS
CENSUS_EVERY_MS: Final = 7 * DAY_MS


def is_due(log_e_value: float, told: float, elapsed_ms: int, threshold: float) -> bool:
    """Whether a home has to speak of a subject again.

    Parameters
    ----------
    log_e_value, told
        The evidence now, and as it was told last (minus infinity: never), in nats.
    elapsed_ms
        Stream time since then.
    threshold
        Nats at which the home itself alarms.
    """
    if elapsed_ms >= CENSUS_EVERY_MS or told < threshold <= log_e_value:
        return True
    fell = told >= 0 > log_e_value
    return elapsed_ms >= NOTABLE_EVERY_MS and (log_e_value > NOTABLE or told > NOTABLE or fell)
