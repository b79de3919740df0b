"""Every learner against the laws of learners, and against a plain, slow version of itself."""

import copy
import doctest
import importlib
import json
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.feedback.annotators import Honesty, claim_likelihood
from learners.kernels.plain import COMPARED_MASS_MIN, LLR_MAX
from learners.precision import SHARE_STEP, quantise
from learners.recognition import phones as phones_module
from learners.recognition.calibration import OFFSET_MAX, RATE, WEIGHT_MAX, WEIGHT_MIN, Recalibration
from learners.recognition.fusion import softmax
from learners.recognition.gallery import ANCHOR, OFFSET_GAIN, REST, Forgetting, SoftPrototypes
from learners.recognition.habits import LLR_MAX as HABIT_LLR_MAX
from learners.recognition.habits import SMOOTHING, TEMPERATURE, Habits
from learners.recognition.phones import PhoneModel, PhoneReliability, StrangerPhones
from learners.recognition.presence import Presence
from learners.recognition.projection import STEP, Metric, Presented, Projection
from stream.contract.packs import load_pack

LEARNERS = Path(__file__).parent.parent.parent / "learners"
MODULES = sorted(".".join(path.relative_to(LEARNERS).with_suffix("").parts) for path in LEARNERS.rglob("[a-z]*.py"))
FORGETTING = Forgetting(0.2, 4.0, 16.0)
seeds = st.integers(0, 2**32 - 1)
llrs = st.floats(-8, 8)
Lessons = list[tuple[dict[str, float], bool]]  # of calibration: log-likelihood ratios by modality, and whether it was this person
Doings = list[tuple[str, int, str, float, int]]  # of habits: who, hour, activity, share, days since the one before
shares = st.integers(0, 4096).map(lambda steps: steps * SHARE_STEP)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"learners.{name}")).failed == 0


@pytest.mark.parametrize("learner", [Habits(), Recalibration()], ids=["habits", "recalibration"])
def test_a_classifier_is_one_of_rivers(learner: Any) -> None:
    pytest.importorskip("sklearn", reason="River's own checks draw their data from scikit-learn, which is not installed here.")
    from river.checks import check_estimator

    check_estimator(learner)


# ---- prototypes


def flat(dimensions: int, between: float = 3.0, temperature: float = 1.0) -> Projection:
    """A space that is already as a projection leaves it."""
    eye = np.eye(dimensions, dtype=np.float32)
    return Projection("euclidean", eye, np.zeros(dimensions, np.float32), np.full(dimensions, between, np.float32), temperature)


def random_space(rng: np.random.Generator, people: int, rows: int) -> SoftPrototypes:
    """A space that has lived: rows added, given other owners, folded, dropped."""
    space = SoftPrototypes(flat(5, temperature=0.3), people, FORGETTING)
    for key in range(rows):
        space.add(key, steps_of(rng, 5), float(rng.integers(0, 40)) / 4, owners(rng, people))
        if len(space.keys) > 2 and rng.random() < 0.4:
            space.fold(space.keys[0], int(rng.choice([ANCHOR, REST])))
        if len(space.keys) > 2 and rng.random() < 0.2:
            space.drop(space.keys[1])
        space.share(space.keys[-1], owners(rng, people))
    return space


def steps_of(rng: np.random.Generator, k: int) -> Presented:
    return Presented(np.rint(rng.normal(0, 2, k) / STEP).astype(np.float32) * np.float32(STEP), 0, 1.0)


def owners(rng: np.random.Generator, people: int) -> list[float]:
    """Shares of people; what is left over is a guest's."""
    return quantise(rng.dirichlet(np.ones(people + 1)).tolist())[1:]


def plain_rows(space: SoftPrototypes) -> list[tuple[int | None, list[float], float, list[float]]]:
    """(key, vector, day, shares) of tails and kept rows, as plain numbers."""
    found: list[tuple[int | None, list[float], float, list[float]]] = []
    for person in range(space.people):
        for tail in space.tails(person):
            own = [tail.mass if p == person else 0.0 for p in range(space.people)]
            found.append((None, tail.vector.tolist(), tail.time, own))
    for i, key in enumerate(space.keys):
        found.append((key, space.vector(key).tolist(), float(space._rows[1][i]), space._rows[4][i].tolist()))
    return found


