"""Recurring guests: who returns is known again as the same voice or face, though nobody said who they are.

Law: what links two events is what the sensors alone said of them; who is named once is named in all of those events, as surely as
that one claim, and no longer than it stands.
"""

from typing import Final

from learners.kernel import kernel
from learners.precision import SHARE_ONE

__all__ = ["EXEMPLARS", "is_exemplar", "link", "returns"]

GUEST_MIN: Final = SHARE_ONE // 2  # share of a guest in an event that may be an unnamed person's
EXEMPLARS: Final = 4  # recurring guests whose latest event stays in the ledger when it is full


@kernel
def link(home, index, policy, work):
    """Say of a guest's event whose it is, when it is like that of an earlier guest; both then have the first one's number."""
    row, best = home.rows[index], -1
    if row.shares[0] < GUEST_MIN:
        return
    for i in range(home.rows_used):
        if i != index and home.rows[i].shares[0] >= GUEST_MIN and work.alike_known[i]:
            if best < 0 or work.alike[i] > work.alike[best]:
                best = i
    if best >= 0 and work.alike[best] >= policy.unnamed_llr_min:
        if home.rows[best].unnamed < 0:
            home.rows[best].unnamed = home.rows[best].number
        row.unnamed = home.rows[best].unnamed


@kernel
def returns(home, index):
    """Whether a guest's event is one of several of the same recurring guest."""
    if home.rows[index].unnamed < 0:
        return False
    for i in range(home.rows_used):
        if i != index and home.rows[i].unnamed == home.rows[index].unnamed:
            return True
    return False


@kernel
def is_exemplar(home, index):
    """Whether this is the latest event of one of the recurring guests who were here last."""
    if home.rows[index].unnamed < 0:
        return False
    later = 0
    for i in range(home.rows_used - 1, index, -1):
        if home.rows[i].unnamed == home.rows[index].unnamed:
            return False
        if home.rows[i].unnamed >= 0:
            latest = True
            for j in range(i + 1, home.rows_used):
                latest = latest and home.rows[j].unnamed != home.rows[i].unnamed
            later += 1 if latest else 0
    return later < EXEMPLARS
