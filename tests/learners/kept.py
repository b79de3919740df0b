"""Homes that keep recordings by chance, the same as the plain reference has them, and kernels of the gallery to call."""

from typing import Any

import numpy as np
from numba import types

from learners.kernel import array, entry_at_first_use
from learners.precision import MEAN_STEP, NOISE_STEP, SHARE_ONE, VECTOR_STEP
from learners.recognition.gallery import compare, compare_enrolled, expect, fold_row, forget_tails, set_probe_of_row
from stream.home.core.work import WORK
from stream.home.messages import ENROL, POLICY
from stream.home.state.layout import HOME
from tests.naive import recognition as naive

__all__ = [
    "BETWEEN", "CHANNELS", "DAY_MS", "K", "TAIL_MASS_MAX", "compare_row", "compare_without", "expect_row", "fold", "forget",
    "kept_home", "plain_gallery", "plain_probe", "policy_of", "rows_of", "tails_of",
]  # fmt: skip

K, CHANNELS, BETWEEN = 9, 3, 2.5
DAY_MS, TAIL_MASS_MAX = 86_400_000, 16.0
VOICE, FACE = 0, 1
_home, _policy, _work = array(HOME), array(POLICY), array(WORK)
_shares, i8, f4 = array(np.dtype("i2")), types.int64, types.float32


@entry_at_first_use(_home, i8, i8, _policy, _work)
def compare_row(home: Any, index: int, modality: int, policy: Any, work: Any) -> None:
    """Compare a row with all but itself: work.found, and work.own of the other rows."""
    set_probe_of_row(home[0], index, modality, policy[0], work[0])
    work[0].alone = 1
    compare(home[0], index, policy[0], work[0])


@entry_at_first_use(_home, i8, i8, i8, _policy, _work, result=types.float64)
def compare_without(home: Any, index: int, modality: int, person: int, policy: Any, work: Any) -> float:
    """Nats of one person as if nothing were known of them but what they enrolled."""
    set_probe_of_row(home[0], index, modality, policy[0], work[0])
    return compare_enrolled(home[0], person, policy[0], work[0])  # type: ignore[no-any-return]


@entry_at_first_use(_home, i8, i8, _shares, _policy, _work, result=f4)
def expect_row(home: Any, index: int, modality: int, shares: Any, policy: Any, work: Any) -> float:
    """work.expected: where people with these shares would put a row; how surely that is known."""
    set_probe_of_row(home[0], index, modality, policy[0], work[0])
    return expect(home[0], shares, policy[0], work[0])  # type: ignore[no-any-return]


@entry_at_first_use(_home, i8, i8, _policy)
def fold(home: Any, index: int, modality: int, policy: Any) -> None:
    fold_row(home[0], index, modality, policy[0])


@entry_at_first_use(_home, i8, i8, i8)
def forget(home: Any, person: int, gallery: int, learnt: int) -> None:
    forget_tails(home[0].people[person], gallery, learnt)


# ---- homes


def policy_of(seed: int, fitted: bool = True, channels: int = CHANNELS) -> Any:
    """Of one encoder for voices (gallery 0), and one for faces (gallery 1)."""
    rng, policy = np.random.default_rng(seed), np.zeros(1, POLICY)
    policy["forgetting_per_day"], policy["forgetting_most"], policy["tail_mass_max"] = 0.2, 4.0, TAIL_MASS_MAX
    for modality in (VOICE, FACE):
        numbers = policy[0]["encoders"][modality]
        numbers["modality"], numbers["fitted"], numbers["dimensions"] = modality, fitted, K
        numbers["channels"], numbers["temperature"] = channels, 0.4
        numbers["between"][:K] = rng.uniform(0.5, 6, K) if fitted else BETWEEN
        numbers["noise"][:channels] = rng.uniform(0.3, 3, channels)
        numbers["shift"][:channels, :channels] = rng.uniform(0.5, 6, (channels, channels))
    return policy


