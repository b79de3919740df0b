"""Units of time, in the milliseconds that every record counts in.

Law: a length of time in ms is written with these, and nowhere as a bare number of seven digits.
"""

from typing import Final

__all__ = ["DAY_MS", "HOUR_MS", "MINUTE_MS"]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
