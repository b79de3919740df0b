"""Fit the constants of a phone's signal strength in the policy from the development data (`../shared/data`).

    python bench/fit_phones.py [--data ../shared/data]
"""

import argparse
import pathlib

import numpy as np

__all__ = ["fit_phones", "main"]


def fit_phones(folder: pathlib.Path) -> tuple[float, float]:
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
    slope, even = fit_phones(cli.parse_args().data)
    print(f"phones.slope_per_db = {slope:.3f}, phones.rssi_even_dbm = {even:.1f}: put them into stream/contract/policy.py")


if __name__ == "__main__":
    main()
