"""The laws of docs/architecture.md, each over many seeded worlds. `KITHKIN_HISTORIES=1000` searches wider."""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.precision import SHARE_ONE
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import GUEST, MODELS, Record
from stream.contract.units import DAY_MS, HOUR_MS
from stream.home.state.household import Household
from stream.home.state.layout import CLAIMS_MAX, ENROLMENTS_MAX, FOLDED_PER_PERSON, REGISTRATIONS_MAX, SEEN_PER_FILTER
from tests.support.worlds import FACE, POLICY, START_MS, VOICE, Desk, Run, Shape, embedding, feedback, recognition, world

HISTORIES = int(os.environ.get("KITHKIN_HISTORIES", "28"))
BYTES_PER_PERSON_MAX = 4096

searched = settings(max_examples=HISTORIES)
seeds = st.integers(0, 2**32 - 1)
shapes = st.builds(
    Shape, homes=st.integers(1, 3), people=st.integers(1, 4), records=st.integers(10, 60), enrolled=st.booleans(),
    odd=st.sampled_from([0.0, 0.3, 0.7]), erasing=st.booleans(), sighted=st.sampled_from([0.0, 0.0, 0.4]),
)  # fmt: skip
fractions = st.floats(0, 1)
topics = st.sampled_from(["recognitions", "feedback", "sightings"])


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
runs = [Run().play_all(world(seed, shape)) for seed, shape in enumerate({shapes})]
print(hashlib.sha256(repr([(run.outputs, run.states()) for run in runs]).encode()).hexdigest())
"""


def digest(*shapes: Shape, **environment: str) -> str:
    """Of all outputs and states of a world of each shape, made by a process of its own."""
    command = [sys.executable, "-c", DIGEST.format(shapes=shapes)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout


def test_another_process_with_other_hash_seeds_gives_the_same_bytes() -> None:
    worlds = [Shape(enrolled=enrolled) for enrolled in (True, False, True, False)]
    assert len({digest(*worlds, PYTHONHASHSEED=seed) for seed in ("1", "2")}) == 1


def test_compiled_and_interpreted_kernels_give_the_same_bytes() -> None:
    """In two short worlds in which about everything is said."""
    worlds = [Shape(homes=1, people=2, records=45, odd=0.5, enrolled=enrolled) for enrolled in (True, False)]
    worlds.append(Shape(homes=1, people=2, records=60, sighted=0.5))
    said = {json.loads(r.value or b"").get("kind") for seed, shape in enumerate(worlds) for r in world(seed, shape)}
    assert said >= {"join", "phone", "enrol", "confirm", "reject", "correct", "retract", "erase"}
    assert digest(*worlds, NUMBA_DISABLE_JIT="1") == digest(*worlds, NUMBA_DISABLE_JIT="0")


@searched
@given(seed=seeds, shape=shapes, cut=fractions)
def test_a_restart_anywhere_changes_nothing(seed: int, shape: Shape, cut: float) -> None:
    records = world(seed, shape)
    at = round(cut * len(records))
    stopped = Run().play_all(records[:at])
    for name in stopped.homes:
        stopped.restart(name)
    assert_same(stopped.play_all(records[at:]), Run().play_all(records))


@searched
@given(seed=seeds, shape=shapes)
def test_what_stood_in_a_slot_before_a_home_did_changes_nothing(seed: int, shape: Shape) -> None:
    records = world(seed, shape)
    run = Run(restarts=True, stale=0xFF).play_all(records)
    assert_same(run, Run(stale=0xFF).play_all(records))
    assert_same(run, Run().play_all(records))


BATCHES = (1, 7, 500)


@pytest.mark.parametrize("size", BATCHES)
@searched
@given(seed=seeds, shape=shapes, by_topic=st.booleans())
def test_the_same_log_in_batches_of_any_size_gives_the_same_bytes(size: int, seed: int, shape: Shape, by_topic: bool) -> None:
    """`by_topic`: of records of a short while feedback comes first, so that much is said before what it is said of."""
    records = world(seed, shape)
    if by_topic:
        records.sort(key=lambda record: (record.timestamp // HOUR_MS, record.topic))
    assert_same(Run().play_in_batches(records, size), Run().play_each(records))


@pytest.mark.parametrize("said_later", [[], [VOICE], [VOICE, FACE], [FACE, VOICE]])
def test_an_encoder_that_was_first_met_in_a_refused_record_is_met_anew_whatever_the_batch(said_later: list[str]) -> None:
    desk, rng = Desk(), np.random.default_rng(0)

    def seen(number: int, at: int, encoder: str | None) -> Record:
        name = {VOICE: "voice", FACE: "face"}.get(encoder or "")
        parts = {name: {"encoder": encoder, "embedding": embedding(str(encoder), "anna", rng)}} if name else {}
        return desk.record("recognitions", recognition("h-0", f"e-{number}", at, activity="music", **parts))

    records = [seen(0, START_MS, None), seen(1, START_MS - 60 * DAY_MS, FACE)]
    records += [seen(2 + n, START_MS + n, encoder) for n, encoder in enumerate([None, *said_later])]
    run = Run().play_each(records)
    assert run.outcomes["refused"] == 1
    assert_same(Run().play_in_batches(records, len(records)), run)


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
def test_a_batch_of_many_homes_equals_one_home_after_another(seed: int, shape: Shape) -> None:
    records = world(seed, replace(shape, homes=5))
    together = Run().play_in_batches(records, len(records))
    for name, state in together.states().items():
        own = [record for record in records if record.key == name.encode()]
        alone = Run().play_in_batches(own, len(own))
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


def rows_of(home: Household) -> Any:
    return home.record["rows"][: int(home.record["rows_used"])]


def vectors_of(home: Household, column: int) -> list[bytes]:
    """The stored codes of what was enrolled as, claimed for, or held to be a person's."""
    place, codes = column + 1, []
    for row in rows_of(home):
        claimed = place in row["claims"]["person"][: int(row["claims_used"])]
        if claimed or row["shares"][place] > SHARE_ONE // 2:
            codes += [row["vectors"][m].tobytes() for m in range(2) if row["encoders"][m]]
    return codes


