"""Records by themselves, without the place that a broker gave them: what their own fields say of topic, key and time.

Law: a value's bytes pass through untouched, and one that nobody can read is a record too: a dead letter, as it would be live.
What a form does not carry is put in its place by one rule each, so that the same lines give the same records: the partition
that Kafka's partitioner gives the key among `PARTITIONS`, offsets counted in the order in which records are given, and the
record's own time (of one that tells none, that of the record before).
"""

import re
from typing import Any, Final

import msgspec

from stream.contract.fields.scalars import OBSERVED_AT_MS_MAX, OBSERVED_AT_MS_MIN

from ..log_lines import InvalidLog
from ..partitioning import partition_of

__all__ = ["COUNTED", "PARTITIONS", "Fields", "fields_of", "partition_for", "refuse_other_units"]

PARTITIONS: Final = 4  # as `kithkin up` makes topics
COUNTED: Final = -1  # an offset that is counted when the record is given
_YEAR_MS: Final = 366 * 86_400_000
_UNITS: Final = (
    (1000, "seconds", "* 1000 | floor"), (1e-3, "microseconds", "/ 1000 | floor"), (1e-6, "nanoseconds", "/ 1000000 | floor"),
)  # fmt: skip
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d|$)")


class Fields(msgspec.Struct):
    """What is read of a record that tells its own place: of any type, for the codec judges it and not we."""

    household_id: Any = None
    event_id: Any = None
    feedback_id: Any = None
    consent_id: Any = None
    proof_id: Any = None
    sighting_id: Any = None
    device_id: Any = None
    observed_at: Any = None
    given_at: Any = None

    @property
    def topic(self) -> str | None:
        """Where a record with these fields belongs; None: they do not say."""
        if self.feedback_id is not None:
            return "feedback"
        if self.consent_id is not None or self.proof_id is not None:
            return "consents" if self.proof_id is None else "proofs"
        if self.sighting_id is not None:
            return "sightings"
        return "recognitions" if self.event_id is not None and self.device_id is not None else None

    @property
    def key(self) -> bytes | None:
        """The household's id, by which records have their partition."""
        return self.household_id.encode() if isinstance(self.household_id, str) else None

    @property
    def time(self) -> tuple[str, Any]:
        """The field that tells the record's own time, and what it tells."""
        return ("given_at", self.given_at) if self.given_at is not None else ("observed_at", self.observed_at)

    @property
    def at_ms(self) -> int | None:
        """The record's own time; None: it tells none that is milliseconds of our days."""
        at = self.time[1]
        at = int(at) if isinstance(at, float) and at.is_integer() else at
        return at if type(at) is int and OBSERVED_AT_MS_MIN <= at < OBSERVED_AT_MS_MAX else None


_decode = msgspec.json.Decoder(Fields).decode


def fields_of(value: bytes) -> Fields:
    """What a value tells of its place; nothing where it is not JSON."""
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Fields()


def partition_for(key: bytes | None) -> int:
    """Where a record without a partition belongs."""
    return 0 if key is None else partition_of(key, PARTITIONS)


def refuse_other_units(name: str, time: Any, own: Any = None) -> None:
    """Refuse a log whose first time is not in milliseconds.

    A broker's number alone may be right: where clocks were never set it tells of January 1970, as seconds of today do. So it is
    of another unit only where the record's `own` time, in that unit or in milliseconds, is of the same year. None: it is the own.

    Raises
    ------
    InvalidLog
        With the unit, and how the log is turned.
    """
    if isinstance(time, str) and _ISO.match(time):
        way = f'jq -c \'.{name} |= (.[0:19] + "Z" | fromdate * 1000)\' FILE, for times in UTC'
        raise InvalidLog(f"not a record of a log: its {name} is {time!r}, text of ISO 8601; {_WANTED}; turned: {way}")
    if not _is_number(time):
        return
    for factor, unit, turned in _UNITS:
        if not OBSERVED_AT_MS_MIN <= time * factor < OBSERVED_AT_MS_MAX:
            continue
        if own is None or (_is_number(own) and any(abs(time * factor - own * by) < _YEAR_MS for by in (1, factor))):
            told = f"its {name} is {time!r}, which is in {unit}; {_WANTED}; turned: jq -c '.{name} |= (. {turned})' FILE"
            raise InvalidLog(f"not a record of a log: {told}")


def _is_number(time: Any) -> bool:
    return isinstance(time, (int, float)) and not isinstance(time, bool)


_WANTED: Final = "times are whole milliseconds since 1970, UTC"
