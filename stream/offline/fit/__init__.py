"""Fitting fleet packs: recordings or a recorded log in; a pack and its card out.

Law: a card tells only what was measured on people whom its pack was not fitted on.
"""

from .judgement import judge
from .labelled import Choice, read_recordings
from .recipe import load_recipe, shipped_recipe
from .shipped import fit_shipped
from .told import read_answers, read_logs

__all__ = [
    "Choice", "fit_shipped", "judge", "load_recipe", "read_answers", "read_logs", "read_recordings", "shipped_recipe",
]  # fmt: skip
