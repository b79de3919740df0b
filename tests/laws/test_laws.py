"""The laws of docs/architecture.md, each over many seeded worlds. `KITHKIN_HISTORIES=1000` searches wider."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.recognition.projection import STEP
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import GUEST, MODELS, Record
from stream.contract.units import DAY_MS
from stream.home.feedback.feedback import ENROLMENTS_MAX
from stream.home.learning.learning import FOLDED_PER_PERSON, capacity
from stream.home.state.home import REGISTRATIONS_MAX, Home
from stream.home.state.ledger import CLAIMS_MAX
from stream.home.state.seen import PEOPLE_MIN, PER_PERSON
from tests.support.worlds import POLICY, Desk, Run, Shape, feedback, world

HISTORIES = int(os.environ.get("KITHKIN_HISTORIES", "28"))
BYTES_PER_PERSON_MAX = 4096

searched = settings(max_examples=HISTORIES)
seeds = st.integers(0, 2**32 - 1)
shapes = st.builds(
    Shape, homes=st.integers(1, 3), people=st.integers(1, 4), records=st.integers(10, 60), enrolled=st.booleans(),
    odd=st.sampled_from([0.0, 0.3, 0.7]), erasing=st.booleans(),
)  # fmt: skip
fractions = st.floats(0, 1)
topics = st.sampled_from(["recognitions", "feedback"])


def assert_same(one: Run, other: Run) -> None:
    assert one.outputs == other.outputs
    assert one.states() == other.states()


# ---- 1 and 2


@searched
@given(seed=seeds, shape=shapes)
def test_the_same_log_gives_the_same_bytes(seed: int, shape: Shape) -> None:
    assert_same(Run().play_all(world(seed, shape)), Run().play_all(world(seed, shape)))


DIGEST = """
import hashlib
from tests.support.worlds import Run, Shape, world
runs = [Run().play_all(world(seed, Shape(enrolled=seed % 2 == 0))) for seed in range(4)]
print(hashlib.sha256(repr([(run.outputs, run.states()) for run in runs]).encode()).hexdigest())
"""


def test_another_process_with_other_hash_seeds_gives_the_same_bytes() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", DIGEST], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@searched
@given(seed=seeds, shape=shapes, cut=fractions)
def test_a_restart_anywhere_changes_nothing(seed: int, shape: Shape, cut: float) -> None:
    records = world(seed, shape)
    at = round(cut * len(records))
    stopped = Run().play_all(records[:at])
    for name in stopped.homes:
        stopped.restart(name)
    assert_same(stopped.play_all(records[at:]), Run().play_all(records))


# ---- 3


@searched
@given(seed=seeds, shape=shapes, first=fractions, last=fractions)
def test_redelivery_of_any_stretch_of_the_log_changes_nothing(seed: int, shape: Shape, first: float, last: float) -> None:
    records = world(seed, shape)
    start, end = sorted((round(first * len(records)), round(last * len(records))))
    run, accepted = Run(), []
    for record in records[:end]:
        if run.play(record).outcomes != ["refused"]:
            accepted.append(record)
    before, outputs = run.states(), list(run.outputs)
    for record in accepted[start:]:
        assert run.play(record).outcomes == ["duplicate"]
    assert (run.states(), run.outputs) == (before, outputs)
    assert_same(run.play_all(records[end:]), Run().play_all(records))


def test_what_was_forgotten_is_refused_rather_than_answered_twice() -> None:
    records = world(7, Shape(homes=1, records=700, erasing=False))
    run = Run().play_all(records)
    before = run.states()
    for record in records:
        assert set(run.play(record).outcomes) <= {"duplicate", "refused"}
    assert run.states() == before
    answers = Counter(i["event_id"] for i in run.values("identities") if i["revision"] == 0)
    assert max(answers.values()) == 1


# ---- 4, 5 and 6


@searched
@given(seed=seeds, shape=shapes)
def test_households_do_not_see_each_other(seed: int, shape: Shape) -> None:
    records = world(seed, replace(shape, homes=3))
    together = Run().play_all(records)
    for name, state in together.states().items():
        alone = Run().play_all(r for r in records if r.key == name.encode())
        assert alone.states() == {name: state}
        assert alone.outputs == [o for o in together.outputs if (o.key or b"").split(b"/")[0] == name.encode()]


@searched
@given(seed=seeds, shape=shapes)
def test_living_homes_and_their_bytes_agree_after_every_record(seed: int, shape: Shape) -> None:
    records = world(seed, shape)
    assert_same(Run(restarts=True).play_all(records), Run().play_all(records))


UNREADABLE = [
    (b"h-0", None), (None, b"{}"), (b"h-0", b""), (b"h-0", b"not json"), (b"h-0", b"\xff\xfe"), (b"h-0", b'{"v":2}'),
    (b"h-0", b"[" * 5000), (b"h-0", b'{"v":1,"household_id":"h-0"}'), (b"h-0", b" " * 200_000),
    (b"h-1", b'{"v":1,"event_id":"e","household_id":"h-0","device_id":"d","observed_at":1763690000000,"activity":"a"}'),
    (b"h-0", b'{"v":1,"event_id":"e","household_id":"h-0","device_id":"d","observed_at":1863690000000,"activity":"a"}'),
    (b"h-0", b'{"v":1,"feedback_id":"f","household_id":"h-0","given_at":1763690000000,"source":"app","kind":"forget"}'),
]  # fmt: skip


@searched
@given(seed=seeds, shape=shapes, places=st.lists(fractions, min_size=1, max_size=len(UNREADABLE)), topic=topics)
def test_an_unreadable_record_changes_nothing_else(seed: int, shape: Shape, places: list[float], topic: str) -> None:
    records = world(seed, shape)
    mixed = list(records)
    for n, (place, (key, raw)) in enumerate(zip(places, UNREADABLE, strict=False)):
        mixed.insert(round(place * len(mixed)), Record(topic, 0, 10**6 + n, records[0].timestamp, key, raw))
    plain, disturbed = Run().play_all(records), Run().play_all(mixed)
    assert disturbed.states() == plain.states()
    unread = [o for o in disturbed.outputs if o.topic == "dead-letters" and json.loads(o.value or b"")["offset"] >= 10**6]
    assert len(unread) == len(places)
    assert [o for o in disturbed.outputs if o not in unread] == plain.outputs


# ---- 7


def asks_to_forget(output: Encoded) -> bool:
    """A word to the fleet, which is told whom to forget as the readers of profiles are."""
    return output.topic == "drift-signals" and json.loads(output.value or b"")["kind"] == "erased"


def naming(record: Record, *ids: str) -> bool:
    return any(i.encode() in (record.value or b"") for i in ids)


def vectors_of(home: Home, column: int) -> list[bytes]:
    """The stored codes of what was enrolled as, claimed for, or held to be a person's."""
    who = home.people[column].person_id
    theirs = [r for r in home.rows if r.shares[column + 1] > 0.5 or any(c.person_id == who for c in r.claims)]
    return [(home.spaces[e].vector(r.number) / STEP).astype("i1").tobytes() for r in theirs for e in r.encoders]


