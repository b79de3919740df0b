"""Commands that speak with a cluster: services, what goes in and comes out, topics and how it all stands.

A command module imports nothing heavy before its command runs.
"""

__all__: list[str] = []
