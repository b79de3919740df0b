"""The report: one file that needs nothing else, whatever the run was."""

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.contract.codec import decode, encode_output
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import Cause, Correct, Identity, InvalidRecord, Join, Output, Record, Signal, dead_letter
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.step import alerts_of
from stream.home.state.household import Household
from stream.home.step import step
from stream.offline.report.change import change
from stream.offline.report.drift import drift
from stream.offline.report.measures import calibration, confusion, home_order, judge_by_truth, right_by_home, share_right, tiers
from stream.offline.report.page import Run, report
from stream.offline.report.run import read
from stream.offline.simulation.records import Neighbourhood, neighbourhood
from stream.runtime.fleet.processor import encode_alert

BEGIN_MS = 20_400 * DAY_MS


def serial(street: Neighbourhood) -> list[Encoded]:
    """What the core answers to a street's records, one after the other."""
    policy, homes, out = Policy(), {}, []
    for record in street.records:
        try:
            event = decode(record, policy)
        except InvalidRecord as invalid:
            made: Sequence[Output] = [dead_letter(record, invalid.reason, invalid.detail)]
        else:
            name = event.value.household_id
            home = homes.get(name) or homes.setdefault(name, Household.new(name))
            made = step(home, event, policy).outputs
        out += [encode_output(output, record.partition, record.timestamp) for output in made]
    return out


def payload(page: Path) -> dict[str, Any]:
    found = re.search(r"^const run = (.*);$", page.read_text(), re.MULTILINE)
    assert found, "the page carries no run"
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def identity(event_id: str, posterior: dict[str, float], tier: int = 0, revision: int = 0, cause: Cause | None = None) -> Encoded:
    best = max(posterior, key=posterior.__getitem__)
    value = Identity(
        event_id=event_id, household_id="h", observed_at=BEGIN_MS, revision=revision, posterior=posterior,
        person_id=best if tier >= 2 else None, tier=tier, modalities=["voice"], policy_id="p",
        cause=cause or Cause(topic="recognitions", partition=0, offset=0),
    )  # fmt: skip
    return encode_output(Output("identities", "h", value), 0, BEGIN_MS)


def said(offset: int, value: Join | Correct) -> Record:
    return Record("feedback", 0, offset, BEGIN_MS, b"h", value.model_dump_json().encode())


JOIN = Join(v=1, feedback_id="f-0", household_id="h", given_at=BEGIN_MS, source="app", kind="join", person_id="ada")
CORRECT = Correct(
    v=1, feedback_id="f-1", household_id="h", given_at=BEGIN_MS + 1, source="app",
    kind="correct", event_id="e-0", person_id="ada",
)  # fmt: skip
CORRECTED = Run(
    inputs=[said(0, JOIN), said(1, CORRECT)],
    outputs=[
        identity("e-0", {"ada": 0.3, "guest": 0.7}),
        identity("e-0", {"ada": 0.9, "guest": 0.1}, tier=1, revision=1, cause=Cause(topic="feedback", partition=0, offset=1)),
    ],
    truths={("h", "e-0"): "ada"},
    stories={"h": "Ada lives alone."},
)


@pytest.fixture(scope="module")
def simulated() -> Run:
    street = neighbourhood(homes=12, days=4, seed=1)
    return Run(street.records, serial(street), {key: t.person_id for key, t in street.truths.items()}, street.stories)


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    page = report(Run(), tmp_path / "deep" / "report.html")
    assert payload(page)["homes"] == []
    assert payload(page)["headline"].startswith("Nothing happened")


def test_a_report_of_records_that_nobody_answered_does_not_fail_on_the_broken_ones(simulated: Run, tmp_path: Path) -> None:
    broken = (b"[]", b'{"given_at": "now"}', b"{", b"\xff", None)
    noise = [Record("feedback", 0, n, BEGIN_MS, b"h", raw) for n, raw in enumerate(broken)]
    told = payload(report(Run(inputs=[*simulated.inputs, *noise]), tmp_path / "r.html"))
    assert len(told["homes"]) == 12
    assert told["by"] == ""


def test_the_page_loads_nothing_from_anywhere(simulated: Run, tmp_path: Path) -> None:
    text = report(simulated, tmp_path / "report.html").read_text()
    assert not re.findall(r"<(?:link|iframe|img|object)|(?:src|href|action)\s*=|@import|url\(|fetch\(|XMLHttp|https?://", text)


def test_the_same_run_gives_the_same_bytes(simulated: Run, tmp_path: Path) -> None:
    assert report(simulated, tmp_path / "a.html").read_bytes() == report(simulated, tmp_path / "b.html").read_bytes()


