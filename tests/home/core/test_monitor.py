"""What watches a home: one thing changes in a small home told by hand, and what is reported, done and
forgotten of it.

Everybody has a voice and a phone; the sensors but the one that changes are sure of who it was.
"""

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
from numba import types

from learners.kernel import array, entry_at_first_use
from learners.precision import MEAN_STEP, SHARE_ONE, VECTOR_STEP
from stream.home.core.drift.monitor import forget_person_in_monitors, monitor_claim, monitor_event
from stream.home.core.drift.signals import ERASED, report_erased
from stream.home.core.work import WORK
from stream.home.messages import ADAPTATIONS, CAUSES, CORRECT, ENROL, EVENT, OUT, POLICY
from stream.home.state.layout import DEVICES_MAX, HEADING, HOME, NOT_COUNTED, PHONE, USUAL, VOICE

DAY_MS, HOUR_MS, START = 86_400_000, 3_600_000, 1_763_690_000_000
PEOPLE, K, ROWS = 3, 32, 24
DEVICE_WORDS, PEOPLE_WORDS, ENCODER_WORD = (1, 2), (11, 12, 13), 21
LEAST, ALARM, ENOUGH = -30.0, 4.0, 20
_home, _event, _policy, _work, _out = (array(t) for t in (HOME, EVENT, POLICY, WORK, OUT))
_i8 = types.int64


@entry_at_first_use(_home, _event, _policy, _work, _out)
def monitor(home: Any, event: Any, policy: Any, work: Any, out: Any) -> None:
    monitor_event(home[0], event[0], policy[0], work[0], out[0])


@entry_at_first_use(_home, _i8, _i8, _policy, _work)
def claim(home: Any, index: int, number: int, policy: Any, work: Any) -> None:
    monitor_claim(home[0], index, number, policy[0], work[0])


@entry_at_first_use(_home, _out, _work, _i8, _i8)
def erase(home: Any, out: Any, work: Any, column: int, at: int) -> None:
    forget_person_in_monitors(home[0], column)
    report_erased(home[0], out[0], work[0], home[0].people[column].name, at)


