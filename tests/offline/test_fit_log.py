"""What `kithkin fit --log` takes from a log: whose a recording is, through what microphone, and how sure a fit on it is."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learners.fit.fitting import fit
from learners.fit.recordings import Recordings, unit
from learners.fit.trials import cllr, min_cllr, trials_of
from stream.contract.errors import ConfigError
from stream.contract.packs import load_pack
from stream.offline.fit import read_answers, read_logs
from tests.cli.test_cli import run
from tests.support.encoders import LENGTH, Encoder
from tests.support.recorded import line_of, write_log
from tests.support.worlds import START_MS, Desk, feedback, recognition

VOICE = "own-encoder-7"


class Told:
    """A log being written: recognitions of one encoder, and what is said of them."""

    def __init__(self) -> None:
        self.desk, self.lines, self.number = Desk(), [], 0

    def see(self, home: str, vector: np.ndarray, event: str, **parts: Any) -> None:
        embedding = base64.b64encode(vector.astype("<f2").tobytes()).decode()
        voice = {"encoder": VOICE, "embedding": embedding}
        self._add("recognitions", recognition(home, event, START_MS, voice=voice) | parts)

    def say(self, home: str, kind: str, **fields: Any) -> None:
        self.number += 1
        self._add("feedback", feedback(home, f"f-{self.number}", START_MS, kind, **fields))

    def _add(self, topic: str, value: dict[str, Any]) -> None:
        self.lines.append(line_of(self.desk.record(topic, value)))

    def log(self, folder: Path) -> str:
        return write_log(folder / "log.jsonl", tuple(self.lines))


def near(person: int, rng: np.random.Generator) -> np.ndarray:
    """A recording of a person: people are far apart, recordings near."""
    return 4 * np.eye(LENGTH)[person] + rng.normal(0, 0.2, LENGTH)


def claimed(tmp_path: Path, say: Any, answers: dict[tuple[str, str], str] | None = None) -> dict[str, int]:
    """How many recordings each person of one home has by its log; `say` writes on it what was said of a-0, a-1, b-0 … b-3."""
    told, rng = Told(), np.random.default_rng(0)
    for person, name in enumerate("ab"):
        for i in range(4):
            told.see("h", near(person, rng), f"{name}-{i}")
    told.say("h", "enrol", person_id="a", event_ids=["a-0", "a-1"])
    told.say("h", "enrol", person_id="b", event_ids=["b-0"])
    say(told)
    labelled = read_logs([told.log(tmp_path)], VOICE, "euclidean", answers)
    return dict(zip(labelled.people, np.bincount(labelled.recordings.people).tolist(), strict=True))


@pytest.mark.parametrize(
    ("say", "a", "b"),
    [
        (lambda t: None, 2, 1),
        (lambda t: t.say("h", "correct", event_id="b-1", person_id="b"), 2, 2),
        (lambda t: t.say("h", "correct", event_id="b-1", person_id="a"), 2, 1),  # it does not sound like a
        (lambda t: t.say("h", "correct", event_id="b-1", person_id="guest"), 2, 1),
        (lambda t: t.say("h", "confirm", event_id="b-1"), 2, 1),
        (lambda t: [t.say("h", "correct", event_id="b-1", person_id=p) for p in "ab"], 2, 1),
        (lambda t: [t.say("h", "correct", event_id="b-1", person_id="b") for _ in range(2)], 2, 2),
        (lambda t: [t.say("h", "correct", event_id="b-1", person_id="b"), t.say("h", "retract", retracts="f-3")], 2, 1),
        (lambda t: [t.say("h", "correct", event_id="b-1", person_id="b"),
                    t.say("h", "reject", event_id="b-1", person_id="b")], 2, 1),
        (lambda t: t.say("h", "retract", retracts="f-1"), 0, 1),
        (lambda t: t.say("h", "erase", person_id="a"), 0, 1),
        (lambda t: t.say("elsewhere", "erase", person_id=None), 2, 1),
        (lambda t: t.say("h", "correct", event_id="never-seen", person_id="b"), 2, 1),
    ],
)  # fmt: skip
def test_a_log_tells_whose_a_recording_is_as_far_as_it_can_be_believed(say: Any, a: int, b: int, tmp_path: Path) -> None:
    assert claimed(tmp_path, say) == {name: n for name, n in (("h/a", a), ("h/b", b)) if n}


def test_what_was_published_tells_what_was_confirmed(tmp_path: Path) -> None:
    lines = [("a", 0), ("b", 1), (None, 0)]
    values = [{"household_id": "h", "event_id": f"b-{1 + (p is None)}", "revision": r, "person_id": p} for p, r in lines]
    (tmp_path / "identities.jsonl").write_text("".join(json.dumps({"value": value}) + "\n" for value in values))
    answers = read_answers(tmp_path / "identities.jsonl")
    assert answers == {("h", "b-1"): "b"}

    def say(told: Told) -> None:
        told.say("h", "confirm", event_id="b-1")
        told.say("h", "confirm", event_id="b-2")

    assert claimed(tmp_path, say, answers) == {"h/a": 2, "h/b": 2}


def test_an_erased_household_has_nobody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"the log has vectors of {VOICE}"):
        claimed(tmp_path, lambda told: told.say("h", "erase", person_id=None))


MODELS = ("puck", "show-8", "rare")  # of what stands in every second home; in every third that is left; in three


def model_of(home: int) -> str:
    """Of a home's only device."""
    return MODELS[2] if home % 20 == 19 else MODELS[home % 3 == 2]


