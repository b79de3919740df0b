"""What is in one home, for people and machines: a picture of the state (`inspection`), what it consists of (`views`), and its
sentences (`texts`).

Looking changes nothing, and no vector is shown that was not asked for.
"""

__all__: list[str] = []
