"""The codec: whatever the bytes, an event or InvalidRecord, and nothing else happens. `KITHKIN_MUTATIONS` searches wider."""

import base64
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from stream.contract.codec import VALUE_BYTES_MAX, decode, encode_output
from stream.contract.reading import LEFT_OUT
from stream.contract.records import MODELS, Event, InvalidRecord, Output, Record, dead_letter
from stream.contract.units import HOUR_MS
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household
from stream.home.step import step
from tests.support.worlds import FACE, POLICY, START_MS, VOICE, Run, Shape, feedback, recognition, world

REASONS = {"empty", "too_large", "json", "version", "field", "key", "encoder", "embedding", "future"}
MUTATIONS = int(os.environ.get("KITHKIN_MUTATIONS", "30000"))
HOME_LASTS = 60  # records: then the next home, since ids come again, and one absurd but possible time makes all others too old


# ---- a table of what may be wrong, and how it is told


def vector(*numbers: float, length: int = 256, kind: str = "<f2") -> str:
    array = np.resize(np.array(numbers), length).astype(kind)
    return base64.b64encode(array.tobytes()).decode()


def seen(**parts: Any) -> dict[str, Any]:
    return recognition("h", "e", START_MS, **parts)


def voiced(text: object, encoder: str = VOICE) -> dict[str, Any]:
    return seen(voice={"encoder": encoder, "embedding": text})


FINE = seen(activity="music.play")
UNREADABLE: dict[str, tuple[object, str, str]] = {  # what -> (value or bytes, reason, words of the sentence)
    "no value": (None, "empty", "no value"),
    "no bytes": (b"", "json", "not JSON"),
    "ten megabytes": (b" " * 10_000_000, "too_large", "10000000 bytes; at most"),
    "no JSON": (b"hello", "json", "not JSON"),
    "no UTF-8": (b'{"v":1,"event_id":"\xff"}', "json", "not JSON"),
    "half a record": (json.dumps(FINE).encode()[:40], "json", "not JSON"),
    "a very deep list": (b"[" * 100_000, "json", "not JSON"),
    "NaN as a number": (json.dumps(FINE | {"observed_at": float("nan")}).encode(), "field", "observed_at"),
    "a lone surrogate": (b'{"v":1,"event_id":"\\ud800"}', "json", "not JSON"),
    "a list": ([FINE], "field", "the record"),
    "another version": (FINE | {"v": 2}, "version", "v"),
    "no version": ({k: v for k, v in FINE.items() if k != "v"}, "version", "v"),
    "no household": ({k: v for k, v in FINE.items() if k != "household_id"}, "field", "household_id"),
    "another key": (FINE | {"household_id": "h-2"}, "key", "household_id 'h-2'"),
    "an id with a blank": (FINE | {"event_id": "e 1"}, "field", "event_id"),
    "an id with a line's end": (FINE | {"event_id": "e\n"}, "field", "event_id"),
    "an id of 65 letters": (FINE | {"event_id": "e" * 65}, "field", "event_id"),
    "nothing seen": (seen(), "field", "nothing to recognise"),
    "a time as text": (FINE | {"observed_at": "1763690000000"}, "field", "observed_at"),
    "a clock never set": (FINE | {"observed_at": 86_400_000}, "field", "observed_at"),
    "seconds for milliseconds": (FINE | {"observed_at": 1_763_690_000}, "field", "observed_at"),
    "microseconds for milliseconds": (FINE | {"observed_at": 1_763_690_000_000_000}, "field", "observed_at"),
    "a day ahead": (FINE | {"observed_at": START_MS + 49 * HOUR_MS}, "future", "2.0 days after"),
    "true for version 1": (FINE | {"v": True}, "version", "whole number 1"),
    "1.0 for version 1": (json.dumps(FINE).replace('"v": 1', '"v": 1.0').encode(), "version", "whole number 1"),
    "phones that have no name": (seen(phones=[{"rssi_dbm": -60}, {"phone_id": 7}]), "field", "phones.0.phone_id"),
    "a name with an end of line": (seen(activity="music\nplay"), "field", "activity"),
    "a vector of zeros": (voiced(vector(0)), "embedding", "all zeros"),
    "a vector with NaN": (voiced(vector(1, float("nan"))), "embedding", "NaN"),
    "a vector with infinity": (voiced(vector(1, float("inf"))), "embedding", "NaN, infinite"),
    "a vector out of all measure": (voiced(vector(60_000)), "embedding", "absurd"),
    "a vector of float32": (voiced(vector(*np.linspace(-0.1, 0.11, 256), kind="<f4")), "embedding", "look like float32"),
    "a vector of tame float32": (voiced(vector(0.0625, -0.125, kind="<f4")), "embedding", "has 512; its bytes look like float32"),
    "a vector as URLs have it": (voiced(vector(1).replace("A", "-")), "embedding", "alphabet of URLs"),
    "a vector of another length": (voiced(vector(1, length=255)), "embedding", "gives 256 numbers, this vector has 255"),
    "a vector of half a number": (voiced(base64.b64encode(b"abc").decode()), "embedding", "whole number of float16"),
    "an empty vector": (voiced(""), "embedding", "0 bytes"),
    "a vector of 1025 numbers": (voiced(vector(1, length=1025)), "embedding", "longer than 1024"),
    "a vector that is no base64": (voiced("…" * 100), "embedding", "base64"),
    "a vector as a list": (voiced([1, 2]), "embedding", "string"),
    "an unknown encoder": (voiced(vector(1), "ecapa-9"), "encoder", "'ecapa-9'"),
    "a face encoder's vector as voice": (voiced(vector(1, length=128), FACE), "encoder", "known: resemblyzer"),
}  # fmt: skip


