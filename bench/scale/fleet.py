"""What the one process of the fleet stage takes: memory of a subject that is watched, time of a signal and of a decision.

    python -m bench.scale.fleet

Law: every home reports each of its subjects once within a day, in calm, as the weekly heartbeats of a fleet do.
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Final

from stream.contract.policy import Alerting
from stream.contract.records import Cause, Signal
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.state import SEEN_MAX, Fleet, encode_fleet
from stream.fleet.step import advance, take

from ..town import BEGIN_MS
from .measure import rss_bytes

__all__ = ["main", "measured"]

HOMES, SUBJECTS = 20_000, 8
KINDS: Final = ("device", "person", "phone", "habit")


def signals() -> Iterator[Signal]:
    """All subjects of all homes, over a day."""
    cause = Cause(topic="recognitions", partition=0, offset=0)
    for number in range(HOMES * SUBJECTS):
        subject, home = divmod(number, HOMES)
        kind, own = KINDS[subject % len(KINDS)], f"{subject // len(KINDS)}"
        of_device = kind == "device"
        yield Signal(
            signal_id=f"s-{number:012x}", household_id=f"home-{home:08d}", kind=kind, encoder=None, log_e_value=-0.5,
            person_id=None if of_device else f"person-{own}", device_id=f"device-{own}" if of_device else None,
            attributes={"model": "speaker-2", "firmware": "2.0"} if of_device else {},
            observed_at=BEGIN_MS + number * DAY_MS // (HOMES * SUBJECTS), cause=cause, streams=SUBJECTS,
        )  # fmt: skip


def measured() -> dict[str, float]:
    """Figures of one fleet."""
    policy, fleet, told = Alerting(), Fleet(), list(signals())
    before, began = rss_bytes(), time.perf_counter()
    for signal in told:
        take(fleet, signal)
    advance(fleet, BEGIN_MS + DAY_MS + policy.decision_hours * HOUR_MS, policy)  # four decisions, which take what waited
    taking, began = time.perf_counter() - began, time.perf_counter()
    advance(fleet, BEGIN_MS + DAY_MS + 2 * policy.decision_hours * HOUR_MS, policy)  # one, of what is known
    deciding, subjects = time.perf_counter() - began, len(told)
    return {
        "signal_us": 1e6 * taking / subjects, "decision_us": 1e6 * deciding / subjects, "subjects": SUBJECTS,
        "seen_max": SEEN_MAX, "live_bytes": (rss_bytes() - before) / subjects, "rest_bytes": len(encode_fleet(fleet)) / subjects,
    }  # fmt: skip


def main() -> None:
    json.dump(measured(), sys.stdout)


if __name__ == "__main__":
    main()
