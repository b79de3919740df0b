"""What is known of people in general in one encoder's vectors: recordings, trials over them, and the fit.

Offline only: no worker imports it.
"""

__all__: list[str] = []
