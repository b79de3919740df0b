"""The kernels: each against its formula, number by number, and machine code against NumPy, one by one and over whole worlds."""

import importlib
import json
import math
import os
import subprocess
import sys
import zlib
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.kernels import choice as kernels
from learners.kernels import plain
from learners.kernels.plain import COMPARED_MASS_MIN, LLR_MAX, OWNED_MAX, STEP, TAILS, Known, Probe
from learners.precision import quantise
from tests.support.worlds import Run, Shape, world

NAMES = ("compare", "compare_kept", "drop", "expected", "fold", "project", "unpack")
PROBABILITY_APART_MAX = 0.02  # between two kinds of installation, over a world: a step of a vector now and then falls otherwise
compiled: Any = pytest.importorskip("learners.kernels.compiled", reason="Numba is not installed here: there is one kind.")
each_kind = pytest.mark.parametrize("kind", [plain, compiled], ids=["plain", "compiled"])
seeds = st.integers(0, 2**32 - 1)
sizes = {"seed": seeds, "people": st.integers(1, 4), "used": st.integers(0, 20)}
CHANNELS = 3


@pytest.mark.parametrize("module", ["compiled", "compiled_drift"])
def test_machine_code_that_was_kept_is_of_these_constants(module: str) -> None:
    """Numba keeps code by the text of its file alone: with other constants that text has to be another."""
    code = importlib.import_module(f"learners.kernels.{module}")
    names = sorted(name for name, number in vars(code).items() if name.isupper() and isinstance(number, int | float | tuple))
    names.remove("CONSTANTS")
    assert len(names) >= 7
    checksum = zlib.crc32(repr([(name, np.round(getattr(code, name), 9).tolist()) for name in names]).encode())
    assert checksum == code.CONSTANTS, f"set CONSTANTS to {checksum:#x}"


def space(seed: int, people: int, used: int) -> Known:
    """Tails and rows as they can be, with room for three rows more."""
    rng, k, slots = np.random.default_rng(seed), 7, TAILS * CHANNELS * people
    masses = np.round(rng.uniform(0, 16, slots) * (rng.random(slots) < 0.4), 2).astype("f4")
    means = (rng.normal(0, 1, (slots, k)) * (masses[:, None] > 0)).astype("f2").astype("f4")
    shares = np.zeros((used + 3, people), "f4")
    for row in range(used):
        shares[row] = quantise(rng.dirichlet(np.full(people + 1, 0.3)).tolist())[1:]
    vectors, times = rng.integers(-60, 60, (used + 3, k)).astype("i1"), np.sort(rng.uniform(0, 40, used + 3))
    channels, noises = rng.integers(0, CHANNELS, used + 3).astype("i1"), rng.uniform(0.3, 3, used + 3).astype("f4")
    tails = means, masses, rng.uniform(0, 20, slots), np.zeros(slots)
    between, noise, shift = (rng.uniform(0.5, 6, size).astype("f4") for size in (k, CHANNELS, (CHANNELS, CHANNELS)))
    model = between, 0.4, noise, shift, 0.2, 4.0, rng.normal(0, 0.5, k).astype("f4"), 0.8
    return tails, (vectors, times, channels, noises, shares), used, model


def probe_of(seed: int, channel: int) -> Probe:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, 7).astype("f4"), 12.5, channel, float(rng.uniform(0.3, 3))


def copied(known: Known) -> Any:
    tails, rows, used, model = known
    return tuple(table.copy() for table in tails), tuple(table.copy() for table in rows), used, model


Held = list[tuple[int, float, list[float]]]  # channel, weight and vector of what tells of somebody


def slow_held(known: Known, day: float, without: int) -> tuple[list[Held], Held]:
    """What tells of each person, and each row by itself."""
    (means, masses, tail_times, _), (vectors, times, channels, noises, shares), used, model = known
    noise, per_day, most = model[2], model[4], model[5]

    def weight(noise: float, time: float) -> float:
        return 1 / (float(noise) + min(per_day * abs(float(time) - day), most))

    rows = [(int(channels[i]), weight(noises[i], times[i]) * (i != without), (vectors[i] * STEP).tolist()) for i in range(used)]
    people = []
    for person in range(shares.shape[1]):
        own = range(TAILS * CHANNELS * person, TAILS * CHANNELS * (person + 1))
        held = [(i % CHANNELS, float(masses[i]) * weight(noise[i % CHANNELS], tail_times[i]), means[i].tolist()) for i in own]
        people.append(held + [(of, float(shares[i, person]) * w, x) for i, (of, w, x) in enumerate(rows)])
    return people, rows


