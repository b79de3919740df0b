"""What a program of your own speaks with: a household in memory, a device's recogniser, replays and subscriptions.

Thin: everything is decided where the worker decides it. What is for you stands in `stream` itself.
"""

__all__: list[str] = []
