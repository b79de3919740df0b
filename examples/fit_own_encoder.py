"""From recordings of your own encoder to a policy: python fit_own_encoder.py RECORDINGS.npz OUT

The .npz has `emb` (n, d), what the encoder gave, and `person` (n), whose each recording is; 40 people make a good pack.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from stream import Household, Policy
from stream.contract.settings import load_policy


def main(recordings: str, out: str) -> Policy:
    """OUT gets the pack, its card (how well it tells people it has not seen) and the policy that names it."""
    folder, vectors = Path(out), np.load(recordings)["emb"]
    folder.mkdir(parents=True, exist_ok=True)
    fit = [sys.executable, "-m", "stream.cli", "fit", recordings, "--encoder", "mine-1", "--metric", "cosine"]
    subprocess.run([*fit, "--out", str(folder / "mine-1.npz")], check=True)
    table = f'[encoders."mine-1"]\nmodality = "voice"\nlength = {vectors.shape[-1]}\nmetric = "cosine"\npack = "mine-1.npz"\n'
    (folder / "policy.toml").write_text(table)
    policy = load_policy(folder / "policy.toml")
    print(Household("linden-1", policy).recognise(voice=vectors[0], encoder="mine-1").posterior)
    return policy


if __name__ == "__main__":
    main(*sys.argv[1:])
