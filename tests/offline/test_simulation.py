"""The simulated neighbourhood: pure, readable by the contract, and as varied as it says."""

import json
from itertools import pairwise

import numpy as np
import pytest

from stream.brokers.partitioning import partition_of
from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import GUEST, FeedbackKind, InvalidRecord
from stream.contract.units import HOUR_MS
from stream.offline.simulation.behaviour import House
from stream.offline.simulation.people import FACE, VOICE
from stream.offline.simulation.records import PARTITIONS, neighbourhood
from stream.offline.simulation.scenarios import SCENARIOS

STREET = neighbourhood(homes=12, days=20, seed=3)


def test_the_same_seed_gives_the_same_records_and_truth() -> None:
    again = neighbourhood(homes=12, days=20, seed=3)
    assert again == STREET


def test_another_seed_gives_other_people() -> None:
    other = neighbourhood(homes=12, days=20, seed=4)
    assert [r.value for r in other.records] != [r.value for r in STREET.records]


def test_a_home_does_not_depend_on_how_many_others_there_are() -> None:
    alone = neighbourhood(homes=1, days=20, seed=3)
    assert [r.value for r in alone.records] == [r.value for r in STREET.records if r.key == b"linden-01"]


def test_every_record_is_readable_but_those_that_are_broken_on_purpose() -> None:
    refused = set()
    for record in STREET.records:
        try:
            decode(record, Policy())
        except InvalidRecord as invalid:
            refused.add(invalid.position)
    assert refused == STREET.unreadable
    assert refused, "a bad network without one broken record shows nothing"


def test_offsets_are_dense_and_records_stand_in_order_of_arrival() -> None:
    ends: dict[tuple[str, int], int] = {}
    for record in STREET.records:
        end = ends.get((record.topic, record.partition), 0)
        assert record.offset == end
        ends[record.topic, record.partition] = end + 1
    assert [r.timestamp for r in STREET.records] == sorted(r.timestamp for r in STREET.records)


def test_every_kind_of_feedback_is_said() -> None:
    kinds = {json.loads(r.value or b"")["kind"] for r in STREET.records if r.topic == "feedback"}
    assert kinds == set(FeedbackKind.__args__)


def test_truth_knows_every_readable_recognition_and_members_and_guests_both_come() -> None:
    readable = {
        (json.loads(r.value or b"")["household_id"], json.loads(r.value or b"")["event_id"])
        for r in STREET.records if r.topic == "recognitions" and r.position not in STREET.unreadable
    }  # fmt: skip
    assert readable == set(STREET.truths)
    people = {truth.person_id for truth in STREET.truths.values()}
    assert GUEST in people
    assert len(people) > 20


def test_every_story_is_told_in_words_of_its_own_people() -> None:
    assert len(STREET.stories) == len(SCENARIOS)
    assert not any("{" in scenario for scenario in STREET.stories.values())


def test_some_feedback_comes_before_its_recognition_and_some_records_come_twice() -> None:
    arrived: set[str] = set()
    early = twice = 0
    for record in STREET.records:
        if record.key != b"linden-12" or record.position in STREET.unreadable:
            continue
        value = json.loads(record.value or b"")
        name = value.get("event_id") if record.topic == "recognitions" else value["feedback_id"]
        twice += name in arrived
        early += record.topic == "feedback" and "event_id" in value and value["event_id"] not in arrived
        arrived.add(name)
    assert twice > 0
    assert early > 0


def test_people_of_one_voice_are_nearer_than_people_of_two_as_with_the_real_encoders() -> None:
    rng = np.random.default_rng(0)
    voices = [[VOICE.present(rng, place, 1.0) for _ in range(4)] for place in (VOICE.place(rng) for _ in range(40))]
    faces = [[FACE.present(rng, place, 1.0) for _ in range(4)] for place in (FACE.place(rng) for _ in range(40))]
    same_voice = np.median([a[0] @ a[1] for a in voices])
    other_voice = np.median([a[0] @ b[0] for a, b in pairwise(voices)])
    same_face = np.median([np.linalg.norm(a[0] - a[1]) for a in faces])
    other_face = np.median([np.linalg.norm(a[0] - b[0]) for a, b in pairwise(faces)])
    assert 0.70 < same_voice < 0.90
    assert 0.45 < other_voice < same_voice - 0.1
    assert 0.28 < same_face < 0.48
    assert 0.58 < other_face < 0.92
    assert all(np.linalg.norm(v) == pytest.approx(1) for person in voices for v in person)


@pytest.mark.parametrize(("key", "positive_hash"), [(b"21", 1000), (b"foobar", 1000), (b"a-little-bit-long-string", 1000)])
def test_the_partitioner_is_kafka_s(key: bytes, positive_hash: int) -> None:
    # expected: org.apache.kafka.common.utils.UtilsTest.testMurmur2
    java = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}[key]
    assert partition_of(key, positive_hash) == (java & 0x7FFFFFFF) % positive_hash
    assert 0 <= partition_of(key, PARTITIONS) < PARTITIONS


@pytest.mark.parametrize(("homes", "days"), [(0, 10), (100, 10), (3, 0)])
def test_a_neighbourhood_out_of_range_is_refused_in_words(homes: int, days: int) -> None:
    with pytest.raises(ValueError, match=f"{homes} homes and {days} days cannot be simulated"):
        neighbourhood(homes=homes, days=days, seed=0)


def test_the_truth_names_only_who_belongs_to_the_home_at_that_time() -> None:
    stays: dict[tuple[str, str], list[int]] = {}
    for record in STREET.records:
        value = json.loads(record.value or b"") if record.topic == "feedback" else {}
        if value.get("kind") in ("join", "leave"):
            stays.setdefault((value["household_id"], value["person_id"]), []).append(value["given_at"])
    for truth in STREET.truths.values():
        if truth.person_id == GUEST:
            continue
        joined, *left = sorted(set(stays[truth.household_id, truth.person_id]))
        assert joined - HOUR_MS <= truth.observed_at_ms < min(left, default=truth.observed_at_ms + 1)


def test_a_growing_child_sounds_different_at_the_end_and_the_parents_do_not() -> None:
    house = House.build("h", SCENARIOS[0], ["ada", "ben", "chloe", "dan"], [0], 30)
    moved = {body.name: float(np.linalg.norm(body.voice_at(1.0) - body.voice_at(0.0))) for body in house.members}
    assert moved["chloe"] > 0.1
    assert moved["ada"] == moved["ben"] == 0
