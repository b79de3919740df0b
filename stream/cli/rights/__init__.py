"""Commands about who may do what."""

__all__: list[str] = []
