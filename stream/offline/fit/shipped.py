"""The packs that come with the package, fitted anew.

Law: `fit_shipped` on all recordings is the pack of the package, number for number.
"""

from collections.abc import Iterable
from pathlib import Path

from learners.fit.fitting import fit
from learners.recognition.projection import Projection

from .labelled import Choice, read_recordings
from .recipe import shipped_recipe

__all__ = ["fit_shipped"]


def fit_shipped(encoder: str, folder: Path, people: Iterable[object] | None = None) -> Projection:
    """Fit the pack of an encoder on the recordings in a folder; `people`: on these alone, whom it then knows nothing else of.

    >>> fit_shipped("dlib-resnet-v1", Path("../shared/data"), people=range(20))  # doctest: +SKIP
    """
    choice = Choice(None if people is None else frozenset(map(str, people)))
    return fit(read_recordings(shipped_recipe(encoder), folder, choice).recordings)