def phones_of(home: Home, person: str) -> list[str]:
    """Phones that were said to be this person's and nobody else's."""
    return [i for i, phone in home.phones.items() if {r.person_id for r in phone.registrations} == {person}]


@settings(max_examples=2 * HISTORIES)
@given(seed=seeds, shape=shapes, cut=fractions, who=st.integers(0, 3), later_days=st.sampled_from([0, 0, 9]))
def test_after_erasure_no_byte_of_a_person_is_left(seed: int, shape: Shape, cut: float, who: int, later_days: int) -> None:
    """Also of one who left some days before: `later_days` lets whoever left be gone from the home's list of people."""
    records = world(seed, replace(shape, homes=1, erasing=False))
    at = round(cut * len(records))
    run, desk = Run().play_all(records[:at]), Desk()
    if not run.homes or not run.homes["h-0"].people:
        return
    home = run.homes["h-0"]
    column = who % len(home.people)
    person, codes = home.people[column].person_id, vectors_of(home, column)
    phones = phones_of(home, person)
    said = [json.loads(r.value or b"") for r in records[:at] if naming(r, person)]
    memberships = [v["feedback_id"] for v in said if v["kind"] in ("join", "leave", "phone")]
    desk.now = records[max(0, at - 1)].timestamp
    if later_days:
        run.play(desk.record("feedback", feedback("h-0", "f-gone", desk.now, "leave", person_id=person)))
        desk.now += later_days * DAY_MS
        run.play(desk.record("feedback", feedback("h-0", "f-time", desk.now, "confirm", event_id="never")))
    published = len(run.outputs)
    run.play(desk.record("feedback", feedback("h-0", "f-erase", desk.now, "erase", person_id=person)))
    for record in [None, *(r for r in records[at:] if not naming(r, person, *phones))]:
        if record is not None:
            run.play(record)
        state = run.states()["h-0"]
        assert [i for i in [person, *phones, *memberships] if i.encode() in state] == []
        assert [code for code in codes if code in state] == []
    after = [o for o in run.outputs[published:] if o.value is not None and not asks_to_forget(o)]
    assert [o for o in after if any(i.encode() in (o.value or b"") for i in [person, *phones])] == []


