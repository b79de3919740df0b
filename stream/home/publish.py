"""What is published: from RESULTs to the records of the contract, numbers turned into words again.

Law: a record's fields are made once, in the contract's order; its bytes and its model are both made of these. What leaves is
rounded (probabilities and nats to 1e-6, a posterior's sum still 1), so that bytes agree between processors.

Names are those of the home as it now is, so results are read before people, phones or encoders change.
"""

import math
import struct
from base64 import b64encode
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from pydantic import BaseModel

from learners.kernel import array, entry
from stream.contract.policy import SOURCES, Policy
from stream.contract.ports import Encoded
from stream.contract.records import (
    GUEST,
    Cause,
    DeadLetter,
    EncoderProfile,
    Health,
    Identity,
    Label,
    Output,
    Profile,
    Prototype,
    Record,
    Signal,
    construct,
)
from stream.home.events import Event, numbers_of
from stream.home.identities import BYTES_MAX, MILLIONTHS, SENSORS, write_answers
from stream.home.messages import (
    ADAPTATIONS,
    ADMITTED,
    ANSWER,
    CAUSES,
    LABEL,
    OUTCOME,
    OUTCOMES,
    PROFILE,
    PROFILE_KIND,
    REFUSALS,
    RESULT,
)
from stream.home.numbers import Space, spaces
from stream.home.state.household import Household
from stream.home.state.layout import HOME, HOURS, PEOPLE_MAX, PERSON
from stream.home.state.names import hashed

__all__ = [
    "CauseFields", "Emit", "Fields", "Publisher", "Response", "dead_letter_fields", "encoded", "output",
    "round_off",
]  # fmt: skip

DAY_MS: Final = 86_400_000
VALUE_BYTES_MAX: Final = 65_536  # of a dead letter's value
DECIMALS: Final = 6
BELIEF_MIN: Final = 0.001  # of a kind of cause: less is not published
HABIT_SHARE_MIN: Final = 0.005  # of a person's events: rarer habits do not show in a profile
LEAST_LOG_E: Final = -30.0  # nats: of no evidence at all
ERASED_HELD: Final = 2  # see core.signals
ERASED: Final = "erased"  # the kind of a signal that asks to forget a person, or with no person the home

Fields = dict[str, Any]
Emit = Callable[[str, str | bytes | None, Any, Record], Any]
REFUSED: Final = OUTCOMES.index("refused")
UNREADABLE: Final = -1  # kind of a result that names what is not there
_RESULT_BYTES: Final = RESULT.itemsize
_new: Final = tuple.__new__  # a NamedTuple of what is known to be right, in half the time
_SUPPORT: Final = [[s for bit, s in enumerate((*SENSORS, "returning")) if bits >> bit & 1] for bits in range(16)]
_DONE: Final = {
    "person": "what was known of before counts for less",
    "phone": "the phone is trusted half until it proves itself",
    "anew": "it is watched anew",
    "suspended": "these claims are held out",
    "restored": "these claims count again",
    "rolled_back": "what was learnt since enrolment is forgotten: enrolment alone foretold their recordings better",
}
_encode: Final = msgspec.json.Encoder().encode


class CauseFields(msgspec.Struct, gc=False):
    """As in the contract."""

    topic: str
    partition: int
    offset: int


class Response(msgspec.Struct, eq=False):
    """What one record of a household leads to, as it gathers.

    `outputs` in the order they are published, `outcomes` words of OUTCOMES. `refusal`: the reason, when it became a dead letter.
    """

    event: Event
    household: Household
    outputs: list[Any] = []
    outcomes: list[str] = []
    refusal: str | None = None
    admitted: bool = False  # of a statement: it is to be done
    signals: int = 0  # so far
    failure: Exception | None = None  # an error of ours: the household is to be left as it was

    @property
    def cause(self) -> CauseFields:
        """The record, as what it causes says."""
        record = self.event.record
        return CauseFields(record.topic, record.partition, record.offset)


