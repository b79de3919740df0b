"""What if: a log as it would have been had something else happened, for `kithkin replay` and `kithkin compare`.

Only records are changed, before the worker reads them, so the very same worker runs.
"""

__all__: list[str] = []