@searched
@given(seed=seeds, shape=shapes)
def test_an_erased_household_leaves_only_hashes(seed: int, shape: Shape) -> None:
    records = world(seed, replace(shape, homes=1))
    run, desk = Run().play_all(records), Desk(now=records[-1].timestamp)
    run.play(desk.record("feedback", feedback("h-0", "f-erase", desk.now, "erase", person_id=None)))
    left, fresh = run.homes["h-0"], Home.new("h-0", POLICY)
    fresh.seen, fresh.stream_time, fresh.next_row = left.seen, left.stream_time, left.next_row
    run.homes["h-0"], expected = fresh, run.states()
    run.homes["h-0"] = left
    assert run.states() == expected
    told = [pair for record in records for pair in json.loads(record.value or b"").items()]
    ids = {v for k, v in told if k.endswith("_id") and v not in ("h-0", GUEST, None)}
    assert [i for i in ids if i.encode() in run.states()["h-0"]] == []


# ---- what is promised of every output


def posterior_faults(home: Home, departed: set[str], identity: dict[str, object]) -> Iterable[str]:
    """What is wrong with one answer, in words."""
    posterior: dict[str, float] = identity["posterior"]  # type: ignore[assignment]
    present = {p.person_id for p in home.people if p.present} | {GUEST}
    more = departed if identity["revision"] else set()
    if abs(sum(posterior.values()) - 1) > 1e-9:
        yield f"the posterior sums to {sum(posterior.values())}"
    if not present <= set(posterior) <= present | more:
        yield f"{sorted(posterior)} are weighed, {sorted(present)} are members"
    named, tier = identity["person_id"], identity["tier"]
    if (named is None) != (tier < 2):  # type: ignore[operator]
        yield f"tier {tier} names {named}"
    if named is not None and (named == GUEST or posterior[named] < max(posterior.values())):  # type: ignore[index]
        yield f"{named} is named, of {posterior}"


@searched
@given(seed=seeds, shape=shapes)
def test_every_answer_is_a_posterior_over_the_members_of_its_moment(seed: int, shape: Shape) -> None:
    run = Run()
    for record in world(seed, shape):
        name = (record.key or b"").decode()
        before = run.homes[name].people if name in run.homes else []
        departed = {p.person_id for p in before}
        first = len(run.outputs)
        run.play(record)
        home = run.homes[name]
        departed |= {p.person_id for p in home.people}
        for output in run.outputs[first:]:
            if output.topic == "identities":
                assert list(posterior_faults(home, departed, json.loads(output.value or b""))) == []


@searched
@given(seed=seeds, shape=shapes)
def test_revisions_count_from_0_and_never_raise_a_tier(seed: int, shape: Shape) -> None:
    run = Run().play_all(world(seed, shape))
    assert len({i["event_id"] for i in run.values("identities")}) == run.outcomes["answered"]
    for topic in ("identities", "labels"):
        of_event = defaultdict(list)
        for value in run.values(topic):
            of_event[value["event_id"]].append(value)
        for values in of_event.values():
            assert [v["revision"] for v in values] == list(range(len(values)))
            tiers = [v.get("tier", 0) for v in values]
            assert tiers == sorted(tiers, reverse=True)


