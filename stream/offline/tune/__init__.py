"""Which settings are best? Policies are tried on some homes of a log, and the best is confirmed on the others.

`space` is what may be tried, `split` parts the homes, `trials` remembers what was tried, `tuning` does it all.
"""

__all__: list[str] = []