def record_of(value: object, topic: str = "recognitions", key: bytes | None = b"h") -> Record:
    raw = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record(topic, 3, 812, START_MS, key, raw)


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_wrong_is_told_in_a_word_and_a_sentence(what: str) -> None:
    value, reason, words = UNREADABLE[what]
    with pytest.raises(InvalidRecord) as caught:
        decode(record_of(value), POLICY)
    assert caught.value.reason == reason
    assert words in caught.value.detail
    assert str(caught.value).startswith("recognitions[3]@812: ")


@pytest.mark.parametrize(
    ("value", "reason"),
    [(feedback("h", "f", START_MS, "forget"), "field"), (feedback("h", "f", START_MS, "join"), "field"),
     (feedback("h", "f", START_MS, "phone", phone_id="p"), "field"),
     (feedback("h", "f", START_MS, "leave", person_id=""), "field"),
     (feedback("h", "f", START_MS, "enrol", person_id="a", event_ids=[]), "field"),
     (feedback("h", "f", START_MS, "enrol", person_id="a", event_ids=["e"] * 65), "field"),
     (feedback("h", "f", START_MS, "join", person_id="a", source="rumour"), "field"),
     (feedback("h", "f", START_MS, "join", person_id="a") | {"v": "1"}, "version")],
)  # fmt: skip
def test_feedback_that_cannot_be_read_is_told_so(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRecord) as caught:
        decode(record_of(value, "feedback"), POLICY)
    assert caught.value.reason == reason


def test_a_record_without_a_key_or_with_another_is_unreadable() -> None:
    for key in (None, b"", b"H", b"\xff", b"h "):
        with pytest.raises(InvalidRecord) as caught:
            decode(record_of(FINE, key=key), POLICY)
        assert caught.value.reason == "key"


@pytest.mark.parametrize("raw", [b"", b"\xff\x00", b" " * (VALUE_BYTES_MAX + 1), None])
def test_a_dead_letter_keeps_the_bytes_and_the_place(raw: bytes | None) -> None:
    record = Record("feedback", 3, 812, START_MS, b"\xffkey", raw)
    output = dead_letter(record, "json", "why")
    value = MODELS["dead-letters"].model_validate_json(encode_output(output, 3, START_MS).value)
    assert (value.topic, value.partition, value.offset, value.timestamp) == ("feedback", 3, 812, START_MS)
    assert (value.reason, value.detail, value.value_bytes) == ("json", "why", len(raw or b""))
    assert base64.b64decode(value.key_base64) == record.key
    assert value.value_base64 is None if raw is None else base64.b64decode(value.value_base64) == raw[:65_536]


