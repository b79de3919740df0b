"""What was decoded becomes EVENTs: words, vectors, phones and encoders of the home."""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract.codec import decode
from stream.contract.policy import Encoder, Policy
from stream.contract.records import Record
from stream.home.events import Run, numbers_of, renumber, squares
from stream.home.messages import CONFIRM, CORRECT, ENROL, FOLLOW_UP, REJECT, STATEMENT
from stream.home.state.household import Household
from stream.home.state.layout import ENCODERS_MAX, HOME, SIGHTINGS_MAX, UNKNOWN
from stream.home.state.names import hash_id, hash_sender
from stream.home.step import step_batch
from tests.naive.projection import project

DAY_MS = 86_400_000
POLICY = Policy()
VOICE, FACE = POLICY.encoders
AT = 1_763_690_000_123  # 01:53


class Owner(NamedTuple):
    event: Any
    household: Household


def vector(seed: int, length: int, policy: Policy = POLICY) -> str:
    numbers = np.random.default_rng(seed).normal(0, 0.1, length).astype("<f2")
    return base64.b64encode(numbers.tobytes()).decode()


def recognition(event_id: str = "e-1", policy: Policy = POLICY, **fields: Any) -> Any:
    value = {"v": 1, "event_id": event_id, "household_id": "h", "device_id": "kitchen", "observed_at": AT, **fields}
    return decode(Record("recognitions", 0, 0, AT, b"h", json.dumps(value).encode()), policy)


def voice(seed: int = 0, **quality: float) -> dict[str, Any]:
    return {"encoder": VOICE, "embedding": vector(seed, 256), **({"quality": quality} if quality else {})}


def face(seed: int = 0, **quality: float) -> dict[str, Any]:
    return {"encoder": FACE, "embedding": vector(seed, 128), **({"quality": quality} if quality else {})}


def feedback(kind: str, **fields: Any) -> Any:
    value = {"v": 1, "feedback_id": "f-1", "household_id": "h", "given_at": AT, "source": "app", "kind": kind, **fields}
    return decode(Record("feedback", 0, 0, AT, b"h", json.dumps(value).encode()), POLICY)


def home(people: Sequence[str] = (), phones: Sequence[str] = (), homes: Any = None) -> Household:
    household = Household.new("h", homes)
    for of, names in (("people", people), ("phones", phones)):
        household.record[f"{of}_used"] = len(names)
        for place, name in enumerate(names):
            household.record[of][place]["name"] = household.words.learn(name)
    return household


def made(household: Household, *events: Any, policy: Policy = POLICY) -> Any:
    run: Run[Owner] = Run(policy)
    for event in events:
        run.add(Owner(event, household), 0)
    return run.ready(household.slot)


# ---- vectors


@given(st.lists(st.lists(st.integers(0, 65_535), min_size=1, max_size=40), min_size=1, max_size=5))
def test_the_square_of_a_vector_is_that_of_its_numbers_and_nan_where_one_is_not_finite(bits: list[list[int]]) -> None:
    raw = [np.array(these, "<u2").tobytes() for these in bits]
    with np.errstate(all="ignore"):
        vectors = [np.frombuffer(these, "<f2").astype(np.float32) for these in raw]
        expected = [sum(float(x * x) for x in v) if np.isfinite(v).all() else np.nan for v in vectors]
    assert np.array_equal(squares(raw), expected, equal_nan=True)


@pytest.mark.parametrize("seconds", [None, 0.2, 1.0, 1.5, 2.7, 60.0])
def test_vectors_are_projected_as_by_the_plain_formula(seconds: float | None) -> None:
    quality = {} if seconds is None else {"duration_s": seconds}
    events = [recognition(f"e-{n}", voice=voice(n, **quality), face=face(n)) for n in range(5)]
    for event, found in zip(events, made(home(), *events), strict=True):
        for modality, part in enumerate((event.value.voice, event.value.face)):
            steps, channel, noise = project(POLICY.projection(part.encoder), part.embedding, None if modality else seconds)
            assert found["vectors"][modality].tolist() == steps
            assert (found["channels"][modality], found["noises"][modality]) == (channel, noise)


def test_an_encoder_without_a_pack_is_projected_as_by_the_plain_formula() -> None:
    policy = Policy(encoders={"tiny": Encoder(modality="face", length=5, metric="euclidean", within=0.2)})
    event = recognition(policy=policy, face={"encoder": "tiny", "embedding": vector(0, 5)})
    (found,) = made(home(), event, policy=policy)
    assert found["vectors"][1, :5].tolist() == project(policy.projection("tiny"), event.value.face.embedding, None).steps
    assert not found["vectors"][1, 5:].any()


