"""The short drill: a few faults on a real cluster, and the proof that the checker can fail. The long one: `make drill`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import to_be_had

from .checker import is_rubbish
from .drill import Outcome, drill, plan
from .evidence import Seen
from .faults import FAULTS
from .load import load
from .points import POINTS
from .sabotage import SABOTAGES
from .site import Scene

FEW = ("kill@inside-transaction", "kill@in-recovery", "stop@after-transaction", "redis-rolled-back")
EVENTS = 2_000


@pytest.fixture
def drilled(tmp_path: Path) -> Callable[..., Outcome]:
    def run(broker: str, faults: tuple[str, ...], sabotage: str | None = None) -> Outcome:
        with to_be_had():
            return drill(Scene(tmp_path, broker, rate=250.0, sabotage=sabotage), faults, EVENTS, print)

    return run


@pytest.mark.parametrize("broker", ["confluent", "kafka"])
def test_whatever_strikes_everything_is_done_exactly_once(broker: str, drilled: Callable[..., Outcome]) -> None:
    outcome = drilled(broker, FEW)
    assert outcome.complaints == []
    assert (outcome.lost, outcome.twice) == (0, 0)
    assert outcome.events >= EVENTS
    assert outcome.ends["killed"] == 3
    assert outcome.recoveries > 0


@pytest.mark.parametrize(
    ("broker", "sabotage"), [("confluent", "offsets-apart"), ("kafka", "late-metadata")], ids=lambda given: given
)
def test_a_worker_that_does_one_thing_in_the_wrong_order_is_found_out(
    broker: str, sabotage: str, drilled: Callable[..., Outcome]
) -> None:
    outcome = drilled(broker, tuple(SABOTAGES[sabotage]), sabotage)
    assert outcome.twice > 0
    assert outcome.complaints != []


def test_the_long_plan_strikes_with_everything_and_forty_times_with_kill() -> None:
    names = plan(1)
    assert names == plan(1)
    assert names != plan(2)
    assert set(FAULTS) - set(names) == {"coordinator-lost"}
    at_points = [name for name in names if name.startswith("kill@")]
    assert {name.removeprefix("kill@") for name in at_points} == set(POINTS)
    assert len(at_points) >= 20
    assert len(at_points) + names.count("kill") + 4 * names.count("kill-flurry") >= 40


def test_a_seed_gives_the_same_load_again_with_rubbish_and_every_kind_of_feedback() -> None:
    def first(seed: int) -> list[object]:
        records = load(seed)
        return [next(records) for _ in range(3_000)]

    sent = first(1)
    assert sent == first(1)
    assert sent != first(2)
    rubbish = [one for one in sent if is_rubbish(one.topic, Seen(0, 0, one.key, one.value))]
    assert 0 < len(rubbish) < len(sent) / 10
    for kind in ("join", "leave", "phone", "enrol", "confirm", "reject", "correct", "retract", "erase"):
        assert any(f'"kind": "{kind}"'.encode() in (one.value or b"") for one in sent)