def slow_sums(held: Held, channel: int, shift: Any) -> tuple[list[float], float]:
    """Weighted sum and mass: of each channel M together counts 1 / (1 / M + shift)."""
    total, mass = [0.0] * 7, 0.0
    for of in range(CHANNELS):
        found = sum(w for c, w, _ in held if c == of)
        part = 1 / (1 + found * float(shift[of, channel]))
        mass += found * part
        total = [t + part * sum(w * x[k] for c, w, x in held if c == of) for k, t in enumerate(total)]
    return total, mass


def slow_llr_of(held: Held, probe: Probe, known: Known) -> float:
    """The docstring of learners/recognition/gallery.py, number by number."""
    (vector, _, channel, noise), (between, temperature, _, shift, _, _, centre, scale) = probe, known[3]
    held = [(of, w, ((np.array(x) - centre) * scale).tolist()) for of, w, x in held]
    (total, mass), llr = slow_sums(held, channel, shift), 0.0
    for x, b, t in zip(((vector - centre) * scale).tolist(), between.tolist(), total, strict=True):
        precision = 1 / b + mass
        mean, variance = t / precision, 1 / precision + noise
        llr += 0.5 * (x * x / (b + noise) + math.log(b + noise) - (x - mean) ** 2 / variance - math.log(variance))
    return max(-LLR_MAX, min(llr * temperature, LLR_MAX)) if mass > COMPARED_MASS_MIN else 0.0


def slow_llr(known: Known, probe: Probe, without: int = -1) -> list[float]:
    """Of people, then of rows."""
    people, rows = slow_held(known, probe[1], without)
    strangers = [float(shares.sum()) < OWNED_MAX for shares in known[1][4][: len(rows)]]
    alone = [slow_llr_of([row], probe, known) if own else 0.0 for row, own in zip(rows, strangers, strict=True)]
    return [slow_llr_of(held, probe, known) for held in people] + alone


@each_kind
@given(**sizes, channel=st.integers(0, CHANNELS - 1))
def test_a_comparison_is_what_its_formula_says(kind: Any, seed: int, people: int, used: int, channel: int) -> None:
    known, probe = space(seed, people, used), probe_of(seed, channel)
    assert kind.compare(known, probe, -1).tolist() == pytest.approx(slow_llr(known, probe), abs=1e-4)
    kept = kind.compare_kept(known)
    assert kept.shape == (used, people + used)
    vectors, times, channels, noises, _ = known[1]
    for i in range(used):
        own = (vectors[i] * np.float32(STEP), float(times[i]), int(channels[i]), float(noises[i]))
        assert kept[i].tolist() == pytest.approx(slow_llr(known, own, without=i), abs=1e-4)


@each_kind
@given(**sizes, channel=st.integers(0, CHANNELS - 1))
def test_what_is_expected_is_peoples_means_by_their_shares(kind: Any, seed: int, people: int, used: int, channel: int) -> None:
    known, probe = space(seed, people, used), probe_of(seed, channel)
    shares = np.random.default_rng(seed).dirichlet(np.ones(people + 1))[1:].astype("f4")
    mean, sure = kind.expected(known, probe, shares)
    total, parts, (*_, centre, scale) = np.zeros(7), 0.0, known[3]
    for held, share in zip(slow_held(known, probe[1], -1)[0], shares.tolist(), strict=True):
        sums, mass = slow_sums([(of, w, ((np.array(x) - centre) * scale).tolist()) for of, w, x in held], channel, known[3][3])
        if mass > COMPARED_MASS_MIN:
            total, parts = total + share / (mass + 1) * np.array(sums), parts + share * mass / (mass + 1)
    assert sure == pytest.approx(parts, abs=1e-5)
    assert mean.tolist() == pytest.approx((total / parts if parts else total).tolist(), abs=1e-3)


