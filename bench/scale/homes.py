"""Homes in bulk: one home of the synthetic town, as many times as wanted, each under its own name.

Law: every home has the bytes that it would have been saved as, had the same happened in it; what comes next in it is what came
next in the first. Names are of one length, so that a state gets another name without being decoded.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.contract.units import DAY_MS
from stream.home.state.at_rest import CHECKSUM_BYTES, decode_home, encode_home
from stream.home.state.household import Household
from stream.home.step import step

from ..town import BEGIN_MS, enrolment, interaction, settled

__all__ = ["Original", "name_of", "original"]

PEOPLE: Final = 4
PAST: Final = 200  # recognitions before: so many that the ledger is full, and there is a past that was folded
EVENTS_A_DAY: Final = 20
_NAME: Final = "home-{:08d}"


@dataclass(frozen=True)
class Original:
    """The home that all are like: its state, and what comes to it next as (time, topic, value)."""

    state: bytes
    future: list[tuple[int, str, bytes]]

    def state_of(self, name: str) -> bytes:
        """The state of another home."""
        at = self.state.index(name_of(0).encode(), CHECKSUM_BYTES)
        body = self.state[CHECKSUM_BYTES:at] + name.encode() + self.state[at + len(name) :]
        return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") + body

    def value_of(self, name: str, event: int) -> bytes:
        """What comes to another home, by its number in `future`."""
        return self.future[event][2].replace(name_of(0).encode(), name.encode(), 1)


def name_of(number: int) -> str:
    return _NAME.format(number)


def original(future: int, policy: Policy, seed: int = 0) -> Original:
    """A home of four after its first two hundred events, and so many records that come next."""
    records = list(_records(PAST + future, seed))
    begun = next(
        n for n, (_, topic, value) in enumerate(records) if topic == "recognitions" and f"event-{PAST:07d}".encode() in value
    )
    household = Household.new(name_of(0))
    for offset, (at_ms, topic, value) in enumerate(records[:begun]):
        step(household, decode(Record(topic, 0, offset, at_ms, name_of(0).encode(), value), policy), policy)
    made = Original(encode_home(household), records[begun:])
    other = decode_home(made.state_of(name_of(1)), policy)
    assert other.household_id == name_of(1), "a state of another name is that home's"
    assert encode_home(other) == made.state_of(name_of(1)), "and is written as it was read"
    return made


def _records(events: int, seed: int) -> Iterator[tuple[int, str, bytes]]:
    """Enrolment, then events evenly over days, with what is said of some."""
    rng = np.random.default_rng(seed)
    home = settled(name_of(0), rng)
    while len(home.voices) != PEOPLE:
        home = settled(name_of(0), rng)
    arrivals = list(enrolment(home, rng))
    for number in range(events):
        arrivals += interaction(home, f"event-{number:07d}", BEGIN_MS + DAY_MS + number * DAY_MS // EVENTS_A_DAY, rng)
    for at_ms, topic, value in sorted(arrivals, key=lambda arrival: arrival.at_ms):
        yield at_ms, topic, json.dumps(value, separators=(",", ":")).encode()