def test_a_vector_of_too_low_a_quality_is_left_out() -> None:
    bad, good = made(home(), recognition(face=face(detection_score=-5.1)), recognition(face=face(detection_score=-5.0)))
    assert (bad["encoders"].tolist(), good["encoders"].tolist()) == ([0, 0], [0, 2])
    assert not bad["vectors"].any()


def test_an_event_names_its_encoders() -> None:
    household = home()
    first, both = made(household, recognition(face=face()), recognition(face=face(), voice=voice()))
    assert (first["encoders"].tolist(), both["encoders"].tolist()) == ([0, 2], [1, 2])
    words = [[household.words[word] if word else "" for word in event["encoder_names"]] for event in (first, both)]
    assert words == [["", FACE], [VOICE, FACE]]
    assert household.record["galleries_used"] == 0


def test_an_encoder_takes_a_gallery_at_the_first_vector_that_is_admitted() -> None:
    household = home()
    early = recognition("e-0", face=face(), observed_at=AT - 90 * DAY_MS)
    heard, both = recognition("e-2", voice=voice()), recognition("e-3", face=face(), voice=voice())
    step_batch({"h": household}, [recognition(activity="tv"), early, heard, both], POLICY)
    rows = household.record["rows"][: household.record["rows_used"]]
    assert rows["encoders"].tolist() == [[0, 0], [1, 0], [1, 2]]
    galleries = household.record["galleries"][: household.record["galleries_used"]]
    assert [household.words[name] for name in galleries["name"]] == [VOICE, FACE]
    assert galleries["number"].tolist() == [0, 1]
    assert galleries["fingerprint"].tolist() == [POLICY.projection(name).fingerprint for name in (VOICE, FACE)]


def test_an_encoder_for_which_there_is_no_room_is_left_out() -> None:
    names = [f"enc-{n}" for n in range(ENCODERS_MAX + 1)]
    policy = Policy(encoders={name: Encoder(modality="voice", length=4, metric="cosine") for name in names})
    events = [recognition(f"e-{n}", policy, voice={"encoder": n, "embedding": vector(1, 4)}) for n in names]
    household = home()
    step_batch({"h": household}, events, policy)
    rows = household.record["rows"][: household.record["rows_used"]]
    assert rows["encoders"][:, 0].tolist() == [1, 2, 3, 4, 0]
    assert not rows["vectors"][-1].any()
    assert household.record["galleries_used"] == ENCODERS_MAX


# ---- recognitions


def test_a_recognition_has_its_words_and_hashes() -> None:
    household = home(["anna"])
    (event,) = made(household, recognition(activity="music.play", voice=voice()))
    assert (event["at"], event["hour"], event["scanned"], event["stranger"]) == (AT, 0, 0, 0)
    assert event["record"] == event["event"] == hash_id("event", "e-1")
    assert event["sender"] == hash_sender("kitchen")
    assert [household.words[word] for word in (event["device_name"], event["activity"])] == ["kitchen", "music.play"]
    assert event["event_id"].tobytes()[: event["event_id_length"]] == b"e-1"


def test_phones_are_told_apart_into_registered_and_strangers() -> None:
    phones = [{"phone_id": "b", "rssi_dbm": -72.5}, {"phone_id": "x", "rssi_dbm": -40}, {"phone_id": "a", "rssi_dbm": -130}]
    known, none, both = made(
        home(phones=["a", "b"]), recognition(phones=phones[::2]), recognition(phones=[]), recognition(phones=phones)
    )
    assert known["sightings"][: known["sightings_used"]].tolist() == [(1, -72), (0, -127)]
    assert [event["stranger"] for event in (known, none, both)] == [0, 0, 1]
    assert [event["scanned"] for event in (known, none, both)] == [1, 1, 1]
    assert [event["sightings_used"] for event in (known, none, both)] == [2, 0, 2]


def test_of_a_phone_that_was_heard_twice_the_last_counts() -> None:
    phones = [{"phone_id": "a", "rssi_dbm": rssi} for rssi in (-80, -50)]
    (event,) = made(home(phones=["a"]), recognition(phones=phones))
    assert event["sightings"][: event["sightings_used"]].tolist() == [(0, -50)]


def test_no_more_phones_are_kept_than_there_is_room_for() -> None:
    names = [f"p-{n}" for n in range(SIGHTINGS_MAX + 3)]
    (event,) = made(home(phones=names), recognition(phones=[{"phone_id": name, "rssi_dbm": -60} for name in names]))
    assert (event["sightings_used"], event["stranger"]) == (SIGHTINGS_MAX, 0)


# ---- feedback


