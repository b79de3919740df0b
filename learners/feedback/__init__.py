"""How far what people say is believed: the reliability of who says it, and runs that look poisoned.

Counts in whole steps, so that taking back is exact.
"""

__all__: list[str] = []