# ---- rounding


@entry(array(RESULT))
def round_off(results: Any) -> None:
    """Round what is published of answers and labels to 1e-6, and bring a posterior in the order it is published in.

    First the columns in `members`, then the guest. What is left over of 1 goes to the greatest.
    """
    for n in range(len(results)):
        result = results[n]
        result.probability = np.rint(result.probability * MILLIONTHS) / MILLIONTHS
        if result.kind == ANSWER:
            guest, listed, greatest, left = result.posterior[0], 0, 0, MILLIONTHS
            for column in range(PEOPLE_MAX + 1):
                if column == PEOPLE_MAX or (result.members >> column) & 1:
                    p = guest if column == PEOPLE_MAX else result.posterior[column + 1]
                    result.posterior[listed] = np.rint(p * MILLIONTHS)
                    left -= result.posterior[listed]
                    if result.posterior[listed] > result.posterior[greatest]:
                        greatest = listed
                    listed += 1
            result.posterior[greatest] += left
            for i in range(listed):
                result.posterior[i] /= MILLIONTHS


def _rounded(x: float) -> float:
    return round(float(x), DECIMALS) + 0.0  # no -0.0


# ---- reading results


_CODES: Final = {"l": "q", "L": "Q"}  # what struct calls numbers of 8 bytes


def _reader(dtype: np.dtype[Any], names: Sequence[str]) -> struct.Struct:
    """How these fields of a record, in its order, are unpacked; the rest is passed over."""
    assert dtype.fields is not None
    form, at = "<", 0
    for name in names:
        field, offset = dtype.fields[name][:2]
        item, (count,) = field.subdtype or (field, (1,))
        assert offset >= at, f"{name} stands before what is read before it"
        form += f"{offset - at}x" + (f"{count}s" if name == "event_id" else f"{count}{_CODES.get(item.char, item.char)}")
        at = offset + count * item.itemsize
    return struct.Struct(f"{form}{dtype.itemsize - at}x")


_OF_LABEL: Final = ("probability", "unnamed", "label_revision", "named", "modalities", "withdrawn", "event_id_length", "event_id")
_LABEL: Final = _reader(RESULT, _OF_LABEL)
_REFUSAL: Final = _reader(RESULT, ("observed_at", "event_at", "refusal"))


class _Rare(NamedTuple):
    """Of a result that is no answer, label or outcome; see RESULT."""

    log_e: float
    beliefs: tuple[float, ...]
    profile: int
    streams: int
    name: int
    kind: int
    named: int
    cause: int
    source: int
    adapted: int
    adapted_galleries: int
    held: int


class _Snapshot(NamedTuple):
    """Of a PROFILE."""

    trust: float
    events: float
    last_seen_at: int
    updated_at: int
    weight_of_voice: float
    weight_of_face: float
    offset: float
    learnt: float
    phones: int
    revision: int
    knows_voice: int
    knows_face: int
    prototypes_used: int


_OF_RARE: Final = ("log_e", "beliefs", *_Rare._fields[2:])
_RARE: Final = _reader(RESULT, _OF_RARE)
_BELIEFS: Final = len(CAUSES)


def _rare(read: tuple[Any, ...]) -> _Rare:
    return _Rare(read[0], read[1 : 1 + _BELIEFS], *read[1 + _BELIEFS :])


_OF_SNAPSHOT: Final = (
    "trust", "events", "last_seen_at", "updated_at", "weights", "offset", "learnt", "phones", "revision", "known", "prototypes_used",
)  # fmt: skip
_SNAPSHOT: Final = _reader(PROFILE, _OF_SNAPSHOT)