@dataclass
class Life:
    """A home told by hand: every event is kept, monitored and, beyond ROWS, forgotten."""

    seed: int = 0
    at: int = START
    reported: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.home, self.event, self.policy = (np.zeros(1, t) for t in (HOME, EVENT, POLICY))
        self.work, self.out = np.zeros(1, WORK), np.zeros(1, OUT)
        self.between = np.linspace(0.5, 3, K).astype("f4")
        self.places = self.rng.normal(0, np.sqrt(self.between), (PEOPLE, K))
        self._set_policy()
        home = self.home[0]
        home["people_used"], home["galleries_used"], home["phones_used"] = PEOPLE, 1, PEOPLE
        home["galleries"][0]["name"] = ENCODER_WORD
        for column, name in enumerate(PEOPLE_WORDS):
            person = home["people"][column]
            person["name"], person["memberships_used"], person["presence"] = name, 1, SHARE_ONE * 50
            person["tails_used"], tail = 1, person["tails"][0]
            tail["mass"], tail["vector"][:K] = 16, np.rint(self.places[column] / MEAN_STEP)
            phone = home["phones"][column]
            phone["registrations_used"], phone["registrations"][0]["person"] = 1, column + 1
            phone["registrations"][0]["prior_log_odds"], phone["registrations"][0]["log_odds"] = 2.2, 1.5

    def _set_policy(self) -> None:
        policy, numbers = self.policy[0], self.policy[0]["encoders"][0]
        policy["session_ms"], policy["sure"], policy["alarm_nats"] = HOUR_MS // 2, 0.9, ALARM
        policy["decide_after_events"], policy["adapting"] = ENOUGH, 1
        policy["guest_share"], policy["guest_weight"], policy["person_weight"] = 0.1, 20, 2
        chosen = np.argsort(self.between, kind="stable")[:HEADING]
        numbers["dimensions"], numbers["between"][:K] = K, self.between
        numbers["heading"], numbers["heading_used"] = chosen, HEADING
        numbers["heading_scale"] = 1 / np.sqrt(1 + self.between[chosen])
        numbers["usual"], numbers["usual_used"] = np.linspace(0, K - 1, USUAL).astype(int), USUAL

    def see(self, who: int, device: int = 1, moved: Any = 0.0, phone: float = 1.0) -> list[dict[str, Any]]:
        """An event two hours after the last; what is reported. `phone`: nats for the owner that is there."""
        self.at += 2 * HOUR_MS
        vector = self.places[who] + self.rng.normal(0, 1, K) + moved
        steps = np.clip(np.rint(vector / VECTOR_STEP), -127, 127)
        self._keep(who, device, steps, phone)
        self.out[0]["results_used"] = 0
        monitor(self.home, self.event, self.policy, self.work, self.out)
        found = [self._told(r) for r in self.out[0]["results"][: self.out[0]["results_used"]]]
        self.reported += [(int(self.home[0]["next_row"]), signal) for signal in found]
        return found

    def _keep(self, who: int, device: int, steps: Any, phone: float) -> None:
        home, event, work = self.home[0], self.event[0], self.work[0]
        if home["rows_used"] == ROWS:
            home["rows"][: ROWS - 1] = home["rows"][1:ROWS].copy()
            home["rows_used"] -= 1
        row = home["rows"][home["rows_used"]]
        row["number"], row["device_name"], row["observed_at"] = home["next_row"], device, self.at
        row["encoders"][0], row["vectors"][0][:K], row["shares"] = 1, steps, 0
        row["shares"][who + 1], row["modalities"] = SHARE_ONE, 1 << VOICE | 1 << PHONE
        row["scanned"], row["llr"], row["claims_used"] = 1, 0, 0
        llr = np.full((4, PEOPLE), 0.0)
        llr[VOICE], llr[PHONE] = -3.0, -3.0
        llr[VOICE, who], llr[PHONE, who] = 4.0, 4.0 if phone > 0 else -1.0
        row["llr"][:, :PEOPLE] = llr * 16
        home["rows_used"] += 1
        home["next_row"] += 1
        home["stream_time"] = self.at
        event["at"], event["device_name"], event["encoders"][0] = self.at, device, 1
        work["raw"][0][:K], work["llr"][:, :PEOPLE] = steps * VECTOR_STEP, llr
        work["modalities"], work["day"] = row["modalities"], self.at / DAY_MS
        work["logits"][: PEOPLE + 1] = [0.0, *llr.sum(0)]
        weights = np.exp(work["logits"][: PEOPLE + 1])
        work["posterior"][: PEOPLE + 1] = weights / weights.sum()
        work["heard"][:PEOPLE], work["heard_place"][:PEOPLE] = -1.0, (1, 2, 3)
        work["heard"][who] = phone

    def _told(self, result: Any) -> dict[str, Any]:
        beliefs = {CAUSES[kind]: float(x) for kind, x in enumerate(result["beliefs"]) if x >= 0.001}
        return {
            "kind": CAUSES[result["cause"]], "name": int(result["name"]), "log_e": float(result["log_e"]),
            "at": int(result["event_at"]), "streams": int(result["streams"]), "beliefs": beliefs,
            "adapted": ADAPTATIONS[result["adapted"]],
        }  # fmt: skip

    def go_on(self, events: int, **changed: Any) -> "Life":
        """So many events of anybody anywhere; `changed`: whose, on which device, and how they are moved."""
        for _ in range(events):
            who, device = int(self.rng.integers(PEOPLE)), int(self.rng.integers(1, 3))
            meant = changed.get("who", who) == who and changed.get("device", device) == device
            moved = changed["moved"] if meant else None
            if moved is None or changed.get("phone"):
                self.see(who, device, phone=-1.0 if changed.get("phone") and moved is not None else 1.0)
            else:
                self.see(who, device, moved)
        return self


