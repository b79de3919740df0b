"""Service level objectives: of being right, and in time, not only up; and what is left of their budgets.

Law: what is counted is what was published, joined to what it was made of. `settings` is slo.toml, `counting` the good and the bad
events of a stretch, `budgets` what follows of them.
"""

__all__: list[str] = []
