"""What differs between two runs, topic by topic.

Law: nothing is compared that would mean nothing: runs of other records or first states, or files that are not what their
manifest says, are refused by a sentence. The policy's id, by which all outputs of another policy differ, is passed over.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stream.contract.errors import Incomparable
from stream.contract.records import OUTPUT_TOPICS

from ..replay.manifest import Manifest, read_manifest
from .published import ALERTS, Published, pair, read_published

__all__ = ["Difference", "Example", "CompleteRun", "TopicDifference", "difference_of", "expected_difference", "read_run"]

_PLACES: Final = ("policy_id", "cause")  # what may differ from identities of another log of the same events
_NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class CompleteRun:
    """A run that ended: its directory, and its manifest, which the files there agree with."""

    folder: Path
    manifest: Manifest


@dataclass(slots=True)
class Example:
    """One thing that two runs tell differently: of whom, what, when, and both records (None: it says nothing of it)."""

    topic: str
    home: str
    what: list[Any]
    at_ms: int
    a: dict[str, Any] | None
    b: dict[str, Any] | None


@dataclass(slots=True)
class TopicDifference:
    """Records of a topic: how many are the same, changed, or in one run only; by home how many differ.

    `largest` is the largest difference of a probability (of a posterior or a label), and `largest_at` whose that was.
    """

    topic: str
    same: int = 0
    changed: int = 0
    only_a: int = 0
    only_b: int = 0
    homes: Counter[str] = field(default_factory=Counter)
    largest: float = 0.0
    largest_at: list[Any] = field(default_factory=list)

    @property
    def differs(self) -> int:
        """How many differ."""
        return self.changed + self.only_a + self.only_b


@dataclass(slots=True)
class Difference:
    """All topics that were compared; the first thing that differs, in the time of records; and which tiers and names changed."""

    topics: list[TopicDifference] = field(default_factory=list)
    first: Example | None = None
    tiers: Counter[tuple[int, int]] = field(default_factory=Counter)
    names: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def differs(self) -> int:
        """How many records differ."""
        return sum(topic.differs for topic in self.topics)

    @property
    def homes(self) -> list[str]:
        """Homes of which something differs, in order; alerts, which are of several, not counted."""
        return sorted({home for topic in self.topics if topic.topic != ALERTS for home in topic.homes})


def read_run(folder: Path) -> CompleteRun:
    """The run in a directory.

    Raises
    ------
    Incomparable
        It has no manifest, or its files are not what that says.
    """
    manifest = read_manifest(folder)
    for told in manifest.outputs:
        path = folder / told.name
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Incomparable(f"{path} cannot be read ({error.strerror}), and its manifest names it") from None
        if digest != told.sha256:
            raise Incomparable(f"{path} is not what its manifest says: it was changed since. Replay its log again, with --fresh")
    return CompleteRun(folder, manifest)


def difference_of(a: CompleteRun, b: CompleteRun) -> Difference:
    """What two runs of the same records tell differently.

    Raises
    ------
    Incomparable
        They are of other records, or began with other states.
    """
    _refuse_other_inputs(a, b)
    difference = Difference()
    digests = [{told.name: told.sha256 for told in run.manifest.outputs} for run in (a, b)]
    for topic in OUTPUT_TOPICS:
        name = f"{topic}.jsonl"
        if digests[0].get(name) == digests[1].get(name):
            difference.topics.append(TopicDifference(topic, same=_lines(a.folder / name)))
            continue
        pairs = pair(*(read_published(run.folder / name, topic) for run in (a, b)))
        difference.topics.append(_compare(topic, pairs, difference))
    return difference


def expected_difference(expected: Path, folder: Path) -> Difference:
    """What identities were expected (A) and what a run tells (B), by household, event and revision.

    Where the records that made them stood, and when they came, is passed over too: a log may be without offsets and times.

    Raises
    ------
    Incomparable
        None of the identities expected is of an event that the run answered.
    InvalidLog
        It is no log of identities.
    """
    difference = Difference()
    answers = folder / "identities.jsonl"
    pairs = pair(*map(_identities, (expected, answers)))
    told = _compare("identities", pairs, difference)
    difference.topics.append(told)
    if not told.same + told.changed and told.only_a + told.only_b:
        why = "no identity of an event, at a revision, that this replay answered" if told.only_a else "no identities"
        raise Incomparable(f"{expected} has {why}, so there is nothing to compare")
    return difference


def _identities(path: Path) -> Iterator[Published]:
    """Identities as if each had come when its event was observed."""
    for one in read_published(path, "identities", _PLACES):
        yield one._replace(at_ms=one.told["observed_at"]) if one.told else one


def _refuse_other_inputs(a: CompleteRun, b: CompleteRun) -> None:
    ours, theirs = a.manifest.inputs, b.manifest.inputs
    if ours.what_if != theirs.what_if:
        raise Incomparable(
            f"{a.folder} and {b.folder} ask other what-ifs, so their records are not the same. Replay with the same options; "
            "kithkin compare judges policies on a changed log"
        )
    for topic, partition in sorted({(t, p) for side in (ours, theirs) for t, spans in side.partitions.items() for p in spans}):
        spans = [side.partitions.get(topic, {}).get(partition) for side in (ours, theirs)]
        if spans[0] == spans[1]:
            continue
        told = [
            f"{span.records:,} of offsets {span.offset_from} to {span.offset_to - 1}" if span else "none" for span in spans
        ]
        how = f"{told[0]} and {told[1]}" if told[0] != told[1] else f"{told[0]}, with other contents"
        raise Incomparable(
            f"{a.folder} and {b.folder} were not made of the same records: of {topic} in partition {partition} they read {how}. "
            "Replay the same log"
        )
    if ours.states != theirs.states:
        raise Incomparable(f"{a.folder} and {b.folder} began with other states. Give both replays the same --from, or none")


def _lines(path: Path) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def _compare(topic: str, pairs: Iterable[tuple[Published | None, Published | None]], difference: Difference) -> TopicDifference:
    found = TopicDifference(topic)
    for a, b in pairs:
        if a is not None and b is not None and (a.at_ms, a.told) == (b.at_ms, b.told):
            found.same += 1
            continue
        one = a or b
        assert one is not None
        found.changed += a is not None and b is not None
        found.only_a += b is None
        found.only_b += a is None
        found.homes[one.home] += 1
        first = difference.first
        if first is None or one.at_ms < first.at_ms:
            told = (side.told if side else None for side in (a, b))
            difference.first = Example(topic, one.home, _what(one), one.at_ms, *told)
        if a and b and a.told and b.told:
            _note_values(found, difference, (a, b))
    return found


def _note_values(found: TopicDifference, difference: Difference, pair: tuple[Published, Published]) -> None:
    a, b = (one.told or {} for one in pair)
    for gap in _gaps(found.topic, a, b):
        if gap > found.largest:
            found.largest, found.largest_at = gap, [pair[0].home, *_what(pair[0])]
    if found.topic == "identities":
        if a["tier"] != b["tier"]:
            difference.tiers[a["tier"], b["tier"]] += 1
        if a["person_id"] != b["person_id"]:
            difference.names[a["person_id"] or _NOBODY, b["person_id"] or _NOBODY] += 1


def _gaps(topic: str, a: dict[str, Any], b: dict[str, Any]) -> Iterator[float]:
    """By how much probabilities of two records differ."""
    if topic == "identities":
        ours, theirs = a["posterior"], b["posterior"]
        yield from (abs(ours.get(person, 0.0) - theirs.get(person, 0.0)) for person in {*ours, *theirs})
    elif topic == "labels" and a["person_id"] == b["person_id"]:
        yield abs(a["probability"] - b["probability"])


def _what(one: Published) -> list[Any]:
    """What a record tells of, without its home."""
    return [part.decode(errors="replace") if isinstance(part, bytes) else part for part in one.key if part != one.home]
