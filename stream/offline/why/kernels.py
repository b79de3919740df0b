"""The core's posterior, term by term: the same kernels under growing masks of what speaks.

Law: the last mask is that of every answer, so that the last of the sums is what was answered, to the last bit. The differences
between one sum and the next are what each term gives, and add up to it whatever the order; what one term is given depends on it.
"""

from typing import Any, Final

from learners.kernel import array, entry_at_first_use, kernel, record
from stream.home.core.answer import list_members, log_odds_asked, nats_disputed
from stream.home.core.feedback.claims import find_heeded
from stream.home.core.feedback.feedback import leave_out_repeated
from stream.home.core.learn import add_row
from stream.home.core.posterior import (
    ALIGNED,
    ANSWER_TERMS,
    CALIBRATED,
    FACE_TERM,
    HABIT_TERM,
    NOW,
    OWN_TERM,
    PHONE_TERM,
    PRIOR,
    RETURNING,
    STRANGER,
    TEMPERED,
    VOICE_TERM,
    posterior,
)
from stream.home.core.work import WORK
from stream.home.messages import EVENT, OUT, POLICY
from stream.home.state.layout import HOME, MODALITIES, PEOPLE_MAX, PLACES, TIERS

__all__ = ["FOUND", "SHARED", "TERMS", "keep", "leave_out", "share_out", "take_apart"]

# What joins in, one after the other. Who is compared, and with what, holds for all of them.
TERMS: Final = ("prior", "voice", "face", "calibration", "unenrolled", "phone", "habit", "own", "stranger", "returning")
_BITS: Final = (
    PRIOR | NOW | ALIGNED, VOICE_TERM, FACE_TERM, CALIBRATED, TEMPERED, PHONE_TERM, HABIT_TERM, OWN_TERM, STRANGER, RETURNING,
)  # fmt: skip
_MASKS: Final = tuple(sum(_BITS[: n + 1]) for n in range(len(_BITS)))
assert _MASKS[-1] == ANSWER_TERMS, "the last mask is that of every answer"

FOUND = record(
    ("logits", "<f8", (len(TERMS), PLACES)),  # of guest and every column, with the terms up to this one
    ("posterior", "<f8", PLACES),  # of all terms
    ("llr", "<f8", (MODALITIES, PEOPLE_MAX)),
    ("asked", "<f8", TIERS),  # log odds, by tier
    ("disputed", "<f8", PLACES),  # nats, by place
)
SHARED = record(
    ("evidence", "<f8", PLACES),  # of sensors and prior alone, among those whom an answer lists
    ("shares", "<f8", PLACES),  # with the claim that holds
    ("heeded", "<i8"),  # index of that claim; -1: none
)


@entry_at_first_use(array(HOME), array(EVENT), array(POLICY))
def keep(homes: Any, events: Any, policies: Any) -> None:
    """Keep events[0] in homes[0], owned by nobody yet."""
    add_row(homes[0], events[0], policies[0])


@entry_at_first_use(array(HOME), array(POLICY), array(WORK), array(OUT))
def leave_out(homes: Any, policies: Any, works: Any, outs: Any) -> None:
    """Leave out of the latest event of homes[0] what was enrolled from another. It takes most of the core, and is rare."""
    leave_out_repeated(homes[0], homes[0].rows_used - 1, policies[0], works[0], outs[0])


@entry_at_first_use(array(HOME), array(POLICY), array(WORK), array(FOUND))
def take_apart(homes: Any, policies: Any, works: Any, founds: Any) -> None:
    """Infer the latest event of homes[0] under every mask."""
    home, policy, work, found = homes[0], policies[0], works[0], founds[0]
    index = home.rows_used - 1
    for n in range(len(_MASKS)):
        posterior(home, index, _MASKS[n], policy, work)
        for place in range(PLACES):
            found.logits[n, place] = work.logits[place]
    for place in range(PLACES):
        found.posterior[place] = work.posterior[place]
    _copy_ratios(work, found)
    for tier in range(1, TIERS + 1):
        found.asked[tier - 1] = log_odds_asked(home, policy, tier)
    for place in range(1, home.people_used + 1):
        found.disputed[place] = nats_disputed(home, place)


@kernel
def _copy_ratios(work, found):
    for m in range(MODALITIES):
        for p in range(PEOPLE_MAX):
            found.llr[m, p] = work.llr[m, p] if work.modalities & (1 << m) else 0.0


@entry_at_first_use(array(HOME), array(WORK), array(SHARED))
def share_out(homes: Any, works: Any, shareds: Any) -> None:
    """Of the kept event works[0].event of homes[0]: its evidence, and what the claim that holds makes of it."""
    home, work, shared = homes[0], works[0], shareds[0]
    index = work.event
    row = home.rows[index]
    list_members(home, index, row.evidence, work)
    for place in range(PLACES):
        shared.evidence[place] = work.parts[place]
    list_members(home, index, row.shares, work)
    for place in range(PLACES):
        shared.shares[place] = work.parts[place]
    shared.heeded = find_heeded(home, row)