def test_an_output_is_written_without_blanks_and_a_tombstone_without_a_value() -> None:
    label = MODELS["labels"](
        event_id="e", household_id="h", person_id="anna", probability=0.5, evidence=["voice"], revision=0,
        cause={"topic": "recognitions", "partition": 3, "offset": 8},
    )  # fmt: skip
    written = encode_output(Output("labels", "h", label), 3, START_MS)
    assert (written.topic, written.partition, written.timestamp, written.key) == ("labels", 3, START_MS, b"h")
    assert written.value == json.dumps(json.loads(written.value or b""), separators=(",", ":")).encode()
    assert encode_output(Output("profiles", "h/anna", None), 3, START_MS).value is None


# ---- mutations


RAW = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 40, "9" * 5000, "-0", "0.1e-400", "1.0", "1e0", "true", '"\\ud800"',
    '"\\u0000"', '"' + "a" * 70_000 + '"', "[" * 300 + "]" * 300, '{"a":' * 150 + "1" + "}" * 150, "",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 1.5, "", "1", " ", "guest", "a" * 64, "a" * 65, "é", "e\n", [], {}, [[]], [None], {"": None},
    {"v": 1}, 2**31, 2**53, 2**63, 2**64, -(2**63), START_MS, START_MS + 23 * HOUR_MS, START_MS + 10**9, START_MS - 10**10,
    START_MS - 10**11, 946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000, VOICE, FACE, "ecapa-9", vector(0),
    vector(1), vector(float("nan")), vector(1, float("inf")), vector(6e-8), vector(65_504), vector(1e-4, 600),
    vector(1, length=128), vector(-1, 3, length=128), vector(1, length=1024), vector(1, length=1),
    vector(1, length=64, kind="<f4"), "A", "AAA=", "====",
    [{"phone_id": "p", "rssi_dbm": -200}] * 64, [{"phone_id": "p", "rssi_dbm": 1e308}], {str(n): "x" for n in range(9)},
    "join", "leave", "phone", "enrol", "confirm", "reject", "correct", "retract", "erase", "annotator", ["e0001:h-0"] * 64,
]  # fmt: skip
KEYS = [None, b"", b"h-1", b"\xff", b"h-0\n"]
TIMESTAMPS = [-(2**63), -1, 0, START_MS - 10**10, START_MS + 10**9, 2**63 - 1]