def test_every_first_answer_is_drawn_once_in_its_home(simulated: Run, tmp_path: Path) -> None:
    homes = payload(report(simulated, tmp_path / "r.html"))["homes"]
    drawn = [(home["id"], event[-1]) for home in homes for event in home["events"]]
    assert sorted(drawn) == sorted(simulated.truths)


def test_every_dead_letter_of_a_home_is_told_with_its_reason(simulated: Run, tmp_path: Path) -> None:
    dead = [json.loads(e.value or b"") for e in simulated.outputs if e.topic == "dead-letters"]
    homes = payload(report(simulated, tmp_path / "r.html"))["homes"]
    told = [h for home in homes for h in home["happenings"] if h["kind"] == "dead letter"]
    assert len(told) == len(dead) > 0
    assert all(any(d["reason"] in h["text"] for h in told) for d in dead)


def test_feedback_shows_the_answer_before_and_after_it(tmp_path: Path) -> None:
    [home] = payload(report(CORRECTED, tmp_path / "r.html"))["homes"]
    [remark] = home["feedback"]
    assert remark["before"] == {"revision": 0, "tier": 0, "ranked": [["guest", 0.7], ["ada", 0.3]]}
    assert remark["after"] == {"revision": 1, "tier": 1, "ranked": [["ada", 0.9], ["guest", 0.1]]}
    assert (remark["lift"], remark["honest"], remark["others"]) == ([0.3, 0.9], True, 0)


def test_without_the_truth_nothing_is_called_right_or_wrong(tmp_path: Path) -> None:
    told = payload(report(Run(CORRECTED.inputs, CORRECTED.outputs), tmp_path / "r.html"))
    assert told["by"] == ""
    assert (told["calibration"], told["worst"], told["homes"][0]["right"]) == ([], [], None)
    assert "right" not in told["headline"]


@pytest.mark.parametrize("text", ["</script><b>", "<!--<script>", "<!-- <SCRIPT x=", "\u2028<![CDATA["])
def test_text_of_a_broken_record_cannot_end_the_script_nor_have_it_never_end(text: str, tmp_path: Path) -> None:
    record = Record("feedback", 0, 0, BEGIN_MS, b"h", text.encode())
    letter = encode_output(dead_letter(record, "unreadable", text), 0, BEGIN_MS)
    page = report(Run([record, *CORRECTED.inputs], [letter, *CORRECTED.outputs]), tmp_path / "r.html")
    assert page.read_text().count("</script>") == page.read_text().lower().count("<script") == 1
    assert "<!" not in page.read_text().partition("const run = ")[2]
    assert text in [h["text"] for h in payload(page)["homes"][0]["happenings"]][-1]


def test_measures_count_what_the_contract_counts() -> None:
    sure, torn = {"ada": 0.97, "bob": 0.02, "guest": 0.01}, {"ada": 0.4, "bob": 0.5, "guest": 0.1}
    outputs = [identity(f"e-{n}", sure, tier=2) for n in (1, 2, 3)] + [identity("e-4", torn, tier=1)]
    reading = read(Run(outputs=outputs))
    truths = {("h", "e-1"): "ada", ("h", "e-2"): "bob", ("h", "e-3"): "guest", ("h", "e-4"): "bob"}
    judged = judge_by_truth(reading, truths)
    present, personal, *_ = tiers(judged)
    assert (present["covered"], present["wrong"], present["fooled"], present["members"], present["guests"]) == (3, 1, 1, 3, 1)
    assert (personal["covered"], personal["wrong"], personal["fooled"]) == (1, 1, 1)
    assert confusion(truths, reading, "h", ["ada", "bob", "guest"]) == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]
    highest = calibration(judged)[-1]
    assert (highest["n"], highest["said"], highest["true"]) == (3, pytest.approx(0.97), pytest.approx(1 / 3))
    assert highest["low"] < 1 / 3 < highest["high"]
    assert right_by_home(judged) == {"h": (2, 4)}
    assert share_right(judged).value == 50
    assert np.isnan(share_right(judged).low)  # one home tells nothing of homes


def test_the_worst_home_is_the_one_that_is_surely_bad() -> None:
    assert home_order({"one of one": (0, 1), "half of many": (50, 100), "all": (9, 9), "half of few": (2, 4)}) == [
        "half of many", "one of one", "half of few",
    ]  # fmt: skip


def profile(embeddings: list[list[float]], weights: list[float], moved: float) -> dict[str, Any]:
    prototypes = [
        {"embedding": base64.b64encode(np.array(e, "<f2").tobytes()).decode(), "weight": w}
        for e, w in zip(embeddings, weights, strict=True)
    ]
    return {"encoders": {"v": {"prototypes": prototypes}}, "health": {"drift": moved, "events": 3, "trust": 1.0}}


