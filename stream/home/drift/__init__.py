"""What changed in a household: evidence by subject (`monitor`), whose it is (`attribution`), the cause, what
is told of it, what is done.

A change is told to the fleet as evidence; only one that stands is acted on (`adaptation`, `rollback`).
"""

__all__: list[str] = []