def kept_home(seed: int, people: int, rows: int) -> Any:
    """Rows (each of a voice, some of a face) and tails by chance, oldest first; one more row, the last, is nobody's."""
    rng, home = np.random.default_rng(seed), np.zeros(1, HOME)
    one = home[0]
    one["people_used"], one["rows_used"], one["galleries_used"] = people, rows + 1, 2
    one["galleries"]["number"][:2] = 0, 1
    for i, day in enumerate(np.sort(rng.uniform(20_000, 20_040, rows + 1))):
        row = one["rows"][i]
        row["number"], row["observed_at"], row["encoders"] = i + 1, round(day * DAY_MS), (1, 2 * (rng.random() < 0.5))
        row["channels"], row["noises"] = rng.integers(0, CHANNELS, 2), rng.integers(10, 90, 2)
        row["vectors"][:, :K] = rng.integers(-60, 60, (2, K))
        if i < rows:
            row["shares"][: people + 1] = rng.multinomial(SHARE_ONE, rng.dirichlet(np.full(people + 1, 0.3)))
            if rng.random() < 0.3:
                row["claims_used"], row["claims"][0]["kind"] = 1, ENROL
    for person in one["people"][:people]:
        kinds = [(g, c, n) for g in range(2) for c in range(CHANNELS) for n in range(2)]
        chosen = rng.permutation(len(kinds))[: rng.integers(0, 6)]
        person["tails_used"] = len(chosen)
        for tail, kind in zip(person["tails"], chosen, strict=False):
            tail["encoder"], tail["channel"], tail["learnt"] = kinds[kind]
            tail["mass"], tail["day"] = rng.uniform(0.1, 16), rng.uniform(19_990, 20_020)
            tail["since"], tail["vector"][:K] = 19_990, rng.integers(-9000, 9000, K)
    return home


def rows_of(home: Any, modality: int, people: int) -> tuple[list[int], list[naive.Heard]]:
    """Indices of the rows that have such a recording, and those as the reference has them."""
    found, indices = [], []
    for i, row in enumerate(home[0]["rows"][: int(home[0]["rows_used"])]):
        if row["encoders"][modality] == modality + 1:
            indices.append(i)
            found.append(plain_probe(row, modality, people))
    return indices, found


def plain_probe(row: Any, modality: int, people: int = 0) -> naive.Heard:
    """A row's recording as the reference has it."""
    vector, shares = (row["vectors"][modality][:K] * VECTOR_STEP).tolist(), (row["shares"][1 : people + 1] / SHARE_ONE).tolist()
    noise = float(row["noises"][modality]) * NOISE_STEP
    return naive.Heard(vector, float(row["observed_at"]) / DAY_MS, int(row["channels"][modality]), noise, shares)


def tails_of(home: Any, person: int, gallery: int, learnt: bool | None = None) -> list[naive.Tail]:
    """A person's folded past in one gallery: enrolled by hand, or not, or all of it."""
    one = home[0]["people"][person]
    return [
        naive.Tail((tail["vector"][:K] * MEAN_STEP).tolist(), float(tail["day"]), int(tail["channel"]), float(tail["mass"]))
        for tail in one["tails"][: int(one["tails_used"])]
        if tail["encoder"] == gallery and learnt in (None, bool(tail["learnt"]))
    ]


def plain_gallery(home: Any, policy: Any, modality: int) -> tuple[naive.Gallery, list[int]]:
    """The reference on the same numbers, and which rows of the home its rows are.

    Of an encoder that nobody fitted all vectors are moved by the centre and the scale that recordings tell.
    """
    people, numbers = int(home[0]["people_used"]), policy[0]["encoders"][modality]
    indices, rows = rows_of(home, modality, people)
    tails = [tails_of(home, person, modality) for person in range(people)]
    channels, between = int(numbers["channels"]), numbers["between"][:K].tolist()
    if not numbers["fitted"] and rows:
        levels = naive.Levels.of(rows, tails, BETWEEN)
        between = [levels.between] * K
        for one in [*rows, *(tail for own in tails for tail in own)]:
            one.vector = [(x - c) * levels.scale for x, c in zip(one.vector, levels.centre, strict=True)]
    noise, shift = numbers["noise"][:channels].tolist(), numbers["shift"][:channels, :channels].tolist()
    per_day, most = float(policy[0]["forgetting_per_day"]), float(policy[0]["forgetting_most"])
    model = naive.Model(between, float(numbers["temperature"]), noise, shift, per_day, most)
    return naive.Gallery(model, rows, tails), indices
