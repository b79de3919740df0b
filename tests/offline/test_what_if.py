"""What if: which records are concerned is told by ids and a seed, and nothing else of the log is touched."""

import base64
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.contract.units import DAY_MS, HOUR_MS
from stream.offline.replay.replay import Replay, replay
from stream.offline.replay.report import replay_report
from stream.offline.what_if.what_if import CLAIMS, NOTHING, WhatIf, parse_what_if
from tests.support.recorded import recorded, recorded_lines, write_log

Words = tuple[str, ...]


def altered(
    *, delay: str | None = None, loss: float = 0.0, drop: Words = (), inject: Words = (), seed: int = 0
) -> list[Record]:
    return list(parse_what_if(delay, loss, drop, inject, seed).apply(recorded()))


def value_of(record: Record) -> dict[str, Any]:
    try:
        value = json.loads(record.value or b"")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def claims_in(records: list[Record]) -> list[dict[str, Any]]:
    return [value for record in records if record.topic == "feedback" and (value := value_of(record)).get("kind") in CLAIMS]


def vector_of(record: Record, part: str) -> Any:
    return np.frombuffer(base64.b64decode(value_of(record)[part]["embedding"]), "<f2").astype(float)


def test_nothing_is_otherwise_unless_it_is_asked() -> None:
    assert altered() == list(recorded())
    assert NOTHING.is_nothing
    assert not NOTHING.written


def test_what_is_otherwise_is_read_back_from_what_is_written() -> None:
    what_if = parse_what_if("6h", 0.5, ["face=.5", "voice"], ["microphone:kitchen=2@+1d", "phones@2025-11-05"], 7)
    assert WhatIf.read(what_if.written) == what_if
    assert WhatIf.read("") == NOTHING


def test_lost_claims_are_a_share_told_by_their_ids_and_a_retraction_goes_with_what_it_takes_back() -> None:
    records = altered(loss=0.5, seed=3)
    assert records == altered(loss=0.5, seed=3) != altered(loss=0.5, seed=4)
    before, after = claims_in(list(recorded())), claims_in(records)
    assert 0 < len(after) < len(before)
    kept = {(said["household_id"], said["feedback_id"]) for said in after}
    for said in before:
        if said["kind"] == "retract":
            assert ((said["household_id"], said["feedback_id"]) in kept) == ((said["household_id"], said["retracts"]) in kept)
    others = [record for record in recorded() if value_of(record).get("kind") not in CLAIMS]
    assert [record for record in records if value_of(record).get("kind") not in CLAIMS] == others
    assert claims_in(altered(loss=1.0)) == []


def test_delayed_claims_come_later_and_all_else_when_it_came() -> None:
    records = altered(delay="6h")
    assert Counter((r.topic, r.value) for r in records) == Counter((r.topic, r.value) for r in recorded())
    assert [r for r in records if r.topic == "recognitions"] == [r for r in recorded() if r.topic == "recognitions"]
    came = {(r.partition, r.value): r.timestamp for r in recorded() if value_of(r).get("kind") in CLAIMS}
    ends: dict[int, int] = {}
    latest = 0
    for record in records:
        latest = max(latest, record.timestamp)
        if record.topic == "feedback":
            assert record.offset == ends.get(record.partition, 0)
            ends[record.partition] = record.offset + 1
        if (record.partition, record.value) in came:
            assert record.timestamp >= came[record.partition, record.value] + 6 * HOUR_MS
            assert record.timestamp <= latest


def test_a_modality_is_dropped_from_its_share_and_what_has_nothing_left_is_not_sent() -> None:
    before = {(r.partition, r.offset): value_of(r) for r in recorded() if r.topic == "recognitions"}
    half = [value_of(r) for r in altered(drop=("face=.5",)) if r.topic == "recognitions"]
    faces = sum("face" in value for value in before.values())
    assert 0.3 * faces < sum("face" in value for value in half) < 0.7 * faces
    assert len(half) == len(before)
    parts = ("voice", "face", "phones", "activity")
    left = [value_of(r) for r in altered(drop=parts) if r.topic == "recognitions"]
    assert not any("event_id" in value and any(part in value for part in parts) for value in left)
    assert len(left) < 0.1 * len(before)  # what nobody could read, which is no matter of ours


def test_the_same_recognition_sent_twice_loses_the_same() -> None:
    record = next(r for r in recorded() if "face" in value_of(r))
    for seed in range(20):
        what_if = WhatIf(drop=(("face", 0.5),), seed=seed)
        first, second = what_if.apply([record, replace(record, offset=record.offset + 1)])
        assert first.value == second.value


def test_a_microphone_changes_the_voices_of_its_device_from_then_on_and_keeps_their_length() -> None:
    first_ms = recorded()[0].timestamp
    changed = 0
    for before, after in zip(recorded(), altered(inject=("microphone:kitchen@+2d",)), strict=True):
        value = value_of(before)
        ours = value.get("device_id") == "kitchen" and "voice" in value and value["observed_at"] >= first_ms + 2 * DAY_MS
        if before != after:
            assert ours
            changed += 1
            assert value_of(after) | {"voice": 0} == value | {"voice": 0}
            was, now = vector_of(before, "voice"), vector_of(after, "voice")
            assert np.linalg.norm(now) == pytest.approx(np.linalg.norm(was), abs=0.01)
            assert float(now @ was) < 0.95
    assert changed > 10


def test_phones_change_hands() -> None:
    records = altered(inject=("phones@+2d",))
    swapped: dict[str, set[frozenset[str]]] = {}
    for before, after in zip(recorded(), records, strict=True):
        for was, now in zip(value_of(before).get("phones") or (), value_of(after).get("phones") or (), strict=True):
            if was != now:
                swapped.setdefault(value_of(before)["household_id"], set()).add(frozenset((was["phone_id"], now["phone_id"])))
    assert swapped
    assert all(len(pairs) == 1 for pairs in swapped.values())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"delay": "soon"}, "feedback-delay"),
        ({"loss": 1.5}, "a share from 0 to 1"),
        ({"drop": ("smell=.5",)}, "voice, face, phones, activity"),
        ({"drop": ("face=2",)}, "face=.5"),
        ({"inject": ("earthquake@+1d",)}, "microphone@2026-01-31"),
        ({"inject": ("microphone@later",)}, "microphone@2026-01-31"),
        ({"inject": ("microphone=-1@+1d",)}, "a strength above 0"),
        ({"inject": ("phones:kitchen@+1d",)}, "phones@TIME"),
    ],
)
def test_an_option_that_cannot_be_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        altered(**options)


def test_a_replay_of_what_might_have_been_is_a_run_of_its_own_and_its_report_is_of_that(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", recorded_lines())
    what_if = parse_what_if("6h", 0.3, ["face=.5"], ["microphone@+2d"], 0)
    for name, otherwise in (("as_it_was", NOTHING), ("a", what_if), ("b", what_if)):
        replay(Replay([log], tmp_path / name, Policy(), Wiring(store="memory:"), what_if=otherwise))
    answers = {name: (tmp_path / name / "identities.jsonl").read_bytes() for name in ("as_it_was", "a", "b")}
    assert answers["a"] == answers["b"] != answers["as_it_was"]
    with pytest.raises(ConfigError, match="other what if"):
        replay(Replay([log], tmp_path / "a", Policy(), Wiring(store="memory:")))
    assert replay_report(tmp_path / "a", tmp_path / "a.html").exists()