def _people() -> struct.Struct:
    """How a home's count of people and their words are unpacked."""
    assert HOME.fields is not None
    assert PERSON.fields is not None
    (count, used_at), (_, people_at) = HOME.fields["people_used"][:2], HOME.fields["people"][:2]
    name, name_at = PERSON.fields["name"][:2]
    assert used_at < people_at, "the count stands before the list"
    between = people_at + name_at - used_at - count.itemsize
    names = f"{name.char}{PERSON.itemsize - name.itemsize}x" * (PEOPLE_MAX - 1) + name.char
    return struct.Struct(f"<{used_at}x{count.char}{between}x{names}")


_PEOPLE: Final = _people()


def _names_of(household: Household) -> list[str]:
    """Of all columns."""
    words, (used, *people) = household.words, _PEOPLE.unpack_from(household.memory.data)
    return [words[number] for number in people[:used]]


class Publisher:
    """Turns the results of runs into what is published.

    `emit` makes of (topic, key, fields, record that caused it) whatever is wanted: bytes (`encoded`) or a model (`output`).
    """

    def __init__(self, policy: Policy) -> None:
        self._policy_id, self._limits, self._spaces = policy.policy_id, policy.limits, spaces(policy)
        self._text = np.empty(0, np.uint8)  # room for answers
        self.emit: Emit = encoded

    def read(self, out: Any, responses: Sequence[Response]) -> None:
        """Add what stands in `out` (OUT[1]) to the responses, of which `responses[n]` is that of EVENT `n`; leave it empty."""
        results, at, begins = out["results"][0, : int(out["results_used"][0])], 0, 0
        round_off(results)
        kinds, events, outcomes = (results[name].tolist() for name in ("kind", "event", "outcome"))
        owners = [responses[event] for event in events]
        answers, ends = self._written(results, kinds, owners)
        buffer = results.view(np.uint8).data
        for kind, response, outcome, end in zip(kinds, owners, outcomes, ends, strict=True):
            try:
                if kind == ANSWER:
                    response.outputs.append(self._answer(response, answers[begins:end]))
                    begins = end
                elif kind == OUTCOME:
                    if outcome == REFUSED:
                        self._refuse(response, _REFUSAL.unpack_from(buffer, at))
                    response.outcomes.append(OUTCOMES[outcome])
                elif kind == LABEL:
                    self._label(response, _LABEL.unpack_from(buffer, at))
                elif kind != UNREADABLE:
                    self._rare(response, _rare(_RARE.unpack_from(buffer, at)), out["profiles"][0])
            except Exception as error:
                if isinstance(error, MemoryError):
                    raise
                response.failure = error
            at += _RESULT_BYTES
        out["results_used"], out["profiles_used"] = 0, 0

    def _written(self, results: Any, kinds: list[int], responses: list[Response]) -> tuple[bytes, list[int]]:
        """All answers up to their causes, and where each ends."""
        texts, numbers, places = [self._policy_id], dict[Household, int](), [0] * len(kinds)
        for n, kind in enumerate(kinds):
            if kind == ANSWER:
                household = responses[n].household
                if household not in numbers:
                    try:
                        own = [household.household_id, *_names_of(household)]
                    except IndexError as error:  # a word that is none
                        responses[n].failure = error
                        results[n]["kind"] = kinds[n] = UNREADABLE
                        continue
                    numbers[household] = len(texts)
                    texts += own
                places[n] = numbers[household]
        if len(results) * BYTES_MAX > len(self._text):
            self._text = np.empty(2 * len(results) * BYTES_MAX, np.uint8)
        ends, table = np.array(places, np.int32), np.frombuffer(bytearray("".join(texts), "ascii"), np.uint8)
        write_answers(results, ends, table, np.cumsum([*map(len, texts)], dtype=np.int32), self._text)
        listed: list[int] = ends.tolist()
        return self._text[: max(listed, default=0)].tobytes(), listed

    def _answer(self, response: Response, answer: bytes) -> Any:
        record, household_id = response.event.record, response.household.household_id
        cause = _encode(CauseFields(record.topic, record.partition, record.offset))
        return self.emit("identities", household_id, b"%b%b}" % (answer, cause), record)

    def _label(self, response: Response, read: tuple[Any, ...]) -> None:
        probability, unnamed, revision, named, support, withdrawn, length, event_id = read
        household = response.household
        fields = {
            "v": 1, "event_id": event_id[:length].decode(), "household_id": household.household_id,
            "person_id": _person(household, named), "probability": probability, "evidence": _SUPPORT[support],
        }  # fmt: skip
        if withdrawn:
            fields["withdrawn"] = True
        fields["revision"], fields["cause"] = revision, response.cause
        if unnamed >= 0:
            fields["unnamed_id"] = f"unnamed-{unnamed}"
        self._publish(response, "labels", fields)

    def _publish(self, response: Response, topic: str, fields: Fields) -> None:
        response.outputs.append(self.emit(topic, response.household.household_id, fields, response.event.record))

    def _rare(self, response: Response, result: "_Rare", profiles: Any) -> None:
        if result.kind == ADMITTED:
            response.admitted = True
        else:
            name = response.household.words[result.name] if result.name else None
            if result.kind == PROFILE_KIND:
                self._profile(response, str(name), profiles[result.profile : result.profile + 1])
            elif result.held == ERASED_HELD:
                self.erased(response, name)
            else:
                self._signal(response, result, name)

    def _refuse(self, response: Response, read: tuple[int, int, int]) -> None:
        """A record whose time makes it impossible to answer it rightly, or surely once."""
        stream_time, at, number = read
        limits, record, refusal = self._limits, response.event.record, REFUSALS[number]
        behind = (stream_time - at) / DAY_MS
        if refusal == "future":
            detail = f"{-behind:.0f} days after the newest record of this household; {limits.gap_days} are allowed"
        elif refusal == "forgotten":
            detail = "so far back that it cannot be told whether it was answered already"
        else:
            detail = f"{behind:.0f} days before the newest record of this household; {limits.late_days} are allowed"
        response.refusal = "future" if refusal == "future" else "too_old"
        fields = dead_letter_fields(record, response.refusal, detail)
        response.outputs.append(self.emit("dead-letters", record.key, fields, record))

    # ---- signals

    def _signal(self, response: Response, result: "_Rare", name: str | None) -> None:
        household, kind = response.household, CAUSES[result.cause]
        fields = _of_signal(response, {"kind": kind, "log_e_value": _rounded(result.log_e), "streams": result.streams})
        if result.held:
            source = SOURCES[result.source - 1] if result.source else None
            fields["signal_id"] = f"held-{_number(response, 'feedback'):x}"
            fields["attributes"] = {"source": source} if source else {}
            fields["person_id"] = None if source else _person(household, result.named)
        else:
            value = response.event.value
            subject = "person_id" if kind in ("person", "phone", "habit") else "device_id" if kind == "device" else kind
            if subject in fields:
                fields[subject] = name
            elsewhere = kind == "device" and name != getattr(value, "device_id", None)
            fields["attributes"] = {} if elsewhere else dict(getattr(value, "device", None) or {})
            fields["evidence"] = _beliefs(result.beliefs)
        fields["adapted"] = self._done(ADAPTATIONS[result.adapted], household, result.adapted_galleries)
        self._publish(response, "drift-signals", fields)
        response.signals += 1

    def _done(self, adaptation: str, household: Household, galleries: int) -> str | None:
        """What was done about a change, in a sentence."""
        if adaptation != "device":
            return _DONE[adaptation] if adaptation else None
        known = [_encoder(household, index) for index in range(galleries.bit_length()) if galleries >> index & 1]
        return f"its offset is measured anew, from what came since ({', '.join(known)})"

    def erased(self, response: Response, person_id: str | None) -> None:
        """Ask the fleet to forget a person, or (None) the whole home."""
        told = {"person_id": person_id, "kind": ERASED, "log_e_value": LEAST_LOG_E}
        self._publish(response, "drift-signals", _of_signal(response, told))
        response.signals += 1

    def tombstone(self, response: Response, person_id: str) -> None:
        """A profile is no more."""
        key = f"{response.household.household_id}/{person_id}"
        response.outputs.append(self.emit("profiles", key, None, response.event.record))

    # ---- profiles

    def _profile(self, response: Response, person_id: str, profiles: Any) -> None:
        """`profiles` (1,): of which a profile is made."""
        household, profile = response.household, _Snapshot(*_SNAPSHOT.unpack_from(profiles.view(np.uint8).data))
        words, drift, found = household.words, 0.0, {}
        kept = profiles["prototypes"][0, : profile.prototypes_used]
        galleries = np.array(kept["encoder"])
        for index in np.unique(galleries).tolist():
            encoder = _encoder(household, index)
            if encoder in self._spaces:
                own, space = kept[galleries == index], self._spaces[encoder]
                own = own[np.argsort(own["since"], kind="stable")]
                drift = max(drift, _moved(own["vector"][:, : len(space.back)]))
                found[encoder] = {"prototypes": _prototypes(household, space, own), "calibration": _calibration(profile, space)}
        phones = numbers_of(household).phones
        fields = {
            "v": 1, "household_id": household.household_id, "person_id": person_id, "revision": profile.revision,
            "updated_at": profile.updated_at, "encoders": dict(sorted(found.items())), "habits": _habits(household, profiles),
            "phones": [words[name] for place, name in enumerate(phones) if profile.phones >> place & 1],
            "health": {
                "events": _rounded(profile.events), "last_seen_at": profile.last_seen_at or None, "drift": _rounded(drift),
                "trust": _rounded(profile.trust),
            },
            "policy_id": self._policy_id, "cause": response.cause,
        }  # fmt: skip
        key = f"{household.household_id}/{person_id}"
        response.outputs.append(self.emit("profiles", key, fields, response.event.record))


