"""Fitting fleet packs: recordings or a recorded log in; a pack and its card out.

Law: a card tells only what was measured on people whom its pack was not fitted on.
"""

from .card import card
from .judgement import Judgement, judge
from .labelled import ALL, Choice, Labelled, read_recordings
from .recipe import Recipe, load_recipe, recipe_of, shipped_recipe
from .shipped import fit_shipped
from .told import read_answers, read_logs

__all__ = [
    "ALL", "Choice", "Judgement", "Labelled", "Recipe", "card", "fit_shipped", "judge", "load_recipe", "read_answers",
    "read_logs", "read_recordings", "recipe_of", "shipped_recipe",
]  # fmt: skip
