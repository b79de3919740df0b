"""Models of others that a policy names: classes found by their import path, and what is asked of them."""

__all__: list[str] = []
