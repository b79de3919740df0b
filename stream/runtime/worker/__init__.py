"""The worker: polls a batch, steps its homes, publishes, saves; and recovers by its next assignment.

`worker` is the loop, `batch` one batch without any I/O, `live` the process around them, `home_cache` the
homes held in memory.
"""

__all__: list[str] = []
