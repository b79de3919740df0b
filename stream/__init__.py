"""kithkin: learns, continuously and from real life, who is who in a household."""

import os

__all__ = ["__version__"]

__version__ = "0.1.0"

# Before NumPy is imported, because it reads this once: on matrices as small as ours a second thread makes BLAS ten times
# slower, and can change the last bits of a sum. Who sets one of these variables is obeyed.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
