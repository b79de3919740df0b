"""What crosses a border: the records of every topic, their bytes, the policy and the wiring, the two ports,
and the faults.

Everything else may import this, and it imports only the learners. The records are one screen (`records`),
what the worker asks of the world is another (`ports`). Nothing here knows a clock, chance, a network or a
log; `settings`, `credentials` and `packs` read files. Nothing is exported from here: a command that needs
only the faults is not to load NumPy.
"""

__all__: list[str] = []
