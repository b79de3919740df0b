"""A model of the policy's own: what it learns in a home, and what it says of a recognition before that is applied."""

__all__: list[str] = []
