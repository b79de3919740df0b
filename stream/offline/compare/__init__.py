"""Is policy B better than A? Both on the same logs, judged by what people said and by truth, home by home.

`questions` is what is judged, `side_by_side` has policies answer on a `ground`, `answered` is what of it is judged, `columns`
both together, `figures` what that comes to, `intervals` how sure it is, `shares` what it is owed to; `comparison` does it all.
"""

__all__: list[str] = []
