"""Commands of who keeps it running: what a platform needs, what was promised, and who is on call."""

__all__: list[str] = []
