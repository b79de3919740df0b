"""What every estimator promises: River's contract, bytes that go on as it would, no growth, nothing shared or compiled early."""

import doctest
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners import estimators
from learners.estimators import Gallery, RecordEstimator

ROOT = Path(__file__).parent.parent.parent
LEARNERS = ROOT / "learners"
MODULES = sorted(
    "learners." + ".".join(path.relative_to(LEARNERS).with_suffix("").parts) for path in LEARNERS.rglob("[a-z]*.py")
)  # fmt: skip
CLASSES = [getattr(estimators, name) for name in estimators.__all__ if name != "RecordEstimator"]
CLASSIFIERS = [getattr(estimators, name) for name in ("Calibration", "Gallery", "Habits")]
each = pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)
seeds = st.integers(0, 2**32 - 1)
PEOPLE = ("anna", "bert", "cora")


# ---- lessons: what an estimator can be taught, and what it then says


def vector(rng: np.random.Generator) -> dict[str, float]:
    return dict(zip("abcdefg", rng.normal(0, 2, 7).tolist(), strict=True))


def posterior(rng: np.random.Generator) -> list[float]:
    return rng.dirichlet(np.ones(3)).tolist()  # type: ignore[no-any-return]


def person(rng: np.random.Generator) -> str:
    return PEOPLE[rng.integers(3)]


def doing(rng: np.random.Generator) -> dict[str, Any]:
    return {"hour": int(rng.integers(0, 24)), "activity": f"a{rng.integers(40)}"}


Lesson = Callable[[Any, np.random.Generator], Any]
TEACH: dict[str, Lesson] = {
    "Calibration": lambda own, rng: own.learn_one({"voice": rng.normal(), "face": rng.normal()}, rng.random() < 0.5),
    "ClaimRun": lambda own, rng: own.learn_one(posterior(rng), int(rng.integers(3))),
    "ErrorThreshold": lambda own, rng: own.learn_one(rng.random() < 0.1),
    "Gallery": lambda own, rng: own.learn_one(vector(rng), person(rng), rng.uniform(0.1, 1)),
    "Habits": lambda own, rng: own.learn_one(doing(rng), person(rng), day=own.day + rng.random()),
    "MeanRise": lambda own, rng: own.update(rng.normal()),
    "MeanShift": lambda own, rng: own.learn_one(vector(rng)),
    "PersonShift": lambda own, rng: own.learn_one(vector(rng), rng.random()),
    "PhoneReliability": lambda own, rng: own.learn_one(rng.uniform(-90, -50), rng.random()),
    "Presence": lambda own, rng: own.learn_one(person(rng)),
    "RateChange": lambda own, rng: own.update(rng.random() < 0.2),
    "SourceReliability": lambda own, rng: own.learn_one(posterior(rng), int(rng.integers(3))),
    "StrangerPhones": lambda own, rng: own.learn_one(rng.random() < 0.5, rng.random()),
}
ASK: dict[str, Callable[[Any], Any]] = {
    "Calibration": lambda own: own.llr_one({"voice": 1.0}), "ClaimRun": lambda own: own.log_e_value,
    "ErrorThreshold": lambda own: own.predict_one(), "Gallery": lambda own: own.llr_one({"a": 1.0, "b": -1.0}),
    "Habits": lambda own: own.llr_one({"hour": 9, "activity": "a3"}), "MeanRise": lambda own: (own.e_value, own.since),
    "MeanShift": lambda own: own.score_one({"a": 1.0}), "PersonShift": lambda own: own.score_one({"a": 1.0}),
    "PhoneReliability": lambda own: own.llr_one(-60.0), "Presence": lambda own: own.predict_proba_one(),
    "RateChange": lambda own: (own.e_value, own.predict_one()), "SourceReliability": lambda own: own.predict_one(),
    "StrangerPhones": lambda own: own.llr_one(True),
}  # fmt: skip


def taught(make: type[RecordEstimator], seed: int, lessons: int) -> Any:
    own, rng = make(), np.random.default_rng(seed)
    for _ in range(lessons):
        TEACH[make.__name__](own, rng)
    return own


def ask(own: Any) -> Any:
    return ASK[type(own).__name__](own)


# ---- River's contract


@pytest.mark.parametrize("make", CLASSIFIERS)
def test_a_classifier_is_one_of_rivers(make: Any) -> None:
    pytest.importorskip("sklearn", reason="River's own checks draw their data from scikit-learn, which is not installed here.")
    from river.checks import check_estimator

    check_estimator(make())


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@each
def test_every_estimator_tells_its_parameters_and_an_example(make: Any) -> None:
    assert ">>> " in (make.__doc__ or "")
    assert all(name in (make.__doc__ or "") for name in make()._get_params())


