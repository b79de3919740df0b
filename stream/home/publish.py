"""What is published: from RESULTs to the records of the contract, numbers turned into words again.

Law: a record's fields are made once, in the contract's order; its bytes and its model are both made of these. What leaves is
rounded (probabilities and nats to 1e-6, a posterior's sum still 1), so that bytes agree between processors.

Names are those of the home as it now is, so results are read before people, phones or encoders change.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from learners.kernel import array, entry
from stream.contract.policy import SOURCES, Policy
from stream.contract.reading import RECOGNITIONS, SensedSession
from stream.contract.records import CLOCK, ENROL_ANEW, ENROLMENT, GUEST, Erase, Session
from stream.home.events import Event, encoders_of, people_of, phones_of
from stream.home.identities import BYTES_MAX, MILLIONTHS, SENSORS, write_answers
from stream.home.messages import (
    ADAPTATIONS,
    ADMITTED,
    ANSWER,
    CAUSES,
    ENROLMENT_FAULTS,
    LABEL,
    OUTCOME,
    OUTCOMES,
    PRESENCE_KIND,
    PROFILE_KIND,
    REFUSALS,
    RESULT,
)
from stream.home.numbers import spaces
from stream.home.outputs import CauseFields, Emit, Fields, dead_letter_fields, encode, encode_output, round_out
from stream.home.presence import PRESENCE_RESULT, presence_fields
from stream.home.profiles import calibration_of, distance_moved, habits_of, prototypes_of, reader, snapshot_of
from stream.home.state.household import Household
from stream.home.state.layout import PEOPLE_MAX
from stream.home.state.names import hash_id

__all__ = ["Publisher", "Response", "round_off"]

DAY_MS: Final = 86_400_000
BELIEF_MIN: Final = 0.001  # of a kind of cause: less is not published
LEAST_LOG_E: Final = -30.0  # nats: of no evidence at all
ERASED_HELD: Final = 2  # see core.signals
ERASED: Final = "erased"  # the kind of a signal that asks to forget a person, or with no person the home

REFUSED, WRONG_CLOCK, BAD_ENROLMENT = (OUTCOMES.index(word) for word in ("refused", "wrong_clock", "bad_enrolment"))
TIER_OF_SESSIONS: Final = 2  # at most: from tier 3 on only who is recognised counts
UNREADABLE: Final = -1  # kind of a result that names what is not there
_RESULT_BYTES: Final = RESULT.itemsize
_SUPPORT: Final = [[s for bit, s in enumerate((*SENSORS, "returning")) if bits >> bit & 1] for bits in range(16)]
_DONE: Final = {
    "person": "what was known of before counts for less",
    "phone": "the phone is trusted half until it proves itself",
    "anew": "it is watched anew",
    "suspended": "these claims are held out",
    "restored": "these claims count again",
    "crosswise": f"these claims are held out: of two people they say what the other enrolled; if they are right, {ENROL_ANEW}",
    "exchanged": "two people had been enrolled under each other's names, as claims and phones agree: the names were exchanged",
    "rolled_back": "what was learnt since enrolment is forgotten: enrolment alone foretold their recordings better",
}


class Response(msgspec.Struct, eq=False):
    """What one record of a household leads to, as it gathers.

    `outputs` in the order they are published, `outcomes` words of OUTCOMES. `refusal`: the reason, when it became a dead letter.
    """

    event: Event
    household: Household
    outputs: list[Any] = []
    outcomes: list[str] = []
    refusal: str | None = None
    admitted_at: int | None = None  # of a statement: it is to be done, as of then (ms)
    signals: int = 0  # so far
    failure: Exception | None = None  # an error of ours: the household is to be left as it was

    @property
    def cause(self) -> CauseFields:
        """The record, as what it causes says."""
        record = self.event.record
        return CauseFields(record.topic, record.partition, record.offset)


# ---- enrolments


_FAULTS: Final = {
    "repeated": "the same twice", "apart": "unlike each other", "of_another": "another member's", "of_nobody": "of no person",
}  # fmt: skip


def faults_of(bits: int) -> list[str]:
    """What is wrong with recordings of an enrolment, in words of ENROLMENT_FAULTS."""
    return [fault for bit, fault in enumerate(ENROLMENT_FAULTS) if bits >> bit & 1]


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


# ---- reading results


_OF_LABEL: Final = ("probability", "unnamed", "label_revision", "named", "modalities", "withdrawn", "event_id_length", "event_id")
_LABEL: Final = reader(RESULT, _OF_LABEL)
_OF_ENROLMENT: Final = reader(RESULT, ("event_at", "name", "held"))
_ABOUT: Final = b'{"v":1,"event_id":"%b"'
_OF_ANSWER: Final = reader(RESULT, ("tier", "named"))
_OF_TIME: Final = reader(RESULT, ("observed_at", "event_at", "refusal", "held"))


class _Rare(NamedTuple):
    """Of a result that is no answer, label or outcome; see RESULT."""

    event_at: int
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


_OF_RARE: Final = ("event_at", "log_e", "beliefs", *_Rare._fields[3:])
_RARE: Final = reader(RESULT, _OF_RARE)
_BELIEFS: Final = len(CAUSES)


def _rare(read: tuple[Any, ...]) -> _Rare:
    return _Rare(read[0], read[1], read[2 : 2 + _BELIEFS], *read[2 + _BELIEFS :])


class Publisher:
    """Turns the results of runs into what is published.

    `emit` makes of (topic, key, fields, record that caused it) whatever is wanted: bytes (`encoded`) or a model (`output`).
    """

    def __init__(self, policy: Policy) -> None:
        self._policy, self._policy_id, self._limits, self._spaces = policy, policy.policy_id, policy.limits, spaces(policy)
        self._text = np.empty(0, np.uint8)  # room for answers
        self._names: dict[Household, list[str]] = {}  # of all columns, as long as results are read
        self.emit: Emit = encode_output

    def read(self, out: Any, responses: Sequence[Response]) -> None:
        """Add what stands in `out` (OUT[1]) to the responses, of which `responses[n]` is that of EVENT `n`; leave it empty."""
        results, at, begins = out["results"][0, : int(out["results_used"][0])], 0, 0
        round_off(results)
        self._names.clear()
        kinds, events, outcomes = (results[name].tolist() for name in ("kind", "event", "outcome"))
        owners = [responses[event] for event in events]
        answers, ends = self._write_answers(results, kinds, owners)
        buffer = results.view(np.uint8).data
        for kind, response, outcome, end in zip(kinds, owners, outcomes, ends, strict=True):
            try:
                if kind == ANSWER:
                    response.outputs.append(self._answer(response, answers[begins:end], buffer[at : at + _RESULT_BYTES]))
                    begins = end
                elif kind == OUTCOME:
                    if outcome in (REFUSED, WRONG_CLOCK):
                        self._of_time(response, _OF_TIME.unpack_from(buffer, at))
                    elif outcome == BAD_ENROLMENT:
                        self._of_enrolment(response, _OF_ENROLMENT.unpack_from(buffer, at))
                    response.outcomes.append(OUTCOMES[outcome])
                elif kind == LABEL:
                    self._label(response, _LABEL.unpack_from(buffer, at))
                elif kind == PRESENCE_KIND:
                    self._presence(response, PRESENCE_RESULT.unpack_from(buffer, at))
                elif kind != UNREADABLE:
                    self._rare(response, _rare(_RARE.unpack_from(buffer, at)), out["profiles"][0])
            except Exception as error:
                if isinstance(error, MemoryError):
                    raise
                response.failure = error
            at += _RESULT_BYTES
        out["results_used"], out["profiles_used"] = 0, 0

    def _write_answers(self, results: Any, kinds: list[int], responses: list[Response]) -> tuple[bytes, list[int]]:
        """All answers up to their causes, and where each ends."""
        texts, numbers, places = [self._policy_id], dict[Household, int](), [0] * len(kinds)
        for n, kind in enumerate(kinds):
            if kind == ANSWER:
                household = responses[n].household
                if household not in numbers:
                    try:
                        own = [household.household_id, *self._names_of(household)]
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

    def _names_of(self, household: Household) -> list[str]:
        """Of all columns."""
        names = self._names.get(household)
        if names is None:
            words = household.words
            names = self._names[household] = [words[number] for number in people_of(household)]
        return names

    def _person(self, household: Household, place: int) -> str:
        """Whose place it is."""
        return self._names_of(household)[place - 1] if place else GUEST

    def _answer(self, response: Response, answer: bytes, result: memoryview) -> Any:
        record, household_id, value = response.event.record, response.household.household_id, response.event.value
        cause: bytes = encode(CauseFields(record.topic, record.partition, record.offset))
        if isinstance(value, RECOGNITIONS) and value.session and answer.startswith(_ABOUT % value.event_id.encode()):
            cause += b',"acts_for":%b' % encode(self._acts_for(response.household, value.session, *_OF_ANSWER.unpack(result)))
        return self.emit("identities", household_id, b"%b%b}" % (answer, cause), record)

    def _acts_for(self, household: Household, session: SensedSession | Session, tier: int, named: int) -> str | None:
        """For whom a device acts in a session: what asks for no more than tier 2 is the session's on a device of one's own."""
        own = session.person_id if session.device_class == "personal" and tier <= TIER_OF_SESSIONS else None
        if own is not None and own in self._names_of(household):
            return own
        return self._person(household, named) if named else None

    def _label(self, response: Response, read: tuple[Any, ...]) -> None:
        probability, unnamed, revision, named, support, withdrawn, length, event_id = read
        household = response.household
        fields = {
            "v": 1, "event_id": event_id[:length].decode(), "household_id": household.household_id,
            "person_id": self._person(household, named), "probability": probability, "evidence": _SUPPORT[support],
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
            response.admitted_at = result.event_at
        else:
            name = response.household.words[result.name] if result.name else None
            if result.kind == PROFILE_KIND:
                self._profile(response, str(name), profiles[result.profile : result.profile + 1])
            elif result.held == ERASED_HELD:
                self.publish_erasure(response, name)
            else:
                self._signal(response, result, name)

    def _of_time(self, response: Response, read: tuple[int, int, int, int]) -> None:
        """A record whose time is wrong: refused if it cannot be answered rightly, or surely once; told as a clock's when new."""
        stream_time, at, number, told = read
        behind = (stream_time - at) / DAY_MS
        if number:
            fields = self._refusal(response, REFUSALS[number], behind)
            response.outputs.append(self.emit("dead-letters", response.event.record.key, fields, response.event.record))
        if told:
            device = getattr(response.event.value, "device_id", None)
            done = f"{abs(behind):.1f} days {'behind' if behind > 0 else 'ahead of'} what other records of the home say"
            said = {"kind": CLOCK, "device_id": device, "log_e_value": LEAST_LOG_E, "observed_at": stream_time, "adapted": done}
            self._publish(response, "drift-signals", _of_signal(response, said))
            response.signals += 1

    def _of_enrolment(self, response: Response, read: tuple[int, int, int]) -> None:
        """Recordings of an enrolment that are not the person's."""
        at, name, faults = read
        told = f"recordings of the enrolment are {' and '.join(_FAULTS[fault] for fault in faults_of(faults))}: {ENROL_ANEW}"
        said = {"person_id": response.household.words[name], "kind": ENROLMENT, "log_e_value": LEAST_LOG_E}
        self._publish(response, "drift-signals", _of_signal(response, said | {"observed_at": at, "adapted": told}))
        response.signals += 1

    def _refusal(self, response: Response, refusal: str, behind: float) -> Fields:
        """The dead letter of a refused record, `behind` the home's time (days)."""
        limits = self._limits
        if refusal == "future":
            detail = f"{-behind:.0f} days after the newest record of this household; {limits.gap_days} are allowed"
        elif refusal == "forgotten":
            detail = "so far back that it cannot be told whether it was answered already"
        else:
            detail = f"{behind:.0f} days before the newest record of this household; {limits.late_days} are allowed"
        if refusal != "forgotten":
            detail += ": its clock is wrong, or it was sent long after it was made"
        response.refusal = "future" if refusal == "future" else "too_old"
        return dead_letter_fields(response.event.record, response.refusal, detail)

    # ---- signals

    def _signal(self, response: Response, result: "_Rare", name: str | None) -> None:
        household, kind = response.household, CAUSES[result.cause]
        said = {"kind": kind, "log_e_value": round_out(result.log_e), "observed_at": result.event_at, "streams": result.streams}
        fields = _of_signal(response, said)
        if result.held:
            source = SOURCES[result.source - 1] if result.source else None
            fields["signal_id"] = f"held-{_number(response, 'feedback'):x}"
            fields["attributes"] = {"source": source} if source else {}
            fields["person_id"] = None if source else self._person(household, result.named)
        else:
            value = response.event.value
            subject = "person_id" if kind in ("person", "phone", "habit") else "device_id" if kind == "device" else kind
            if subject in fields:
                fields[subject] = name
            elsewhere = kind == "device" and name != getattr(value, "device_id", None)
            fields["attributes"] = {} if elsewhere else dict(getattr(value, "device", None) or {})
            fields["evidence"] = _beliefs(result.beliefs)
        fields["adapted"] = self._describe_done(ADAPTATIONS[result.adapted], household, result.adapted_galleries)
        self._publish(response, "drift-signals", fields)
        response.signals += 1

    def _describe_done(self, adaptation: str, household: Household, galleries: int) -> str | None:
        """What was done about a change, in a sentence."""
        if adaptation != "device":
            return _DONE[adaptation] if adaptation else None
        known = [household.words[word] for index, word in enumerate(encoders_of(household)) if galleries >> index & 1]
        return f"its offset is measured anew, from what came since ({', '.join(known)})"

    def publish_erasure(self, response: Response, person_id: str | None) -> None:
        """Ask the fleet to forget a person, or (None) the whole home."""
        told = {"person_id": person_id, "kind": ERASED, "log_e_value": LEAST_LOG_E}
        self._publish(response, "drift-signals", _of_signal(response, told))
        response.signals += 1

    def tombstone(self, response: Response, person_id: str) -> None:
        """A profile is no more, nor a presence."""
        key = f"{response.household.household_id}/{person_id}"
        for topic in ("profiles", "presence") if self._policy.presence.publish else ("profiles",):
            response.outputs.append(self.emit(topic, key, None, response.event.record))

    def _presence(self, response: Response, read: tuple[Any, ...]) -> None:
        fields = presence_fields(response.household, read, self._policy) | {"cause": response.cause}
        key = f"{response.household.household_id}/{fields['person_id']}"
        response.outputs.append(self.emit("presence", key, fields, response.event.record))

    # ---- profiles

    def _profile(self, response: Response, person_id: str, profiles: Any) -> None:
        """`profiles` (1,): of which a profile is made."""
        household, profile = response.household, snapshot_of(profiles)
        words, drift, found = household.words, 0.0, {}
        kept = profiles["prototypes"][0, : profile.prototypes_used]
        since, galleries = kept["since"].tolist(), kept["encoder"].tolist()
        for index, word in enumerate(encoders_of(household)):
            rows = sorted([row for row, gallery in enumerate(galleries) if gallery == index], key=since.__getitem__)
            space = self._spaces.get(words[word]) if rows else None
            if space is not None:
                own = kept[rows]
                drift = max(drift, distance_moved(own["vector"][:, : len(space.back)]))
                found[space.name] = {
                    "prototypes": prototypes_of(household, space, own),
                    "calibration": calibration_of(profile, space),
                }
        phones = phones_of(household)
        fields = {
            "v": 1, "household_id": household.household_id, "person_id": person_id, "revision": profile.revision,
            "updated_at": profile.updated_at, "encoders": dict(sorted(found.items())), "habits": habits_of(household, profiles),
            "phones": [words[name] for place, name in enumerate(phones) if profile.phones >> place & 1],
            "health": {
                "events": round_out(profile.events), "last_seen_at": profile.last_seen_at or None, "drift": round_out(drift),
                "trust": round_out(profile.trust),
            } | ({"enrolment": faults_of(profile.enrol_faults)} if profile.enrol_faults else {}),
            "policy_id": self._policy_id, "cause": response.cause,
        }  # fmt: skip
        key = f"{household.household_id}/{person_id}"
        response.outputs.append(self.emit("profiles", key, fields, response.event.record))