def plain_llr(space: SoftPrototypes, probe: list[float], day: float, without: int | None = None) -> list[float]:
    """The docstring of learners/recognition/gallery.py, number by number."""
    between, result = space.projection.between.tolist(), []
    for person in range(space.people):
        weights = [
            (own[person] / (1 + min(FORGETTING.per_day * abs(time - day), FORGETTING.most)), vector)
            for key, vector, time, own in plain_rows(space) if key is None or key != without
        ]  # fmt: skip
        mass = sum(weight for weight, _ in weights)
        llr = 0.0
        for k, (x, b) in enumerate(zip(probe, between, strict=True)):
            precision = 1 / b + mass
            mean = sum(weight * vector[k] for weight, vector in weights) / precision
            variance = 1 / precision + 1
            llr += 0.5 * (x * x / (b + 1) + math.log(b + 1) - (x - mean) ** 2 / variance - math.log(variance))
        result.append(max(-LLR_MAX, min(llr * space.projection.temperature, LLR_MAX)) if mass > COMPARED_MASS_MIN else 0.0)
    return result


@given(seed=seeds, people=st.integers(1, 4), rows=st.integers(0, 24))
def test_prototypes_compare_as_their_formula_says(seed: int, people: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    space, probe, day = random_space(rng, people, rows), steps_of(rng, 5), float(rng.integers(0, 40)) / 4
    assert space.llr(probe, day)[:people] == pytest.approx(plain_llr(space, probe.vector.tolist(), day), abs=1e-4)
    kept = space.llr_kept() if space.keys else []
    for i, key in enumerate(space.keys):
        expected = plain_llr(space, space.vector(key).tolist(), float(space._rows[1][i]), without=key)
        assert kept[i, :people].tolist() == pytest.approx(expected, abs=1e-4)
        assert space.llr_of(key).tolist() == kept[i].tolist()


@given(seed=seeds, people=st.integers(1, 4))
def test_prototypes_unlearn_a_row_exactly(seed: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    space, probe = random_space(rng, people, 8), steps_of(rng, 5)
    before = space.llr(probe, 3.0).tolist()
    space.add(99, steps_of(rng, 5), 2.0, [1.0] + [0.0] * (people - 1))
    space.drop(99)
    assert space.llr(probe, 3.0).tolist() == before
    key, old = space.keys[0], plain_rows(space)
    given_back = next(own for k, _, _, own in old if k == key)
    space.share(key, [0.0] * people)
    space.share(key, given_back)
    assert space.llr(probe, 3.0).tolist() == before


@given(seed=seeds, people=st.integers(2, 4), person=st.integers(0, 1))
def test_a_person_put_in_and_taken_out_leaves_the_others_as_they_were(seed: int, people: int, person: int) -> None:
    rng = np.random.default_rng(seed)
    space, probe = random_space(rng, people, 12), steps_of(rng, 5)
    before = space.llr(probe, 3.0)[:people].tolist()
    space.add_person()
    assert space.llr(probe, 3.0)[: people + 1].tolist() == pytest.approx([*before, 0.0], abs=1e-5)
    space.remove_person(person)
    assert space.llr(probe, 3.0)[:people].tolist() == pytest.approx([*before[:person], *before[person + 1 :], 0.0], abs=1e-5)


@given(seed=seeds, people=st.integers(1, 4))
def test_prototypes_restored_go_on_as_if_they_had_never_stopped(seed: int, people: int) -> None:
    rng = np.random.default_rng(seed)
    space, probe, more = random_space(rng, people, 12), steps_of(rng, 5), steps_of(rng, 5)
    rows = [(key, time, own) for key, _, time, own in plain_rows(space) if key is not None]
    again = SoftPrototypes.restored(space.projection, FORGETTING, space.state(), rows)
    assert again.state() == space.state()
    for one in (space, again):
        one.add(500, more, 4.0, [1.0] + [0.0] * (people - 1))
        one.fold(one.keys[0], REST)
    assert again.llr(probe, 3.0).tolist() == space.llr(probe, 3.0).tolist()
    assert again.llr_kept().tolist() == space.llr_kept().tolist()


def test_prototypes_keep_copies_of_what_they_are_given() -> None:
    space = SoftPrototypes(flat(3), 1, FORGETTING)
    vector, own, probe = np.ones(3, np.float32), [1.0], Presented(np.ones(3, np.float32), 0, 1.0)
    space.add(0, Presented(vector, 0, 1.0), 0.0, own)
    before = space.llr(probe, 0.0).tolist()
    vector[:], own[0] = 9, 0.0
    space.vector(0)[:] = 9
    assert space.llr(probe, 0.0).tolist() == before


def test_prototypes_of_nobody_say_nothing() -> None:
    assert SoftPrototypes(flat(3), 2, FORGETTING).llr(Presented(np.ones(3, np.float32), 0, 1.0), 0.0).tolist() == [0, 0]


@given(seed=seeds)
def test_one_recording_moves_a_full_tail_by_its_part_at_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = SoftPrototypes(flat(5), 1, FORGETTING)
    for key in range(40):
        space.add(key, steps_of(rng, 5), 0.0, [1.0])
        space.fold(key, REST)
    (before,), far = space.tails(0), np.full(5, 7.9375, np.float32)
    assert before.mass == FORGETTING.tail_mass_max
    space.add(99, Presented(far, 0, 1.0), 0.0, [1.0])
    space.fold(99, REST)
    (after,) = space.tails(0)
    assert np.abs(after.vector - before.vector).max() <= np.abs(far - before.vector).max() / (FORGETTING.tail_mass_max + 1) + 0.01


# ---- a device's own offset


def heard_by(rng: np.random.Generator, offset: float, recordings: int) -> SoftPrototypes:
    """A space of four people well known from one device, and then heard by another that adds the same to everybody."""
    space, people = SoftPrototypes(flat(40), 4, FORGETTING), rng.normal(0, 2, (4, 40))
    for key in range(40):
        space.add(key, at_step(people[key % 4] + rng.normal(0, 1, 40)), 0.0, np.eye(4)[key % 4].tolist())
    for key in range(recordings):
        heard = at_step(people[key % 4] + rng.normal(0, 1, 40) + offset)
        space.learn_offset("hall", heard, 0.0, np.eye(4)[key % 4].tolist())
    return space


def at_step(x: np.ndarray) -> Presented:
    return Presented((np.rint(x / STEP) * STEP).astype("f4"), 0, 1.0)


@given(seed=seeds)
def test_what_a_device_adds_to_everybody_is_taken_off_and_what_is_chance_is_not(seed: int) -> None:
    rng, probe = np.random.default_rng(seed), at_step(np.ones(40))
    moved, still = heard_by(rng, 1.0, 40), heard_by(rng, 0.0, 40)
    taken = probe.vector - moved.aligned("hall", probe).vector
    assert taken.mean() == pytest.approx(1.0, abs=0.35)
    assert np.square(probe.vector - still.aligned("hall", probe).vector).mean() < 0.25
    assert moved.aligned("kitchen", probe) is probe


@given(seed=seeds)
def test_one_recording_moves_a_devices_offset_by_its_gain_at_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space, far = heard_by(rng, 0.0, 10), at_step(np.full(40, 7.9))
    before = space.offsets["hall"].copy()
    space.learn_offset("hall", far, 0.0, [1.0, 0.0, 0.0, 0.0])
    assert np.abs(space.offsets["hall"] - before).max() <= OFFSET_GAIN * 16


def test_the_devices_whose_offset_is_kept_are_the_latest() -> None:
    space = heard_by(np.random.default_rng(0), 0.0, 1)
    for device in "abcdef":
        space.learn_offset(device, at_step(np.zeros(40)), 0.0, [1.0, 0.0, 0.0, 0.0])
    assert list(space.offsets) == ["e", "f"]


# ---- projection and fusion


@given(seed=seeds, pack=st.sampled_from(["resemblyzer-0.1.4", "dlib-resnet-v1", ""]))
def test_a_projected_vector_is_whole_steps_that_a_byte_can_keep(seed: int, pack: str) -> None:
    metric: Metric = "euclidean" if pack.startswith("dlib") else "cosine"
    projection = load_pack(pack, metric) if pack else Projection.generic(metric, 80, 0.05)
    vector = np.random.default_rng(seed).normal(size=projection.length).astype(np.float32)
    steps = projection.project(vector).vector / STEP
    assert steps.astype(np.int8).astype(np.float32).tolist() == steps.tolist()
    if projection.metric == "cosine":  # only its direction counts
        assert np.abs(projection.project(4 * vector).vector / STEP - steps).max() <= 1
        back = projection.restore(projection.project(vector).vector)
        assert back @ back == pytest.approx(1, abs=1e-4)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=20))
