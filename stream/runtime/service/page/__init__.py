"""The page for the people of a home: what it answered and how surely, their word on it, consents, export and erasure.

`sessions` lets a household in, `told` is what it sees, `statements` what it can say, `routes` both over HTTP.
"""

__all__: list[str] = []