def _person(household: Household, place: int) -> str:
    """Whose place it is."""
    return _names_of(household)[place - 1] if place else GUEST


def _encoder(household: Household, gallery: int) -> str:
    return household.words[int(household.slot["galleries"]["name"][0, gallery])]


def _number(response: Response, kind: Any) -> int:
    """By which a signal is known: the record that caused it, and its place among what that record caused."""
    cause = response.cause
    household = response.household.household_id
    return hashed(kind, f"{household} {cause.topic} {cause.partition} {cause.offset} {response.signals}")


def _of_signal(response: Response, said: Fields) -> Fields:
    fields = {
        "v": 1, "signal_id": f"s-{_number(response, 'event'):x}", "household_id": response.household.household_id,
        "person_id": None, "device_id": None, "encoder": None, "attributes": {}, "kind": "", "log_e_value": 0.0,
        "observed_at": response.event.value.at, "cause": response.cause, "streams": None, "evidence": {}, "adapted": None,
    }  # fmt: skip
    return fields | said


def _beliefs(beliefs: Iterable[float]) -> dict[str, float]:
    """What is believed of each kind of cause; whoever is meant stands in the signal itself."""
    found = zip(CAUSES, [float(belief) for belief in beliefs], strict=True)
    return {kind: round(belief, 3) for kind, belief in sorted(found) if belief >= BELIEF_MIN}


