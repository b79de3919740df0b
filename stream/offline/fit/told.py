"""What a recorded log tells of who was recorded: guided enrolments, and claims that look honest.

Law: nobody who was erased, and nothing that was retracted, is among the recordings; a claim is believed only if the voice or face
is more like that person's others than like anybody's else in the home.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from learners.fit.recordings import Numbers, Recordings, unit
from learners.recognition.projection import Metric
from stream.brokers.log_files import STDIN, LogReader
from stream.contract.errors import ConfigError
from stream.contract.reading import read_parts
from stream.contract.records import FEEDBACK, GUEST, Confirm, Correct, Enrol, Erase, Feedback, Recognition, Reject, Retract

from .labelled import Condition, Labelled

__all__ = ["PERSON_RECORDINGS_MAX", "read_answers", "read_logs"]

PERSON_RECORDINGS_MAX: Final = 64  # the first of each person: more tell little of people in general

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


def read_logs(logs: Sequence[str], encoder: str, metric: Metric, answers: dict[Event, str] | None = None) -> Labelled:
    """The recordings of one encoder of which a log tells whose they are, by household and person.

    Parameters
    ----------
    answers
        (household, event) -> who was published: what `confirm` confirms. Without it a `confirm` tells nothing.

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
    homes, seen = _homes(logs, encoder, labels)
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


Home = dict[str, dict[str, tuple[Numbers, bool]]]  # person -> event -> vector, and whether it was enrolled


def _homes(logs: Sequence[str], encoder: str, labels: dict[Event, _Claim]) -> tuple[dict[str, Home], set[str]]:
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
                    own.setdefault(event[1], (np.asarray(part.embedding, np.float64), labels[event].sure))
    return homes, seen


def _label(homes: dict[str, Home], metric: Metric) -> Labelled:
    vectors: list[Numbers] = []
    people: list[str] = []
    counts = {"enrolled": 0, "claimed": 0}
    lengths = {len(vector) for home in homes.values() for own in home.values() for vector, _ in own.values()}
    if len(lengths) > 1:
        raise ConfigError("--encoder", f"vectors of {sorted(lengths)} numbers", "the log", "vectors of one length")
    for household, home in sorted(homes.items()):
        for person, vector, sure in _honest(home, metric):
            vectors.append(vector)
            people.append(f"{household}/{person}")
            counts["enrolled" if sure else "claimed"] += 1
    names, codes = np.unique(people, return_inverse=True)
    table = np.array(vectors)
    recordings = Recordings.plain(metric, unit(table) if metric == "cosine" else table, codes.astype(np.int64))
    conditions = tuple(Condition(name, "clean", number) for name, number in counts.items())
    return Labelled(recordings, tuple(names.tolist()), conditions)


def _honest(home: Home, metric: Metric) -> Iterator[tuple[str, Numbers, bool]]:
    """All enrolled recordings, and of those claimed the ones that are nearest to their own person's others."""
    for person, own in home.items():
        for event, (vector, sure) in own.items():
            others = {p: [v for e, (v, _) in known.items() if e != event] for p, known in home.items()}
            means = {p: np.mean(rows, axis=0) for p, rows in others.items() if rows}
            nearest = min(means, key=lambda p: _apart(vector, means[p], metric), default=person)
            if sure or nearest == person:
                yield person, vector, sure


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