def test_a_posterior_sums_to_1_and_at_stored_precision_nearly(logits: list[float]) -> None:
    posterior = softmax([*logits, -math.inf])
    assert sum(posterior) == pytest.approx(1)
    assert posterior[-1] == 0
    assert quantise(quantise(posterior)) == quantise(posterior)
    assert sum(quantise(posterior)) == pytest.approx(1, abs=len(posterior) * SHARE_STEP / 2)


# ---- calibration

by_modality = st.dictionaries(st.sampled_from(["voice", "face"]), llrs, min_size=1)
comparisons = st.lists(st.tuples(by_modality, st.booleans()), max_size=40)


@given(comparisons)
def test_recalibration_is_logistic_regression_by_gradient_descent(lessons: Lessons) -> None:
    own, weights, offset = Recalibration(), defaultdict(lambda: 1.0), 0.0
    for x, y in lessons:
        own.learn_one(x, y, 0.5)
        z = sum(weights[k] * v for k, v in x.items()) + offset
        error = 0.5 * (1 / (1 + math.exp(-z)) - y)
        for k, v in x.items():
            weights[k] -= RATE * error * v
        offset -= RATE * error
    learnt, found_offset, found = own.state()
    assert learnt == len(lessons)
    assert found_offset == pytest.approx(offset, abs=1e-9)
    assert found == pytest.approx(dict(weights), abs=1e-9)


