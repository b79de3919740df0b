"""A simulated neighbourhood: people, their days, what devices record of them and what they say, from one
seed.

`records` gives the records of the contract; `behaviour`, `people`, `scenarios` and `feedback` are what
happens, to whom and why.
"""

__all__: list[str] = []