def _prototypes(household: Household, space: Space, kept: Any) -> list[Fields]:
    """As the contract has them: in the encoder's own space, as base64 of float16."""
    vectors = space.mean + kept["vector"][:, : len(space.back)].astype(np.float64) @ space.back
    if space.numbers["unit"][0]:
        vectors /= np.sqrt(np.square(vectors).sum(1, keepdims=True))
    return [
        {
            "embedding": b2a_base64(vector.tobytes(), newline=False).decode(), "weight": _rounded(mass),
            "device_id": household.words[device] if device else None, "since": since,
        }
        for vector, mass, device, since in zip(
            vectors.astype("<f2"), kept["mass"].tolist(), kept["device_name"].tolist(), kept["since"].tolist(), strict=True
        )
    ]  # fmt: skip


def _moved(means: Any) -> float:
    """How far apart the first and the last mean are: root mean square over dimensions, in standard deviations within a person."""
    away = (means[-1] - means[0]).astype(np.float64)
    return math.sqrt(float(away @ away) / len(away))


def _calibration(profile: "_Snapshot", space: Space) -> Fields:
    weights, known = (profile.weight_of_voice, profile.weight_of_face), (profile.knows_voice, profile.knows_face)
    return {
        "weight": _rounded(weights[space.modality]) if known[space.modality] else 1.0, "offset": _rounded(profile.offset),
        "learnt": profile.learnt, "temperature": space.temperature,
    }  # fmt: skip


