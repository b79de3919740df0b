"""The gallery against its formulas, number by number: comparing, expecting, folding; and what nobody's change may move."""

import hashlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.precision import MEAN_STEP, NOISE_STEP, SHARE_ONE, VECTOR_STEP
from stream.home.core.work import WORK
from stream.home.messages import ENROL
from stream.home.state.layout import TAILS_MAX
from tests.learners.kept import (
    TAIL_MASS_MAX,
    K,
    compare_row,
    compare_without,
    expect_row,
    fold,
    forget,
    kept_home,
    plain_gallery,
    plain_probe,
    policy_of,
    tails_of,
)
from tests.naive.recognition import Tail

seeds = st.integers(0, 2**32 - 1)
sizes = {"seed": seeds, "people": st.integers(1, 4), "rows": st.integers(0, 20)}
both = pytest.mark.parametrize("modality", [0, 1], ids=["voice", "face"])
VOICE, LEARNT = 0, 1


def compared(home: Any, index: int, policy: Any, modality: int = VOICE) -> tuple[list[float], list[float]]:
    """Nats of each person, and of each kept row."""
    work = np.zeros(1, WORK)
    compare_row(home, index, modality, policy, work)
    one = home[0]
    return work[0]["found"][: int(one["people_used"])].tolist(), work[0]["own"][: int(one["rows_used"])].tolist()


def last(home: Any) -> int:
    return int(home[0]["rows_used"]) - 1


# ---- comparing


@both
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "unfitted"])
@given(**sizes)
def test_a_comparison_is_what_its_formula_says(modality: int, fitted: bool, seed: int, people: int, rows: int) -> None:
    home, policy = kept_home(seed, people, rows), policy_of(seed, fitted)
    plain, indices = plain_gallery(home, policy, modality)
    for number, index in enumerate(indices):
        found, own = compared(home, index, policy, modality)
        assert found == pytest.approx(plain.compare(plain.rows[number], number), abs=2e-4)
        expected = dict(zip(indices, plain.compare_rows(plain.rows[number], number), strict=True))
        assert own == pytest.approx([expected.get(i, 0.0) for i in range(len(own))], abs=2e-4)


@given(**sizes)
def test_what_was_enrolled_is_compared_alone_when_that_is_asked(seed: int, people: int, rows: int) -> None:
    home, policy = kept_home(seed, people, rows), policy_of(seed)
    plain, indices = plain_gallery(home, policy, VOICE)
    enrolled = [home[0]["rows"][i]["claims_used"] == 1 for i in indices]
    probe = plain.rows[-1]
    plain.rows = [row for row, own in zip(plain.rows, enrolled, strict=True) if own]
    for person in range(people):
        plain.tails[person] = tails_of(home, person, VOICE, learnt=False)
        found = compare_without(home, last(home), VOICE, person, policy, np.zeros(1, WORK))
        assert found == pytest.approx(plain.compare(probe)[person], abs=2e-4)


@given(**sizes)
def test_what_is_expected_is_peoples_means_by_their_shares(seed: int, people: int, rows: int) -> None:
    home, policy, work = kept_home(seed, people, rows), policy_of(seed), np.zeros(1, WORK)
    plain, _ = plain_gallery(home, policy, VOICE)
    shares = np.random.default_rng(seed).multinomial(SHARE_ONE, np.full(people + 1, 1 / (people + 1)))
    sure = expect_row(home, last(home), VOICE, np.append(shares, 0).astype("i2"), policy, work)
    mean, parts = plain.expect(plain.rows[-1], (shares[1:] / SHARE_ONE).tolist())
    assert sure == pytest.approx(parts, abs=1e-5)
    assert work[0]["expected"][:K].tolist() == pytest.approx(mean, abs=1e-3)


def test_a_gallery_of_nobody_says_nothing() -> None:
    home, policy = kept_home(1, 2, 0), policy_of(1)
    home[0]["people"]["tails_used"] = 0
    assert compared(home, last(home), policy) == ([0, 0], [0])


# ---- what may not move it


@given(**sizes)
def test_a_row_that_is_taken_back_leaves_every_comparison_as_it_was(seed: int, people: int, rows: int) -> None:
    home, policy = kept_home(seed, people, rows + 2), policy_of(seed)
    before = compared(home, last(home), policy)
    own = home[0]["rows"][rows]["shares"].copy()
    home[0]["rows"][rows]["shares"][: people + 1] = [0, SHARE_ONE, *[0] * (people - 1)]
    moved = compared(home, last(home), policy)
    home[0]["rows"][rows]["shares"] = own
    assert compared(home, last(home), policy) == before
    assert len(moved[0]) == people


@given(seed=seeds, people=st.integers(2, 4), person=st.integers(0, 1))
def test_a_person_put_in_and_taken_out_leaves_the_others_as_they_were(seed: int, people: int, person: int) -> None:
    home, policy = kept_home(seed, people, 12), policy_of(seed)
    one, (before, _) = home[0], compared(home, last(home), policy)
    one["people_used"] += 1
    assert compared(home, last(home), policy)[0] == [*before, 0.0]
    one["people"][person:-1] = one["people"][person + 1 :].copy()
    shares = one["rows"]["shares"]
    shares[:, person + 1 : -1] = shares[:, person + 2 :].copy()
    one["people_used"] -= 1
    assert compared(home, last(home), policy)[0] == pytest.approx([*before[:person], *before[person + 1 :], 0.0])


@given(**sizes)
def test_a_comparison_changes_nothing_of_the_home(seed: int, people: int, rows: int) -> None:
    home, policy = kept_home(seed, people, rows), policy_of(seed, fitted=seed % 2 == 0)
    before = home.tobytes()
    compared(home, last(home), policy)
    assert home.tobytes() == before


