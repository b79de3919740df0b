"""The demo: a simulated neighbourhood, learnt from while one looks on.

`view` is what the terminal shows, `scoreboard` how right the answers are.
"""

__all__: list[str] = []
