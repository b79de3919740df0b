"""Policies as their settings: `paths` walks those, `agreement` tells how long policies that differ do the same."""

__all__: list[str] = []
