"""`python -m bench.scale`: what a thousand to a million homes take of one worker."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

from .command import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
