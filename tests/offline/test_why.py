"""Why: terms add up to what was answered, what would have been is what is answered when it is, and nobody reads of others."""

import json
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.brokers.log_files import LogReader
from stream.contract.codec import decode
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import GUEST, Identity, InvalidRecord, Record
from stream.contract.settings import Wiring
from stream.home.state.at_rest import encode_home
from stream.home.state.household import Household
from stream.home.step import step
from stream.offline.replay.replay import Replay
from stream.offline.replay.replay import replay as run_replay
from stream.offline.why.audience import Audience, Why, redact_for
from stream.offline.why.explanation import ANYBODY, Explanation, explain
from stream.offline.why.history import History, Moment, Revision, answer_again, play
from stream.offline.why.otherwise import PARTS, otherwise, parse_wish, without_each
from stream.offline.why.texts import lines_of
from tests.cli.test_cli import run
from tests.support.recorded import line_of, recorded, recorded_lines, write_log
from tests.support.worlds import FACE, POLICY, VOICE, Desk, Run, Shape, Story, embedding, feedback, recognition, row_of, world

NATS = 1e-6
SUREST = math.log(8191)  # of what is kept in steps of 1/4096


def by_home(records: Sequence[Record]) -> dict[str, list[Record]]:
    homes: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        homes[(record.key or b"").decode()].append(record)
    return homes


def answered(records: Sequence[Record], policy: Policy) -> Iterator[History]:
    """Every event that is answered, with what became of it within its own step; a home is stepped through once."""
    for name, own in by_home(records).items():
        home, before = Household.new(name), None
        for record in own:
            try:
                event = decode(record, policy)
            except InvalidRecord:
                continue
            done = step(home, event, policy)
            if "answered" in done.outcomes:
                event_id = event.value.event_id  # type: ignore[union-attr]
                row = row_of(home, event_id)
                first, *later = (o.value for o in done.outputs if isinstance(o.value, Identity) and o.value.event_id == event_id)
                moment = Moment(record, event, before, None if row is None else row.copy(), first)
                yield History(name, event_id, moment, [Revision(answer, record, encode_home(home)) for answer in later])
            before = encode_home(home)


def log_odds(told: Explanation) -> float:
    """Of the posterior as it was before it was rounded."""
    return math.log(told.posterior[told.subject] / sum(p for name, p in told.posterior.items() if name != told.subject))


def check(histories: Iterator[History], policy: Policy) -> int:
    """That terms add up, and that tiers are what was asked for; of how many events."""
    count = 0
    for history in histories:
        told = explain(history, policy)
        if told.terms:
            assert abs(sum(term.nats for term in told.terms) - log_odds(told)) < NATS
            assert told.log_odds is not None
            assert abs(told.log_odds - log_odds(told)) < NATS
        if told.held is not None and told.held.reason == "sure":
            assert told.held.had is not None
            assert told.held.asked is not None
            assert told.held.had < told.held.asked
            if told.held.tier > 1 and told.subject != GUEST:
                assert abs(told.held.had + told.held.disputed - log_odds(told)) < NATS
        count += 1
    return count


# Terms


@pytest.mark.parametrize("enrolled", [True, False])
def test_terms_add_up_to_every_answer_whatever_is_sent(enrolled: bool) -> None:
    """`explain` itself refuses terms that do not give what was published."""
    for seed in range(3):
        records = world(seed, Shape(homes=2, records=60, enrolled=enrolled))
        assert check(answered(records, POLICY), POLICY) > 60


def test_terms_add_up_in_simulated_homes() -> None:
    assert check(answered(recorded(), Policy()), Policy()) > 40


@pytest.mark.parametrize("name", ["guests", "false_feedback"])
def test_terms_add_up_in_worlds_of_real_voices(name: str, shared: Path, tmp_path: Path) -> None:
    tool = [sys.executable, str(shared / "tools" / "world.py"), name, str(tmp_path), "--data", str(shared / "data")]
    subprocess.run([*tool, "--households", "2"], check=True, capture_output=True)
    with closing(LogReader([str(tmp_path / "log.jsonl")])) as records:
        assert check(answered(list(records), Policy()), Policy()) > 100


