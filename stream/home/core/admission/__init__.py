"""Whether a record is to be done: whether it is new, and when it was."""

__all__: list[str] = []