@given(**sizes, row=st.integers(0, 19), which=st.integers(0, TAILS - 1))
def test_both_kinds_fold_and_drop_alike_and_to_float16(seed: int, people: int, used: int, row: int, which: int) -> None:
    known = space(seed, people, used + 1)
    results = []
    for kind in (plain, compiled):
        here, there, *_ = mine = copied(known)
        kind.fold(mine, row % (used + 1), which, 16.0)
        if used > 1:
            kind.drop(there, 0, used)
        results.append((here, [table[: max(used - 1, 0)] for table in there]))
    (tails_plain, rows_plain), (tails_fast, rows_fast) = results
    for one, other in zip((*tails_plain, *rows_plain), (*tails_fast, *rows_fast), strict=True):
        np.testing.assert_allclose(one.astype("f8"), other.astype("f8"), rtol=1e-3, atol=1e-6)
    assert tails_fast[0].astype("f2").astype("f4").tolist() == tails_fast[0].tolist()


@each_kind
def test_every_float16_is_unpacked_exactly_and_what_is_not_finite_shows(kind: Any) -> None:
    halves = np.arange(65_536, dtype="u2").reshape(-1, 64)
    for bits in halves:
        expected = bits.view("f2").astype("f4")
        vector, square = kind.unpack(bits)
        if np.isfinite(expected).all():
            assert vector.tobytes() == expected.tobytes()
            assert square == pytest.approx(float(np.square(expected.astype("f8")).sum()), rel=1e-4)
        else:
            assert not math.isfinite(square)


@each_kind
@given(seed=seeds, unit=st.booleans(), scale=st.sampled_from([1e-3, 1.0, 100.0]))
def test_a_projection_is_the_nearest_step(kind: Any, seed: int, unit: bool, scale: float) -> None:
    rng = np.random.default_rng(seed)
    vector, by_input, offset, means = (rng.normal(0, 1, size).astype("f4") for size in (40, (40, 12), 12, (CHANNELS, 9)))
    found, channel = kind.project((vector * scale).astype("f4"), by_input, offset, means, unit)
    exact = (vector * scale).astype("f4").astype("f8")
    exact = (exact / np.linalg.norm(exact) if unit else exact) @ by_input.astype("f8") - offset
    assert exact[9 + channel] >= exact[9:].max() - 1e-3
    steps, exact = found.astype("f8"), exact[:9] - means[channel]
    assert (steps == np.rint(steps / STEP) * STEP).all()
    assert (np.abs(steps - np.clip(exact, -127 * STEP, 127 * STEP)) <= STEP / 2 + 1e-3).all()


# ---- whole worlds


def outputs(seed: int, shape: Shape) -> list[Any]:
    return [(o.topic, json.loads(o.value)) for o in Run().play_all(world(seed, shape)).outputs if o.value is not None]


@pytest.mark.parametrize("enrolled", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_both_kinds_answer_alike(seed: int, enrolled: bool) -> None:
    """The same events, people, revisions and outcomes; probabilities within a stated bound of each other."""
    shape = Shape(homes=1, people=3, records=60, enrolled=enrolled, odd=0.2, erasing=False)
    found = []
    for kind in (plain, compiled):
        with patch.multiple(kernels, **{name: getattr(kind, name) for name in NAMES}):
            found.append([v for topic, v in outputs(seed, shape) if topic == "identities" and v["revision"] == 0])
    one, other = found
    assert [v["event_id"] for v in one] == [v["event_id"] for v in other]
    for a, b in zip(one, other, strict=True):
        assert b["posterior"] == pytest.approx(a["posterior"], abs=PROBABILITY_APART_MAX)


CHOICE = "from learners.kernels import choice as kernels; print(kernels.COMPILED, kernels.compare.__module__)"


@pytest.mark.parametrize(("switch", "expected"), [("0", "True learners.kernels.compiled"), ("1", "False learners.kernels.plain")])
def test_numbas_own_switch_chooses_the_kind(switch: str, expected: str) -> None:
    environment = os.environ | {"NUMBA_DISABLE_JIT": switch}
    done = subprocess.run([sys.executable, "-c", CHOICE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
