"""What a recorded log tells of who was recorded, and through what: guided enrolments, and claims that look honest.

Law: nobody who was erased, and nothing that was retracted, is among the recordings; a claim is believed only if the voice or face
is more like that person's others than like anybody's else in the home. A channel is what devices say that they are.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from learners.fit.recordings import Codes, Numbers, Recordings, unit
from learners.recognition.projection import Metric
from stream.brokers.log_files import STDIN, LogReader
from stream.contract.errors import ConfigError
from stream.contract.reading import read_parts
from stream.contract.records import FEEDBACK, GUEST, Confirm, Correct, Enrol, Erase, Feedback, Recognition, Reject, Retract
from stream.home.state.layout import CHANNELS_MAX

from .labelled import Condition, Labelled

__all__ = ["CHANNEL_PEOPLE_MIN", "PERSON_RECORDINGS_MAX", "read_answers", "read_logs"]

PERSON_RECORDINGS_MAX: Final = 64  # the first of each person: more tell little of people in general
CHANNEL_PEOPLE_MIN: Final = 12  # of fewer, whoever is held out may leave none
_ORDINARY: Final = "clean"  # the channel of devices that do not say what they are

Event = tuple[str, str]  # household and event


class _Claim(NamedTuple):
    event: Event
    person: str
    sure: bool  # by guided enrolment


@dataclass
class _Feedback:
    """What was said in a log, before it is weighed."""

    claims: dict[tuple[str, str], list[_Claim]] = field(default_factory=dict)  # by household and feedback
    denied: set[tuple[Event, str]] = field(default_factory=set)
    retracted: set[tuple[str, str]] = field(default_factory=set)
    erased: set[tuple[str, str | None]] = field(default_factory=set)

    def add(self, said: Feedback, answers: dict[Event, str]) -> None:
        """One feedback; `answers`: who was published of an event."""
        home, own = said.household_id, (said.household_id, said.feedback_id)
        match said:
            case Enrol():
                self.claims[own] = [_Claim((home, event), said.person_id, True) for event in said.event_ids]
            case Correct():
                self.claims[own] = [_Claim((home, said.event_id), said.person_id, False)]
            case Confirm() if (home, said.event_id) in answers:
                self.claims[own] = [_Claim((home, said.event_id), answers[home, said.event_id], False)]
            case Reject():
                self.denied.add(((home, said.event_id), said.person_id))
            case Retract():
                self.retracted.add((home, said.retracts))
            case Erase():
                self.erased.add((home, said.person_id))
            case _:
                pass

    def labels(self) -> dict[Event, _Claim]:
        """Of each event the one claim that holds; none where two contradict each other."""
        found: dict[Event, _Claim] = {}
        doubtful: set[Event] = set()
        for own, claims in self.claims.items():
            for claim in claims if own not in self.retracted else ():
                before = found.get(claim.event)
                if before and before.person != claim.person and before.sure == claim.sure:
                    doubtful.add(claim.event)
                if before is None or claim.sure:
                    found[claim.event] = claim
        return {event: claim for event, claim in found.items() if event not in doubtful and self._holds(claim)}

    def _holds(self, claim: _Claim) -> bool:
        home = claim.event[0]
        gone = (home, None) in self.erased or (home, claim.person) in self.erased
        return claim.person != GUEST and not gone and (claim.event, claim.person) not in self.denied


def read_logs(
    logs: Sequence[str], encoder: str, metric: Metric, answers: dict[Event, str] | None = None, channel_by: str = "model"
) -> Labelled:
    """The recordings of one encoder of which a log tells whose they are, by household and person.

    Parameters
    ----------
    answers
        (household, event) -> who was published: what `confirm` confirms. Without it a `confirm` tells nothing.
    channel_by
        The attribute of `device` whose values are channels. The one with most recordings is the ordinary one, and those of which
        fewer than CHANNEL_PEOPLE_MIN people were recorded count as it.

    Raises
    ------
    ConfigError
        When the log is standard input, which cannot be read twice, or knows nobody's vector of the encoder.
    """
    if STDIN in logs:
        raise ConfigError("LOG", STDIN, "--log", "a file, for it is read twice: first what was said, then of whom")
    said = _Feedback()
    for value in _values(logs, "feedback"):
        if not isinstance(value, Recognition):
            said.add(value, answers or {})
    labels = said.labels()
    homes, seen = _homes(logs, encoder, labels, channel_by)
    if not homes:
        known = f"the log has vectors of {', '.join(sorted(seen))}" if seen else "the log has no vectors"
        raise ConfigError("--encoder", encoder, known, "an encoder of whose recordings somebody enrolled or corrected some")
    return _label(homes, metric)


def _values(logs: Sequence[str], topic: str) -> Iterator[Recognition | Feedback]:
    """The readable records of a topic; dead letters tell nothing here, nor do parts that a worker leaves out."""
    with closing(LogReader(logs, prefix=None)) as reader:
        for record in reader:
            if record.topic == topic and record.value is not None:
                with suppress(ValidationError):
                    yield read_parts(record.value)[0] if topic == "recognitions" else FEEDBACK.validate_json(record.value)


class _Recording(NamedTuple):
    vector: Numbers
    sure: bool  # it was enrolled
    channel: str


Home = dict[str, dict[str, _Recording]]  # person -> event


def _homes(
    logs: Sequence[str], encoder: str, labels: dict[Event, _Claim], channel_by: str
) -> tuple[dict[str, Home], set[str]]:
    """By household the vectors whose person is told; and which encoders there are."""
    homes: dict[str, Home] = defaultdict(lambda: defaultdict(dict))
    seen: set[str] = set()
    for value in _values(logs, "recognitions"):
        for part in (value.voice, value.face) if isinstance(value, Recognition) else ():
            if part is None:
                continue
            seen.add(part.encoder)
            event = (value.household_id, value.event_id)  # type: ignore[union-attr] # it is a recognition
            if part.encoder == encoder and event in labels:
                own = homes[value.household_id][labels[event].person]
                if len(own) < PERSON_RECORDINGS_MAX:
                    channel = (value.device or {}).get(channel_by, _ORDINARY)  # type: ignore[union-attr]
                    own.setdefault(event[1], _Recording(np.asarray(part.embedding, np.float64), labels[event].sure, channel))
    return homes, seen


def _label(homes: dict[str, Home], metric: Metric) -> Labelled:
    found: list[_Recording] = []
    people: list[str] = []
    lengths = {len(recording.vector) for home in homes.values() for own in home.values() for recording in own.values()}
    if len(lengths) > 1:
        raise ConfigError("--encoder", f"vectors of {sorted(lengths)} numbers", "the log", "vectors of one length")
    for household, home in sorted(homes.items()):
        for person, recording in _honest(home, metric):
            found.append(recording)
            people.append(f"{household}/{person}")
    names, codes = np.unique(people, return_inverse=True)
    table = np.array([recording.vector for recording in found])
    channels = _channels(found, codes)
    numbers = np.array([channels.index(r.channel) if r.channel in channels else 0 for r in found], np.int64)
    recordings = Recordings.plain(metric, unit(table) if metric == "cosine" else table, codes.astype(np.int64))
    counts = Counter(("enrolled" if r.sure else "claimed", channels[at]) for r, at in zip(found, numbers, strict=True))
    conditions = tuple(Condition(*of, number) for of, number in sorted(counts.items(), reverse=True))
    return Labelled(replace(recordings, channels=numbers, names=channels), tuple(names.tolist()), conditions)


def _channels(recordings: Sequence[_Recording], people: Codes) -> tuple[str, ...]:
    """The channels through which people enough were recorded, the one with most recordings first."""
    heard: dict[str, set[int]] = defaultdict(set)
    for recording, person in zip(recordings, people.tolist(), strict=True):
        heard[recording.channel].add(person)
    often = [channel for channel, _ in sorted(Counter(r.channel for r in recordings).items(), key=lambda one: (-one[1], one[0]))]
    return (often[0], *[channel for channel in often[1:] if len(heard[channel]) >= CHANNEL_PEOPLE_MIN][: CHANNELS_MAX - 1])


def _honest(home: Home, metric: Metric) -> Iterator[tuple[str, _Recording]]:
    """All enrolled recordings, and of those claimed the ones that are nearest to their own person's others."""
    for person, own in home.items():
        for event, recording in own.items():
            others = {p: [r.vector for e, r in known.items() if e != event] for p, known in home.items()}
            means = {p: np.mean(rows, axis=0) for p, rows in others.items() if rows}
            nearest = min(means, key=lambda p: _apart(recording.vector, means[p], metric), default=person)
            if recording.sure or nearest == person:
                yield person, recording


def _apart(one: Numbers, other: Numbers, metric: Metric) -> float:
    if metric == "cosine":
        one, other = unit(one), unit(other)
    return float(np.square(one - other).sum())


def read_answers(path: Path) -> dict[Event, str]:
    """(household, event) -> who was published last, of a file of `identities` as `kithkin replay` writes it.

    Raises
    ------
    ConfigError
        When the file cannot be read as such.
    """
    found: dict[Event, tuple[int, str | None]] = {}
    try:
        with path.open("rb") as lines:
            for line in lines:
                value = json.loads(line)["value"]
                event, revision = (str(value["household_id"]), str(value["event_id"])), int(value["revision"])
                if event not in found or revision >= found[event][0]:
                    found[event] = revision, value["person_id"]
    except OSError as error:
        raise ConfigError("--identities", str(path), error.strerror or "unreadable", "a file that can be read") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError("--identities", str(path), repr(error), "an identities.jsonl as `kithkin replay` writes it") from None
    return {event: person for event, (_, person) in found.items() if person is not None}
