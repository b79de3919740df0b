"""Sightings: what happened at the home, as a sensor of the home and somebody's phone both report it.

Law: one report alone does nothing, and two make the same pair whichever came first: of the same happening, at most ten seconds
apart, by the same nonce where both have one. A pair is the phone of a member, heard at that moment
(`learners.recognition.phones`); it moves probabilities, and no more. A phone that is somebody else's now, and one that nobody
registered, is no evidence. A nonce counts once for each class of device.

A home keeps the reports of the last minutes, at most WITNESSES_MAX; so what comes later than that has no effect.
"""

from typing import Any

import numpy as np

from learners.kernel import array, entry
from learners.recognition.phones import APART_MS, HEARD_AFTER_MS, is_paired
from stream.contract.policy import Policy
from stream.contract.records import Sighting
from stream.contract.units import MINUTE_MS
from stream.home.core.admission.seen import RECOGNISED
from stream.home.rights.nonces import is_first
from stream.home.state.household import Household, append, take_out
from stream.home.state.layout import HOME
from stream.home.state.names import hash_id

__all__ = ["forget_witnesses", "sight", "was_sighted"]


@entry(array(HOME), array(np.dtype(np.int64)))
def _mark_paired(homes: Any, paired: Any) -> None:
    """`paired` (n,): 1 of those of a home's first n reports that are of a phone and make a pair."""
    for i in range(len(paired)):
        paired[i] = 1 if is_paired(homes[0], i) else 0  # type: ignore[no-untyped-call]


def sight(household: Household, value: Sighting, policy: Policy) -> str:
    """Keep a report; the outcome.

    `used` (it makes a pair), `early` (it waits for the other), or why not: `stale` (of long before the home's time),
    `unknown_device` (a personal device that is no member's phone), `nonce` (it came before).
    """
    home, oldest = household.record, int(household.record["stream_time"]) - _kept_ms(policy)
    take_out(home, "witnesses", home["witnesses"]["at"] < oldest)
    if value.observed_at < oldest:
        return "stale"
    phone, person = (0, 0) if value.device_class == "home" else _phone_of(household, value.device_id)
    if value.device_class == "personal" and not person:
        return "unknown_device"
    if value.nonce is not None and not is_first(household, RECOGNISED, f"{value.device_class}/{value.nonce}", value):
        return "nonce"
    before = _count_pairs(household)
    report = append(home, "witnesses")
    report["at"], report["nonce"] = value.observed_at, hash_id("nonce", value.nonce) if value.nonce else 0
    report["happened"], report["phone"], report["person"] = household.words.learn(value.kind), phone, person
    return "used" if _count_pairs(household) > before else "early"


def was_sighted(household: Household, place: int, at: int, fresh_ms: int) -> bool:
    """Whether a pair is of the person at a place, at most so long before or after a time."""
    reports, paired = household.record["witnesses"], _find_paired(household)
    own = (reports["person"] == place) & (np.abs(reports["at"] - at) <= fresh_ms)
    return bool((own[: len(paired)] & (paired > 0)).any())


def forget_witnesses(home: Any, gone: Any) -> None:
    """Forget those reports, and what sensors of the home report of the same."""
    reports = home["witnesses"]
    for report in reports[gone & (np.arange(len(reports)) < home["witnesses_used"])]:
        same = (reports["happened"] == report["happened"]) & (np.abs(reports["at"] - report["at"]) <= APART_MS)
        gone = gone | (same & (reports["phone"] == 0))
    take_out(home, "witnesses", gone)


def _kept_ms(policy: Policy) -> int:
    """How long a report may count: for a proof, or for who is met afterwards."""
    return APART_MS + max(HEARD_AFTER_MS, policy.tiers.pin_minutes * MINUTE_MS)


def _phone_of(household: Household, phone_id: str) -> tuple[int, int]:
    """Index + 1 of a registered phone, and the place of the member who has it now; 0, 0: nobody."""
    home, number = household.record, household.words.number(phone_id)
    for index in np.flatnonzero(home["phones"]["name"][: int(home["phones_used"])] == (number or 0)).tolist():
        phone = home["phones"][index]
        place = int(phone["registrations"][int(phone["registrations_used"]) - 1]["person"])
        if place and household.people[place - 1] in household.members:
            return index + 1, place
    return 0, 0


def _find_paired(household: Household) -> Any:
    paired = np.zeros(int(household.record["witnesses_used"]), np.int64)
    _mark_paired(household.slot, paired)
    return paired


def _count_pairs(household: Household) -> int:
    return int(_find_paired(household).sum())
