"""Commands that need no cluster but files, or one store: `compare`, `diff`, `fit`, `inspect`, `report`.

A command module imports nothing heavy before its command runs.
"""

__all__: list[str] = []