def test_an_event_with_a_vector_that_was_enrolled_from_another_is_taken_apart_without_it() -> None:
    desk, rng = Desk(), np.random.default_rng(0)
    voices = [{"encoder": VOICE, "embedding": embedding(VOICE, "anna", rng)} for _ in range(4)]
    face, *faces = ({"encoder": FACE, "embedding": embedding(FACE, "anna", rng)} for _ in range(5))
    events = [recognition("h", f"e-{n}", desk.now, voice=voice, face=faces[n]) for n, voice in enumerate(voices)]
    records = [desk.record("feedback", feedback("h", "f-1", desk.now, "join", person_id="anna"))]
    records += [desk.record("recognitions", event) for event in events]
    enrol = feedback("h", "f-2", desk.now, "enrol", person_id="anna", event_ids=[event["event_id"] for event in events])
    records.append(desk.record("feedback", enrol))
    records.append(desk.record("recognitions", recognition("h", "again", desk.now, voice=voices[0], face=face)))
    told = explain(play(records, "h", "again", POLICY), POLICY)
    assert told.modalities == ["face"]
    assert {term.name for term in told.terms} >= {"prior", "face"}
    assert "voice" not in {term.name for term in told.terms}


def test_later_answers_are_led_to_by_their_terms_and_have_their_cause() -> None:
    records = world(0, Shape(homes=1, records=120))
    later = [value for value in Run().play_all(records).values("identities") if value["revision"]]
    claims = compared = 0
    for event_id in sorted({value["event_id"] for value in later}):
        told = explain(play(records, "h-0", event_id, POLICY), POLICY)
        assert [one.revision for one in told.revisions] == [v["revision"] for v in later if v["event_id"] == event_id]
        before = SUREST if told.log_odds is None else told.log_odds
        for one in told.revisions:
            cause = next(r for r in records if (r.topic, r.offset) == (one.topic, one.offset))
            assert one.caused_by.split()[0] == json.loads(cause.value or b"").get("kind", "recognition")
            claims += any(said.holds for said in one.said)
            if one.log_odds is not None:
                assert abs(before + sum(term.nats for term in one.terms) - one.log_odds) < NATS
                before = one.log_odds
                if 0.01 < one.probability < 0.99:  # of which the published are rounded to 1e-6
                    assert abs(one.log_odds - math.log(one.probability / (1 - one.probability))) < 2e-4
                    compared += 1
    assert min(claims, compared) > 3


def test_claims_that_the_sensors_contradict_are_taken_off_what_a_member_has() -> None:
    story = Story()
    for _ in range(4):
        story.say("correct", event_id=story.see("bert"), person_id="anna")
    before, desk = encode_home(story.home), story.desk
    voice = {"encoder": VOICE, "embedding": embedding(VOICE, "anna", np.random.default_rng(1))}
    record = desk.record("recognitions", recognition("h", "next", desk.now, voice=voice))
    done = step(story.home, decode(record, POLICY), POLICY)
    (answer,) = (o.value for o in done.outputs if isinstance(o.value, Identity) and o.value.event_id == "next")
    history = History("h", "next", Moment(record, decode(record, POLICY), before, row_of(story.home, "next").copy(), answer))
    told = explain(history, POLICY)
    assert told.held is not None
    assert told.held.disputed > 1
    assert "claims that the sensors contradict" in "\n".join(lines_of(Why(told, [])))


# What would have been


def replayed(records: Sequence[Record], folder: Path, policy: Policy) -> dict[tuple[str, str], dict[str, Any]]:
    """First answers, by the worker."""
    folder.mkdir()
    log = write_log(folder / "log.jsonl", tuple(map(line_of, records)))
    run_replay(Replay([log], folder / "out", policy, Wiring(store="memory:")))
    values = (json.loads(line)["value"] for line in (folder / "out" / "identities.jsonl").read_text().splitlines())
    return {(value["household_id"], value["event_id"]): value for value in values if value["revision"] == 0}


def test_what_would_have_been_is_what_a_replay_of_it_answers(tmp_path: Path) -> None:
    records, policy, compared = recorded(), Policy(), 0
    for history in list(answered(records, policy))[::15]:
        moment = history.moment
        assert moment is not None
        value = json.loads(moment.record.value or b"")
        subject = explain(history, policy).subject
        for one in without_each(history, policy, subject):
            part = PARTS[one.change.removeprefix("without the ")]
            less = replace(moment.record, value=json.dumps({k: v for k, v in value.items() if k != part}).encode())
            again = replayed([less if r is moment.record else r for r in records], tmp_path / str(compared), policy)
            found = again[history.household_id, history.event_id]
            assert (one.person_id, one.tier) == (found["person_id"], found["tier"])
            assert one.probability == found["posterior"].get(subject, 0.0)
            compared += 1
    assert compared > 6


