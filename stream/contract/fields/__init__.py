"""What single fields of records may hold."""

__all__: list[str] = []
