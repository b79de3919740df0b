"""Ids, names, times and qualities as records carry them, and within which bounds."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

__all__ = [
    "CONTROLS", "ID_PATTERN", "OBSERVED_AT_MS_MAX", "OBSERVED_AT_MS_MIN", "QUALITY_MAX", "Id", "Name", "PersonId", "Quality",
    "Time", "Version",
]  # fmt: skip

OBSERVED_AT_MS_MIN = 946_684_800_000  # the year 2000: a clock that was never set says 1970
OBSERVED_AT_MS_MAX = 4_102_444_800_000  # the year 2100
QUALITY_MAX = 1e9  # either way: beyond it a number measures nothing, and sums of such lose all else
# What a name may not hold: control characters ("\0" parts a home's words), ends of lines, and what turns writing round.
CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"


def _whole(value: Any) -> Any:
    """1763690000123.0 is a whole number too, as JSON Schema has it."""
    return int(value) if type(value) is float and value.is_integer() else value


def _one(value: Any) -> Any:
    """Neither true nor 1.0 is a version, though both are equal to 1."""
    if type(value) is not int:
        raise ValueError("the version is the whole number 1")
    return value


ID_PATTERN: Final = re.compile(r"^[A-Za-z0-9._:-]{1,64}$")
Id = Annotated[str, Field(pattern=ID_PATTERN.pattern)]
PersonId = Annotated[str, Field(pattern=ID_PATTERN.pattern)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=f"^[^{CONTROLS}]*$")]  # of the world: any text
Time = Annotated[
    int,
    BeforeValidator(_whole),
    Field(strict=True, ge=OBSERVED_AT_MS_MIN, lt=OBSERVED_AT_MS_MAX, description="ms since the Unix epoch, UTC"),
]
Quality = Annotated[float, Field(strict=True, ge=-QUALITY_MAX, le=QUALITY_MAX, allow_inf_nan=False)]
Version = Annotated[Literal[1], BeforeValidator(_one)]