def places_of(tree: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything that stands in a JSON tree."""
    found: list[tuple[Any, Any]] = []
    todo = [tree]
    while todo:
        node = todo.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            found.append((node, key))
            if isinstance(node[key], dict | list):
                todo.append(node[key])
    return found


def of_structure(raw: bytes, rng: random.Random) -> bytes:
    """One to three places of the tree replaced, taken out, put in twice or under another name."""
    tree, literal = json.loads(raw), None
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        node, key = rng.choice(places_of(tree) or [(tree, "v")])
        match rng.randrange(6):
            case 0 if isinstance(node, dict):
                node.pop(key, None)
            case 1 if isinstance(node, dict):
                node[rng.choice(["unknown", "", "v", "\ud800", "x" * 5000, "kind", "person_id"])] = deepcopy(rng.choice(VALUES))
            case 2:
                literal, node[key] = rng.choice(RAW), "@literal@"
            case 3 if isinstance(node, list):
                node[:] = deepcopy(node * 40)
            case _:
                node[key] = deepcopy(rng.choice(VALUES))
    text = json.dumps(tree).encode()
    if literal is not None:
        text = text.replace(b'"@literal@"', literal.encode())
    if rng.random() < 0.1:  # a name that stands twice
        name = rng.choice(["v", "event_id", "household_id", "kind", "observed_at", "voice"])
        text = text[:-1] + f',"{name}":{json.dumps(rng.choice(VALUES))}}}'.encode()
    return text


def of_bytes(raw: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut off, put in, doubled."""
    data, at = bytearray(raw), rng.randrange(len(raw))
    match rng.randrange(5):
        case 0:
            for _ in range(rng.choice([1, 1, 2, 8])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 1:
            del data[at:]
        case 2:
            data[at:at] = rng.randbytes(rng.randint(1, 12))
        case 3:
            data[at:at] = data[at : at + rng.randint(1, 60)]
        case _:
            data[at : at + rng.randint(1, 20)] = b""
    return bytes(data)


def mutation(number: int, origin: Record, huge: bytes) -> Record:
    """The record of that number, the same for ever."""
    rng = random.Random(number)
    raw, key, timestamp, topic = origin.value or b"", origin.key, origin.timestamp, origin.topic
    which = rng.random()
    if which < 0.60:
        raw = of_structure(raw, rng)
    elif which < 0.95:
        raw = of_bytes(raw, rng)
    elif which < 0.97:
        key = rng.choice(KEYS)
    elif which < 0.98:
        timestamp = rng.choice(TIMESTAMPS)
    elif which < 0.99:
        topic = "feedback" if topic == "recognitions" else "recognitions"
    value = rng.choice([None, b"", huge, raw[:1] + huge]) if rng.random() < 0.002 else raw
    return Record(topic, 0, number, timestamp, key, value)


def mutations(count: int) -> Iterator[Record]:
    origins = [r for n in range(8) for r in world(n, Shape(homes=1, records=60, odd=0.5, numbered_from=100 * n))]
    huge = b'{"v":1,"x":"' + b"x" * 10_000_000 + b'"}'
    return (mutation(n, origins[n % len(origins)], huge) for n in range(count))


class Lives:
    """Homes, one after the other, that what was let through is tried on."""

    def __init__(self) -> None:
        self.home, self.lived = Household.new("h-0"), 0
        self.outcomes: Counter[str] = Counter()
        self.opened = Run().play_all(world(5, Shape(homes=1, records=20, erasing=False, numbered_from=9000))).states()["h-0"]

    def take(self, event: Event) -> None:
        if self.lived % HOME_LASTS == 0:
            self.home = decode_home(self.opened, POLICY)
        self.lived += 1
        try:
            outputs, outcomes = step(self.home, event, POLICY)
        except Exception as error:
            raise AssertionError(f"mutation {event.record.offset} was let through: {event.value!r:.500}") from error
        self.outcomes.update(outcomes)
        for output in outputs:
            written = encode_output(output, 0, event.record.timestamp)
            assert written.value is None or MODELS[output.topic].model_validate_json(written.value)
        if self.lived % 20 == 0:
            self.home = decode_home(encode_home(self.home), POLICY)


def test_mutated_records_raise_only_what_they_may_and_break_no_home() -> None:
    """What is refused changes no byte of the home; what is let through, `step` can handle."""
    told: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    lives = Lives()
    for record in mutations(MUTATIONS):
        watched = record.offset % 20 == 0
        before = encode_home(lives.home) if watched else b""
        try:
            event = decode(record, POLICY)
        except InvalidRecord as fault:
            told[fault.reason] += 1
            if watched:
                letter = encode_output(dead_letter(record, fault.reason, fault.detail), 0, record.timestamp)
                assert MODELS["dead-letters"].model_validate_json(letter.value).detail
                assert encode_home(lives.home) == before
        except BaseException as error:
            raise AssertionError(f"mutation {record.offset}: {record.value!r:.300}") from error
        else:
            left_out.update(event.left_out)
            lives.take(event)
    assert set(told) == REASONS
    assert {"embedding", "encoder", "quality", "rssi_dbm"} <= set(left_out) <= set(LEFT_OUT)
    assert lives.outcomes["answered"] > MUTATIONS / 200
    assert MUTATIONS / 20 < lives.lived < MUTATIONS / 2
