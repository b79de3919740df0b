"""What clocks say is believed as far as records agree: whatever one of them says, what follows is answered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract.records import Record
from stream.contract.units import DAY_MS, HOUR_MS, MINUTE_MS
from stream.home.step import Step
from tests.support.worlds import DEVICES, START_MS, Desk, Run, Story, feedback, recognition

YEAR_MS = 365 * DAY_MS


class Hall:
    """A home of one person, told by records of any time and any time of arrival."""

    def __init__(self) -> None:
        self.run, self.desk, self.number = Run(), Desk(), 0

    def see(self, at: int, arrived: int | None = None, device: str = DEVICES[0], activity: str = "music") -> Step:
        self.number += 1
        value = recognition("h", f"e-{self.number}", at, device, activity=activity)
        return self.play("recognitions", value, at if arrived is None else arrived)

    def say(self, kind: str, at: int, arrived: int | None = None, **fields: Any) -> Step:
        self.number += 1
        return self.play("feedback", feedback("h", f"f-{self.number}", at, kind, **fields), at if arrived is None else arrived)

    def play(self, topic: str, value: dict[str, Any], arrived: int) -> Step:
        self.desk.now = arrived
        return self.run.play(self.desk.record(topic, value))

    def day(self, day: float, events: int = 6) -> list[str]:
        """What becomes of some records of a day, as they should be."""
        at = START_MS + round(day * DAY_MS)
        return [self.see(at + n * MINUTE_MS, device=DEVICES[n % 2]).outcomes[-1] for n in range(events)]

    @property
    def time(self) -> int:
        return int(self.run.homes["h"].record["stream_time"])


def answered(outcomes: list[str]) -> bool:
    return set(outcomes) == {"answered"}


@pytest.mark.parametrize("off", [-6 * YEAR_MS, -YEAR_MS, -40 * DAY_MS, 40 * DAY_MS, YEAR_MS, 50 * YEAR_MS])
@pytest.mark.parametrize("arrives_so", [False, True], ids=["it arrived now", "its timestamp is as wrong"])
@pytest.mark.parametrize("before", [0, 1, 6])
def test_what_follows_one_record_of_a_wrong_clock_is_answered(off: int, arrives_so: bool, before: int) -> None:
    hall = Hall()
    if before:
        assert answered(hall.day(0, before))
    hall.see(START_MS + HOUR_MS + off, START_MS + HOUR_MS + (off if arrives_so else 0))
    assert answered(hall.day(0.1))
    assert hall.time == START_MS + round(0.1 * DAY_MS) + 5 * MINUTE_MS


@pytest.mark.parametrize("off", [-YEAR_MS, 3 * DAY_MS, 29 * DAY_MS, YEAR_MS])
def test_a_device_whose_clock_is_always_wrong_takes_no_answer_from_others(off: int) -> None:
    hall, outcomes = Hall(), []
    for n in range(40):
        at = START_MS + n * HOUR_MS
        hall.see(at + off, device="clock")
        outcomes += [hall.see(at + k * MINUTE_MS, device=DEVICES[k]).outcomes[-1] for k in range(2)]
    assert outcomes.count("answered") >= len(outcomes) - 2
    assert abs(hall.time - (START_MS + 39 * HOUR_MS)) < (31 * DAY_MS if 0 < off < 30 * DAY_MS else DAY_MS)


@pytest.mark.parametrize("gap_days", [2, 20, 45, 300, 1000])
def test_a_home_that_was_left_for_long_goes_on_when_people_come_back(gap_days: int) -> None:
    hall = Hall()
    hall.day(0)
    assert hall.day(gap_days)[1:] == ["answered"] * 5
    assert answered(hall.day(gap_days + 0.1))
    assert hall.time >= START_MS + gap_days * DAY_MS


@pytest.mark.parametrize("hours", [-20, -3, 20])
def test_a_clock_that_is_set_right_loses_nothing(hours: int) -> None:
    """A home of ninety events, half of them by a clock that is off; in pairs at the same time, and every tenth comes again."""
    hall, outcomes = Hall(), []
    for n in range(90):
        at = START_MS + n * 20 * MINUTE_MS
        step = hall.see(at + (hours * HOUR_MS if n < 45 else 0), at)
        outcomes.append(step.outcomes[-1])
    assert answered(outcomes)


def test_an_old_clock_gives_way_to_whoever_arrives_when_they_say() -> None:
    """Last year's log was fed, then people live."""
    hall = Hall()
    for n in range(10):
        assert answered(hall.see(START_MS + n * HOUR_MS, START_MS + YEAR_MS).outcomes)
    assert answered(hall.day(365.0))
    assert hall.time > START_MS + YEAR_MS - DAY_MS


