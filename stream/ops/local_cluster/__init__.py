"""A cluster on this machine, from packages alone: real Kafka on a packaged Java, and a server that speaks Redis.

Law: every server listens on 127.0.0.1 only, and none outlives its owner, whichever way the owner ends.
"""

__all__: list[str] = []
