"""What people say of events: how far it counts, and when it does not."""

__all__: list[str] = []