@given(comparisons, st.integers(0, 40))
def test_recalibration_restored_goes_on_as_if_it_had_never_stopped(lessons: Lessons, cut: int) -> None:
    own, stopped = Recalibration(), Recalibration()
    for n, (x, y) in enumerate(lessons):
        own.learn_one(x, y)
        if n == cut:
            stopped = Recalibration.restored(json.loads(json.dumps(stopped.state())))
        stopped.learn_one(x, y)
    assert stopped.state() == own.state()
    assert stopped.llr_one({"voice": 1.5}) == own.llr_one({"voice": 1.5})


@given(comparisons, llrs)
def test_no_run_of_lessons_moves_a_calibration_out_of_bounds(lessons: Lessons, llr: float) -> None:
    own = Recalibration()
    for x, y in lessons * 10:
        own.learn_one(x, y)
    ends = [scale * llr + offset for scale in (WEIGHT_MIN, WEIGHT_MAX) for offset in (-OFFSET_MAX, OFFSET_MAX)]
    assert min(ends) - 1e-9 <= own.llr_one({"voice": llr}) <= max(ends) + 1e-9


def test_a_person_nobody_said_anything_of_has_the_fleets_calibration() -> None:
    assert (Recalibration().llr_one({"voice": 2.0, "face": -0.5}), Recalibration().llr_one({})) == (1.5, 0)
    assert Recalibration().predict_proba_one({"voice": 0.0}) == {False: 0.5, True: 0.5}


# ---- habits

who_and_what = (st.sampled_from(["anna", "bert"]), st.sampled_from([0, 3, 6]), st.sampled_from(["play", "read"]))
doings = st.lists(st.tuples(*who_and_what, shares, st.integers(0, 4)), max_size=30)


def habits_of(events: Doings) -> tuple[Habits, float]:
    """Habits that learnt events, and the last day of them."""
    habits, day = Habits(half_life_days=10), 20_000.0
    for who, hour, activity, share, passed in events:
        day += passed
        habits.learn_one({"hour": hour, "activity": activity}, who, share, day)
    return habits, day


@given(doings)
def test_habits_are_faded_counts(events: Doings) -> None:
    habits, last = habits_of(events)
    counts: dict[Any, float] = defaultdict(float)
    values: dict[str, set[Any]] = {"hour": set(), "activity": set()}
    day = 20_000.0
    for who, hour, activity, share, passed in events:
        day += passed
        for feature, value in (("hour", hour), ("activity", activity)):
            counts[feature, value, who] += share * 2 ** ((day - last) / 10)
            values[feature] |= {value} if share else set()  # what nobody did is not kept
    for who, other in (("anna", "bert"), ("bert", "anna")):
        expected = 0.0
        for feature, value in (("hour", 3), ("activity", "play")):
            own, all_own = counts[feature, value, who], sum(counts[feature, v, who] for v in values[feature])
            both = own + counts[feature, value, other]
            all_both = all_own + sum(counts[feature, v, other] for v in values[feature])
            if value in values[feature]:
                everybody = (both + 1) / (all_both + len(values[feature]) + 1)
                expected += TEMPERATURE * math.log((own + SMOOTHING * everybody) / (all_own + SMOOTHING) / everybody)
        found = habits.llr({"hour": 3, "activity": "play"}, [who])[0]
        assert found == pytest.approx(max(-HABIT_LLR_MAX, min(expected, HABIT_LLR_MAX)), abs=1e-6)


