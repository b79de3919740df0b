"""What a home does about a change that was confirmed: the old counts for less, so that the new is learnt as it is.

Law: nothing that was said is lost, nobody is forgotten; a change that was none costs some sureness and no more. What was done is
told in one sentence.
"""

from typing import Final

from stream.contract.policy import Policy

from ..context import Turn
from ..state.home import Home
from ..state.monitors import Subject
from .causes import residuals_of

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
    """What the device adds to everybody is from now on what it added since it changed."""
    known = []
    for encoder, space in home.spaces.items():
        rows = [row for row in home.rows if row.number >= since and row.device_id == device and encoder in row.encoders]
        if len(rows) >= ROWS_MIN:
            residuals, owned = residuals_of(home, policy, encoder, rows)
            weights = 1 - owned[:, 0]
            space.set_offset(device, weights @ residuals / max(float(weights.sum()), 1.0))
            known.append(encoder)
    return f"its offset is measured anew, from what came since ({', '.join(known)})" if known else None


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