def test_another_policy_holds_from_the_beginning(tmp_path: Path) -> None:
    records, policy = recorded(), Policy()
    *_, last = answered(records, policy)
    other = Policy.model_validate({"priors": {"guest_share": 0.6}})
    moment = last.moment
    assert moment is not None
    value = json.loads(moment.record.value or b"")
    value.pop("phones", None)
    less = replace(moment.record, value=json.dumps(value).encode())
    found = replayed([less if r is moment.record else r for r in records], tmp_path / "again", other)
    subject, own = explain(last, policy).subject, by_home(records)[last.household_id]
    told = otherwise(last, own, policy, parse_wish("drop=phone,priors.guest_share=.6"), subject)
    expected = found[last.household_id, last.event_id]
    assert (told.person_id, told.tier) == (expected["person_id"], expected["tier"])
    assert told.probability == expected["posterior"].get(subject, 0.0)


def test_an_event_as_it_was_is_answered_as_it_was() -> None:
    for history in answered(recorded(), Policy()):
        assert history.moment is not None
        assert answer_again(history.moment, history.moment.record, Policy()) == history.moment.answer


@pytest.mark.parametrize(
    "wish", ["", "drop", "drop=", "drop=hat", "tiers.privat=.9", "tiers=1", "no.such=1", "tiers.private.x=1", "tiers.private=2"]
)
def test_a_wish_that_cannot_be_is_said(wish: str) -> None:
    history = next(answered(recorded(), Policy()))
    with pytest.raises(ConfigError, match=r"--if|tiers"):
        otherwise(history, [], Policy(), parse_wish(wish), GUEST)


# Who reads it


def test_a_person_reads_nothing_of_others() -> None:
    named = 0
    for seed in range(2):
        for name, records in by_home(world(seed, Shape(homes=1, records=60))).items():
            for history in list(answered(records, POLICY))[::4]:
                whole = play(records, name, history.event_id, POLICY)
                told = explain(whole, POLICY, anybody=True)
                wished = otherwise(whole, records, POLICY, parse_wish("drop=voice"), told.subject)
                seen = redact_for(Why(told, without_each(whole, POLICY, told.subject), wished), Audience.PERSON)
                text = "\n".join(lines_of(seen)) + json.dumps(asdict(seen))
                people = {person for person in told.posterior if person != GUEST}
                assert told.subject == ANYBODY or told.subject in people
                assert [person for person in people - {told.subject} if person in text] == []
                named += told.subject != ANYBODY
    assert named > 4


def test_what_is_printed_of_a_replay_and_of_its_log_is_the_same(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", recorded_lines())
    run("replay", log, "--out", tmp_path / "run")
    history = next(one for one in answered(recorded(), Policy()) if one.moment and one.moment.answer.tier >= 2)
    asked = (history.event_id, "--household", history.household_id)
    told = run("why", *asked, log)
    assert told == run("why", *asked, tmp_path / "run")
    assert history.moment is not None
    assert f"Answered: {history.moment.answer.person_id}, tier {history.moment.answer.tier}" in told
    assert "how often they are met" in told
    whole = json.loads(run("why", *asked, log, "--json", "--for", "engineer", "--if", "tiers.private=.99"))
    assert whole["explanation"]["ratios"]
    assert whole["under_wish"]["change"] == "if tiers.private=.99"
    assert {line.strip().split(":")[0] for line in told.splitlines() if line.startswith("  Without")} == {
        f"W{one['change'][1:]}" for one in whole["without"]
    }


def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", recorded_lines())
    run("replay", log, "--out", tmp_path / "run")
    (tmp_path / "other.toml").write_text("[tiers]\nprivate = 0.99\n")
    assert "no recognition of these logs" in run("why", "e-none", log, code=2)
    assert "which was not answered" in run("why", "e-none", log, "--household", "linden-01", code=2)
    assert "homes have a e-0001" in run("why", "e-0001", log, code=2)
    assert "no replay is known" in run("why", "e-0001", tmp_path, code=2)
    assert "standard input" in run("why", "e-0001", "-", code=2)
    assert "under the policy" in run("why", "e-0001", tmp_path / "run", "--policy", tmp_path / "other.toml", code=2)
