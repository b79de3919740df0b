"""What is remembered of a household: people, the ledger of events, ids that were seen, and what is watched
for change.

Nothing here decides; numbers are at stored precision, so that a home that was written and read back goes on
as the one that was not.
"""

__all__: list[str] = []
