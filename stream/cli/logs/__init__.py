"""Commands that make logs: `sample` of a simulation, `record` of a cluster.

A command module imports nothing heavy before its command runs.
"""

__all__: list[str] = []
