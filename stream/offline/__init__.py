"""The same core without a cluster: replays of logs, their report, the demo, a simulated neighbourhood,
fitting of packs.

What runs here runs live; only the clock and the broker are files.
"""

__all__: list[str] = []
