"""Fit the fleet packs of learners/packs/ and the phone constants from the development data (`../shared/data`).

    python bench/fit_packs.py [--data ../shared/data] [--out learners/packs]

Per encoder: the within-person covariance over all recording conditions and the between-person covariance are shrunk
towards spherical (SHRINK_WITHIN, SHRINK_BETWEEN: chosen by three-fold cross-validation over speakers, where the equal
error rate of one clean recording against another is 13.2 % by plain cosine and 7.1 % so), then diagonalised together;
the 64 directions that tell people apart best are kept. The temperatures are those at which posteriors were calibrated
on worlds made of one half of the speakers with a pack fitted on the other half.
"""

import argparse
import pathlib

import numpy as np
import numpy.typing as npt

__all__ = ["fit_face", "fit_phone", "fit_voice", "main"]

SHRINK_WITHIN, SHRINK_BETWEEN = 0.8, 0.5
DIMENSIONS = 64
UNDETECTED = -5.0  # a detection score below this: no face was found there
TEMPERATURES = {"resemblyzer-0.1.4": 0.25, "dlib-resnet-v1": 0.12}
Array = npt.NDArray[np.float64]


def covariance(rows: Array) -> Array:
    result: Array = rows.T @ rows / len(rows)
    return result


def shrunk(matrix: Array, share: float) -> Array:
    return (1 - share) * matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))


def fit(vectors: Array, people: npt.NDArray[np.int64], more_means: Array) -> dict[str, npt.NDArray[np.float32]]:
    """The pack of labelled vectors (n, d); `more_means` (m, d): people of whom only the mean is known well enough."""
    means, residuals = [], []
    for person in np.unique(people):
        own = vectors[people == person]
        means.append(own.mean(0))
        residuals.append(own - own.mean(0))
    everybody = np.concatenate([np.array(means), more_means])
    mean = vectors.mean(0) if not len(more_means) else np.concatenate([vectors, more_means]).mean(0)
    within = shrunk(covariance(np.concatenate(residuals)), SHRINK_WITHIN)
    between = shrunk(covariance(everybody - mean), SHRINK_BETWEEN)
    values, axes = np.linalg.eigh(within)
    whiten = axes / np.sqrt(values)
    spread, turn = np.linalg.eigh(whiten.T @ between @ whiten)
    best = np.argsort(-spread)[:DIMENSIONS]
    matrix = (whiten @ turn[:, best]).T
    matrix *= np.sign(matrix[np.arange(len(matrix)), np.abs(matrix).argmax(1)])[:, None]  # eigenvectors have no sign
    return {"matrix": matrix.astype("f4"), "mean": mean.astype("f4"), "between": spread[best].astype("f4")}


def unit(vectors: Array) -> Array:
    result: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result


def fit_voice(folder: pathlib.Path, speakers: npt.NDArray[np.int64] | None = None) -> dict[str, npt.NDArray[np.float32]]:
    """Resemblyzer: AN4 in all ten conditions, and the mean voices of LibriSpeech's speakers."""
    an4, cohort = np.load(folder / "voice_an4.npz"), np.load(folder / "voice_librispeech.npz")
    vectors = unit(an4["emb"].astype(np.float64))
    keep = np.isin(an4["speaker"], an4["speaker"] if speakers is None else speakers)
    others = unit(cohort["emb"].astype(np.float64))
    means = np.array([others[cohort["speaker"] == s].mean(0) for s in np.unique(cohort["speaker"])])
    conditions = len(vectors)
    return fit(vectors[:, keep].reshape(-1, vectors.shape[-1]), np.tile(an4["speaker"][keep], conditions), means)


def fit_face(folder: pathlib.Path, subjects: npt.NDArray[np.int64] | None = None) -> dict[str, npt.NDArray[np.float32]]:
    """dlib's ResNet: ORL in all five conditions, where a face was found."""
    orl = np.load(folder / "face_orl.npz")
    keep = np.isin(orl["subject"], orl["subject"] if subjects is None else subjects) & (orl["det_score"] > UNDETECTED)
    vectors = orl["emb"].astype(np.float64)
    people = np.broadcast_to(orl["subject"], keep.shape)
    return fit(vectors[keep], people[keep], np.zeros((0, vectors.shape[-1])))


def fit_phone(folder: pathlib.Path) -> tuple[float, float]:
    """(nats per dB, the signal in dBm that says nothing): two normal densities of one variance, of a session's mean signal.

    Sessions of the MIT matrix at a speaker's distance (at most 6 feet) against those elsewhere (10 feet and more). A session is
    one sample: packets of one session err alike.
    """
    ble = np.load(folder / "ble_mit_matrix.npz")
    sessions = np.unique(ble["session"])
    mean = np.array([ble["rssi"][ble["session"] == s].mean() for s in sessions])
    feet = ble["session_range_ft"][sessions].astype(float)
    near, far = mean[(feet >= 3) & (feet <= 6)], mean[feet >= 10]
    variance = ((len(near) - 1) * near.var(ddof=1) + (len(far) - 1) * far.var(ddof=1)) / (len(near) + len(far) - 2)
    return float((near.mean() - far.mean()) / variance), float((near.mean() + far.mean()) / 2)


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    cli.add_argument("--out", type=pathlib.Path, default=pathlib.Path("learners/packs"))
    args = cli.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, pack in (("resemblyzer-0.1.4", fit_voice(args.data)), ("dlib-resnet-v1", fit_face(args.data))):
        np.savez_compressed(args.out / f"{name}.npz", **pack, temperature=TEMPERATURES[name], made="python bench/fit_packs.py")
        print(f"{name}: {pack['matrix'].shape}, between {pack['between'][0]:.1f} … {pack['between'][-1]:.2f}")
    slope, even = fit_phone(args.data)
    print(f"phones.slope_per_db = {slope:.3f}, phones.rssi_even_dbm = {even:.1f}: put them into stream/policy.py")


if __name__ == "__main__":
    main()
