"""Touch: an event without voice or face is held to be of who was just met at its device, as surely as a home shows."""

import base64
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

from learners.fit.trials import cllr, min_cllr
from stream.contract.policy import Policy
from stream.contract.units import MINUTE_MS
from tests.support.worlds import VOICE, Story

NAMES = ("anna", "bert", "cora", "dora", "emil", "fred")
GUEST = "guest"
HEARD_AT = "kitchen"
EVENTS = 500  # of a home
LEARNT = 250  # from which one is judged


class Touch(NamedTuple):
    """Who touched, and what was answered."""

    who: str
    answer: Any


@cache
def life(people: int, stays: float, seed: int = 0) -> tuple[Touch, ...]:
    """A home in which, within a few minutes at the same device, the next event is the same person's in `stays` of all cases."""
    rng, story = np.random.default_rng([seed, people, round(100 * stays)]), Story(NAMES[:people])
    everybody, touched, who = [*NAMES[:people], GUEST], dict[str, str](), GUEST
    chances = [*[0.9 / people] * people, 0.1]
    for n in range(EVENTS):
        stayed = bool(n) and rng.random() < 0.6
        if not stayed:
            story.wait(40 * MINUTE_MS)
        if not stayed or rng.random() > stays:
            who = str(rng.choice(everybody, p=chances) if not stayed else rng.choice([one for one in everybody if one != who]))
        if stayed and rng.random() < 0.5:
            touched |= {story.see(None, device=HEARD_AT, activity="light.on"): who} if n >= LEARNT else {}
        else:
            story.see(who, face=None)
    answers = [answer for answer in story.run.values("identities") if answer["revision"] == 0 and answer["event_id"] in touched]
    return tuple(Touch(touched[answer["event_id"]], answer) for answer in answers)


def likeliest(answer: Any) -> str:
    return max(answer["posterior"], key=answer["posterior"].__getitem__)


@pytest.mark.parametrize("people", [2, 4, 6])
def test_who_touches_a_device_is_named_by_who_was_just_heard_there(people: int) -> None:
    touches = life(people, 0.9)
    assert sum(likeliest(t.answer) == t.who for t in touches) >= 0.8 * len(touches)
    assert max(t.answer["tier"] for t in touches) <= 2
    assert not any("voice" in t.answer["modalities"] for t in touches)


@pytest.mark.parametrize("stays", [0.6, 0.8, 0.95])
def test_how_sure_that_is_a_home_learns(stays: float) -> None:
    touches = [t for people in (2, 3, 4, 6) for seed in range(2) for t in life(people, stays, seed)]
    told = np.array([t.answer["posterior"][likeliest(t.answer)] for t in touches])
    right = np.array([likeliest(t.answer) == t.who for t in touches])
    assert abs(told.mean() - right.mean()) < 0.05
    members = [(p, name == t.who) for t in touches for name, p in t.answer["posterior"].items()]
    odds = np.array([np.log(p / (1 - p)) for p, _ in members])
    targets = np.array([own for _, own in members])
    odds -= np.log(targets.mean() / (1 - targets.mean()))
    assert cllr(odds, targets) - min_cllr(odds, targets) <= 0.03


def test_a_voice_that_cannot_be_used_is_nobodys_whoever_was_there_before() -> None:
    story = Story(policy=Policy())
    story.see("anna")
    silence = story.run.policy.projection(VOICE).nobody.vectors[0]
    vector = base64.b64encode(silence.astype("<f2").tobytes()).decode()
    shares = []
    for _ in ("anna", "bert"):
        heard = story.see(None, voice={"encoder": VOICE, "embedding": vector})
        shares.append(story.answers(heard)[0]["posterior"]["anna"])
        story.see("bert")
    assert abs(shares[0] - shares[1]) < 0.05


@pytest.mark.parametrize(("device", "minutes"), [("hall", 1), ("kitchen", 6)])
def test_another_device_or_a_later_visit_is_anybodys(device: str, minutes: int) -> None:
    shares = []
    for who in ("anna", "bert"):
        story = Story()
        story.see(who, device="kitchen")
        story.wait((minutes - 1) * MINUTE_MS)
        shares.append(story.answers(story.see(None, device=device, activity="light.on"))[0]["posterior"]["anna"])
    assert abs(shares[0] - shares[1]) < 0.05


def test_a_voice_is_judged_by_itself_whoever_was_there_before() -> None:
    answers = []
    for before in ("anna", "bert"):
        story = Story()
        story.see(None, device="kitchen" if before == "anna" else "hall", phones=[])
        story.rng = np.random.default_rng(1)
        answers.append(story.answers(story.see("anna", device="kitchen", face=None))[0]["posterior"])
    assert answers[0] == pytest.approx(answers[1], abs=1e-4)  # beside how often each is met


def test_guided_enrolment_and_who_only_touches_teach_nothing_of_visits() -> None:
    story = Story()
    for _ in range(60):
        story.see(None, device=HEARD_AT, activity="light.on")
    assert story.home.record["visits"].tolist() == [0.0, 0.0]
    for _ in range(60):
        story.see("anna")
    same, other = story.home.record["visits"].tolist()
    assert same > 30
    assert other == 0