@given(doings, doings)
def test_habits_taken_back_leave_nothing_that_shows(kept: Doings, taken: Doings) -> None:
    habits, day = habits_of(kept)
    people, x = ["anna", "bert", "guest"], {"hour": 3, "activity": "play"}
    before, shown = habits.llr(x, people), [habits.of(p) for p in people]
    for sign in (1, -1):
        for who, hour, activity, share, _ in taken:
            habits.learn_one({"hour": hour, "activity": activity}, who, sign * share, day)
    if habits.counts and len(habits.counts["hour"]) == len({e[1] for e in kept}):
        assert habits.llr(x, people) == pytest.approx(before, abs=1e-6)
    assert [habits.of(p) for p in people] == shown


@given(doings, doings)
def test_habits_restored_go_on_as_if_they_had_never_stopped(first: Doings, then: Doings) -> None:
    habits, day = habits_of(first)
    again = Habits(half_life_days=10)
    for name in ("origin_day", "day", "counts", "totals"):
        setattr(again, name, copy.deepcopy(getattr(habits, name)))
    for one in (habits, again):
        for who, hour, activity, share, _ in then:
            one.learn_one({"hour": hour, "activity": activity}, who, share, day + 100)
    assert (again.counts, again.totals) == (habits.counts, habits.totals)


def test_habits_keep_a_bounded_number_of_values() -> None:
    habits = Habits(values_max=4)
    for n in range(100):
        habits.learn_one({"activity": f"a{n}"}, "anna", day=float(n))
    assert len(habits.counts["activity"]) == 4


@given(st.integers(1, 2000))
def test_habits_never_say_more_than_their_bound_and_nothing_of_the_unknown(times: int) -> None:
    habits = Habits()
    for person, hour in (("anna", 3), ("bert", 6)):
        habits.learn_one({"hour": hour}, person, float(times), 1.0)
    assert [abs(x) <= HABIT_LLR_MAX for x in habits.llr({"hour": 3}, ["anna", "bert"])] == [True, True]
    assert habits.llr({"hour": 0}, ["anna"]) == Habits().llr({"hour": 3}, ["anna"]) == [0.0]


def test_habits_forget_a_person_wholly() -> None:
    habits = Habits()
    habits.learn_one({"activity": "hers"}, "anna")
    habits.learn_one({"activity": "both"}, "anna")
    habits.learn_one({"activity": "both"}, "bert")
    habits.forget("anna")
    assert "anna" not in repr((habits.counts, habits.totals))
    assert list(habits.counts["activity"]) == ["both"]


# ---- claims, presence, phones


@given(st.lists(st.tuples(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), st.integers(0, 2), st.booleans()), max_size=20))
def test_honesty_is_a_beta_count_that_is_taken_back_exactly(claims: list[tuple[list[float], int, bool]]) -> None:
    source, told, right, wrong = Honesty(18, 2), [], 18.0, 2.0
    for posterior, named, no in claims:
        likelihood = claim_likelihood(3, named, source.predict_one(), no)
        before = h = source.predict_one()
        named_says, others_say = (1 - h, h) if no else (h, (1 - h) / 2)
        says = [named_says if who == named else others_say for who in range(3)]
        plain = [p * x for p, x in zip(posterior, says, strict=True)]
        honest = sum(x for who, x in enumerate(plain) if (who == named) != no) / sum(plain)
        told.append(source.learn_one(posterior, likelihood, named, no))
        assert told[-1] == pytest.approx(honest, abs=SHARE_STEP)
        right, wrong = right + told[-1], wrong + 1 - told[-1]
        assert source.predict_one() == pytest.approx(right / (right + wrong))
        assert abs(source.predict_one() - before) <= 1 / (18 + 2 + 1)
    for value in reversed(told):
        source.unlearn_one(value)
    assert source == Honesty(18, 2)