def calm(events: int = 220, seed: int = 0) -> Life:
    return Life(seed).go_on(events, moved=0.0)


SHIFT = 1.4 * np.random.default_rng(7).choice([-1, 1], K)


@cache
def changed(kind: str) -> Life:
    """A home in which one thing changes after 220 events."""
    life = calm()
    ways: dict[str, dict[str, Any]] = {
        "device": {"device": 1}, "person": {"who": 0}, "phone": {"who": 0, "phone": True},
    }  # fmt: skip
    return life.go_on(260, moved=SHIFT, **ways[kind])


NAMES = {"device": 1, "person": PEOPLE_WORDS[0], "phone": PEOPLE_WORDS[0]}
causes = pytest.mark.parametrize("kind", ["device", "person", "phone"])


@causes
def test_what_changed_is_named_and_dealt_with_when_enough_events_came(kind: str) -> None:
    said = [(number, s) for number, s in changed(kind).reported if s["beliefs"]]
    (alarmed, alarm), (settled, done) = said[0], next((n, s) for n, s in said if s["adapted"])
    assert alarmed > 220
    assert settled >= alarmed + ENOUGH
    assert (done["kind"], done["name"], done["adapted"]) == (kind, NAMES[kind], kind)
    assert max(done["beliefs"], key=done["beliefs"].__getitem__) == kind
    assert sum(done["beliefs"].values()) == pytest.approx(1, abs=0.01)
    assert alarm["log_e"] >= ALARM
    assert alarm["adapted"] == ""
    assert alarm["streams"] == 2 + 2 * PEOPLE + 1  # devices; shift and phone of each; unknown voices


def test_what_a_device_adds_is_measured_when_it_changed() -> None:
    gallery = changed("device").home[0]["galleries"][0]
    assert (gallery["offsets_used"], gallery["offsets"][0]["device_name"]) == (1, 1)
    added = gallery["offsets"][0]["vector"][:K] * MEAN_STEP
    assert added @ SHIFT / math.sqrt(added @ added * (SHIFT @ SHIFT)) > 0.9


def test_what_was_known_of_a_person_who_changed_counts_for_less_and_a_phone_is_doubted() -> None:
    masses = [float(p["tails"][0]["mass"]) for p in changed("person").home[0]["people"][:PEOPLE]]
    assert masses == [2, 16, 16]
    odds = [float(p["registrations"][0]["log_odds"]) for p in changed("phone").home[0]["phones"][:PEOPLE]]
    assert odds == [-2.2, 1.5, 1.5]


@causes
def test_evidence_has_one_name_and_a_cause_is_not_told_again_for_a_week(kind: str) -> None:
    standing: set[tuple[str, int]] = set()
    for _, signals in groupby(changed(kind).reported, key=itemgetter(0)):
        for _, s in signals:
            subject = s["kind"], s["name"]
            standing = standing | {subject} if s["log_e"] > 0 and not s["adapted"] else standing - {subject}
        assert len(standing) <= 1
    times = [s["at"] for _, s in changed(kind).reported if (s["kind"], s["name"]) == (kind, NAMES[kind])]
    done = next(s["at"] for _, s in changed(kind).reported if s["adapted"])
    assert not [at for at in times if 0 < at - done < 7 * DAY_MS]


def test_a_calm_home_says_once_a_week_that_it_is() -> None:
    reported = calm(300, seed=3).reported
    assert not any(s["beliefs"] for _, s in reported)
    for device in DEVICE_WORDS:
        times = [s["at"] for _, s in reported if (s["kind"], s["name"]) == ("device", device)]
        assert len(times) == 4  # of 25 days
        assert all(7 * DAY_MS <= b - a < 9 * DAY_MS for a, b in pairwise(times))


