"""Changes of the world that a log can be given from a time on: another microphone, another camera, phones that change hands.

Law: a change is a function of the record, the seed and what the home registered before; a record that it does not concern, or
that it cannot read, keeps its bytes.
"""

import base64
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from stream.contract.errors import ConfigError
from stream.contract.records import Record
from stream.contract.units import DAY_MS, HOUR_MS, MINUTE_MS

__all__ = ["Change", "Changer", "duration_ms", "parse_change"]

KINDS: Final = {"microphone": "voice", "camera": "face", "phones": "phones"}  # and the part of a recognition that each is about
STRENGTH: Final = 1.5  # as the simulation's replaced microphone: one and a half times what a mood does to a voice
STRENGTH_MAX: Final = 100.0
_OF_LENGTH: Final = 0.4  # of a vector's length: how far a mood moves it, where no pack of the package tells
_ONE: Final = 0.02  # a vector as near to length one as float16 leaves it
_UNITS_MS: Final = {"s": 1000, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_WRITTEN: Final = re.compile(r"(?P<kind>[a-z]+)(:(?P<device>[A-Za-z0-9._:-]+?))?(=(?P<strength>[^@]*))?@(?P<time>.+)")
_RIGHT: Final = '"microphone@2026-01-31", "microphone:kitchen=2@+14d", "camera@+7d" or "phones@+7d"'


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of what, at which device (empty: every one), how strong, and from when.

    `at_ms` is since the Unix epoch, or since the log's first record where `after_first`.
    """

    kind: str
    device: str
    strength: float
    at_ms: int
    after_first: bool


def duration_ms(told: str, option: str) -> int:
    """A length of time such as "90s", "10m", "6h" or "2d", in ms. Raises ConfigError.

    >>> duration_ms("6h", "feedback-delay")
    21600000
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])", told)
    if found is None:
        raise ConfigError(option, told, f"--{option}", '"90s", "10m", "6h" or "2d"')
    return int(found[1]) * _UNITS_MS[found[2]]


def parse_change(told: str) -> Change:
    """A change as it is typed: KIND[:DEVICE][=STRENGTH]@TIME, a time being a date in UTC or "+14d" after the log's first record.

    Raises
    ------
    ConfigError
        It is not of that form.

    >>> parse_change("microphone:kitchen@+14d")
    Change(kind='microphone', device='kitchen', strength=1.5, at_ms=1209600000, after_first=True)
    """
    found = _WRITTEN.fullmatch(told)
    if found is None or found["kind"] not in KINDS:
        raise ConfigError("inject", told, "--inject", _RIGHT)
    if found["kind"] == "phones" and (found["device"] or found["strength"]):
        raise ConfigError("inject", told, "--inject", '"phones@TIME", for phones are of a home and not of a device')
    strength = _strength(told, found["strength"])
    time = found["time"]
    if time.startswith("+"):
        return Change(found["kind"], found["device"] or "", strength, duration_ms(time[1:], "inject"), True)
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        raise ConfigError("inject", told, "--inject", _RIGHT) from None
    at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return Change(found["kind"], found["device"] or "", strength, at_ms, False)


def _strength(told: str, written: str | None) -> float:
    try:
        strength = STRENGTH if written is None else float(written)
    except ValueError:
        strength = np.nan
    if not 0 < strength <= STRENGTH_MAX:
        right = f"of a strength above 0 and up to {STRENGTH_MAX:g}; the usual one is {STRENGTH}"
        raise ConfigError("inject", told, "--inject", right)
    return strength


@dataclass(slots=True)
class Changer:
    """Makes one change along a log.

    Parameters
    ----------
    change
        Which.
    seed
        Another seed is another microphone or camera.
    first_ms
        When the log's first record came, ms.
    """

    change: Change
    seed: int
    first_ms: int
    _shifts: dict[tuple[str, int], Any] = field(default_factory=dict)
    _phones: dict[str, list[str]] = field(default_factory=dict)  # household -> its first two registered phones

    def note(self, record: Record, value: dict[str, Any]) -> None:
        """Feedback passes: of it the first two phones of a home are kept."""
        household, phone = value.get("household_id"), value.get("phone_id")
        ours = self.change.kind == "phones" and value.get("kind") == "phone" and value.get("person_id") is not None
        if ours and isinstance(household, str) and isinstance(phone, str):
            phones = self._phones.setdefault(household, [])
            if phone not in phones and len(phones) < 2:
                phones.append(phone)

    def apply(self, value: dict[str, Any]) -> bool:
        """Change a recognition in place; whether anything of it was changed."""
        change, observed_at = self.change, value.get("observed_at")
        at_ms = change.at_ms + (self.first_ms if change.after_first else 0)
        if not isinstance(observed_at, (int, float)) or observed_at < at_ms:
            return False
        if change.device and value.get("device_id") != change.device:
            return False
        part = value.get(KINDS[change.kind])
        return self._swap(value, part) if change.kind == "phones" else self._shift(part)

    def _swap(self, value: dict[str, Any], sightings: Any) -> bool:
        """Each of the two is now carried by the other's owner."""
        phones = self._phones.get(str(value.get("household_id")), [])
        if len(phones) < 2 or not isinstance(sightings, list):
            return False
        other, changed = dict(zip(phones, reversed(phones), strict=True)), False
        for sighting in sightings:
            if isinstance(sighting, dict) and sighting.get("phone_id") in other:
                sighting["phone_id"], changed = other[sighting["phone_id"]], True
        return changed

    def _shift(self, part: Any) -> bool:
        if not isinstance(part, dict) or not isinstance(part.get("embedding"), str):
            return False
        try:
            vector = np.frombuffer(base64.b64decode(part["embedding"], validate=True), "<f2").astype(np.float64)
        except ValueError:
            return False
        length = float(np.linalg.norm(vector))
        if not len(vector) or not np.isfinite(length) or not length:
            return False
        shifted = vector + self._shift_of(str(part.get("encoder")), len(vector), length)
        if abs(length - 1) < _ONE:
            shifted *= length / float(np.linalg.norm(shifted))
        part["embedding"] = base64.b64encode(shifted.astype("<f2").tobytes()).decode()
        return True

    def _shift_of(self, encoder: str, numbers: int, length: float) -> Any:
        """What the new sensor adds to every vector of that encoder, the same in all homes, as models from a factory are."""
        key = encoder, numbers
        if key not in self._shifts:
            self._shifts[key] = self.change.strength * _mood(encoder, numbers, length, self.seed)
        return self._shifts[key]


def _mood(encoder: str, numbers: int, length: float, seed: int) -> Any:
    """A direction in which one person's vectors vary, and as long; of an encoder that nothing is known of: any direction."""
    from stream.offline.simulation.people import FACE, VOICE

    rng = np.random.default_rng([seed, *encoder.encode()])
    for space in (VOICE, FACE):
        if space.encoder == encoder and len(space.mean) == numbers:
            return space.mood(rng)
    direction = rng.standard_normal(numbers)
    return _OF_LENGTH * length * direction / float(np.linalg.norm(direction))
