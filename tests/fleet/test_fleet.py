"""The fleet stage: laws of its alerts, their life, and how rarely they are false."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import types

from bench.fleet import Town, is_due, simulate
from learners.drift.false_discovery import SHARES, e_bh, log_e_value_of_group
from learners.kernel import array, entry_at_first_use
from stream.contract.errors import UnknownState
from stream.contract.policy import Alerting
from stream.contract.records import Alert, Command, Signal
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.cases import MONTH_MS
from stream.fleet.state import DUPLICATE_MS, Fleet, decode_fleet, encode_fleet
from stream.fleet.step import advance, alerts_of, fleet_step, obey, take
from stream.home.core.drift.causes import DEVICE, KIND
from stream.home.core.drift.signals import LOG_E_STEP, _is_due, note_reported
from stream.home.state.layout import HOME
from tests.support.fleet_signals import BEGIN_MS, COUNTRYSIDE, signal, signals

POLICY = Alerting()
WINDOW_MS = POLICY.decision_hours * HOUR_MS


def heard(told: Iterable[Signal], until_hours: float, fleet: Fleet | None = None) -> tuple[Fleet, list[Alert]]:
    """A fleet that took those signals and decided up to a time, and its alerts."""
    fleet = Fleet() if fleet is None else fleet
    for one in told:
        take(fleet, one)
    return fleet, advance(fleet, BEGIN_MS + round(until_hours * HOUR_MS), POLICY)


def quiet(homes: int = COUNTRYSIDE, hours: float = 0.0, **more: Any) -> list[Signal]:
    """Homes in which nothing happens."""
    return [signal(f"q-{number}", -2.0, hours, **more) for number in range(homes)]


def firmware(share: float, log_e_value: float, hours: float = 0.0, homes: int = 60) -> list[Signal]:
    """Homes with firmware 2.1, of which a share changed; all of them of a model that others have too."""
    attributes = {"firmware": "2.1", "model": "show-8"}
    evidence = [log_e_value if number < share * homes else -2.0 for number in range(homes)]
    return [signal(f"f-{number}", nats, hours, attributes=attributes) for number, nats in enumerate(evidence)]


def states(alerts: Sequence[Alert]) -> list[tuple[str, str]]:
    return [(alert.cause_kind, alert.state) for alert in alerts]


# ---- laws


@given(signals, st.randoms(use_true_random=False))
def test_the_order_in_which_signals_of_a_window_come_makes_no_difference(told: list[Signal], random: Random) -> None:
    windows: dict[int, list[Signal]] = defaultdict(list)
    for one in told:
        windows[one.observed_at // WINDOW_MS].append(one)
    runs = []
    for shuffled in (False, True):
        fleet, alerts = Fleet(), []
        for window in sorted(windows):
            some = random.sample(windows[window], len(windows[window])) if shuffled else windows[window]
            for one in some:
                take(fleet, one)
            alerts += advance(fleet, (window + 1) * WINDOW_MS, POLICY)
        runs.append((alerts, fleet.homes, fleet.cases))
    assert runs[0] == runs[1]


@given(signals, st.data())
def test_a_signal_that_comes_again_changes_nothing(told: list[Signal], data: st.DataObject) -> None:
    told.sort(key=lambda one: one.observed_at)
    once, twice, alerts_once, alerts_twice = Fleet(), Fleet(), [], []
    for number, one in enumerate(told):
        alerts_once += fleet_step(once, one, POLICY)
        alerts_twice += fleet_step(twice, one, POLICY)
        again = told[data.draw(st.integers(max(0, number - 5), number))]
        alerts_twice += fleet_step(twice, again, POLICY)
    assert alerts_once == alerts_twice
    once.counts, twice.counts = {}, {}
    assert once == twice


@given(signals)
def test_a_fleet_that_was_saved_after_every_signal_goes_on_as_one_that_was_not(told: list[Signal]) -> None:
    told.sort(key=lambda one: one.observed_at)
    kept, alerts = Fleet(), []
    saved, alerts_saved = Fleet(), []
    for one in told:
        alerts += fleet_step(kept, one, POLICY)
        alerts_saved += fleet_step(saved, one, POLICY)
        saved = decode_fleet(encode_fleet(saved))
    assert alerts == alerts_saved
    assert kept == saved


EXPIRED_THEN_ERASED = [
    signal("h-0", -30.0),
    signal("h-0", 4.0, kind="person", person_id="alice", device_id=None),
    signal("h-0", -30.0, 342, kind="erased", person_id="alice", device_id=None),
]
words = st.tuples(st.integers(0, 80), st.sampled_from(["acknowledge", "resolve"]), st.integers(-100, 100), st.integers(0, 9))


@given(signals, st.lists(words, max_size=10))
@example(EXPIRED_THEN_ERASED, [])
def test_of_an_alert_every_state_is_a_new_revision_until_its_end_and_then_it_is_only_emptied(
    told: list[Signal], ordered: list[tuple[int, str, int, int]]
) -> None:
    fleet, alerts = Fleet(), list[Alert]()
    for number, one in enumerate(sorted(told, key=lambda one: one.observed_at)):
        alerts += fleet_step(fleet, one, POLICY)
        for after, kind, days, which in ordered:
            if after == number and alerts:
                about = alerts[which % len(alerts)]
                alerts += obey(fleet, command(about, kind, given_at=about.updated_at + days * DAY_MS))
    alerts += advance(fleet, fleet.stream_time + 60 * DAY_MS, POLICY)
    seen: dict[str, Alert] = {}
    for alert in alerts:
        before = seen.get(alert.alert_id)
        if before is None:
            assert (alert.state, alert.revision) == ("opened", 0)
        else:
            assert alert.revision == before.revision + 1
            assert alert.updated_at >= before.updated_at
            assert before.state in ("opened", "updated") or is_emptied(before, alert)
        seen[alert.alert_id] = alert
    assert all(alert.state in ("resolved", "expired") for alert in seen.values())


def is_emptied(before: Alert, alert: Alert) -> bool:
    """Whether a home is named no more, and it ended as and when it did before."""
    same = (alert.state, alert.updated_at) == (before.state, before.updated_at)
    return same and len(alert.members) < len(before.members)


@given(signals)
def test_no_household_has_more_alerts_in_a_month_than_the_policy_allows(told: list[Signal]) -> None:
    policy = POLICY.model_copy(update={"household_alerts_max": 2, "cooldown_days": 0, "group_homes_min": 1000})
    opened = defaultdict(list)
    for alert in alerts_of(never_erased(told), policy):  # of a home that was, it is not remembered how many it had
        if alert.state == "opened":
            opened[alert.household_id].append(alert.opened_at)
    for times in opened.values():
        assert all(later - first > MONTH_MS - 1 for first, later in zip(times, times[2:], strict=False))


@given(signals)
def test_a_home_of_a_shared_cause_is_not_alerted_singly_for_it(told: list[Signal]) -> None:
    told, guilty = sorted(never_erased(told), key=lambda one: (one.observed_at, one.signal_id)), set[str]()
    for alert in alerts_of(told, POLICY):
        if alert.household_id is None:
            (firmware,) = alert.attributes.values()
            (guilty.discard if alert.state in ("resolved", "expired") else guilty.add)(firmware)
        elif alert.state == "opened" and alert.cause_kind != "feedback":
            known = range(alert.opened_at - POLICY.memory_days * DAY_MS, alert.opened_at)
            devices = [one for one in told if one.household_id == alert.household_id and one.kind == "device"]
            newest = [one.attributes["firmware"] for one in devices if one.observed_at in known][-1:]
            assert guilty.isdisjoint(newest)


def never_erased(told: list[Signal]) -> list[Signal]:
    return [one for one in told if one.kind != "erased"]


def test_bytes_that_are_no_fleet_are_refused() -> None:
    raw = encode_fleet(Fleet())
    with pytest.raises(UnknownState, match="checksum"):
        decode_fleet(raw[:-1] + bytes([raw[-1] ^ 1]))


# ---- statistics


@given(st.lists(st.floats(-5, 30), max_size=40), st.integers(0, 200))
def test_e_bh_picks_what_its_definition_picks(values: list[float], hypotheses: int) -> None:
    n = max(hypotheses, len(values), 1)
    ordered = sorted(values, reverse=True)
    k = max((k for k in range(1, len(values) + 1) if ordered[k - 1] >= math.log(n / 0.1) - math.log(k)), default=0)
    assert sorted((values[i] for i in e_bh(values, 0.1, hypotheses)), reverse=True) == ordered[:k]


@given(st.lists(st.floats(-30, 12), min_size=1, max_size=30), st.integers(1, 5))
def test_the_evidence_of_a_group_is_the_mean_of_roots_of_products(values: list[float], dependent: int) -> None:
    e_values = [math.exp(value) for value in values]
    plain = [math.prod((1 - s + s * e) / (1 - 0.02 + 0.02 * e) for e in e_values) ** (1 / dependent) for s in SHARES]
    assert log_e_value_of_group(values, 0.02, dependent) == pytest.approx(math.log(sum(plain) / len(SHARES)), abs=1e-6)


def test_in_a_simulated_fleet_alerts_are_right_and_the_firmware_is_one_of_them() -> None:
    runs = [simulate(Town(homes=1_000, days=23, release_day=18, seed=seed)) for seed in range(2)]
    assert max(run.rate for run in runs) <= POLICY.false_discovery_rate
    assert [run.named for run in runs] == [["firmware=2.1"]] * 2
    assert all(run.innocent_groups == [] and run.hours_to_name < 72 for run in runs)
    assert sum(run.alone_before for run in runs) < 0.05 * len(runs)
    assert sum(run.found for run in runs) > 0.7 * sum(run.changed for run in runs)


def test_a_simulated_fleet_without_change_is_quiet() -> None:
    run = simulate(Town(homes=600, days=20, changed_alone=0.0, guilty=0.0, dependent=0.5))
    assert run.decisions > 70
    assert run.opened <= 1
    assert run.innocent_groups == []


# ---- single homes


def test_a_home_whose_evidence_stands_out_is_alerted_once_in_plain_words() -> None:
    fleet, alerts = heard([*quiet(), signal("h", 9.0, attributes={"room": "kitchen"})], until_hours=6)
    (alert,) = alerts
    assert (alert.state, alert.household_id, alert.cause_kind, alert.severity) == ("opened", "h", "device", "medium")
    assert alert.suggested_action == "Check the kitchen device: its microphone and camera."
    assert alert.opened_at == BEGIN_MS + 6 * HOUR_MS
    assert heard([signal("h", 12.0, 7)], until_hours=24, fleet=fleet)[1] == []


def test_what_is_watched_for_more_needs_more_evidence() -> None:
    one, many = signal("h", 8.0, streams=1), signal("h", 8.0, streams=50)
    assert [len(heard([*quiet(), told], until_hours=6)[1]) for told in (one, many)] == [1, 0]


def test_the_larger_the_fleet_the_more_evidence_a_home_needs() -> None:
    assert [len(heard([*quiet(homes), signal("h", 7.0)], until_hours=6)[1]) for homes in (50, 500)] == [1, 0]


@pytest.mark.parametrize(
    ("kind", "person", "action"),
    [
        ("person", "alice", "Re-enrol alice."),
        ("phone", "alice", "Ask alice whether the phone changed hands."),
        ("unknown_voices", None, "Ask whether somebody moved in, and enrol them."),
        ("weather", None, "Look at h."),
    ],
)
def test_an_alert_says_what_to_do(kind: str, person: str | None, action: str) -> None:
    _, (alert,) = heard([*quiet(), signal("h", 9.0, kind=kind, person_id=person, device_id=None)], until_hours=6)
    assert alert.suggested_action == action


def test_an_alert_stands_until_there_is_less_than_no_evidence_and_then_rests() -> None:
    fleet, _ = heard([*quiet(), signal("h", 9.0)], until_hours=6)
    _, doubtful = heard([signal("h", 0.5, 7)], until_hours=12, fleet=fleet)
    _, over = heard([signal("h", -0.5, 13)], until_hours=18, fleet=fleet)
    _, resting = heard([signal("h", 12.0, 19)], until_hours=24, fleet=fleet)
    _, again = heard([signal("h", 12.0, 24 * 4)], until_hours=24 * 4 + 6, fleet=fleet)
    assert [states(alerts) for alerts in (doubtful, over, resting)] == [[], [("device", "resolved")], []]
    assert states(again) == [("device", "opened")]
    assert again[0].alert_id != over[0].alert_id


def test_an_alert_of_a_home_that_fell_silent_expires() -> None:
    fleet, _ = heard([*quiet(), signal("h", 9.0)], until_hours=6)
    _, alerts = heard([], until_hours=24 * 15, fleet=fleet)
    assert states(alerts) == [("device", "expired")]
    assert fleet.homes == {}
    heard([], until_hours=24 * 60, fleet=fleet)
    assert (fleet.cases, fleet.opened, fleet.seen) == ({}, {}, {})


def test_a_second_cause_in_a_home_is_an_alert_of_its_own() -> None:
    fleet, _ = heard([*quiet(), signal("h", 9.0)], until_hours=6)
    _, alerts = heard([signal("h", 9.0, 7, kind="phone", person_id="bob", device_id=None)], until_hours=12, fleet=fleet)
    assert states(alerts) == [("phone", "opened")]


def test_more_alerts_than_the_month_allows_are_withheld_and_counted() -> None:
    fleet, opened = Fleet(), Counter[str]()
    heard(quiet(), until_hours=0, fleet=fleet)
    for number in range(7):
        _, alerts = heard(
            [signal("h", 12.0, 6 * number + 1, kind="person", person_id=f"p{number}")], until_hours=6 * number + 6, fleet=fleet
        )
        opened.update(alert.state for alert in alerts)
    assert opened == {"opened": POLICY.household_alerts_max}
    assert fleet.counts["withheld"] > 0


def test_what_the_home_did_about_it_is_told_on_once() -> None:
    fleet, (opened,) = heard([*quiet(), signal("h", 9.0, evidence={"device": 0.9})], until_hours=6)
    _, (updated,) = heard([signal("h", 9.0, 7, adapted="it is watched anew")], until_hours=12, fleet=fleet)
    _, again = heard([signal("h", 9.0, 13, adapted="it is watched anew")], until_hours=18, fleet=fleet)
    assert (opened.evidence["beliefs"], updated.evidence["adapted"]) == ({"device": 0.9}, "it is watched anew")
    assert (updated.state, again) == ("updated", [])


def test_a_signal_that_is_late_still_counts_unless_something_newer_was_said() -> None:
    fleet, _ = heard([*quiet(), signal("h", -1.0, 8)], until_hours=12)
    _, older = heard([signal("h", 12.0, 7)], until_hours=18, fleet=fleet)
    _, of_another = heard([signal("i", 12.0, 7)], until_hours=24, fleet=fleet)
    assert (older, states(of_another)) == ([], [("device", "opened")])


def test_a_signal_that_is_too_late_to_know_it_is_refused() -> None:
    fleet, _ = heard(quiet(hours=24 * 5), until_hours=24 * 6)
    take(fleet, signal("h", 12.0, 24 * 6 - DUPLICATE_MS / HOUR_MS - 1))
    assert fleet.counts["late"] == 1
    assert fleet.waiting == []


def test_nothing_is_left_of_who_is_erased() -> None:
    person = {"kind": "person", "person_id": "alice", "device_id": None}
    fleet, (before,) = heard([*quiet(), signal("h", 9.0, **person), signal("h", 1.0)], until_hours=6)
    erased = signal("h", 0.0, 7, kind="erased", person_id="alice")
    _, (after,) = heard([erased], until_hours=12, fleet=fleet)
    assert (after.alert_id, after.revision, after.state) == (before.alert_id, 1, "resolved")
    assert "alice" not in after.model_dump_json()
    fleet.forget_ids()
    assert b"alice" not in encode_fleet(Fleet(homes=fleet.homes, cases=fleet.cases, opened=fleet.opened))
    assert [subject.kind for subject in fleet.homes["h"]] == ["device"]


def test_nothing_is_left_of_a_home_that_is_erased() -> None:
    fleet, _ = heard([*quiet(), *firmware(0.9, 6.0), signal("f-1", 12.0, kind="phone", person_id="bob")], until_hours=6)
    erased = signal("f-1", 0.0, 7, kind="erased", person_id=None, device_id=None)
    _, alerts = heard([erased], until_hours=12, fleet=fleet)
    assert sorted(states(alerts)) == [("firmware", "updated"), ("phone", "resolved")]
    assert not any('"f-1"' in alert.model_dump_json() for alert in alerts)
    assert "f-1" not in fleet.homes | fleet.opened
    assert not any("f-1" in case.alert.members for case in fleet.cases.values())


def test_an_alert_that_ended_stays_as_it_ended_when_a_home_it_names_is_erased() -> None:
    fleet, (opened,) = heard([*quiet(), *firmware(0.9, 6.0)], until_hours=6)
    (ended,) = obey(fleet, command(opened, "resolve"))
    erased = signal("f-1", 0.0, 50, kind="erased", device_id=None)
    _, (after,) = heard([erased], until_hours=60, fleet=fleet)
    assert (after.state, after.updated_at, after.revision) == (ended.state, ended.updated_at, ended.revision + 1)
    assert ("f-1" in ended.members, "f-1" in after.members) == (True, False)
    _, again = heard(firmware(0.9, 9.0, hours=24 * 3), until_hours=24 * 4, fleet=fleet)
    assert states(again) == [("firmware", "opened")]


# ---- shared causes


def test_a_firmware_that_changed_many_homes_is_one_alert_with_its_members() -> None:
    _, alerts = heard([*quiet(attributes={"firmware": "1.7", "model": "show-8"}), *firmware(0.9, 6.0)], until_hours=6)
    (alert,) = alerts
    assert (alert.household_id, alert.attributes, alert.cause_kind) == (None, {"firmware": "2.1"}, "firmware")
    assert alert.suggested_action == "Roll back firmware 2.1."
    assert (alert.evidence["members"], alert.evidence["homes"], len(alert.members)) == (54, 60, POLICY.members_listed)
    assert alert.evidence["alike"] == []


def test_attributes_that_cannot_be_told_apart_are_told_together() -> None:
    _, (alert,) = heard([*quiet(), *firmware(0.9, 6.0)], until_hours=6)
    assert (alert.attributes, alert.evidence["alike"]) == ({"firmware": "2.1"}, ["model=show-8"])


def test_evidence_too_weak_for_any_home_is_enough_for_many() -> None:
    _, alone = heard([*quiet(), *firmware(0.02, 2.5)], until_hours=6)
    _, together = heard([*quiet(), *firmware(0.7, 2.5)], until_hours=6)
    assert (alone, states(together)) == ([], [("firmware", "opened")])


def test_a_few_strong_homes_are_no_shared_cause() -> None:
    _, alerts = heard([*quiet(), *firmware(0.05, 25.0)], until_hours=6)
    assert states(alerts) == [("device", "opened")] * 3


def test_alerts_of_single_homes_are_merged_into_that_of_the_cause_they_share() -> None:
    fleet, alone = heard([*quiet(), *firmware(0.03, 20.0)], until_hours=6)
    _, then = heard(firmware(0.9, 6.0, hours=7), until_hours=12, fleet=fleet)
    assert states(alone) == [("device", "opened")] * 2
    assert states(then) == [("firmware", "opened"), ("device", "resolved"), ("device", "resolved")]
    assert {alert.evidence["merged_into"] for alert in then[1:]} == {then[0].alert_id}


def test_what_no_firmware_explains_is_still_alerted_in_its_homes() -> None:
    phone = signal("f-1", 12.0, 7, kind="phone", person_id="bob", device_id=None)
    fleet, _ = heard([*quiet(), *firmware(0.9, 6.0)], until_hours=6)
    _, alerts = heard([phone], until_hours=12, fleet=fleet)
    assert states(alerts) == [("phone", "opened")]


def test_a_shared_cause_is_updated_when_it_grew_at_most_once_a_day_and_resolved_when_rolled_back() -> None:
    fleet, _ = heard([*quiet(), *firmware(0.3, 6.0)], until_hours=6)
    _, soon = heard(firmware(0.6, 6.0, hours=7), until_hours=12, fleet=fleet)
    _, next_day = heard([], until_hours=36, fleet=fleet)
    _, back = heard(firmware(0.0, 0.0, hours=37), until_hours=42, fleet=fleet)
    assert (soon, states(next_day)) == ([], [("firmware", "updated")])
    assert next_day[0].evidence["members"] == 36
    assert states(back) == [("firmware", "resolved")]


def test_a_shared_cause_that_becomes_graver_is_told_though_it_did_not_grow_by_half() -> None:
    fleet, opened = heard([*quiet(360), *firmware(20 / 60, 6.0)], until_hours=6)
    _, graver = heard(firmware(24 / 60, 6.0, hours=25), until_hours=36, fleet=fleet)
    assert [(alert.state, alert.severity) for alert in opened + graver] == [("opened", "medium"), ("updated", "high")]


def test_a_shared_cause_of_which_nobody_speaks_any_more_expires() -> None:
    fleet, _ = heard([*quiet(), *firmware(0.9, 6.0)], until_hours=6)
    assert states(heard([], until_hours=24 * 15, fleet=fleet)[1]) == [("firmware", "expired")]


# ---- commands


def command(alert: Alert, kind: str, **more: Any) -> Command:
    told = {"v": 1, "command_id": "c-1", "alert_id": alert.alert_id, "kind": kind, "given_at": alert.updated_at + 1, "by": "ops"}
    return Command.model_validate(told | more)


def test_an_acknowledged_alert_says_no_more_until_it_ends() -> None:
    fleet, (alert,) = heard([*quiet(), *firmware(0.3, 6.0)], until_hours=6)
    (seen,) = obey(fleet, command(alert, "acknowledge"))
    _, grown = heard(firmware(0.9, 9.0, hours=40), until_hours=48, fleet=fleet)
    _, back = heard(firmware(0.0, 0.0, hours=49), until_hours=54, fleet=fleet)
    assert (seen.state, seen.acknowledged_by, seen.revision) == ("updated", "ops", 1)
    assert (grown, states(back)) == ([], [("firmware", "resolved")])


def test_what_an_operator_resolved_rests_and_its_homes_with_it() -> None:
    fleet, (alert,) = heard([*quiet(), *firmware(0.9, 9.0)], until_hours=6)
    (over,) = obey(fleet, command(alert, "resolve"))
    _, then = heard(firmware(0.9, 9.0, hours=7), until_hours=24 * 2, fleet=fleet)
    _, later = heard(firmware(0.9, 9.0, hours=24 * 3), until_hours=24 * 5, fleet=fleet)
    assert (over.state, over.evidence["resolved_by"], then) == ("resolved", "ops", [])
    assert states(later) == [("firmware", "opened")]


def test_a_command_that_comes_again_or_of_an_unknown_alert_does_nothing() -> None:
    fleet, (alert,) = heard([*quiet(), signal("h", 9.0)], until_hours=6)
    assert len(obey(fleet, command(alert, "acknowledge"))) == 1
    assert obey(fleet, command(alert, "acknowledge")) == []
    assert len(obey(fleet, command(alert, "resolve"))) == 1
    assert obey(fleet, command(alert, "resolve")) == []
    assert obey(fleet, command(alert, "resolve", alert_id="a-unknown")) == []
    assert fleet.counts["ignored"] == 3


def test_a_clock_that_is_ahead_makes_no_alert_rest_longer() -> None:
    fleet, (alert,) = heard([*quiet(), signal("h", 9.0)], until_hours=6)
    (over,) = obey(fleet, command(alert, "resolve", given_at=alert.updated_at + 900 * DAY_MS))
    _, again = heard([signal("h", 9.0, 24 * 4)], until_hours=24 * 4 + 6, fleet=fleet)
    assert (over.updated_at, states(again)) == (alert.updated_at, [("device", "opened")])


# ---- when a home has to speak


ABOUT = DEVICE * KIND + 1


THRESHOLD = 4.0
NOW = 100 * DAY_MS


@entry_at_first_use(array(HOME), types.float64, types.int64, types.int64, result=types.boolean)
def speaks_again(homes: Any, e_value: float, before: int, elapsed_ms: int) -> bool:
    """Whether a home whose event was just now speaks; `before`: steps, of what it reported so long ago."""
    home = homes[0]
    home.rows_used, home.rows[0].observed_at = 1, NOW
    note_reported(home, ABOUT, before, NOW - elapsed_ms)
    return _is_due(home, ABOUT, e_value, THRESHOLD)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("log_e_value", "before", "hours", "speaks"),
    [
        (4.1, 3.9, 1, True), (4.2, 4.1, 1, False), (2.0, 1.0, 6, True), (1.0, 1.0, 24, False), (1.0, 2.0, 6, True),
        (-0.1, 0.5, 6, True), (-3.0, -3.0, 7 * 24, True),
    ],
)  # fmt: skip
def test_a_home_speaks_when_it_alarms_while_it_is_notable_when_that_ends_and_once_a_week(
    log_e_value: float, before: float, hours: int, speaks: bool
) -> None:
    again = speaks_again(np.zeros(1, HOME), math.exp(log_e_value), round(before / LOG_E_STEP), hours * HOUR_MS)
    assert (again, is_due(log_e_value, before, hours * HOUR_MS, THRESHOLD)) == (speaks, speaks), "of a home, and of the bench's"


# ---- what changed, and why it ended


def test_each_state_says_what_changed_or_why_it_ended() -> None:
    fleet, (opened,) = heard([*quiet(), *firmware(0.3, 6.0)], until_hours=6)
    assert opened.change is None
    _, (grown,) = heard(firmware(0.9, 9.0, hours=40), until_hours=48, fleet=fleet)
    assert re.fullmatch(r"(Severity is high now, was medium; )?\d+ homes changed, \d+ when it was last told\.", str(grown.change))
    (seen,) = obey(fleet, command(opened, "acknowledge"))
    (over,) = obey(fleet, command(opened, "resolve"))
    assert [seen.change, over.change] == ["ops has it in hand.", "Ended: ops resolved it."]


def test_an_alert_of_a_home_ends_with_the_reason() -> None:
    ends = {}
    for name, told, hours in (("against", [signal("h", -1.0, 8)], 24), ("silent", [signal("other", -30.0, 24 * 16)], 24 * 17)):
        fleet, (_,) = heard([*quiet(), signal("h", 12.0)], until_hours=6)
        (ended,) = (alert for alert in heard(told, until_hours=hours, fleet=fleet)[1] if alert.household_id == "h")
        ends[name] = (ended.state, ended.change)
    assert ends["against"] == ("resolved", "Ended: what was seen since speaks against a change.")
    assert ends["silent"] == ("expired", "Ended: no home has spoken of it for as long as evidence counts.")


def test_a_silenced_cause_says_no_more_and_does_not_open_again_until_its_time() -> None:
    policy = POLICY.model_copy(update={"cooldown_days": 0})
    ids = {}
    for days in (0, 10):
        fleet, alerts = Fleet(), list[Alert]()
        for one in [*quiet(), signal("h", 12.0)]:
            take(fleet, one)
        (opened,) = advance(fleet, opened_by := fleet.stream_time + 7 * HOUR_MS, policy)
        obey(fleet, command(opened, "silence", until=opened.updated_at + 1 + days * DAY_MS))
        obey(fleet, command(opened, "resolve"))
        for day in (1, 5, 9):
            take(fleet, signal("h", 12.0, hours=24.0 * day))
            alerts += advance(fleet, opened_by + day * DAY_MS, policy)
            fleet = decode_fleet(encode_fleet(fleet))
        ids[days] = [alert.state for alert in alerts]
    assert ids[0][:1] == ["opened"]
    assert ids[10] == []