def _number(response: Response, kind: Any) -> int:
    """By which a signal is known: the record that caused it, and its place among what that record caused."""
    cause = response.cause
    household = response.household.household_id
    return hash_id(kind, f"{household} {cause.topic} {cause.partition} {cause.offset} {response.signals}")


def _of_signal(response: Response, said: Fields) -> Fields:
    fields = {
        "v": 1, "signal_id": f"s-{_number(response, 'event'):x}", "household_id": response.household.household_id,
        "person_id": None, "device_id": None, "encoder": None, "attributes": {}, "kind": "", "log_e_value": 0.0,
        "observed_at": _time_of(response.event), "cause": response.cause, "streams": None, "evidence": {}, "adapted": None,
    }  # fmt: skip
    return fields | said


def _time_of(event: Event) -> int:
    """When it happened; an erasure, which no clock keeps from being done, no later than it was sent."""
    at = event.value.at
    return min(at, event.record.timestamp) if isinstance(event.value, Erase) and event.record.timestamp > 0 else at


def _beliefs(beliefs: Iterable[float]) -> dict[str, float]:
    """What is believed of each kind of cause; whoever is meant stands in the signal itself."""
    found = zip(CAUSES, [float(belief) for belief in beliefs], strict=True)
    return {kind: round(belief, 3) for kind, belief in sorted(found) if belief >= BELIEF_MIN}