def lived_log(encoder: Encoder, folder: Path, homes: int, models: dict[str, np.ndarray] | None = None) -> str:
    """Three people a home: enrolled by two recordings, corrected on four, one correction in six a lie.

    `models`: what a home's device says that it is, and adds to everything.
    """
    told, rng = Told(), np.random.default_rng(5)
    for home in range(homes):
        places = rng.multivariate_normal(encoder.mean, encoder.between, 3)
        model = model_of(home)
        parts = {"device": {"model": model, "room": "hall"}} if models else {}
        for person, place in enumerate(places):
            events = [f"e-{person}-{i}" for i in range(6)]
            for event in events:
                heard = rng.multivariate_normal(place, encoder.within) + (models[model] if models else 0.0)
                told.see(f"h{home}", heard, event, **parts)
            told.say(f"h{home}", "enrol", person_id=f"p{person}", event_ids=events[:2])
            for i, event in enumerate(events[2:]):
                liar = (home + i) % 6 == 0
                told.say(f"h{home}", "correct", event_id=event, person_id=f"p{(person + liar) % 3}")
    return told.log(folder)


def test_a_log_alone_tells_an_encoders_covariances(tmp_path: Path) -> None:
    encoder = Encoder.drawn(6)
    log, flags = lived_log(encoder, tmp_path, 40), ("--encoder", VOICE, "--metric", "euclidean")
    run("fit", "--log", log, *flags, "--out", tmp_path / "p.npz")
    fitted = load_pack(str(tmp_path / "p.npz"), "euclidean")
    matrix = fitted.matrix.astype(float)
    within, between = (np.diag(matrix @ covariance @ matrix.T) for covariance in (encoder.within, encoder.between))
    assert within.mean() == pytest.approx(1, rel=0.15)  # claims that do not sound like the person are left out, so a little more
    assert fitted.between.mean() == pytest.approx(between.mean(), rel=0.3)
    assert np.corrcoef(np.log(fitted.between), np.log(between / within))[0, 1] > 0.8


def test_models_of_devices_are_the_channels_of_a_log(tmp_path: Path) -> None:
    encoder = Encoder.drawn(6)
    far = 12 * np.sqrt(np.diag(encoder.within).mean()) * np.eye(len(encoder.mean))[1]
    log = lived_log(encoder, tmp_path, 40, {"puck": 0 * far, "show-8": far, "rare": 0 * far})
    recordings = read_logs([log], VOICE, "euclidean").recordings
    assert recordings.names == ("puck", "show-8")  # the rare one is of too few people, and counts as the most usual
    names = read_logs([log], VOICE, "euclidean").people
    homes = {name: int(name.partition("/")[0][1:]) for name in names}
    for person, channel in zip(recordings.people, recordings.channels, strict=True):
        assert recordings.names[channel] == ("show-8" if model_of(homes[names[person]]) == "show-8" else "puck")
    assert read_logs([log], VOICE, "euclidean", channel_by="room").recordings.names == ("hall",)
    assert read_logs([log], VOICE, "euclidean", channel_by="floor").recordings.names == ("clean",)
    flags = ("--encoder", VOICE, "--metric", "euclidean", "--out", tmp_path / "p.npz")
    run("fit", "--log", log, *flags)
    assert load_pack(str(tmp_path / "p.npz"), "euclidean").channels.names == ("puck", "show-8")
    assert "The channel of a recording is told rightly: puck 100.0 %, show-8 100.0 %." in (tmp_path / "p.md").read_text("utf-8")
    run("fit", "--log", log, *flags, "--channel-by", "room")
    assert load_pack(str(tmp_path / "p.npz"), "euclidean").channels.names == ("hall",)


def voices_of(shared: Path, corpus: str) -> tuple[np.ndarray, np.ndarray]:
    """(4, n, d): recordings, each through four microphones; (n,): whose they are."""
    with np.load(shared / "data" / f"voice_{corpus}.npz") as arrays:
        return unit(arrays["emb"][:4].astype(np.float64)), arrays["speaker"].astype(np.int64)


def test_with_a_microphone_of_their_own_each_a_pack_is_not_too_sure_of_people(shared: Path) -> None:
    vectors, people = voices_of(shared, "so762")
    channels = np.random.default_rng(0).choice(4, people.max() + 1, p=(0.5, 0.2, 0.15, 0.15))[people]
    heard = Recordings.plain("cosine", vectors[channels, np.arange(len(people))], people)
    names = ("a", "b", "c", "d")
    lost: dict[bool, list[float]] = {True: [], False: []}
    for as_one, recordings in ((False, replace(heard, channels=channels.astype(np.int64), names=names)), (True, heard)):
        projection = fit(recordings)
        vectors_of_others, others = voices_of(shared, "an4")
        for own in vectors_of_others:
            trials = trials_of(projection, Recordings.plain("cosine", own, others))
            lost[as_one].append(cllr(trials.llr, trials.mated) - min_cllr(trials.llr, trials.mated))
    assert np.mean(lost[False]) < min(0.16, np.mean(lost[True]) / 2), lost
