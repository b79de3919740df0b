"""What a home remembers by its hash alone: records that were told, and the nonces of challenges and happenings.

Law: what is remembered was told, but for the few that a filter mistakes (`core.admission.seen`).
"""

import numpy as np

from stream.contract.records import Proof, Sighting
from stream.home.core.admission import seen
from stream.home.state.household import Household
from stream.home.state.names import hash_id, hash_sender

__all__ = ["is_first", "is_told"]


def is_told(household: Household, kind: int, number: int) -> bool:
    """Whether a hash is remembered among those of what sensors report (RECOGNISED) or of what is said (FEEDBACK)."""
    asked = np.array([kind, number], np.int64)
    seen.was_told(household.slot, asked)  # type: ignore[no-untyped-call]
    return bool(asked[0])


def is_first(household: Household, kind: int, nonce: str, value: Proof | Sighting) -> bool:
    """Whether a nonce did not come before in a home, as far as is remembered; from now on it did. `kind` as for `is_told`."""
    number = hash_id("nonce", nonce)
    before = is_told(household, kind, number)
    told = np.array([kind, number, hash_sender(value.sender), value.at], np.int64)
    seen.add_told(household.slot, told)  # type: ignore[no-untyped-call]
    return not before
