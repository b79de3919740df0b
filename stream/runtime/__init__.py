"""The live services: the worker, the fleet stage, the process above them that restarts them, and what they
tell of themselves.

A service decides nothing about people: it carries records to `step` and outputs away, exactly once.
"""

__all__: list[str] = []