# ---- folding


@given(**sizes, row=st.integers(0, 19))
def test_a_row_is_folded_into_its_owners_tails_of_its_channel(seed: int, people: int, rows: int, row: int) -> None:
    home, policy = kept_home(seed, people, rows + 1), policy_of(seed)
    index = row % (rows + 1)
    folded = home[0]["rows"][index]
    learnt, channel = 0 if folded["claims_used"] else 1, int(folded["channels"][VOICE])
    probe = plain_probe(folded, VOICE, people)
    before = [tails_of(home, person, VOICE, bool(learnt)) for person in range(people)]
    fold(home, index, VOICE, policy)
    for person, share in enumerate(probe.shares):
        expected = {tail.channel: tail for tail in before[person]}
        if share >= 0.02:
            tail = expected.setdefault(channel, Tail([0.0] * K, probe.day, channel, 0.0))
            worth = share * float(policy[0]["encoders"][VOICE]["noise"][channel]) / probe.noise
            tail.fold(probe.vector, probe.day, worth, TAIL_MASS_MAX)
            if learnt and len(expected) > 2:
                del expected[min(expected, key=lambda of: expected[of].mass)]
        found = {tail.channel: tail for tail in tails_of(home, person, VOICE, bool(learnt))}
        assert found.keys() == expected.keys()
        for of, tail in found.items():
            assert (tail.mass, tail.day) == pytest.approx((expected[of].mass, expected[of].day), rel=1e-5)
            assert tail.vector == pytest.approx(expected[of].vector, abs=MEAN_STEP)


def of_one(seed: int, rows: int) -> Any:
    """Many recordings of one person in one channel, as loud as any, of whom nothing was folded yet."""
    home = kept_home(seed, 1, rows)
    home[0]["people"]["tails_used"] = 0
    home[0]["rows"]["channels"], home[0]["rows"]["noises"], home[0]["rows"]["claims_used"] = 0, round(1 / NOISE_STEP), 0
    home[0]["rows"]["shares"][:, :2] = 0, SHARE_ONE
    return home


@given(seed=seeds)
def test_one_recording_moves_a_full_tail_by_its_part_at_most(seed: int) -> None:
    home, policy = of_one(seed, 30), policy_of(seed)
    policy["encoders"]["noise"] = 1.0
    for index in range(30):
        fold(home, index, VOICE, policy)
    (before,) = tails_of(home, 0, VOICE)
    assert before.mass == TAIL_MASS_MAX
    home[0]["rows"][30]["vectors"][VOICE] = 127
    fold(home, 30, VOICE, policy)
    (after,) = tails_of(home, 0, VOICE)
    away = max(127 * VECTOR_STEP - x for x in before.vector)
    assert max(abs(a - b) for a, b in zip(after.vector, before.vector, strict=True)) <= away / (TAIL_MASS_MAX + 1) + 0.01


@given(seed=seeds)
def test_of_many_channels_those_with_most_are_kept_and_what_was_enrolled_always(seed: int) -> None:
    rng, home, policy = np.random.default_rng(seed), of_one(seed, 30), policy_of(seed, channels=8)
    home[0]["rows"]["channels"] = rng.integers(0, 8, (len(home[0]["rows"]), 2))
    home[0]["rows"]["claims"][:, 0]["kind"], home[0]["rows"]["claims_used"][:6] = ENROL, 1
    for index in range(30):
        fold(home, index, VOICE, policy)
    enrolled = {int(channel) for channel in home[0]["rows"]["channels"][:6, VOICE]}
    assert {tail.channel for tail in tails_of(home, 0, VOICE, learnt=False)} == enrolled
    assert 1 <= len(tails_of(home, 0, VOICE, learnt=True)) <= 2
    assert home[0]["people"][0]["tails_used"] <= TAILS_MAX


@given(seed=seeds, person=st.integers(0, 3), gallery=st.integers(0, 1), learnt=st.integers(0, 1))
def test_of_a_person_one_kind_of_tail_in_one_gallery_is_forgotten(seed: int, person: int, gallery: int, learnt: int) -> None:
    home = kept_home(seed, 4, 3)
    before = {(p, g, n): tails_of(home, p, g, bool(n)) for p in range(4) for g in range(2) for n in range(2)}
    forget(home, person, gallery, learnt)
    after = {kind: tails_of(home, *kind[:2], bool(kind[2])) for kind in before}
    assert after == before | {(person, gallery, learnt): []}


# ---- interpreted


def digest() -> str:
    """Of comparing, expecting and folding, on some homes."""
    found = hashlib.blake2b(digest_size=16)
    for seed in range(4):
        home, policy, work = kept_home(seed, 3, 20), policy_of(seed, fitted=seed % 2 == 0), np.zeros(1, WORK)
        for modality in range(2):
            if home[0]["rows"][20]["encoders"][modality]:
                compare_row(home, 20, modality, policy, work)
                expect_row(home, 20, modality, home[0]["rows"][3]["shares"].copy(), policy, work)
                for field in ("found", "own", "expected"):
                    found.update(work[0][field].tobytes())
        fold(home, 5, VOICE, policy)
        forget(home, 1, 0, LEARNT)
        found.update(home.tobytes())
    return found.hexdigest()


def test_an_interpreted_gallery_is_the_compiled_one_to_the_byte() -> None:
    told = "from tests.learners.test_gallery import digest; print(digest())"
    interpreted = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    other = subprocess.run([sys.executable, "-c", told], env=interpreted, capture_output=True, text=True)
    assert other.stdout.strip() == digest(), other.stderr
