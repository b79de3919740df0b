"""`kithkin fit`: recordings of nobody are refused by a sentence, and people of whom there is little are no fault."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.cli import app

PEOPLE, TAKES, LENGTH = 10, 4, 16
WHO = np.repeat(np.arange(PEOPLE), TAKES)


def vectors() -> Any:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((PEOPLE, LENGTH))[WHO] + 0.3 * rng.standard_normal((len(WHO), LENGTH))).astype("f2")


def fit(tmp_path: Path, **arrays: Any) -> Any:
    np.savez(tmp_path / "r.npz", **{"emb": vectors(), "person": WHO, **arrays})
    words = ["fit", str(tmp_path / "r.npz"), "--encoder", "x-1", "--metric", "cosine", "--out", str(tmp_path / "pack.npz")]
    return CliRunner().invoke(app, words + (["--quality", "s=seconds"] if "seconds" in arrays else []))


def replaced(array: Any, places: slice | int, value: Any) -> Any:
    found = array.copy()
    found[places] = value
    return found


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"person": replaced(WHO.astype(float), 0, np.nan)}, "person = 'has 1 recordings without one"),
        ({"person": replaced(WHO.astype(float), slice(None, None, 5), np.nan)}, "person = 'has 8 recordings without one"),
        ({"person": replaced(WHO.astype(float), 3, np.inf)}, "person = 'has 1 recordings without one"),
        ({"person": replaced(WHO.astype(str), 7, "")}, "the first at [7]"),
        ({"person": replaced(WHO.astype(str), 7, " ")}, "the first at [7]"),
        ({"person": WHO.astype("M8[s]")}, "numbers or text, and not datetime64[s]"),
        ({"person": np.full(len(WHO), b"\xff")}, "numbers or text in UTF-8"),
        ({"channel": np.where(WHO % 2, np.nan, 1.0)}, "channel = 'has 20 recordings without one"),
        ({"emb": replaced(vectors(), 5, 0)}, "emb = 'has 1 vectors that are all zeros of 40, the first at [5]'"),
        ({"emb": replaced(vectors(), (5, 3), np.nan)}, "without NaN and infinite numbers"),
        ({"seconds": np.full(len(WHO), np.inf)}, "seconds = 'has 40 infinite numbers"),
        ({"seconds": np.full(len(WHO), "long")}, "an array of numbers"),
    ],
)
def test_a_recording_of_nobody_or_of_nothing_is_refused_with_its_array_and_place(
    arrays: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    done = fit(tmp_path, **arrays)
    assert done.exit_code == 2, done.output
    assert sentence in " ".join(done.output.split())
    assert not (tmp_path / "pack.npz").exists()


@pytest.mark.parametrize(
    "who",
    [replaced(WHO, 0, 99), replaced(WHO, 39, -1), replaced(WHO.astype("U9"), 5, "solo"), replaced(WHO, slice(0, 40, 9), 77)],
)
def test_somebody_of_whom_there_is_one_recording_alone_is_no_reason_to_fail(who: Any, tmp_path: Path) -> None:
    done = fit(tmp_path, person=who)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "pack.npz").exists()


def test_names_may_be_bytes_and_a_quality_may_be_untold(tmp_path: Path) -> None:
    names = np.array([f"é{who}".encode() for who in WHO])
    assert fit(tmp_path, person=names, seconds=np.where(WHO % 3, 2.0, np.nan)).exit_code == 0
