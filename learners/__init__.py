"""Incremental learners: numbers in, numbers out. No households, topics or clocks."""

__all__: list[str] = []
