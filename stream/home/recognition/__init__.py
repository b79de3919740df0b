"""Who it was: evidence of every sensor, the posterior, how sure that is (`tiers`), guests who return, and
what is published of it.

Reads the home's state; what an event teaches is another package's.
"""

__all__: list[str] = []
