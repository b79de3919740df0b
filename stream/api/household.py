"""A household in a program's own memory: it is observed, told, asked and kept as the worker's are.

Law: it is the worker's core on the worker's records, one after the other: fed with what a log says it answers what a replay of
that log answers, and its bytes are a state as the worker keeps it.
"""

from collections import Counter, OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, Unpack

from .observation import Observation, moment_of, recognition_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from stream.contract.policy import Policy
    from stream.contract.records import Event, Feedback, Identity, Label, Profile, Record
    from stream.home.step import Step
    from stream.offline.why.audience import Why
    from stream.offline.why.history import History

__all__ = ["Household", "Told"]

Model = TypeVar("Model", bound="BaseModel")
EXPLAINED_MAX: Final = 64  # latest events that can be explained: each takes the home's state as it stood, some 10 kB
LABELS_MAX: Final = 4096  # latest labels that are at hand; whoever wants all of them keeps what comes
_PARTITION: Final = 0


class Told(NamedTuple):
    """What became of a feedback.

    `outcomes`: a word or several of what happened, such as "used", "early" (it waits for its event), "unknown_person", "expired".
    `revised`: earlier answers that are now others.
    """

    outcomes: tuple[str, ...]
    revised: tuple["Identity", ...]


class Household:
    """One home. Not to be used by several threads at once.

    Parameters
    ----------
    household_id
        Its name: 1 to 64 letters, digits and `._:-`.
    policy
        Every number that can change an answer; as kithkin comes.

    Examples
    --------
    >>> import numpy as np
    >>> from stream import Household, feedback
    >>> home = Household("linden-1")
    >>> home.tell(feedback.Join(person_id="ana"), at=1_763_690_000_000).outcomes
    ('used',)
    >>> ana, another = np.random.default_rng(7).standard_normal((2, 256))  # of an encoder
    >>> first = home.recognise(voice=ana, device="kitchen", at=1_763_690_060_000)
    >>> enrolment = feedback.Enrol(person_id="ana", event_ids=[first.event_id])
    >>> home.tell(enrolment, at=1_763_690_120_000).outcomes
    ('used',)
    >>> home.recognise(voice=ana + 0.3 * another, at=1_763_690_180_000).likeliest
    'ana'
    >>> home.recognise(voice=another, at=1_763_690_240_000).likeliest
    'guest'
    """

    def __init__(self, household_id: str, policy: "Policy | None" = None) -> None:
        from stream.contract.policy import Policy
        from stream.contract.records import ID_PATTERN
        from stream.home.state.household import Household as Home

        if ID_PATTERN.fullmatch(household_id) is None:
            raise ValueError(f"{household_id!r} is no name of a household: 1 to 64 letters, digits and . _ : -")
        self._policy = policy or Policy()
        self._home = Home.new(household_id)
        self._began = False  # whether anything was ever done to it
        self._offsets: Counter[str] = Counter()
        self._latest: Event | None = None
        self._labels: OrderedDict[str, Label] = OrderedDict()
        self._histories: OrderedDict[str, History] = OrderedDict()

    @classmethod
    def from_bytes(cls, state: bytes, policy: "Policy | None" = None) -> "Household":
        """The household of `to_bytes`, or of a worker's store; labels and explanations begin anew.

        Raises
        ------
        UnknownState
            A ValueError: they are no state, damaged, or (NewerState) of a later version.
        """
        from stream.home.state.at_rest import decode_home

        made = cls("unnamed", policy)
        made._home, made._began = decode_home(state, made._policy), True
        return made

    def to_bytes(self) -> bytes:
        """Its state, as the worker keeps it: some kB a person. It holds biometric data."""
        from stream.home.state.at_rest import encode_home

        return encode_home(self._home)

    @property
    def household_id(self) -> str:
        """Its name."""
        return self._home.household_id

    @property
    def policy(self) -> "Policy":
        """What it answers by."""
        return self._policy

    @property
    def members(self) -> list[str]:
        """Who belongs to it now."""
        return self._home.members

    # ---- what comes

    def recognise(self, **seen: Unpack[Observation]) -> "Identity":
        """Who it was, after learning from it.

        Parameters
        ----------
        **seen
            What sensors saw, as `Observation` tells: `voice=array, phones={"phone-ana": -52}, device="kitchen"`.

        Returns
        -------
        Identity
            `person_id` (who is named, from tier 2 on, or None), `posterior` (probability of each member and of guest),
            `likeliest`, `tier` (0 to 5), `modalities` (what was used), `event_id` (to speak of it later).

        Raises
        ------
        ValueError
            What is told cannot be, was told before under that `event_id`, or came far too late: says what would be right. Of a
            vector or a word that cannot be, nothing is learnt or remembered.
        """
        value = recognition_of(seen, self._policy)
        at = moment_of(seen.get("arrived_at", value["observed_at"]))
        event, done = self._put("recognitions", value, ("event_id", "e", seen.get("event_id")), at)
        event_id = event.value.event_id  # type: ignore[union-attr]
        answer = next((answer for answer in _identities(done) if answer.event_id == event_id and not answer.revision), None)
        if answer is None:
            letter: Any = next((output.value for output in done.outputs if output.topic == "dead-letters"), None)
            raise ValueError(f"{event_id} is refused: {letter.detail}" if letter else f"{event_id} was answered before")
        return answer

    def tell(
        self, said: "Feedback", *, at: datetime | int | None = None, arrived_at: datetime | int | None = None
    ) -> Told:
        """What a person, an app or an annotator says.

        Parameters
        ----------
        said
            Of `stream.feedback`: `Correct(event_id=…, person_id="ana")`; or a record of the contract.
        at
            When it was said, as in `Observation`; by default as `given_at` says, or now.
        arrived_at
            When it came here; as `at`.

        Raises
        ------
        ValueError
            It is none of this household, or a field of it cannot be.
        """
        given = said.model_dump(include=said.model_fields_set)
        if given.setdefault("household_id", self.household_id) != self.household_id:
            raise ValueError(f"that is feedback of {given['household_id']}, and this is {self.household_id}")
        value = {"v": 1, "kind": said.kind, "source": said.source} | given
        value["given_at"] = moment_of(at if at is not None else given.get("given_at"))
        arrived = moment_of(value["given_at"] if arrived_at is None else arrived_at)
        _, done = self._put("feedback", value, ("feedback_id", "f", given.get("feedback_id")), arrived)
        return Told(tuple(done.outcomes), tuple(_identities(done)))

    def _put(self, topic: str, value: dict[str, Any], name: tuple[str, str, str | None], at: int) -> "tuple[Event, Step]":
        """A record, as a worker would get it, with a name of its own if it has none; and what it led to."""
        from stream.contract.records import Record

        field, letter, told = name
        event_id = told if told is not None else f"{letter}-{at}"
        for number in range(2, 1 << 20):
            whole = value | {field: event_id, "household_id": self.household_id}
            record = Record(topic, _PARTITION, self._offsets[topic], at, self.household_id.encode(), _json(whole))
            event, done = self._step(record)
            if told is not None or done.outcomes != ["duplicate"]:
                break
            event_id = f"{letter}-{at}-{number}"  # several came at the same ms
        return event, done

    def _step(self, record: "Record") -> "tuple[Event, Step]":
        from stream.contract.codec import decode
        from stream.contract.records import InvalidRecord
        from stream.home.state.at_rest import encode_home
        from stream.home.step import step

        try:
            event = decode(record, self._policy)
        except InvalidRecord as invalid:
            raise ValueError(invalid.detail) from None
        if event.left_out:
            raise ValueError(f"a part of it cannot be read: {', '.join(event.left_out)} (`kithkin check` says more)")
        before = encode_home(self._home) if self._began and record.topic == "recognitions" else None
        done = step(self._home, event, self._policy)
        self._began, self._latest = True, event
        self._offsets[record.topic] += 1
        self._keep(event, done, before)
        return event, done

    def _keep(self, event: "Event", done: "Step", before: bytes | None) -> None:
        """What can be asked for later: labels, and what explains the latest answers."""
        from stream.contract.records import Label
        from stream.home.state.at_rest import encode_home
        from stream.offline.why.history import History, Moment, Revision, row_of

        for answer in _identities(done):
            if not answer.revision:
                moment = Moment(event.record, event, before, row_of(self._home, answer.event_id), answer)
                self._histories[answer.event_id] = History(self.household_id, answer.event_id, moment)
            elif answer.event_id in self._histories:
                self._histories[answer.event_id].revisions.append(Revision(answer, event.record, encode_home(self._home)))
        for label in (_whole(output.value) for output in done.outputs if isinstance(output.value, Label)):
            self._labels.pop(label.event_id, None)
            if not label.withdrawn:
                self._labels[label.event_id] = label
        for kept, most in ((self._histories, EXPLAINED_MAX), (self._labels, LABELS_MAX)):
            while len(kept) > most:
                kept.popitem(last=False)

    # ---- what can be asked

    def explain(self, event_id: str) -> "Why":
        """Why one of the latest 64 events was answered as it was, in nats; `print` it, or read its `explanation`.

        The first time takes some seconds more, for kernels that only this needs are compiled.

        Raises
        ------
        KeyError
            It was not among the latest answers of this object.
        """
        from stream.offline.why.audience import Why
        from stream.offline.why.explanation import explain
        from stream.offline.why.otherwise import without_each

        history = self._histories.get(event_id)
        if history is None:
            why = f"{event_id!r} is not among the latest {EXPLAINED_MAX} answers"
            raise KeyError(f"{why}; `kithkin why` explains any event of a log")
        explanation = explain(history, self._policy)
        return Why(explanation, without_each(history, self._policy, explanation.subject))

    @property
    def answers(self) -> dict[str, "Identity"]:
        """By event, of the latest 64: the answer as it stands now, whatever revised it."""
        found = {}
        for event_id, history in self._histories.items():
            assert history.moment is not None, "only what was answered is kept"
            found[event_id] = history.revisions[-1].answer if history.revisions else history.moment.answer
        return found

    @property
    def labels(self) -> dict[str, "Label"]:
        """By event, of those that came since this object was made: who it was, where the sensors agreed. The latest 4,096."""
        return dict(self._labels)

    @property
    def profiles(self) -> dict[str, "Profile"]:
        """By member: what is known of them now, as it is published for devices. It holds biometric data."""
        import numpy as np

        from stream.contract.records import Event, Profile, Record
        from stream.home.core.work import WORK
        from stream.home.messages import OUT
        from stream.home.numbers import policy_numbers
        from stream.home.outputs import output
        from stream.home.publish import Publisher, Response
        from stream.home.state.at_rest import decode_home

        from .kernels import take_profiles

        home, out, work = decode_home(self.to_bytes(), self._policy), np.zeros(1, OUT), np.zeros(1, WORK)
        work["at"] = home.record["stream_time"]
        take_profiles(home.slot, policy_numbers(self._policy), work, out)
        nothing: Any = None
        event = self._latest or Event(Record("recognitions", _PARTITION, 0, -1, None, None), nothing)
        response, publisher = Response(event, home), Publisher(self._policy)
        publisher.emit = output
        publisher.read(out, [response])
        if response.failure is not None:
            raise response.failure
        members = self.members
        found = [_whole(one.value) for one in response.outputs if isinstance(one.value, Profile)]
        return {profile.person_id: profile for profile in found if profile.person_id in members}


def _identities(done: "Step") -> "list[Identity]":
    from stream.contract.records import Identity

    return [_whole(output.value) for output in done.outputs if isinstance(output.value, Identity)]


def _whole(value: Model) -> Model:
    """With the defaults of fields that are not written."""
    return type(value).model_validate(value.model_dump())


def _json(value: dict[str, Any]) -> bytes:
    """As a device would send it."""
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
