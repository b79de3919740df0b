"""What is counted against each objective, and what is left of its budget."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stream.brokers.kafka.topics import producer
from stream.cli import app
from stream.cli.operate.slo import Shown
from stream.contract.errors import ConfigError
from stream.contract.records import Record
from stream.contract.settings import Wiring, load_model
from stream.ops.local_cluster.processes import until
from stream.ops.objectives.budgets import budgets
from stream.ops.objectives.counting import MINUTE_MS, Count, Tally, tally
from stream.ops.objectives.evidence import ALARMS, alarms
from stream.ops.objectives.settings import BOUNDS_S, Objectives
from stream.runtime.telemetry.registry import SLO_METRICS, Histogram
from tests.conftest import ROOT, Running

AIMS = Objectives()
NOW_MS = 10_000_000
DAY_MS = 24 * 60 * MINUTE_MS


def record(topic: str, at: int, offset: int = 0, **value: Any) -> Record:
    return Record(topic, 0, offset, at, b"h", json.dumps({"household_id": "h"} | value).encode())


def asked(number: int, at: int = 0) -> Record:
    return record("recognitions", at, number, event_id=f"e-{number}")


def said(number: int, person: str | None = "ana", tier: int = 2, at: int = 0, **more: Any) -> Record:
    value = {"event_id": f"e-{number}", "revision": 0, "person_id": person, "tier": tier, "posterior": {"ana": 0.9, "guest": 0.1}}
    return record("identities", at, number, cause={"topic": "recognitions", "partition": 0, "offset": number}, **value | more)


def claim(number: int, kind: str, person: str | None = None, source: str = "app") -> Record:
    named = {"person_id": person} if person else {}
    return record("feedback", 0, event_id=f"e-{number}", kind=kind, source=source, **named)


def label(number: int, person: str) -> Record:
    return record("labels", 0, event_id=f"e-{number}", person_id=person)


def of(name: str, *records: Record) -> Count:
    return tally(records, AIMS, NOW_MS).counts[name]


def test_an_answer_is_fresh_by_the_brokers_times_of_both() -> None:
    assert of("freshness", asked(1), said(1, at=4_000), asked(2), said(2, at=6_000), asked(3)) == (2, 1)


def test_what_has_neither_answer_nor_dead_letter_after_a_minute_is_lost() -> None:
    dead = Record("dead-letters", 0, 0, 0, b"h", b'{"topic": "recognitions", "partition": 0, "offset": 3}')
    again = record("recognitions", 0, 9, event_id="e-1")
    assert of("losslessness", asked(1), said(1), again, asked(2), asked(3), dead, asked(4, NOW_MS - 1_000)) == (4, 1)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], (0, 0)),
        ([claim(1, "confirm")], (1, 0)),
        ([claim(1, "reject", "ana")], (1, 1)),
        ([claim(1, "reject", "bo")], (0, 0)),
        ([claim(1, "correct", "bo")], (1, 1)),
        ([claim(1, "correct", "ana")], (1, 0)),
        ([label(1, "guest")], (1, 1)),
        ([label(1, "guest"), claim(1, "confirm")], (1, 0)),
        ([claim(1, "confirm"), label(1, "guest")], (1, 0)),
        ([claim(1, "correct", "bo", "annotator"), claim(1, "confirm", source="voice")], (1, 1)),
        ([claim(1, "enrol")], (0, 0)),
    ],
)
def test_an_answer_is_judged_by_the_surest_word_about_it(told: list[Record], expected: tuple[int, int]) -> None:
    assert of("personal", said(1), *told) == expected
    assert of("private", said(1), *told) == (0, 0)
    assert of("purchase", said(1, tier=4), *told) == expected


def test_what_was_said_is_held_against_what_came_true_in_tenths() -> None:
    told = [asked for n in range(10) for asked in (said(n), claim(n, "confirm") if n < 9 else claim(n, "reject", "ana"))]
    assert of("calibration", *told) == (10, 0)
    assert of("calibration", *told[:18]) == (9, pytest.approx(0.9))


def test_a_day_of_a_home_is_one_event_however_many_alerts_of_it_opened() -> None:
    opened = [record("drift-alerts", 0, state=state, members=["h"]) for state in ("opened", "updated", "opened")]
    other = Record("recognitions", 0, 1, 0, b"i", b'{"household_id": "i"}')
    assert of("quiet", asked(1), other, *opened) == (2, 1)
    told = [asked(1), other, *opened, asked(2, DAY_MS), record("drift-alerts", DAY_MS, state="opened", household_id="j")]
    found = tally(told, AIMS, DAY_MS + NOW_MS)
    assert found.counts["quiet"] == (4, 2)
    assert found.minutes["quiet"] == {24 * 60 - 1: (2, 1)}, "only a day that has ended bears witness"


def known(share_right: float, said_to_be: float, minutes: int, seed: int = 0, begin: int = 0) -> list[Record]:
    """An answer a minute that says so much, of which so many are right."""
    rng = random.Random(seed)
    records = []
    for n in range(begin, begin + minutes):
        at = n * MINUTE_MS
        records.append(said(n, at=at, posterior={"ana": said_to_be, "guest": 1 - said_to_be}))
        records.append(claim(n, "confirm") if rng.random() < share_right else claim(n, "reject", "ana"))
    return records


def test_to_which_side_a_tenth_leans_is_taken_from_the_minutes_before() -> None:
    told = [said(n, at=0) for n in (1, 2)] + [said(n, at=MINUTE_MS) for n in (3, 4)]
    found = tally([*told, *(claim(n, "reject", "ana") for n in (1, 2, 3)), claim(4, "confirm")], AIMS, NOW_MS)
    assert found.minutes["calibration"] == {0: (2, pytest.approx(1.0)), 1: (2, pytest.approx((1.9 + 0.9) / 2))}


@pytest.mark.parametrize(
    ("right", "calls"), [(0.9, {None}), (0.6, {"page"}), (0.99, {None, "ticket"})], ids=["as said", "too sure", "too modest"]
)
def test_who_says_more_or_less_than_comes_true_is_told(right: float, calls: set[str | None]) -> None:
    records, until_ms = known(right, 0.9, 400), 400 * MINUTE_MS
    (one,) = (b for b in budgets(tally(records, AIMS, until_ms), AIMS, 1, until_ms) if b.name == "calibration")
    assert {"page" if one.pages else "ticket" if one.tickets else None} <= calls


def test_what_is_as_far_off_as_it_may_be_raises_alarms_no_oftener_than_is_promised() -> None:
    found = tally(known(0.87, 0.9, 20_000), AIMS, 10**12).minutes["calibration"]
    allowed, _ = ALARMS[1].terms("calibration", AIMS.calibration)
    assert len(alarms(found, (allowed, 100.0))) <= 20_000 / 100


@pytest.mark.parametrize(("alerted", "calls"), [(0, None), (1, None), (20, "page")])
def test_homes_that_are_alerted_of_day_after_day_call(alerted: int, calls: str | None) -> None:
    """Of 100 homes; one alert a week is what is allowed."""
    records = [
        record(topic, day * DAY_MS, number, household_id=f"h-{number}", state="opened")
        for day in range(14)
        for topic, count in (("recognitions", 100), ("drift-alerts", alerted if day % 7 == 0 or alerted > 1 else 0))
        for number in range(count)
    ]
    (one,) = (b for b in budgets(tally(records, AIMS, 14 * DAY_MS), AIMS, 14, 14 * DAY_MS) if b.name == "quiet")
    assert one.calls == calls
    assert one.events == 1_400


def test_events_are_counted_by_the_minute_of_their_answer() -> None:
    told = [asked(1), said(1, at=4_000), asked(2), said(2, at=61_000), asked(3, at=61_000), said(3, at=62_000)]
    found = tally([*told, claim(2, "reject", "ana")], AIMS, NOW_MS)
    assert found.minutes["freshness"] == {0: (1, 0), 1: (2, 1)}
    assert found.minutes["personal"] == {1: (1, 1)}
    for name in found.minutes.keys() - {"calibration", "quiet"}:
        minutes = found.minutes[name]
        assert found.counts[name] == (sum(c.events for c in minutes.values()), sum(c.bad for c in minutes.values()))


def test_what_cannot_be_read_is_passed_over() -> None:
    assert of("freshness", Record("identities", 0, 0, 0, b"h", b"rubbish"), Record("labels", 0, 0, 0, b"h", None)) == (0, 0)


@given(bad=st.integers(0, 1000), days=st.floats(0.1, 28))
def test_a_budget_is_spent_by_its_burn_and_no_sooner(bad: int, days: float) -> None:
    (one,) = (b for b in budgets(Tally({"freshness": Count(1000, bad)}, {}), AIMS, days, 0) if b.events)
    assert one.burn is not None
    assert one.left == pytest.approx(1 - one.burn * days / 28)
    assert one.broken == (bad / 1000 / 0.01 * days > 28 * (1 + 1e-12)) or one.left == pytest.approx(0, abs=1e-9)
    if one.spent_in_days is not None:
        assert one.burn * (days + one.spent_in_days) == pytest.approx(28)


def test_of_what_nothing_is_known_no_budget_is_kept_or_broken() -> None:
    assert {(b.left, b.broken) for b in budgets(Tally({}, {}), AIMS, 7, 0)} == {(None, False)}


def test_the_command_tells_what_is_left_and_ends_with_1_where_nothing_is(
    kafka: Running, topics: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "slo.toml").write_text("[personal]\nobjective = 0.99\nwindow_days = 1")
    flags = ["--broker", f"confluent://{kafka.bootstrap}", "--prefix", topics(1), "--since", "1h"]
    flags += ["--slo", str(tmp_path / "slo.toml")]
    with producer(Wiring(broker=flags[1], prefix=flags[3])) as sender:
        for one in (asked(1), said(1), claim(1, "reject", "ana")):
            sender.send(one)
    ended = CliRunner().invoke(app, ["slo", *flags])
    assert (ended.exit_code, "overspent" in ended.output) == (1, True), ended.output
    assert max(map(len, ended.output.splitlines())) <= 80
    told = {budget["name"]: budget for budget in json.loads(CliRunner().invoke(app, ["slo", "--json", *flags]).output)}
    assert (told["personal"]["events"], told["personal"]["good"], told["private"]["events"]) == (1, 0.0, 0)


def test_prometheus_is_shown_what_was_found_last_and_when() -> None:
    shown = Shown(every_s=60)
    assert (list(shown.samples()), shown.sick()) == ([], None)
    minutes = {minute: Count(600, 600) for minute in range(60)}
    shown.note(budgets(Tally({"personal": Count(36_000, 36_000)}, {"personal": minutes}), AIMS, 28, 60 * MINUTE_MS))
    told = {(sample.name, *sample.labels): sample.value for sample in shown.samples()}
    assert (told["kithkin_slo_left", "personal"], ("kithkin_slo_left", "quiet") in told) == (pytest.approx(-19), False)
    calls = {key[1:] for key, value in told.items() if key[0] == "kithkin_slo_calls" and value}
    assert calls == {("personal", "page")}
    assert told[("kithkin_slo_looked_at_seconds",)] == pytest.approx(time.time(), abs=60)
    assert {sample.name for sample in shown.samples()} == set(SLO_METRICS)


def test_who_finds_nothing_for_a_while_is_not_well() -> None:
    shown = Shown(every_s=0.001)
    assert until(lambda: "nothing was found" in (shown.sick() or ""), 10)
    shown = Shown(every_s=3600)
    assert shown.sick() is None


@pytest.mark.parametrize(("bad", "calls"), [(0, None), (5, None), (15, "ticket"), (600, "page")])
def test_who_is_called_follows_from_how_fast_it_burns(bad: int, calls: str | None) -> None:
    minutes = {minute: Count(600, bad if minute >= 600 else 0) for minute in range(720)}
    found = Tally({"personal": Count(600 * 720, bad * 120)}, {"personal": minutes})
    (one,) = (b for b in budgets(found, AIMS.model_copy(update={"personal": AIMS.freshness}), 0.5, 720 * MINUTE_MS) if b.events)
    assert one.calls == calls
    assert bool(one.pages) == (calls == "page")
    assert min([*one.pages, *one.tickets], default=600 * MINUTE_MS) >= 600 * MINUTE_MS
    (later,) = (b for b in budgets(found, AIMS, 0.5, 760 * MINUTE_MS) if b.events)
    assert later.calls is None


def test_the_example_says_what_holds() -> None:
    assert load_model("slo", ROOT / "configs/slo.toml", Objectives) == AIMS


def test_what_cannot_be_promised_is_refused(tmp_path: Path) -> None:
    told = {"objective = 1.0": "less than 1", "objectiv = 0.9": "objective", "seconds = 7.0": "one of"}
    for text, why in ((f"[freshness]\n{line}", why) for line, why in told.items()):
        (tmp_path / "slo.toml").write_text(text)
        with pytest.raises(ConfigError, match=why):
            load_model("slo", tmp_path / "slo.toml", Objectives)


def test_a_time_that_may_be_promised_is_one_that_a_worker_counts() -> None:
    assert {str(bound) for bound in BOUNDS_S} <= {bound for bound, _ in Histogram().buckets()}