@searched
@given(seed=seeds, shape=shapes)
def test_profile_revisions_increase_until_a_tombstone(seed: int, shape: Shape) -> None:
    last: dict[bytes | None, int | None] = defaultdict(lambda: -1)
    for output in Run().play_all(world(seed, shape)).outputs:
        if output.topic == "profiles":
            revision = None if output.value is None else json.loads(output.value)["revision"]
            before = last[output.key]
            assert revision is None or before is None or revision == before + 1
            last[output.key] = revision


@searched
@given(seed=seeds, shape=shapes)
def test_every_output_is_of_the_contract_and_names_its_cause(seed: int, shape: Shape) -> None:
    run = Run()
    for record in world(seed, shape):
        first = len(run.outputs)
        run.play(record)
        for output in run.outputs[first:]:
            if output.value is None:
                assert output.topic == "profiles"
                continue
            MODELS[output.topic].model_validate_json(output.value)
            value = json.loads(output.value)
            place = value if output.topic == "dead-letters" else value["cause"]
            assert (place["topic"], place["partition"], place["offset"]) == record.position


NARROW = Policy.model_validate(
    {
        "limits": {"rows_per_person": 4, "ledger_days": 1, "waiting_max": 1, "waiting_days": 1, "late_days": 1, "members_max": 2,
                   "phones_max": 1, "departed_days": 0},
        "learning": {"habits_half_life_days": 0.01, "forgetting_per_day": 0, "tail_mass_max": 0.5},
        "priors": {"presence_events_max": 3, "guest_share": 0.999, "guest_weight": 0.01, "person_weight": 0.01},
        "phones": {"trust": 0.999999, "learning_rate": 1},
        "publishing": {"revision_change_min": 0.001, "label_min": 0.5, "label_llr_min": 0.01, "profile_events": 1},
        "tiers": {"present": 0.1, "personal": 0.2, "private": 0.3, "purchase": 0.4},
    }
)  # fmt: skip


@searched
@given(seed=seeds, shape=shapes)
def test_the_laws_hold_at_the_edge_of_what_a_policy_may_say(seed: int, shape: Shape) -> None:
    records = world(seed, shape)
    run = Run(NARROW).play_all(records)
    assert_same(Run(NARROW, restarts=True).play_all(records), run)
    for output in run.outputs:
        assert output.value is None or MODELS[output.topic].model_validate_json(output.value)


# ---- everything that grows has a limit


def assert_bounded(home: Home) -> None:
    limits = POLICY.limits
    assert len(home.people) <= limits.members_max
    assert len(home.phones) <= limits.phones_max
    assert all(len(phone.registrations) <= REGISTRATIONS_MAX for phone in home.phones.values())
    assert len(home.rows) <= capacity(home, POLICY) + 1
    assert all(len(row.claims) <= CLAIMS_MAX for row in home.rows)
    assert len(home.waiting) <= limits.waiting_max
    assert len(home.folded) <= FOLDED_PER_PERSON * NAMED_EVER
    assert all(len(g.numbers) <= PER_PERSON * max(PEOPLE_MIN, NAMED_EVER) for g in (home.seen.young, home.seen.old))
    assert all(len(person.enrolled) <= ENROLMENTS_MAX for person in home.people)


NAMED_EVER = 4  # in the longest of the histories below



@pytest.mark.parametrize("people", [1, 2, 4])
@pytest.mark.parametrize("enrolled", [True, False], ids=["enrolled", "unknown"])
def test_a_long_history_stays_within_its_bounds(people: int, enrolled: bool) -> None:
    shape = Shape(homes=1, people=people, records=900, enrolled=enrolled, erasing=False)
    run, columns = Run(), 2  # a home of one keeps as much as a home of two
    for n, record in enumerate(world(people, shape)):
        run.play(record)
        home = run.homes["h-0"]
        assert_bounded(home)
        columns = max(columns, len(home.people))  # what was remembered of more people goes only by and by
        if n % 10 == 0:
            assert len(run.states()["h-0"]) <= BYTES_PER_PERSON_MAX * columns
