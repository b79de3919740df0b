"""What is remembered of a household: HOME, its words, and both as bytes at rest."""

__all__: list[str] = []