@given(st.lists(st.lists(shares, min_size=3, max_size=3), max_size=30))
def test_presence_is_counted_and_taken_back_exactly(events: list[list[float]]) -> None:
    presence = Presence(0.2, 10, 8, 400, steps=[0, 0])
    for event in events:
        presence.learn_one(event)
    sums = [sum(event[i] for event in events) for i in range(3)]
    guest = (2 + sums[0]) / (10 + sum(sums))
    members = [8 + sums[1], 8 + sums[2]]
    expected = [guest, *((1 - guest) * m / sum(members) for m in members)]
    assert [math.exp(x) for x in presence.log_prior([True, True])] == pytest.approx(expected)
    assert presence.log_prior([True, False])[2] == -math.inf
    for event in events:
        presence.learn_one([-share for share in event])
    assert presence == Presence(0.2, 10, 8, 400, steps=[0, 0])


def test_presence_of_long_ago_fades() -> None:
    presence = Presence(0.2, 10, 8, 400, steps=[0, 0])
    for _ in range(500):
        presence.learn_one([0.0, 1.0, 0.0])
    for _ in range(500):
        presence.learn_one([0.0, 0.0, 1.0])
    prior = presence.log_prior([True, True])
    assert prior[2] > prior[1]
    assert sum(presence.steps) * SHARE_STEP <= 400


@given(st.lists(st.tuples(st.floats(-2.5, 2.5), st.floats(0, 1)), max_size=200))
def test_a_phones_reliability_is_learnt_as_its_formula_says_within_bounds(events: list[tuple[float, float]]) -> None:
    phone, plain = PhoneReliability.of(0.9), 0.0
    for llr, owner in events:
        change = phone.learn_one(llr, owner, 0.3)
        typical = phones_module.SPEAKS
        moved = plain + 0.3 * math.log((1 + owner * (math.exp(llr) - 1)) / (1 + typical * (math.exp(llr) - 1)))
        plain = max(phones_module.LOG_ODDS_MIN, min(moved, phones_module.LOG_ODDS_MAX))
        assert phone.log_odds == pytest.approx(plain, abs=1e-9)
        assert abs(change) <= 0.3 * 2.5 + 1e-9
    trust = 1 / (1 + math.exp(-math.log(9) - plain))
    assert phone.predict_one() == pytest.approx(trust)
    assert phone.llr_one(1.5) == pytest.approx(math.log(trust * math.exp(1.5) + 1 - trust))
    assert phone.llr_one(-20.0) >= math.log(1 - trust) - 1e-6


def test_a_phone_heard_nearer_says_more() -> None:
    model = PhoneModel(0.87, 0.5, 0.055, -72.0, 1.5)
    heard = [model.llr(rssi) for rssi in (None, -110.0, -90.0, -72.0, -60.0, -20.0)]
    assert heard[1:] == sorted(heard[1:])
    assert heard[0] == pytest.approx(math.log(0.13 / 0.5))
    assert heard[-1] - heard[3] == pytest.approx(1.5)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=600))
def test_strangers_phones_are_counted_within_bounds(events: list[tuple[bool, float]]) -> None:
    strangers = StrangerPhones()
    for heard, guest in events:
        strangers.learn_one(heard, guest)
        assert strangers.guests + strangers.members <= phones_module.EVENTS_MAX
        assert all(math.isfinite(strangers.llr_one(h)) for h in (True, False))
    if len(events) < phones_module.EVENTS_MAX:
        expected = {
            "with_guest": sum(g for h, g in events if h), "guests": sum(g for _, g in events),
            "with_member": sum(1 - g for h, g in events if h), "members": sum(1 - g for _, g in events),
        }  # fmt: skip
        assert asdict(strangers) == pytest.approx(expected)


@pytest.mark.parametrize(
    "make",
    [lambda: Honesty(18, 2, 7, 9), lambda: PhoneReliability(2.2, -0.3), lambda: StrangerPhones(1.5, 2.0, 0.25, 9.0),
     lambda: Presence(0.2, 10, 8, 400, 3, [4, 5])],
    ids=["honesty", "phone", "strangers", "presence"],
)  # fmt: skip
def test_a_small_learner_is_wholly_in_its_fields(make: Callable[[], Any]) -> None:
    kept = asdict(make())
    assert type(make())(**json.loads(json.dumps(kept))) == make()


def test_no_learner_changes_what_it_is_given() -> None:
    x, y = {"voice": 1.0}, [0.5, 0.25, 0.25]
    Recalibration().learn_one(x, True)
    presence, source = Presence(0.2, 10, 8, 400, steps=[0, 0]), Honesty(18, 2)
    presence.learn_one(y)
    source.learn_one(y, claim_likelihood(3, 1, 0.9, False), 1, False)
    softmax(y)
    assert (x, y) == ({"voice": 1.0}, [0.5, 0.25, 0.25])
