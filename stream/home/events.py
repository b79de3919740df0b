"""From what was decoded to what the compiled core reads: EVENTs, their words numbered and their vectors projected.

Law: an EVENT is a function of the record, the policy and the words, and phones that the home knows then; nothing here
decides anything. So events stand in one run only as long as nothing is said that changes those: a run ends with a statement.

An event's phones are looked for in the home by `place`, many at once; its vectors are projected encoder by encoder.
"""

import math
import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from learners.kernel import array, entry, kernel, record
from learners.precision import NOISE_STEP, VECTOR_STEP, VECTOR_STEPS_MAX
from stream.contract.fields.scalars import OBSERVED_AT_MS_MIN
from stream.contract.policy import SOURCES, Policy
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import (
    GUEST,
    Confirm,
    Consent,
    Correct,
    Enrol,
    Erase,
    Event,
    Feedback,
    Join,
    Leave,
    Phone,
    Proof,
    Recognition,
    Reject,
    Retract,
    Sighting,
    Voice,
)
from stream.home.messages import CONFIRM, CORRECT, ENROL, EVENT, FOLLOW_UP, RECOGNITION, REJECT, STATEMENT
from stream.home.numbers import SPACE, Space, spaces
from stream.home.state.household import Household
from stream.home.state.layout import (
    ENCODERS_MAX,
    GALLERY,
    HOME,
    PEOPLE_MAX,
    PERSON,
    PHONE_STATE,
    PHONES_MAX,
    SIGHTINGS_MAX,
    UNKNOWN,
)
from stream.home.state.names import hash_id, hash_sender

__all__ = [
    "STATEMENTS", "VECTOR", "Event", "Numbers", "Owner", "Run", "Statement", "encoders_of", "numbers_of", "people_of",
    "phones_of", "place", "place_of", "project", "renumber", "squares",
]  # fmt: skip

DAY_MS: Final = 86_400_000
HOUR_BIN_MS: Final = 3 * 3_600_000
RSSI_DBM_MIN, RSSI_DBM_MAX = -127.0, 50.0
EVENTS_AT_FIRST: Final = 64
_EVENT_BYTES: Final = EVENT.itemsize
_NOT_TOLD: Final = math.nan

Statement = Join | Leave | Phone | Retract | Erase | Consent | Proof | Sighting
STATEMENTS: Final = (Join, Leave, Phone, Retract, Erase, Consent, Proof, Sighting)
Said = Feedback | Consent | Proof | Sighting
_KINDS: Final[dict[type, int]] = {Confirm: CONFIRM, Reject: REJECT, Correct: CORRECT}
_SOURCES: Final = {source: number for number, source in enumerate(SOURCES)}

VECTOR = record(  # one vector on its way into an event
    ("told", "<f8"),  # the quality that its noise depends on; NaN: was not told
    ("event", "<i4"),  # index among the events
    ("modality", "<i4"),  # VOICE or FACE
)
_HALF, _WORD, _FLOAT, _DOUBLE, _INT = (np.dtype(name) for name in ("u2", "i2", "f4", "f8", "i8"))
_LEAST: Final = np.float32(2.0**-24)  # the smallest float16
_PER_STEP: Final = np.float32(1 / VECTOR_STEP)
_STEPS_MAX: Final = np.float32(VECTOR_STEPS_MAX)


# ---- vectors


@kernel
def _real(half: Any) -> Any:
    """The number that the bits of a finite float16 are: a sign, 5 bits of exponent, 10 of fraction, put in a float32's places."""
    bits = np.uint32(half)
    normal = np.uint32(((bits & np.uint32(0x7FFF)) << np.uint32(13)) + np.uint32(112 << 23)).view(np.float32)
    size = normal if bits & np.uint32(0x7C00) else np.float32(np.int32(bits & np.uint32(0x3FF))) * _LEAST
    return -size if bits & np.uint32(0x8000) else size


@entry(array(_HALF), array(_INT), array(_DOUBLE))
def _measure(halves: Any, ends: Any, found: Any) -> None:
    """Fill in `found` (n,): the sum of squares of each vector, of which one ends where the next begins; NaN: not finite."""
    first = 0
    for n in range(len(ends)):
        square = 0.0
        for i in range(first, ends[n]):
            x = _real(halves[i])
            square += np.float64(x * x)
            if (halves[i] & 0x7C00) == 0x7C00:
                square = np.nan
        found[n] = square
        first = ends[n]