def test_drift_is_the_distance_of_weighted_prototypes_from_the_first_and_from_the_one_before() -> None:
    one, both, other = profile([[1, 0]], [1], 0), profile([[1, 0], [0, 1]], [1, 1], 0.5), profile([[0, 1]], [2], 1)
    published = [(1, one), (2, both), (3, other), (4, None)]
    told = drift("ada", published)
    assert [p["away"]["v"] for p in told["points"]] == [0, pytest.approx(1 - 0.5**0.5, abs=1e-3), 1]
    assert [p["moved"]["v"] for p in told["points"]] == [0, *[pytest.approx(1 - 0.5**0.5, abs=1e-3)] * 2]
    assert [p["drift"] for p in told["points"]] == [0, 0.5, 1]
    assert (told["revisions"], told["with_vectors"], told["gone"]) == (3, 3, 4)


def test_a_profile_published_very_often_is_thinned_and_keeps_its_last() -> None:
    told = drift("ada", [(t, profile([[1, 0]], [1], t)) for t in range(1000)])
    assert len(told["points"]) <= 60
    assert told["points"][-1]["t"] == 999


ALERT = {
    "updated_at": BEGIN_MS + 4 * HOUR_MS, "state": "opened", "summary": "The kitchen changed.", "suggested_action": "Look.",
}  # fmt: skip


def signal(hours: int, nats: float, **more: Any) -> dict[str, Any]:
    told = {"kind": "device", "person_id": None, "device_id": "kitchen", "encoder": None, "log_e_value": nats}
    return told | {"observed_at": BEGIN_MS + hours * HOUR_MS, "evidence": {}, "adapted": None} | more


def test_evidence_of_change_is_a_line_with_its_alarm_and_what_was_done() -> None:
    told = [
        signal(0, -30.0), signal(1, 2.0), signal(2, 5.0, evidence={"device": 0.97, "person": 0.03}),
        signal(9, 8.0, evidence={"device": 1.0}, adapted="it is watched anew"), signal(9, -30.0, device_id="hall"),
    ]  # fmt: skip
    drawn = change(told, [ALERT])
    [line] = drawn["lines"]  # of the hall there never was any evidence
    assert line["name"] == "the kitchen device"
    assert [nats for _, nats in line["points"]] == [-3, 2, 5, 8, -3]  # once it was dealt with, the home watches anew
    assert [mark["kind"] for mark in drawn["marks"]] == ["alarm", "alert", "done"]
    assert [mark["text"] for mark in drawn["marks"]] == [
        "something changed: the kitchen device, 97% sure", "The kitchen changed. Look.",
        "it was the kitchen device, more than 99% sure: it is watched anew",
    ]  # fmt: skip
    assert 3 < drawn["alarm"] < 5


def test_an_alert_says_what_to_do_once() -> None:
    marks = change([], [ALERT, ALERT | {"state": "resolved"}])["marks"]
    assert [(m["kind"], m["text"]) for m in marks] == [
        ("alert", "The kitchen changed. Look."), ("alert resolved", "The kitchen changed."),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("whose", "words"),
    [
        ({"person_id": "ada"}, "claims about ada: held out"),
        ({"attributes": {"source": "app"}}, "claims by app: held out"),
        ({}, "what is said of answers: held out"),
    ],
)
def test_claims_that_are_held_out_are_told_with_whose_they_are(whose: dict[str, Any], words: str) -> None:
    told = signal(0, 3.0, kind="feedback", adapted="held out", **whose)
    [mark] = change([told], [])["marks"]
    assert (mark["kind"], mark["text"]) == ("done", words)


def test_the_page_of_a_home_with_a_new_microphone_shows_alarm_cause_alert_and_what_was_done(tmp_path: Path) -> None:
    street = neighbourhood(homes=4, days=42, seed=0)
    outputs = serial(street)
    told = [Signal.model_validate_json(e.value or b"") for e in outputs if e.topic == "drift-signals"]
    run = Run(street.records, outputs + [encode_alert(alert) for alert in alerts_of(told, Policy().alerting)])
    page = payload(report(run, tmp_path / "r.html"))
    *quiet, changed = page["homes"]
    assert not any(mark["kind"] == "alarm" for home in quiet for mark in home["change"]["marks"])
    marks = changed["change"]["marks"]
    assert {mark["kind"] for mark in marks} >= {"alarm", "done", "alert", "alert resolved"}
    assert all("the kitchen device" in mark["text"] for mark in marks)
    replaced = min(h["t"] for h in changed["happenings"] if h["kind"] == "device")
    assert replaced < marks[0]["t"] < replaced + 7 * DAY_MS
    assert "kitchen device of linden-04" in page["alerts"][0]["text"]


def test_a_home_in_which_nothing_was_notable_has_no_lines() -> None:
    assert change([signal(0, -30.0), signal(5, -0.5)], [])["lines"] == change([], [])["lines"] == []
