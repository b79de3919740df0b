"""kithkin: learns, continuously and from real life, who is who in a household.

What a program of your own needs stands here, and is loaded when it is first named:

>>> from stream import Household, feedback
>>> home = Household("linden-1")
>>> home.tell(feedback.Join(person_id="ana")).outcomes
('used',)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .api import feedback
    from .api.household import Household
    from .api.recogniser import Recogniser
    from .api.streams import replay, subscribe
    from .contract.policy import Policy
    from .contract.records import Identity

__all__ = ["Household", "Identity", "Policy", "Recogniser", "__version__", "feedback", "replay", "subscribe"]

__version__ = "0.1.0"

# Before NumPy is imported, because it reads this once: on matrices as small as ours a second thread makes BLAS ten times
# slower, and can change the last bits of a sum. Who sets one of these variables is obeyed.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# Where names stand that are loaded when they are asked for (PEP 562): most who import a room of this package need none of them.
_PLACES: Final = {
    "Household": "stream.api.household",
    "Identity": "stream.contract.records",
    "Policy": "stream.contract.policy",
    "Recogniser": "stream.api.recogniser",
    "feedback": "stream.api",
    "replay": "stream.api.streams",
    "subscribe": "stream.api.streams",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "feedback":
        return import_module("stream.api.feedback")
    value = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
