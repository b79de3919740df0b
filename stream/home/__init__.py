"""One household: everything that is remembered of it, and `step`, which alone decides."""

__all__: list[str] = []
