"""Redis: the store of a cluster, its client over one server, sentinels or a cluster, and what its errors
mean.

`heartbeats` is what workers say of themselves there. The client library is imported only by who asks for it.
"""

__all__: list[str] = []