def test_of_too_many_devices_the_one_that_saw_nothing_for_longest_is_watched_no_longer() -> None:
    life = Life()
    for device in range(1, DEVICES_MAX + 4):
        life.see(0, device)
    home = life.home[0]
    assert home["devices"]["name"].tolist() == list(range(4, DEVICES_MAX + 4))
    ears, reported = home["ears"][: home["ears_used"]], home["reported"][: home["reported_used"]]
    assert set(ears["device_name"].tolist()) <= set(home["devices"]["name"].tolist())
    assert sorted(reported["name"].tolist()) == list(range(4, DEVICES_MAX + 4))


def test_a_device_that_was_silent_for_long_gives_its_place_to_another() -> None:
    life = Life()
    for device in (1, 2, 3, 4):
        life.see(0, device)
    assert life.home[0]["ears"][:4]["device_name"].tolist() == [1, 2, 3, 0]
    life.at += 31 * DAY_MS
    life.see(0, 4)
    home = life.home[0]
    assert (home["devices_used"], home["ears_used"], home["ears"][0]["device_name"]) == (1, 1, 4)


def test_what_is_told_of_whoever_is_erased_is_forgotten_and_devices_are_heard_anew() -> None:
    life = calm().go_on(120, moved=SHIFT, who=0)
    assert PEOPLE_WORDS[0] in life.home[0]["reported"]["name"]
    life.out[0]["results_used"] = 0
    erase(life.home, life.out, life.work, 0, life.at)
    home, result = life.home[0], life.out[0]["results"][0]
    assert PEOPLE_WORDS[0] not in home["reported"][: home["reported_used"]]["name"]
    assert home["alarm_name"] != PEOPLE_WORDS[0]
    assert home["ears"]["seen"].tolist() == [0] * len(home["ears"])
    assert (result["held"], result["name"]) == (ERASED, PEOPLE_WORDS[0])
    assert (result["log_e"], result["event_at"]) == (LEAST, life.at)


def claimed(life: Life, kind: int = CORRECT, source: int = 1, right: int = SHARE_ONE // 4) -> Life:
    row = life.home[0]["rows"][life.home[0]["rows_used"] - 1]
    row["claims_used"] = 1
    row["claims"][0]["kind"], row["claims"][0]["source"], row["claims"][0]["right"] = kind, source, right
    claim(life.home, life.home[0]["rows_used"] - 1, 0, life.policy, life.work)
    return life


def test_a_claim_tells_of_its_source_and_of_who_it_was() -> None:
    life = claimed(calm(10))
    person = life.home[0]["people"][int(np.argmax(life.home[0]["rows"][9]["shares"])) - 1]
    seen = calm(10).home[0]["people"]["places"][:, 0]["seen"].sum()
    assert life.home[0]["sources"][1]["claims"]["session"].tolist() == (0.75, 9, 1)
    assert life.home[0]["people"]["places"][:, 0]["seen"].sum() == seen + 1
    assert person["places"][0]["seen"] > 0


@pytest.mark.parametrize("said", [(ENROL, 1, 99), (CORRECT, 2, 99), (CORRECT, 1, NOT_COUNTED)])
def test_enrolment_and_those_who_outrank_or_echo_tell_nothing_of_a_source(said: tuple[int, int, int]) -> None:
    found = claimed(calm(10), *said).home[0]["sources"]
    assert found.tobytes() == calm(10).home[0]["sources"].tobytes()


def digest(events: int) -> str:
    """Of a home's whole record after a change was dealt with, and of what it reported."""
    life = calm(events).go_on(events // 2, moved=2 * SHIFT, device=1)
    claimed(life)
    return hashlib.blake2b(life.home.tobytes() + repr(life.reported).encode(), digest_size=16).hexdigest()


def test_interpreted_monitors_are_the_compiled_ones_to_the_byte() -> None:
    told = "from tests.home.core.test_monitor import digest; print(digest(120))"
    interpreted = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    other = subprocess.run([sys.executable, "-c", told], env=interpreted, capture_output=True, text=True)
    assert other.stdout.strip() == digest(120), other.stderr
