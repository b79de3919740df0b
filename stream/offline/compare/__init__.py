"""Is policy B better than A? Both on the same logs, judged by what people said and by truth, home by home.

`questions` is what is judged, `runs` what a policy answered, `columns` both together, `figures` what that comes to, `intervals`
how sure it is, `shares` which settings it is owed to; `comparison` does it all.
"""

__all__: list[str] = []
