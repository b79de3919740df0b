"""Unnamed people: guests who return are known again as the same voice or face, though nobody said who they are.

Law: what ties two events is what the sensors alone said of them; who is named once is named in all of those events, as surely as
that one claim, and no longer than it stands.
"""

from collections.abc import Mapping
from typing import Final

from stream.contract.policy import Policy
from stream.contract.records import GUEST

from ..state.home import Home
from ..state.ledger import Claim, Row

__all__ = ["exemplars", "names", "of_the_same", "returns", "tie"]

GUEST_MIN: Final = 0.5  # share of a guest in an event that may be an unnamed person's
EXEMPLARS: Final = 4  # unnamed people whose latest event stays in the ledger when it is full


def tie(home: Home, policy: Policy, row: Row, alike: Mapping[int, float]) -> None:
    """Say of a guest's event whose it is, when it is like that of an earlier guest; both then have the first one's number.

    `alike`: log-likelihood ratios, nats, by number of kept event: made by the same person, against by anybody.
    """
    if row.shares[0] < GUEST_MIN:
        return
    earlier = [r for r in home.rows if r is not row and r.shares[0] >= GUEST_MIN and r.number in alike]
    best = max(earlier, key=lambda r: alike[r.number], default=None)
    if best is not None and alike[best.number] >= policy.learning.unnamed_llr_min:
        if best.unnamed is None:
            best.unnamed, best.packed = best.number, None
        row.unnamed, row.packed = best.unnamed, None


def returns(home: Home, row: Row) -> bool:
    """Whether a guest's event is one of several of the same unnamed person."""
    return row.unnamed is not None and any(r.unnamed == row.unnamed for r in home.rows if r is not row)


def of_the_same(home: Home, row: Row) -> list[Row]:
    """The other events of the unnamed person that nobody has said anything about."""
    if row.unnamed is None:
        return []
    return [r for r in home.rows if r.unnamed == row.unnamed and r is not row and not r.claims]


def names(claim: Claim) -> bool:
    """Whether a claim says who somebody is."""
    return claim.kind in ("correct", "enrol") and claim.person_id != GUEST


def exemplars(home: Home) -> set[int]:
    """Numbers of the latest event of each of those unnamed people who were here last."""
    latest: dict[int, int] = {}
    for row in home.rows:
        if row.unnamed is not None:
            latest.pop(row.unnamed, None)
            latest[row.unnamed] = row.number
    return set(list(latest.values())[-EXEMPLARS:])
