"""Before and beside a run: topics, start-up checks, the status of a group, one home looked into, a cluster
on this machine.

Nothing here consumes a record or changes a state.
"""

__all__: list[str] = []
