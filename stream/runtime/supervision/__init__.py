"""Processes that keep others running: a supervisor above, a watchdog within, and exit codes that say whether
a restart heals.

Nothing here knows what the processes do.
"""

__all__: list[str] = []
