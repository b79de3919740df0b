"""The contract as types: what it shows can be read, what it bounds is bounded, and what goes out is what it says."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from stream.contract.codec import decode
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import FEEDBACK, MODELS, Feedback, Recognition, Record
from tests.support.worlds import POLICY, START_MS, VOICE, feedback, recognition

TEXT = "abcXYZ019._:-"
CAUSE = {"topic": "recognitions", "partition": 3, "offset": 812}
IDENTITY: dict[str, Any] = {
    "v": 1, "event_id": "e-000017", "household_id": "h-042", "observed_at": 1763690000123, "revision": 0,
    "posterior": {"alice": 0.91, "bob": 0.03, "guest": 0.06}, "person_id": "alice", "tier": 2,
    "modalities": ["voice", "phone"], "policy_id": "9f2c", "cause": CAUSE,
}  # fmt: skip


def text_of(length: int, kind: str = "<f2") -> str:
    return base64.b64encode(np.linspace(-0.5, 0.5, length).astype(kind).tobytes()).decode()


def read(value: dict[str, Any]) -> Recognition:
    return Recognition.model_validate_json(json.dumps(value))


SHOWN: dict[str, Any] = {
    "v": 1, "event_id": "e-000017", "household_id": "h-042", "device_id": "kitchen", "observed_at": 1763690000123,
    "voice": {"encoder": VOICE, "embedding": text_of(256), "quality": {"duration_s": 2.4}},
    "face": {"encoder": "dlib-resnet-v1", "embedding": text_of(128), "quality": {"detection_score": 1.2}},
    "phones": [{"phone_id": "ph-1", "rssi_dbm": -61.0}],
    "activity": "music.play", "device": {"model": "show-8", "firmware": "2.1.0"},
}  # fmt: skip
SAID = {
    "join": {"person_id": "alice"}, "leave": {"person_id": "alice"}, "phone": {"phone_id": "ph-1", "person_id": "alice"},
    "enrol": {"person_id": "alice", "event_ids": ["e-1", "e-2"]}, "confirm": {"event_id": "e-1"},
    "reject": {"event_id": "e-1", "person_id": "alice"}, "correct": {"event_id": "e-1", "person_id": "guest"},
    "retract": {"retracts": "f-1"}, "erase": {"person_id": None},
}  # fmt: skip


def test_the_recognition_that_the_contract_shows_is_read_whole() -> None:
    value = decode(Record("recognitions", 0, 0, START_MS, b"h-042", json.dumps(SHOWN).encode()), POLICY).value
    assert isinstance(value, RECOGNITIONS)
    assert value.voice is not None
    assert value.phones is not None
    assert (value.event_id, value.observed_at, value.activity, value.device) == (
        "e-000017", 1763690000123, "music.play", {"model": "show-8", "firmware": "2.1.0"},
    )  # fmt: skip
    assert (value.voice.quality, value.phones[0].rssi_dbm) == ({"duration_s": 2.4}, -61.0)


def test_an_embedding_is_read_once_into_an_array_that_cannot_be_written() -> None:
    value = read(SHOWN)
    assert value.voice is not None
    vector: Any = value.voice.embedding
    assert (vector.dtype, vector.shape, vector.flags.writeable) == (np.float32, (256,), False)
    assert vector.tolist() == np.linspace(-0.5, 0.5, 256).astype("<f2").astype("f4").tolist()


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("source", ["app", "voice", "pin", "annotator"])
def test_every_kind_of_feedback_is_read_as_its_own_type(kind: str, source: str) -> None:
    value = feedback("h", "f-9", START_MS, kind, **SAID[kind]) | {"source": source}
    found: Feedback = FEEDBACK.validate_json(json.dumps(value))
    assert (type(found).__name__.lower(), found.kind, found.source) == (kind, kind, source)
    assert {k: getattr(found, k) for k in SAID[kind]} == SAID[kind]


@pytest.mark.parametrize("kind", SAID)
def test_no_further_field_of_a_feedback_may_be_absent(kind: str) -> None:
    for absent in SAID[kind]:
        value = feedback("h", "f-9", START_MS, kind, **{k: v for k, v in SAID[kind].items() if k != absent})
        with pytest.raises(ValidationError):
            FEEDBACK.validate_json(json.dumps(value))


def test_unknown_fields_are_kept_out_of_the_way() -> None:
    value = read(SHOWN | {"mood": {"happy": 1}, "voice": SHOWN["voice"] | {"codec": "opus"}})
    assert not hasattr(value, "mood")
    assert FEEDBACK.validate_json(json.dumps(feedback("h", "f", START_MS, "join", person_id="a", mood=1))).kind == "join"


@pytest.mark.parametrize("version", [0, 2, -1, None, "1", [1], 1.5])
def test_an_unknown_version_is_an_error(version: Any) -> None:
    with pytest.raises(ValidationError):
        read(SHOWN | {"v": version})


@pytest.mark.parametrize("part", [{"voice": SHOWN["voice"]}, {"face": SHOWN["face"]}, {"phones": []}, {"activity": "a"}])
def test_one_sensor_is_enough_and_none_is_too_little(part: dict[str, Any]) -> None:
    assert read(recognition("h", "e", START_MS, **part))
    with pytest.raises(ValidationError):
        read(recognition("h", "e", START_MS, device={"model": "x"}))


def test_a_device_that_did_not_scan_is_told_from_one_that_saw_nobody() -> None:
    assert read(recognition("h", "e", START_MS, activity="a")).phones is None
    assert read(recognition("h", "e", START_MS, phones=[])).phones == []


LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # what -> (the last that may be, the first that may not)
    "64 letters of an id": ({"event_id": "e" * 64}, {"event_id": "e" * 65}),
    "1 letter of an id": ({"event_id": "e"}, {"event_id": ""}),
    "letters of an id": ({"event_id": TEXT}, {"event_id": TEXT + "/"}),
    "64 phones": ({"phones": [SHOWN["phones"][0]] * 64}, {"phones": [SHOWN["phones"][0]] * 65}),
    "8 strings about a device": ({"device": {str(n): "x" for n in range(8)}}, {"device": {str(n): "x" for n in range(9)}}),
    "a device's short strings": ({"device": {"a": "x" * 64}}, {"device": {"a": "x" * 65}}),
    "1024 numbers": (
        {"voice": {"encoder": "x", "embedding": text_of(1024)}}, {"voice": {"encoder": "x", "embedding": text_of(1025)}},
    ),
    "the year 2000": ({"observed_at": 946_684_800_000}, {"observed_at": 946_684_799_999}),
    "the year 2100": ({"observed_at": 4_102_444_799_999}, {"observed_at": 4_102_444_800_000}),
    "a strong signal": ({"phones": [{"phone_id": "p", "rssi_dbm": 50}]}, {"phones": [{"phone_id": "p", "rssi_dbm": 51}]}),
    "a weak signal": ({"phones": [{"phone_id": "p", "rssi_dbm": -200}]}, {"phones": [{"phone_id": "p", "rssi_dbm": -201}]}),
    "whole milliseconds": ({"observed_at": 1763690000123}, {"observed_at": 1763690000123.5}),
}  # fmt: skip


@pytest.mark.parametrize("what", LIMITS)
def test_a_limit_lets_the_last_pass_and_not_the_next(what: str) -> None:
    last, beyond = LIMITS[what]
    assert read(SHOWN | last)
    with pytest.raises(ValidationError):
        read(SHOWN | beyond)


@pytest.mark.parametrize("number", [0, 64, 65])
def test_an_enrolment_names_1_to_64_events(number: int) -> None:
    value = json.dumps(feedback("h", "f", START_MS, "enrol", person_id="a", event_ids=["e"] * number))
    if number == 64:
        assert FEEDBACK.validate_json(value).kind == "enrol"
    else:
        with pytest.raises(ValidationError):
            FEEDBACK.validate_json(value)


def test_the_identity_that_the_contract_shows_is_one() -> None:
    assert json.loads(MODELS["identities"].model_validate(IDENTITY).model_dump_json()) == IDENTITY | {"acts_for": None}


@pytest.mark.parametrize(
    "wrong",
    [{"tier": 6}, {"tier": -1}, {"revision": -1}, {"posterior": {"guest": 1.5}}, {"cause": None}, {"surprise": 1}, {"v": 2}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_goes_out_has_no_more_and_no_other_fields_than_the_contract(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MODELS["identities"].model_validate(IDENTITY | wrong)


@pytest.mark.parametrize("topic", MODELS)
def test_every_record_has_a_schema_that_names_its_fields(topic: str) -> None:
    model = MODELS[topic]
    if isinstance(model, type) and issubclass(model, BaseModel):
        schema = model.model_json_schema()
        assert set(schema["properties"]) == set(model.model_fields)
    else:
        schema = model.json_schema()
        assert set(schema["discriminator"]["mapping"]) == set(SAID)
    assert json.loads(json.dumps(schema)) == schema


def test_the_schema_of_an_embedding_says_what_stands_on_the_wire() -> None:
    field = MODELS["recognitions"].model_json_schema()["$defs"]["Voice"]["properties"]["embedding"]
    assert (field["type"], field["contentEncoding"], field["maxLength"]) == ("string", "base64", len(text_of(1024)))
