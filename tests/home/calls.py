"""Kernels of the core that tests call by themselves, compiled for that."""

from typing import Any

import numpy as np
from numba import types

from learners.feedback.annotators import weigh_claim
from learners.feedback.poisoning import evidence_most, surprise
from learners.kernel import array, entry_at_first_use
from learners.recognition.gallery import fold_row
from learners.recognition.thresholds import move_threshold
from stream.home.core.answer import label, learn_tiers
from stream.home.core.drift.causes import KIND, believe
from stream.home.core.feedback.claims import find_heeded, repeat_claim, uncount_claim
from stream.home.core.work import WORK
from stream.home.messages import OUT, POLICY
from stream.home.state.layout import HOME

__all__ = [
    "KIND", "cause_named", "claim_that_counts", "factor_of", "fold_vector", "label_again", "leave", "most_evidence",
    "move", "spend", "take_back", "weigh",
]  # fmt: skip

_home, _policy, _work, _out = (array(dtype) for dtype in (HOME, POLICY, WORK, OUT))
_shares, f8, i8 = array(np.dtype("f8")), types.float64, types.int64


@entry_at_first_use(_shares, i8, f8)
def weigh(shares: Any, named: int, nats: float) -> None:
    """Weigh a claim of so many nats (negative: it says no) into shares, in place."""
    weigh_claim(shares, len(shares), named, nats)


@entry_at_first_use(_shares, i8, types.boolean, result=f8)
def factor_of(posterior: Any, named: int, says_no: bool) -> float:
    """What one claim multiplies the evidence of a run by."""
    return surprise(posterior, len(posterior), named, says_no)


@entry_at_first_use(i8, result=f8)
def most_evidence(claims: int) -> float:
    """The most that so many claims can be evidence for."""
    return evidence_most(claims)  # type: ignore[no-any-return]


@entry_at_first_use(i8, f8, f8, f8, _policy, result=i8)
def move(steps: int, wrong: float, share: float, aim: float, policy: Any) -> int:
    """A threshold's caution (steps) after one event."""
    return move_threshold(steps, wrong, share, aim, policy[0])  # type: ignore[no-any-return]


@entry_at_first_use(_home, i8, result=i8)
def claim_that_counts(home: Any, index: int) -> int:
    """Of row `index`: which claim counts; -1: none."""
    return find_heeded(home[0], home[0].rows[index])  # type: ignore[no-any-return]


@entry_at_first_use(_home, i8, _policy, result=i8)
def spend(home: Any, nats: int, policy: Any) -> int:
    """How many (steps) of a claim's nats its source may still say: the first claim of the first row then says them."""
    claim = home[0].waiting[0].claim
    claim.nats = nats
    repeat_claim(home[0], home[0].rows[0], claim, policy[0])
    return int(home[0].rows[0].claims[0].nats)


@entry_at_first_use(_home)
def take_back(home: Any) -> None:
    """Take back what `spend` let be said."""
    uncount_claim(home[0], home[0].rows[0].claims[0])


@entry_at_first_use(_home, i8, _policy)
def leave(home: Any, index: int, policy: Any) -> None:
    """Let thresholds learn from an event that leaves the ledger."""
    learn_tiers(home[0], index, policy[0])


@entry_at_first_use(_home, i8, i8, _policy)
def fold_vector(home: Any, index: int, modality: int, policy: Any) -> None:
    """Fold the vector of a row into its owners' tails."""
    fold_row(home[0], index, modality, policy[0])


@entry_at_first_use(_home, i8, _policy, _work, _out)
def label_again(home: Any, index: int, policy: Any, work: Any, out: Any) -> None:
    """Publish the label of a row, correct it, or take it back."""
    label(home[0], index, policy[0], work[0], out[0])


@entry_at_first_use(_home, _policy, _work, result=i8)
def cause_named(home: Any, policy: Any, work: Any) -> int:
    """The subject that is named, given the parts of all in the scratch's first table."""
    return believe(home[0], 0, policy[0], work[0])  # type: ignore[no-any-return]