# ---- bytes


@each
@given(seed=seeds, lessons=st.integers(0, 60), more=st.integers(0, 20))
def test_bytes_go_on_as_the_estimator_would(make: Any, seed: int, lessons: int, more: int) -> None:
    own = taught(make, seed, lessons)
    again = make().from_bytes(own.to_bytes())
    for one in (own, again):
        rng = np.random.default_rng(seed + 1)
        for _ in range(more):
            TEACH[make.__name__](one, rng)
    assert again.to_bytes() == own.to_bytes()
    assert ask(again) == ask(own)


@each
def test_bytes_that_are_no_estimators_are_refused(make: Any) -> None:
    raw = taught(make, 1, 5).to_bytes()
    for other in (b"", raw[:-1], raw + b"\0", b"\1" + raw[1:]):
        with pytest.raises(ValueError, match="these bytes are no"):
            make().from_bytes(other)


@each
def test_an_estimator_does_not_grow(make: Any) -> None:
    few, many = taught(make, 1, 50), taught(make, 1, 400)
    assert many.memory_bytes == make().memory_bytes
    assert len(many.to_bytes()) <= len(few.to_bytes()) + 64  # names have digits


# ---- nothing shared


@each
def test_a_clone_knows_nothing_and_shares_nothing(make: Any) -> None:
    own = taught(make, 1, 40)
    before, clone = own.to_bytes(), own.clone()
    assert clone.to_bytes() == make().to_bytes()
    TEACH[make.__name__](clone, np.random.default_rng(2))
    assert own.to_bytes() == before


@each
def test_asking_changes_nothing(make: Any) -> None:
    own = taught(make, 3, 30)
    before = own.to_bytes()
    assert ask(own) == ask(own)
    assert own.to_bytes() == before


# ---- a gallery's own


@given(seed=seeds, lessons=st.integers(0, 30), w=st.floats(0.05, 1))
def test_a_gallery_unlearns_a_vector_exactly(seed: int, lessons: int, w: float) -> None:
    gallery, rng = taught(Gallery, seed, lessons), np.random.default_rng(seed)
    for who in PEOPLE:
        gallery._names[0].learn(who)
    gallery._record["people_used"] = 3
    for feature in "abcdefg":
        gallery._names[1].learn(feature)
    before, x = gallery.to_bytes(), vector(rng)
    gallery.learn_one(x, "anna", w)
    gallery.unlearn_one(x, "anna", w)
    assert gallery.to_bytes() == before
    with pytest.raises(ValueError, match="no such vector"):
        gallery.unlearn_one(x, "anna", w)


def test_a_gallery_forgets_a_person_wholly() -> None:
    with_anna, without = Gallery(), Gallery()
    for n in range(60):
        rng = np.random.default_rng(n)
        x, who = vector(rng), PEOPLE[n % 3]
        with_anna.learn_one(x, who)
        if who != "anna":
            without.learn_one(x, who)
    with_anna.forget("anna")
    assert b"anna" not in with_anna.to_bytes()
    probe = vector(np.random.default_rng(99))
    assert list(with_anna.llr_one(probe)) == list(without.llr_one(probe)) == ["bert", "cora"]


def test_a_gallery_knows_arrays_as_it_knows_mappings() -> None:
    by_name, by_place, rng = Gallery(), Gallery(), np.random.default_rng(0)
    for n in range(20):
        x = vector(rng)
        by_name.learn_one(x, PEOPLE[n % 3], day=n)
        by_place.learn_one(list(x.values()), PEOPLE[n % 3], day=n)
    x = vector(rng)
    assert by_name.llr_one(x) == by_place.llr_one(list(x.values()))
    with pytest.raises(ValueError, match="no vector"):
        by_place.learn_one([[1.0]], "anna")
    with pytest.raises(ValueError, match="not finite"):
        by_place.learn_one([float("nan")], "anna")


def test_one_person_too_many_is_refused() -> None:
    gallery = Gallery()
    for n in range(16):
        gallery.learn_one([1.0], n)
    with pytest.raises(ValueError, match="one too many"):
        gallery.learn_one([1.0], 16)


# ---- where it stands


def test_importing_estimators_compiles_nothing() -> None:
    told = (
        "import learners.kernel as k; k.entry = lambda *a, **b: (lambda f: (_ for _ in ()).throw(AssertionError(f)))\n"
        "import learners.estimators as e; print(len(e.__all__))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == str(len(estimators.__all__)), done.stderr


def test_nothing_of_the_stream_needs_estimators_or_river() -> None:
    for path in (ROOT / "stream").rglob("*.py"):
        text = path.read_text("utf-8")
        assert "learners.estimators" not in text, path
        assert "import river" not in text, path
        assert "from river" not in text, path
