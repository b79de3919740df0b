"""Recording: a stretch of a cluster's topics as one log file, to be replayed.

`spans` finds what belongs to it, `merging` brings it into one order, `files` writes it so that it can go on after a stop,
`pseudonyms` replaces ids; `recording` puts them together.
"""

__all__: list[str] = []
