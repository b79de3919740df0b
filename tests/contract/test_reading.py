"""Recognitions read: fast and by the model alike, and without the parts that cannot be read."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stream.contract.codec import decode
from stream.contract.reading import LEFT_OUT, read_parts, read_recognitions
from stream.contract.records import Event, InvalidRecord, Recognition, Record
from tests.contract.test_codec import mutation, record_of, vector
from tests.support.worlds import FACE, POLICY, START_MS, VOICE, Desk, Run, Shape, recognition, world

GOOD_VOICE = {"encoder": VOICE, "embedding": vector(1, -0.5), "quality": {"duration_s": 2.4}}
GOOD_FACE = {"encoder": FACE, "embedding": vector(0.1, 0.2, length=128), "quality": {"detection_score": 1.0}}
SEEN = recognition("h", "e", START_MS, voice=GOOD_VOICE, face=GOOD_FACE, phones=[{"phone_id": "ph", "rssi_dbm": -60}])
WHOLE = SEEN | {"activity": "music.play", "device": {"model": "show-8"}}
NAN, SIXTEEN = float("nan"), dict.fromkeys("abcdefghijklmnop", 1)
STREET = [{"phone_id": f"p{n}", "rssi_dbm": -90 + n / 8} for n in range(70)]

LEAVES: dict[str, tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]] = {  # what -> (its parts, words, what is left of those)
    "another way to ask": ({"input": "gesture"}, ("input",), {}),
    "a session without an id": ({"session": {"device_class": "personal"}}, ("session",), {}),
    "a session of another class": ({"session": {"session_id": "s", "device_class": "car"}}, ("session",), {}),
    "a signal not available": ({"phones": [{"phone_id": "p", "rssi_dbm": 127}]}, ("rssi_dbm",), {"phones": [("p", None)]}),
    "a signal of NaN": ({"phones": [{"phone_id": "p", "rssi_dbm": NAN}]}, ("rssi_dbm",), {"phones": [("p", None)]}),
    "a signal as text": ({"phones": [{"phone_id": "p", "rssi_dbm": "-60"}]}, ("rssi_dbm",), {"phones": [("p", None)]}),
    "a signal of true": ({"phones": [{"phone_id": "p", "rssi_dbm": True}]}, ("rssi_dbm",), {"phones": [("p", None)]}),
    "null for a signal": ({"phones": [{"phone_id": "p", "rssi_dbm": None}]}, (), {"phones": [("p", None)]}),
    "a street's phones": ({"phones": STREET}, ("phones",), {"phones": [(p["phone_id"], p["rssi_dbm"]) for p in STREET[6:]]}),
    "a phone without a name": (
        {"phones": [{"rssi_dbm": -60}, {"phone_id": "p", "rssi_dbm": -60}]}, ("phone_id",), {"phones": [("p", -60)]},
    ),
    "a phone that is text": ({"phones": ["p", {"phone_id": "q", "rssi_dbm": -60}]}, ("phone_id",), {"phones": [("q", -60)]}),
    "no phone that can be read": ({"phones": [{"phone_id": ""}, {"phone_id": "a\u0000b"}]}, ("phone_id",) * 2, {"phones": None}),
    "phones that are no list": ({"phones": {"p": -60}}, ("phones",), {"phones": None}),
    "a voice of NaN": ({"voice": GOOD_VOICE | {"embedding": vector(NAN)}}, ("embedding",), {"voice": None}),
    "a voice of zeros": ({"voice": GOOD_VOICE | {"embedding": vector(0)}}, ("embedding",), {"voice": None}),
    "a voice of another length": ({"voice": GOOD_VOICE | {"embedding": vector(1, length=255)}}, ("embedding",), {"voice": None}),
    "a voice of float32": ({"voice": GOOD_VOICE | {"embedding": vector(0.1, kind="<f4")}}, ("embedding",), {"voice": None}),
    "a voice of an unknown encoder": ({"voice": GOOD_VOICE | {"encoder": "ecapa-9"}}, ("encoder",), {"voice": None}),
    "an encoder's name with a blank": ({"voice": GOOD_VOICE | {"encoder": "ecapa 9"}}, ("encoder",), {"voice": None}),
    "a face that is text": ({"face": "anna"}, ("face",), {"face": None}),
    "a face without a vector": ({"face": {"encoder": FACE}}, ("embedding",), {"face": None}),
    "a quality of NaN": ({"face": GOOD_FACE | {"quality": {"a": NAN, "b": 1.0}}}, ("quality",), {"quality": {"b": 1.0}}),
    "a quality beyond measure": ({"face": GOOD_FACE | {"quality": {"a": -1e308}}}, ("quality",), {"quality": {}}),
    "a quality as text": ({"face": GOOD_FACE | {"quality": {"a": "2.4"}}}, ("quality",), {"quality": {}}),
    "a quality without a name": ({"face": GOOD_FACE | {"quality": {"": 1.0}}}, ("quality",), {"quality": {}}),
    "17 qualities": ({"face": GOOD_FACE | {"quality": SIXTEEN | {"q": 1}}}, ("quality",), {"quality": SIXTEEN}),
    "a quality that is a number": ({"face": GOOD_FACE | {"quality": 0.9}}, ("quality",), {"quality": None}),
    "an empty activity": ({"activity": ""}, ("activity",), {"activity": None}),
    "an activity of 65 letters": ({"activity": "a" * 65}, ("activity",), {"activity": None}),
    "an activity that turns writing round": ({"activity": "\u202eevil"}, ("activity",), {"activity": None}),
    "an empty room": ({"device": {"room": "", "model": "m"}}, ("device",), {"device": {"model": "m"}}),
    "a firmware that is a number": ({"device": {"firmware": 2.1}}, ("device",), {"device": {}}),
    "an attribute with an escape": ({"device": {"a": "\x1b[2J", "\x7f": "c", "d": "e"}}, ("device",) * 2, {"device": {"d": "e"}}),
    "9 attributes": ({"device": {str(n): "x" for n in range(9)}}, ("device",), {"device": {str(n): "x" for n in range(8)}}),
    "a device that is text": ({"device": "show-8"}, ("device",), {"device": None}),
    "everything at once": (
        {"voice": 7, "phones": [{"phone_id": "p", "rssi_dbm": 127}, 9], "device": {"room": ""}},
        ("voice", "rssi_dbm", "phone_id", "device"), {"voice": None, "phones": [("p", None)], "device": {}},
    ),
}  # fmt: skip
NAMES = ["Anna's iPhone", "Zoé\u00a0S21", "客厅", "ph-1", "👩‍👧 phone", '</script>"&', " ", "music.play"]


def read(parts: dict[str, Any]) -> Event:
    return decode(record_of(WHOLE | parts), POLICY)


def quickly(raw: bytes) -> Any:
    return read_recognitions([raw], POLICY.vector_lengths)[0]


def told(event: Event) -> dict[str, Any]:
    value: Any = event.value
    phones = value.phones and [(phone.phone_id, phone.rssi_dbm) for phone in value.phones]
    return {
        "voice": value.voice, "face": value.face, "phones": phones, "activity": value.activity, "device": value.device,
        "quality": value.face and value.face.quality,
    }  # fmt: skip


@pytest.mark.parametrize("what", LEAVES)
def test_a_blemish_in_a_part_costs_that_part_alone(what: str) -> None:
    parts, words, left = LEAVES[what]
    found = read(parts)
    assert sorted(found.left_out) == sorted(words)
    assert {name: told(found)[name] for name in left} == left
    untouched = {"voice", "face", "phones", "activity", "device"} - parts.keys()
    assert {name for name in untouched if told(found)[name] is None} == set()


def test_the_words_of_what_is_left_out_are_a_closed_set() -> None:
    assert {word for _, words, _ in LEAVES.values() for word in words} | {"voice"} == set(LEFT_OUT)


@pytest.mark.parametrize("what", [what for what, (_, words, _) in LEAVES.items() if words])
def test_a_home_goes_on_with_what_is_left(what: str) -> None:
    desk, run = Desk(), Run()
    run.play_all(desk.record("recognitions", value) for value in (WHOLE | LEAVES[what][0], WHOLE | {"event_id": "e-2"}))
    assert {value["event_id"] for value in run.values("identities")} == {"e", "e-2"}


@pytest.mark.parametrize(
    "wrong",
    [{"event_id": "e 1"}, {"household_id": ""}, {"device_id": "the kitchen"}, {"observed_at": None}, {"v": 2}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_blemish_of_identity_or_order_costs_the_record(wrong: dict[str, Any]) -> None:
    for parts in ({}, {"activity": "", "phones": STREET}):
        with pytest.raises(InvalidRecord, match=next(iter(wrong))):
            read(wrong | parts)


def test_a_record_of_which_nothing_is_left_is_a_dead_letter_that_names_the_first_fault() -> None:
    for parts, reason in [
        ({"voice": GOOD_VOICE | {"embedding": vector(NAN)}}, "embedding"), ({"activity": ""}, "field"),
        ({"voice": GOOD_VOICE | {"encoder": "ecapa-9"}, "activity": "\n"}, "encoder"), ({"phones": "none"}, "field"),
    ]:  # fmt: skip
        with pytest.raises(InvalidRecord) as caught:
            decode(record_of(recognition("h", "e", START_MS, **parts)), POLICY)
        assert caught.value.reason == reason


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_world_are_any_text(name: str) -> None:
    parts = {"phones": [{"phone_id": name, "rssi_dbm": -60}], "activity": name, "device": {name: name}}
    found = read(parts)
    assert found.left_out == ()
    assert quickly(json.dumps(WHOLE | parts, ensure_ascii=False).encode())
    assert (told(found)["activity"], told(found)["device"], told(found)["phones"]) == (name, {name: name}, [(name, -60)])


@pytest.mark.parametrize("name", ["", "a" * 65, "a\nb", "a\x00b", "\x7f", "\x85", "\u2028", "\u2066a", "tab\there"])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_name_that_is_none_is_seen_by_both_readers(name: str, escaped: bool) -> None:
    for parts in ({"activity": name}, {"phones": [{"phone_id": name}]}, {"device": {name: "x"}}, {"device": {"x": name}}):
        raw = json.dumps(WHOLE | parts, ensure_ascii=escaped).encode()
        assert quickly(raw) is None
        with pytest.raises(ValidationError):
            Recognition.model_validate_json(raw)


@pytest.mark.parametrize("time", ["1763690000123.0", "1.763690000123e12", "1763690000123"])
def test_a_time_is_a_whole_number_however_it_is_written(time: str) -> None:
    raw = json.dumps(WHOLE | {"observed_at": 7}).replace('"observed_at": 7', f'"observed_at": {time}').encode()
    found = decode(Record("recognitions", 0, 0, START_MS, b"h", raw), POLICY).value
    assert (found.at, type(found.at)) == (1_763_690_000_123, int)


@pytest.mark.parametrize("time", ["1763690000123.5", "true", '"1763690000123"', "1e400", "NaN"])
def test_a_time_that_is_no_whole_number_is_none(time: str) -> None:
    raw = json.dumps(WHOLE | {"observed_at": 7}).replace('"observed_at": 7', f'"observed_at": {time}').encode()
    with pytest.raises(InvalidRecord, match="observed_at"):
        decode(Record("recognitions", 0, 0, START_MS, b"h", raw), POLICY)


@pytest.mark.parametrize("timestamp", [-1, 0, START_MS // 1000, -(2**63)])
def test_a_record_without_a_timestamp_is_judged_by_its_own_time(timestamp: int) -> None:
    record = replace(record_of(WHOLE), timestamp=timestamp)
    assert decode(record, POLICY).value.at == START_MS


def test_what_the_fast_reader_accepts_the_model_accepts_with_the_same_meaning() -> None:
    origins = list(world(3, Shape(homes=1, records=60, odd=0.5)))
    origins += [Desk().record("recognitions", WHOLE | {"activity": name, "device": {name: "x"}}) for name in NAMES]
    raws = [mutation(number, origins[number % len(origins)], b"").value for number in range(20_000)]
    read_fast = 0
    for raw, fast in zip(raws, read_recognitions(raws, POLICY.vector_lengths), strict=True):
        if raw is None or fast is None:
            continue
        read_fast += 1
        assert quickly(raw) == fast, "a record is read alone as among others"
        value, left_out = read_parts(raw)
        assert left_out == ()
        assert _plain(value) == _plain(fast), raw
    assert read_fast > 1_000


def _plain(value: Any) -> dict[str, Any]:
    """Field by field, vectors as numbers."""
    found = {name: getattr(value, name) for name in Recognition.model_fields if name not in ("voice", "face", "phones")}
    for name in ("voice", "face"):
        part = getattr(value, name)
        if part is not None:
            vector = part.embedding
            numbers = np.frombuffer(vector, "<f2").astype("f4") if isinstance(vector, bytes) else vector
            found[name] = part.encoder, numbers.tolist(), part.quality
    found["phones"] = value.phones and [(phone.phone_id, phone.rssi_dbm) for phone in value.phones]
    return found
