"""`python -m bench.quality`: how well it recognises people whom nobody has fitted on."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported: the processes share the cores as they are

from .command import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