def _habits(household: Household, profiles: Any) -> dict[str, dict[str, float]]:
    """A person's own shares by feature and value: what of them shows in a profile."""
    numbers = profiles["habits"][0].tolist()
    hours, activities, totals = numbers[:HOURS], numbers[HOURS:-2], numbers[-2:]
    told_with = profiles if "activities" in (PROFILE.names or ()) else household.slot
    words = [household.words[word] if word else None for word in told_with["activities"][0].tolist()]
    told = {
        "activity": _shares(zip(words, activities, strict=True), totals[1]),
        "hour": _shares(((str(hour), count) for hour, count in enumerate(hours)), totals[0]),
    }
    return {feature: shares for feature, shares in told.items() if shares}


def _shares(counts: Iterable[tuple[str | None, float]], total: float) -> dict[str, float]:
    own = {name: count for name, count in counts if name is not None and count > HABIT_SHARE_MIN * total}
    return {name: round(own[name] / total, 4) for name in sorted(own)} if total > 0 else {}


# ---- on the way out


def dead_letter_fields(record: Record, reason: str, detail: str) -> Fields:
    """Of a record that could not be used: the first 64 KiB of its value, and why."""
    return {
        "v": 1, "topic": record.topic, "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp,
        "key_base64": _base64(record.key), "value_base64": _base64(record.value), "value_bytes": len(record.value or b""),
        "reason": reason, "detail": detail,
    }  # fmt: skip


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw[:VALUE_BYTES_MAX]).decode()


def encoded(topic: str, key: str | bytes | None, fields: Any, record: Record) -> Encoded:
    """Canonical JSON bytes of what a record leads to, of a tombstone none; partition and time are those of the record."""
    value = fields if fields is None or type(fields) is bytes else _encode(fields)
    return _new(Encoded, (topic, record.partition, record.timestamp, key.encode() if isinstance(key, str) else key, value))


def output(topic: str, key: str | bytes | None, fields: Any, record: Record) -> Output:
    """The same as a model."""
    return Output(topic, key, None if fields is None else _MODELS[topic](_builtins(fields)))


def _builtins(fields: Any) -> Fields:
    made_of: Fields = msgspec.json.decode(fields) if type(fields) is bytes else msgspec.to_builtins(fields)
    return made_of


def _with_cause(model: type[BaseModel]) -> Any:
    return lambda fields: construct(model, fields | {"cause": construct(Cause, fields["cause"])})


def _profile_model(fields: Fields) -> Profile:
    encoders = {
        name: construct(EncoderProfile, own | {"prototypes": [construct(Prototype, prototype) for prototype in own["prototypes"]]})
        for name, own in fields["encoders"].items()
    }
    health, cause = construct(Health, fields["health"]), construct(Cause, fields["cause"])
    return construct(Profile, fields | {"encoders": encoders, "health": health, "cause": cause})


_MODELS: Final[Mapping[str, Any]] = {
    "identities": _with_cause(Identity), "labels": _with_cause(Label), "drift-signals": _with_cause(Signal),
    "profiles": _profile_model, "dead-letters": lambda fields: construct(DeadLetter, fields),
}  # fmt: skip