def squares(vectors: Sequence[bytes]) -> npt.NDArray[np.float64]:
    """(n,) The sum of squares of each vector of little-endian float16; NaN where a number is not finite.

    >>> squares([np.array([3, 4], "<f2").tobytes(), np.array([np.inf], "<f2").tobytes()])
    array([25., nan])
    """
    ends, found = np.cumsum([len(vector) // 2 for vector in vectors], dtype=np.int64), np.empty(len(vectors))
    _measure(np.frombuffer(bytearray().join(vectors), np.uint16), ends, found)
    return found


@kernel
def _noise_factor(space: Any, told: Any) -> Any:
    """What a channel's noise is multiplied by at a quality: straight between the knots, level outside."""
    if space.knots_used == 0 or np.isnan(told):
        return 1.0
    i = 0
    while i < space.knots_used and space.knots[i] <= told:
        i += 1
    if i == 0:
        return space.knot_noises[0]
    if i == space.knots_used:
        return space.knot_noises[i - 1]
    low, high = space.knots[i - 1], space.knots[i]
    before, after = space.knot_noises[i - 1], space.knot_noises[i]
    return before + (after - before) * (told - low) / (high - low)


@kernel
def _multiply(halves: Any, by_input: Any, space: Any) -> Any:
    """Fill in space.found: the vector, brought to length 1 where that is asked for, times the matrix, less its offset.

    Returns the sum of its squares then, if nobody is known.

    Numbers are added in the order they stand in; four at a time only fetch and store a sum once.
    """
    raw, found, columns, whole = space.raw, space.found, by_input.shape[1], len(halves) - len(halves) % 4
    for i in range(len(halves)):
        raw[i] = _real(halves[i])
    square = 0.0
    if space.unit or space.nobodies > 0:
        for i in range(len(halves)):
            square += np.float64(raw[i] * raw[i])
    if space.unit:
        scale = np.float32(1 / np.sqrt(square))
        for i in range(len(halves)):
            raw[i] = raw[i] * scale
        square = 1.0
    for k in range(columns):
        found[k] = -space.offset[k]
    for i in range(0, whole, 4):
        a, b, c, d = raw[i], raw[i + 1], raw[i + 2], raw[i + 3]
        for k in range(columns):
            found[k] = found[k] + a * by_input[i, k] + b * by_input[i + 1, k] + c * by_input[i + 2, k] + d * by_input[i + 3, k]
    for i in range(whole, len(halves)):
        for k in range(columns):
            found[k] += raw[i] * by_input[i, k]
    return square


@kernel
def _is_nobody(space: Any, square: Any) -> Any:
    """Whether a vector, whose sum of squares that is, lies within the radius of what the encoder makes of nobody."""
    near = False
    for n in range(space.nobodies):
        near |= space.found[space.dimensions + space.channels + n] > square  # 2 x·n - |n|² + r² > |x|²
    return near


@entry(array(_HALF, 2), array(_FLOAT, 2), array(SPACE), array(VECTOR), array(EVENT))
def project(halves: Any, by_input: Any, spaces: Any, vectors: Any, events: Any) -> None:
    """Write vectors of one encoder, (n, d) float16, into their events: less the mean of their channel, with channel and noise.

    Nobody's is left out.
    `spaces` (1,) is also room to calculate in.
    """
    space = spaces[0]
    found, dimensions = space.found, int(space.dimensions)
    for n in range(len(vectors)):
        square = _multiply(halves[n], by_input, space)
        event, modality, channel = events[vectors[n].event], vectors[n].modality, 0
        if _is_nobody(space, square):
            event.encoders[modality] = 0
            continue
        for c in range(1, space.channels):
            if found[dimensions + c] > found[dimensions + channel]:
                channel = c
        for k in range(dimensions):
            steps = np.rint((found[k] - space.means[channel, k]) * _PER_STEP)
            event.vectors[modality, k] = np.int8(min(max(steps, -_STEPS_MAX), _STEPS_MAX))
        noise = np.rint(space.noises[channel] * _noise_factor(space, vectors[n].told) / NOISE_STEP)
        event.channels[modality] = channel
        event.noises[modality] = np.uint8(min(max(noise, 1.0), 255.0))


# ---- phones of the home


@kernel
def _place_phones(home: Any, event: Any, phones: Any, rssi_dbm: Any) -> Any:
    """Tell the registered phones of an event from strangers': words and signals become places in `home.phones`."""
    used, stranger = 0, 0
    for n in range(len(phones)):
        place = home.phones_used if phones[n] == 0 else 0
        while place < home.phones_used and home.phones[place].name != phones[n]:
            place += 1
        if place == home.phones_used:
            stranger = 1
            continue
        i = 0
        while i < used and event.sightings[i].phone != place:
            i += 1
        if i < SIGHTINGS_MAX:  # of one that was heard twice the last counts
            event.sightings[i].phone = place
            event.sightings[i].rssi_dbm = np.int8(min(max(np.rint(rssi_dbm[n]), RSSI_DBM_MIN), RSSI_DBM_MAX))
            used = max(used, i + 1)
    event.stranger, event.sightings_used = stranger, used


@entry(array(HOME), array(EVENT), array(_WORD), array(_DOUBLE))
def place(homes: Any, events: Any, phones: Any, rssi_dbm: Any) -> None:
    """Find the phones that recognitions name among those registered in their homes.

    `phones`, `rssi_dbm`: of all events in turn, as many as `sightings_used` says.
    """
    first = 0
    for n in range(len(events)):
        event = events[n]
        if event.kind == RECOGNITION:
            home = homes[event.home]
            last = first + int(event.sightings_used)
            _place_phones(home, event, phones[first:last], rssi_dbm[first:last])
            first = last


# ---- events


_CODES: Final = {"l": "q", "L": "Q"}  # what struct calls numbers of 8 bytes


def _pack_format() -> tuple[struct.Struct, list[str]]:
    """How the fields of an EVENT before its vectors are packed, and their names."""
    assert EVENT.fields is not None
    form, names = "<", []
    for name in [*EVENT.fields][: [*EVENT.fields].index("vectors")]:
        field = EVENT.fields[name][0]
        item, (count,) = field.subdtype or (field, (1,))
        code = {"event_id": "s", "reserved": "x"}.get(name) or _CODES.get(item.char, item.char)
        form += f"{count}{code}"
        names += [] if name == "reserved" else [name] if name == "event_id" else [name] * count
    return struct.Struct(form), names


_HEAD, _HEAD_NAMES = _pack_format()
assert _HEAD_NAMES == [
    "at", "arrived", "record", "sender", "event", "home", "device_name", "activity", "encoder_names", "encoder_names", "kind",
    "source", "person", "hour", "scanned", "stranger", "sightings_used", "event_id_length", "encoders", "encoders", "channels",
    "channels", "noises", "noises", "first", "last", "erases", "sensed", "event_id",
], "the order in which `Run` packs an event"  # fmt: skip


class _Vectors:
    """Vectors of one encoder, as they gather."""

    def __init__(self, space: Space) -> None:
        self.space = space._replace(numbers=space.numbers.copy())  # which is also room to calculate in
        self.number, self.least, self.quality = space.number + 1, space.least, space.quality
        self.raw: list[Any] = []  # float16, as bytes
        self.told: list[float] = []  # the quality that noise depends on
        self.events: list[int] = []

    def project(self, events: Any) -> None:
        """Write them into their events."""
        raw, vectors = self.raw, np.empty(len(self.raw), VECTOR)
        halves = np.frombuffer(bytearray().join(raw), np.uint16).reshape(len(raw), self.space.length)
        vectors["told"], vectors["event"], vectors["modality"] = self.told, self.events, self.space.modality
        project(halves, self.space.by_input, self.space.numbers, vectors, events)

    def take_back(self, kept: int) -> None:
        """All but the first."""
        del self.raw[kept:], self.told[kept:], self.events[kept:]


class Owner(Protocol):
    """To whom an EVENT belongs: what a record is becoming."""

    household: Household
    event: Event


def _arrival(owner: Owner) -> int:
    """When a record arrived, or was sent: its own timestamp; 0: it has none."""
    at = owner.event.record.timestamp
    return at if at >= OBSERVED_AT_MS_MIN else 0


Told = TypeVar("Told", bound=Owner)


class Run(Generic[Told]):
    """Events in a row, of one array of homes, as they are made ready; used again and again. `owners[n]` is that of EVENT `n`."""

    def __init__(self, policy: Policy) -> None:
        self._vectors = {name: _Vectors(space) for name, space in spaces(policy).items()}
        self._used, self._events = 0, np.zeros(EVENTS_AT_FIRST, EVENT)
        self._buffer: Any = self._events.view(np.uint8).data
        self.owners: list[Told] = []
        self._phones: list[int] = []
        self._even_dbm = policy.phones.rssi_even_dbm  # of a phone that was heard, nobody knows how strongly
        self._rssi_dbm: list[float] = []

    def __len__(self) -> int:
        return self._used

    def clear(self) -> None:
        """Begin another run."""
        self._take_back(0, 0)

    def _take_back(self, used: int, phones: int) -> None:
        """All events but the first, of which those phones were."""
        self._events.view(np.uint8)[used * _EVENT_BYTES : self._used * _EVENT_BYTES] = 0
        self._used = used
        del self.owners[used:], self._phones[phones:], self._rssi_dbm[phones:]
        for vectors in self._vectors.values():
            vectors.take_back(bisect_left(vectors.events, used))

    def _place(self, owner: Told) -> int:
        """Room for one more event: its place in bytes."""
        number = self._used
        if number == len(self._events):
            kept, self._events = self._events, np.zeros(2 * number, EVENT)
            self._events[:number] = kept
            self._buffer = self._events.view(np.uint8).data
        self._used = number + 1
        self.owners.append(owner)
        return number * _EVENT_BYTES

    def add(self, owner: Told, home: int) -> None:
        """Add what a record says of the household whose index among the homes is `home`; all of it or, on an error, nothing."""
        used, phones = self._used, len(self._phones)
        try:
            value = owner.event.value
            if isinstance(value, RECOGNITIONS):
                self._recognition(owner, home, value)
            else:
                self._feedback(owner, home, value)
        except BaseException:
            self._take_back(used, phones)
            raise

    def follow_up(self, owner: Told, home: int) -> None:
        """Add what follows on a statement that was done."""
        self._claim(owner, home, (FOLLOW_UP, "", UNKNOWN, True, True))

    def _recognition(self, owner: Told, home: int, value: Recognition) -> None:
        number, at, words = self._used, self._place(owner), owner.household.words
        known = words.numbers.get
        event_id, device, observed_at, activity = value.event_id, value.device_id, value.observed_at, value.activity
        heard, hash_of_event, scanned = value.phones, hash_id("event", event_id), False
        voice = face = of_voice = of_face = 0
        if value.voice is not None and (voice := self._vector(number, value.voice)):
            of_voice = known(value.voice.encoder) or words.learn(value.voice.encoder)
        if value.face is not None and (face := self._vector(number, value.face)):
            of_face = known(value.face.encoder) or words.learn(value.face.encoder)
        if heard is not None:
            scanned, phones, rssi_dbm = True, self._phones, self._rssi_dbm
            for phone in heard:
                phones.append(known(phone.phone_id, 0))
                rssi_dbm.append(self._even_dbm if phone.rssi_dbm is None else phone.rssi_dbm)
        _HEAD.pack_into(
            self._buffer, at, observed_at, _arrival(owner), hash_of_event, hash_sender(device), hash_of_event, home,
            known(device) or words.learn(device), (known(activity) or words.learn(activity)) if activity else 0, of_voice,
            of_face, RECOGNITION, 0, 0, observed_at % DAY_MS // HOUR_BIN_MS, scanned, 0, len(heard) if heard else 0,
            len(event_id), voice, face, 0, 0, 0, 0, 1, 1, 0, 0, event_id.encode(),
        )  # fmt: skip

    def _vector(self, number: int, part: Voice) -> int:
        """Note a vector to be projected; the encoder's number among the policy's and 1, or 0: it is left out."""
        vectors, quality, told = self._vectors[part.encoder], part.quality, _NOT_TOLD
        vector: Any = part.embedding  # bytes, or an array of what only the model read
        if quality:
            for name, least in vectors.least:
                if quality.get(name, least) < least:
                    return 0
            told = quality.get(vectors.quality, told)
        vectors.raw.append(vector if type(vector) is bytes else vector.astype("<f2").tobytes())
        vectors.told.append(told)
        vectors.events.append(number)
        return vectors.number

    def _feedback(self, owner: Told, home: int, value: Said) -> None:
        if isinstance(value, Enrol):
            events, place = list(dict.fromkeys(value.event_ids)), place_of(owner.household, value.person_id)
            for i, event_id in enumerate(events):
                self._claim(owner, home, (ENROL, event_id, place, i == 0, i == len(events) - 1))
        elif isinstance(value, STATEMENTS):
            self._claim(owner, home, (STATEMENT, "", UNKNOWN, True, True))
        else:
            place = UNKNOWN if isinstance(value, Confirm) else place_of(owner.household, value.person_id)
            self._claim(owner, home, (_KINDS[type(value)], value.event_id, place, True, True))

    def _claim(self, owner: Told, home: int, said: tuple[int, str, int, bool, bool]) -> None:
        """`said`: kind, event, whom it names, whether it is the first and the last EVENT of its record."""
        (kind, about, place, first, last), at = said, self._place(owner)
        value = cast(Said, owner.event.value)
        event = hash_id("event", about) if about else 0
        if isinstance(value, Retract):
            event = hash_id("feedback", value.retracts)
        record, source = _identity(value)
        _HEAD.pack_into(
            self._buffer, at, value.at, _arrival(owner), record, hash_sender(value.sender),
            event, home, 0, 0, 0, 0, kind, source, place, 0, 0, 0, 0, len(about), 0, 0, 0, 0, 0, 0, first, last,
            isinstance(value, Erase), isinstance(value, Sighting), about.encode(),
        )  # fmt: skip

    def ready(self, homes: Any) -> Any:
        """EVENT[n]: vectors projected, phones found in the homes."""
        events = self._events[: self._used]
        for vectors in self._vectors.values():
            if vectors.raw:
                vectors.project(events)
        phones, rssi_dbm = np.array(self._phones, np.int16), np.array(self._rssi_dbm, np.float64)
        place(homes, events, phones, rssi_dbm)
        return events


def _identity(value: Said) -> tuple[int, int]:
    """By what a record is known again, and its source."""
    if isinstance(value, Sighting):
        return hash_id("sighting", value.sighting_id), 0
    if isinstance(value, Proof):
        return hash_id("proof", value.proof_id), 0
    if isinstance(value, Consent):
        return hash_id("consent", f"{value.consent_id}/{value.kind}"), 0
    return hash_id("feedback", value.feedback_id), _SOURCES[value.source]


def _list_format(of: str, entry_type: np.dtype[Any], entries_max: int) -> struct.Struct:
    """How a home's list is unpacked to how many are used, and the words of all: an array's fields are read less quickly."""
    assert HOME.fields is not None
    assert entry_type.fields is not None
    (used, used_at), (_, list_at) = HOME.fields[f"{of}_used"][:2], HOME.fields[of][:2]
    name, name_at = entry_type.fields["name"][:2]
    between = list_at + name_at - used_at - used.itemsize
    assert between >= 0, "the count stands before the list"
    names = f"{name.char}{entry_type.itemsize - name.itemsize}x" * (entries_max - 1) + name.char
    return struct.Struct(f"<{used_at}x{used.char}{between}x{names}")


_PEOPLE: Final = _list_format("people", PERSON, PEOPLE_MAX)
_PHONES: Final = _list_format("phones", PHONE_STATE, PHONES_MAX)
_GALLERIES: Final = _list_format("galleries", GALLERY, ENCODERS_MAX)


def people_of(household: Household) -> list[int]:
    """Words of a home's people, in their order."""
    used, *words = _PEOPLE.unpack_from(household.memory.data)
    return words[:used]


def phones_of(household: Household) -> list[int]:
    """The same of its phones."""
    used, *words = _PHONES.unpack_from(household.memory.data)
    return words[:used]


def encoders_of(household: Household) -> list[int]:
    """The same of its galleries' encoders."""
    used, *words = _GALLERIES.unpack_from(household.memory.data)
    return words[:used]


def place_of(household: Household, person_id: str) -> int:
    """The place of somebody that a claim names; UNKNOWN: nobody of this home."""
    if person_id == GUEST:
        return 0
    number, people = household.words.number(person_id), people_of(household)
    return people.index(number) + 1 if number in people else UNKNOWN


class Numbers(NamedTuple):
    """Words of a home's people and phones, in their order."""

    people: list[int]
    phones: list[int]


def numbers_of(household: Household) -> Numbers:
    """As they now are."""
    return Numbers(people_of(household), phones_of(household))


def renumber(events: Iterable[Any], before: Numbers, after: Numbers) -> None:
    """Bring events that are still to come in line with a home from which people and phones have gone."""
    for event in events:
        if event["person"] > 0:
            name = before.people[event["person"] - 1]
            event["person"] = after.people.index(name) + 1 if name in after.people else UNKNOWN
        heard = [(before.phones[phone], rssi_dbm) for phone, rssi_dbm in event["sightings"][: event["sightings_used"]].tolist()]
        kept = [(after.phones.index(name), rssi_dbm) for name, rssi_dbm in heard if name in after.phones]
        if len(kept) < len(heard):
            event["stranger"] = 1
        event["sightings"] = 0
        event["sightings"][: len(kept)] = kept
        event["sightings_used"] = len(kept)