@pytest.mark.parametrize(
    ("kind", "number", "person"), [("confirm", CONFIRM, None), ("reject", REJECT, "ben"), ("correct", CORRECT, "ben")]
)
def test_a_claim_is_one_event(kind: str, number: int, person: str | None) -> None:
    household = home(["anna", "ben"])
    (event,) = made(household, feedback(kind, event_id="e-1", **({"person_id": person} if person else {})))
    assert (event["kind"], event["source"], event["person"]) == (number, 1, 2 if person else UNKNOWN)
    assert (event["record"], event["event"]) == (hash_id("feedback", "f-1"), hash_id("event", "e-1"))
    assert event["sender"] == hash_sender("feedback/app")


@pytest.mark.parametrize(("person", "place"), [("guest", 0), ("anna", 1), ("nobody", UNKNOWN)])
def test_a_claim_names_a_place(person: str, place: int) -> None:
    (event,) = made(home(["anna"]), feedback("correct", event_id="e-1", person_id=person))
    assert event["person"] == place


def test_an_enrolment_is_one_event_for_each_recognition() -> None:
    events = made(home(["anna"]), feedback("enrol", person_id="anna", event_ids=["e-1", "e-2", "e-1", "e-3"]))
    assert [event["event"] for event in events] == [hash_id("event", f"e-{n}") for n in (1, 2, 3)]
    assert events["kind"].tolist() == [ENROL] * 3
    assert (events["first"].tolist(), events["last"].tolist()) == ([1, 0, 0], [0, 0, 1])


def test_a_statement_asks_to_be_admitted_and_is_followed_up() -> None:
    household, run = home(), Run[Owner](POLICY)
    for event in (feedback("join", person_id="anna"), feedback("erase", person_id=None)):
        run.add(Owner(event, household), 0)
    run.follow_up(Owner(feedback("join", person_id="anna"), household), 0)
    events = run.ready(household.slot)
    assert (events["kind"].tolist(), events["erases"].tolist()) == ([STATEMENT, STATEMENT, FOLLOW_UP], [0, 1, 0])


# ---- runs


def test_a_run_that_was_cleared_is_like_a_new_one() -> None:
    household, run = home(phones=["a"]), Run[Owner](POLICY)
    many = [recognition(f"e-{n}", voice=voice(n), phones=[{"phone_id": "a", "rssi_dbm": -50}]) for n in range(70)]
    for event in many:
        run.add(Owner(event, household), 0)
    assert run.ready(household.slot).tobytes() == made(household, *many).tobytes()
    run.clear()
    plain = recognition(activity="tv")
    run.add(Owner(plain, household), 0)
    assert run.ready(household.slot).tobytes() == made(household, plain).tobytes()


def test_an_error_leaves_a_run_as_it_was() -> None:
    household, run = home(), Run[Owner](POLICY)
    good, bad = recognition(voice=voice(1)), recognition("e-2", voice=voice(2), phones=[{"phone_id": "a", "rssi_dbm": -50}])
    run.add(Owner(good, household), 0)
    bad.value.activity = 7
    with pytest.raises(Exception, match=r".*"):
        run.add(Owner(bad, household), "not a number")  # type: ignore[arg-type]
    assert run.ready(household.slot).tobytes() == made(household, good).tobytes()


def test_events_to_come_are_brought_in_line_when_people_and_phones_go() -> None:
    household = home(["anna", "ben", "carl"], ["a", "b", "c"])
    phones = [{"phone_id": name, "rssi_dbm": -50} for name in "abc"]
    claims = [feedback("correct", event_id="e-1", person_id=name) for name in ("anna", "ben", "carl", "guest", "nobody")]
    events = made(household, recognition(phones=phones), *claims)
    before = numbers_of(household)
    for of in ("people", "phones"):
        household.record[of][1]["name"] = household.record[of][2]["name"]
        household.record[f"{of}_used"] = 2
    renumber(events, before, numbers_of(household))
    assert events["person"].tolist()[1:] == [1, UNKNOWN, 2, 0, UNKNOWN]
    assert events[0]["sightings"][:3].tolist() == [(0, -50), (1, -50), (0, 0)]
    assert (events[0]["sightings_used"], events[0]["stranger"]) == (2, 1)


def digest() -> str:
    household = home(["anna"], ["a"])
    phones = [{"phone_id": name, "rssi_dbm": -60.5} for name in "ab"]
    events = [recognition(f"e-{n}", voice=voice(n, duration_s=n), face=face(n), phones=phones) for n in range(4)]
    found = made(household, *events).tobytes() + squares([b"\x01\x80\x00\x7b", b"\x00\x7c"]).tobytes() + household.slot.tobytes()
    return hashlib.sha256(found).hexdigest()


def test_what_runs_interpreted_gives_the_same_bytes() -> None:
    program = "from tests.home.test_events import digest; print(digest())"
    asked = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    told = subprocess.run([sys.executable, "-c", program], env=asked, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == digest()
    assert np.zeros(1, HOME).nbytes == HOME.itemsize
