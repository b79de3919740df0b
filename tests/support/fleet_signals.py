"""Signals for the tests of the fleet stage: a few words make one."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from stream.contract.records import Cause, Signal
from stream.contract.units import HOUR_MS

__all__ = ["BEGIN_MS", "COUNTRYSIDE", "signal", "signals"]

BEGIN_MS = 1_763_683_200_000  # at a decision
COUNTRYSIDE = 200  # homes: enough that e-values of many kinds are picked and left


def signal(household: str, log_e_value: float, hours: float = 0.0, **more: Any) -> Signal:
    """What a home says of its device, unless something else is told; `hours` after the beginning."""
    at = BEGIN_MS + round(hours * HOUR_MS)
    told: dict[str, Any] = {"person_id": None, "device_id": "kitchen", "encoder": None, "attributes": {}, "kind": "device"}
    told |= {"streams": 1, "signal_id": f"{household}:{more.get('kind', 'device')}:{more.get('person_id')}:{at}"} | more
    cause = Cause(topic="recognitions", partition=0, offset=0)
    return Signal(household_id=household, log_e_value=log_e_value, observed_at=at, cause=cause, **told)


def _made(home: int, hours: float, log_e_value: float, about: tuple[str, str | None], firmware: str) -> Signal:
    kind, person = about
    attributes = {} if person or kind == "feedback" else {"firmware": firmware}
    device = None if person else "kitchen"
    number = f"{home}:{kind}:{person}:{hours}:{log_e_value}:{firmware}"
    more = {"person_id": person, "device_id": device, "attributes": attributes, "signal_id": number}
    return signal(f"h-{home}", log_e_value, hours, kind=kind, **more)


ABOUT = [("device", None), ("person", "alice"), ("person", "bo"), ("feedback", None), ("erased", "alice"), ("erased", None)]


def _crowd(seed: int) -> list[Signal]:
    """Twenty homes that speak of little but change, so that alerts are many and firmwares are at fault."""
    rng = Random(seed)
    span, loud = rng.choice([48, 200, 900]), rng.random()
    return [
        _made(
            home=rng.randrange(20),
            hours=float(rng.randrange(span)),
            log_e_value=rng.choice([4.0, 9.0, 20.0] if rng.random() < loud else [-30.0, -1.0, 0.5, 2.0]),
            about=rng.choices(ABOUT, weights=[40, 20, 10, 10, 2, 1])[0],
            firmware=rng.choices(["1.7", "2.1"], weights=[1, 3])[0],
        )
        for _ in range(90)
    ]


signals = st.lists(
    st.builds(
        _made,
        home=st.integers(0, 30),
        hours=st.integers(0, 24 * 40).map(float),
        log_e_value=st.sampled_from([-30.0, -1.0, 0.5, 2.0, 4.0, 9.0, 20.0]),
        about=st.sampled_from(ABOUT),
        firmware=st.sampled_from(["1.7", "2.1"]),
    ),
    max_size=80,
) | st.builds(_crowd, seed=st.integers(0, 2**32))