def test_a_wrong_clock_is_told_once_as_a_signal_and_a_dead_letter() -> None:
    hall = Hall()
    hall.day(0)
    for n in range(5):
        hall.see(START_MS + n * MINUTE_MS - 3 * YEAR_MS, START_MS + n * MINUTE_MS, device="clock")
    letters, told = hall.run.values("dead-letters"), hall.run.values("drift-signals")
    assert {letter["reason"] for letter in letters} == {"too_old"}
    assert len(letters) == 5
    clocks = [signal for signal in told if signal["kind"] == "clock"]
    assert [(c["device_id"], "days behind" in c["adapted"]) for c in clocks] == [("clock", True)]
    hall.see(START_MS + YEAR_MS, device="other")
    assert hall.run.outcomes["wrong_clock"] == 1


def test_what_is_done_although_its_time_is_not_believed_has_the_homes() -> None:
    hall = Hall()
    hall.day(0)
    hall.see(START_MS + YEAR_MS)
    assert hall.run.values("identities")[-1]["observed_at"] == hall.time
    assert int(hall.run.homes["h"].record["devices"]["seen_at"].max()) <= hall.time


# ---- what was said offline


@pytest.mark.parametrize("days", [1, 3, 10, 25])
def test_who_left_while_the_app_was_offline_is_named_no_more(days: int) -> None:
    story = Story()
    said_at = story.desk.now
    for _ in range(60 * days // 10):
        story.wait(4 * HOUR_MS)
        story.see(None, activity="music")
        story.say("confirm", event_id=f"e-{story.seen}")
    last = story.see("bert")
    assert story.answers(last)[-1]["person_id"] == "bert"
    assert story.say("leave", at=said_at, person_id="bert").outcomes == ["used"]
    assert story.answers(story.see("bert"))[-1]["person_id"] != "bert"
    assert story.answers(last)[-1]["person_id"] != "bert", "what was answered since they left is answered anew"


def test_a_leave_from_before_all_that_is_kept_counts_from_now_on_and_is_told() -> None:
    story = Story()
    story.wait(100 * DAY_MS)
    for _ in range(4):
        story.see("anna")
    assert story.say("leave", at=START_MS - YEAR_MS, person_id="bert").outcomes == ["wrong_clock", "used"]
    assert story.home.people == ["anna", "bert"], "it can be taken back"
    assert story.answers(story.see("bert"))[-1]["person_id"] != "bert"


def test_a_correction_of_three_days_ago_counts() -> None:
    story = Story()
    event = story.see("anna")
    said_at = story.desk.now + MINUTE_MS
    for _ in range(6):
        story.wait(12 * HOUR_MS)
        story.see(None, activity="music")
        story.say("confirm", event_id=f"e-{story.seen}")
    assert story.say("correct", at=said_at, event_id=event, person_id="bert").outcomes[-1] in ("used", "contradictory")


def test_a_leave_dated_a_year_ahead_counts_now() -> None:
    story = Story()
    story.wait(YEAR_MS)  # its timestamp is as wrong
    story.say("leave", person_id="bert")
    story.wait(-YEAR_MS)
    assert story.answers(story.see("bert"))[-1]["person_id"] != "bert"


def test_who_left_is_a_guest_when_they_visit() -> None:
    story = Story()
    for _ in range(60):
        story.see("anna", activity="music")
    story.say("leave", person_id="bert")
    answers = [story.answers(story.see("bert", face=None, activity="music"))[-1] for _ in range(5)]
    assert [answer["person_id"] for answer in answers] == [None] * 5 or all(a["tier"] < 2 for a in answers)


# ---- erasure, and what comes again


@pytest.mark.parametrize("at", [START_MS + 50 * YEAR_MS, START_MS - 20 * YEAR_MS])
def test_a_home_that_was_erased_takes_any_time_for_its_first(at: int) -> None:
    story = Story()
    story.say("erase", at=at, person_id=None)
    assert int(story.home.record["stream_time"]) == 0
    story.desk.now -= 200 * DAY_MS
    story.play("recognitions", recognition("h", "new", story.desk.now, "another", activity="music"))
    assert len(story.answers("new")) == 1


@given(st.lists(st.integers(-30 * 24, 24), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_whatever_clocks_say_a_record_that_comes_again_is_known(hours: list[int], random: Any) -> None:
    hall, played = Hall(), list[Record]()
    for n, off in enumerate(hours):
        value = recognition("h", f"e-{n}", START_MS + off * HOUR_MS, random.choice(DEVICES), activity="music")
        hall.desk.now = START_MS
        played.append(hall.desk.record("recognitions", value))
        hall.run.play(played[-1])
    answers = len(hall.run.values("identities"))
    for record in played:
        hall.run.play(record)
    first = [i["event_id"] for i in hall.run.values("identities") if i["revision"] == 0]
    assert len(first) == len(set(first))
    assert answers >= len(first) - hall.run.outcomes["refused"]


def test_late_records_of_a_busy_home_are_answered_as_far_back_as_is_remembered() -> None:
    """Some days of an hour each, half of them offline: the other half has come when they do."""
    hall = Hall()
    times = [START_MS + n * 15 * MINUTE_MS for n in range(250)]
    assert answered([hall.see(at).outcomes[-1] for at in times[::2]])
    assert answered([hall.see(at, times[-1]).outcomes[-1] for at in times[1::2]])
