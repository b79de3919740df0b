"""Recorded logs through the worker that runs live, the alerts that come of them, and their report.

Same logs and policy, same files.
"""

__all__: list[str] = []
