"""Decisions that are taken back: noticed, published, and told to the client that acted on them.

`withdrawals` finds them, `follow` reads and publishes the records, `outbox` keeps signed events until a client has
them; `routes` and `push` are two ways to it.
"""

__all__: list[str] = []