def phones_of(home: Household, column: int) -> list[str]:
    """Phones that were said to be this person's and nobody else's."""
    phones = home.record["phones"][: int(home.record["phones_used"])]
    own = [p for p in phones if set(p["registrations"]["person"][: int(p["registrations_used"])].tolist()) == {column + 1}]
    return [home.words[int(phone["name"])] for phone in own]


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
    person, codes, phones = home.people[column], vectors_of(home, column), phones_of(home, column)
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
        assert [code for code in codes if code in state or code in home.memory.tobytes()] == []
    after = [o for o in run.outputs[published:] if o.value is not None and not asks_to_forget(o)]
    assert [o for o in after if any(i.encode() in (o.value or b"") for i in [person, *phones])] == []


@searched
@given(seed=seeds, shape=shapes)
def test_an_erased_household_leaves_only_hashes(seed: int, shape: Shape) -> None:
    records = world(seed, replace(shape, homes=1))
    run, desk = Run().play_all(records), Desk(now=records[-1].timestamp)
    run.play(desk.record("feedback", feedback("h-0", "f-erase", desk.now, "erase", person_id=None)))
    left, fresh = run.homes["h-0"], Household.new("h-0")
    for kept in ("seen", "seen_used", "floors", "floors_used", "floor_of_others", "next_row"):
        fresh.record[kept] = left.record[kept]
    run.homes["h-0"], expected = fresh, run.states()
    run.homes["h-0"] = left
    assert run.states() == expected
    told = [pair for record in records for pair in json.loads(record.value or b"").items()]
    ids = {v for k, v in told if k.endswith("_id") and v not in ("h-0", GUEST, None)}
    assert [i for i in ids if i.encode() in run.states()["h-0"]] == []


# ---- what is promised of every output


def posterior_faults(home: Household, departed: set[str], identity: dict[str, object]) -> Iterable[str]:
    """What is wrong with one answer, in words."""
    posterior: dict[str, float] = identity["posterior"]  # type: ignore[assignment]
    present = {*home.members, GUEST}
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
        departed = set(run.homes[name].people) if name in run.homes else set()
        first = len(run.outputs)
        run.play(record)
        home = run.homes[name]
        departed |= set(home.people)
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


LABELLING = Policy.model_validate({"publishing": {"label_min": 0.5, "label_withdrawn_below": 0.4, "label_llr_min": 0.01}})


@searched
@given(seed=seeds, shape=shapes)
def test_two_sensors_agree_on_every_label_that_stands(seed: int, shape: Shape) -> None:
    for label in Run(LABELLING).play_all(world(seed, shape)).values("labels"):
        sensors = {"voice", "face", "phone"} & {*label["evidence"]}
        assert len(sensors) >= (0 if label.get("withdrawn") else 2), label


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
        "publishing": {"revision_change_min": 0.001, "label_min": 0.5, "label_withdrawn_below": 0.4, "label_llr_min": 0.01,
                       "profile_events": 1},
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


def assert_bounded(home: Household, people: int) -> None:
    """`people`: who there were when the record came; whoever left long ago goes after it, and their room with the next."""
    limits, record = POLICY.limits, home.record
    assert len(home.people) <= limits.members_max
    assert record["phones_used"] <= limits.phones_max
    assert (record["phones"]["registrations_used"] <= REGISTRATIONS_MAX).all()
    assert record["rows_used"] <= limits.rows_per_person * max(2, min(people, 4)) + 1
    assert (record["rows"]["claims_used"] <= CLAIMS_MAX).all()
    assert record["waiting_used"] <= limits.waiting_max
    assert record["folded_used"] <= FOLDED_PER_PERSON * NAMED_EVER
    assert (record["seen_used"] <= [max(2, NAMED_EVER) + 1, 2]).all()
    assert (record["seen"]["ids"] <= SEEN_PER_FILTER).all()
    assert (record["people"]["enrolments_used"] <= ENROLMENTS_MAX).all()


NAMED_EVER = 4  # in the longest of the histories below


@pytest.mark.parametrize("people", [1, 2, 4])
@pytest.mark.parametrize("enrolled", [True, False], ids=["enrolled", "unknown"])
def test_a_long_history_stays_within_its_bounds(people: int, enrolled: bool) -> None:
    shape = Shape(homes=1, people=people, records=900, enrolled=enrolled, erasing=False)
    run, columns, before = Run(), 2, 0  # a home of one keeps as much as a home of two
    for n, record in enumerate(world(people, shape)):
        run.play(record)
        home = run.homes["h-0"]
        assert_bounded(home, max(before, len(home.people)))
        before = len(home.people)
        columns = max(columns, len(home.people))  # what was remembered of more people goes only by and by
        if n % 10 == 0:
            assert len(run.states()["h-0"]) <= BYTES_PER_PERSON_MAX * columns
