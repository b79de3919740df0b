"""The inner loops, in NumPy (`plain`, which is also their description) and as machine code (`compiled`);
`choice` says which is in use.

Nothing else imports Numba.
"""

__all__: list[str] = []
