"""States at rest: a state that a released version wrote loads for ever, and a damaged one is never taken for another.

`tests/golden/home-v<version>-<name>.bin` were written by that version and are never written again; `--update-golden` writes
those of the present version that are missing, and what each answers to `later.jsonl` (reviewed as a diff).
"""

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learners.precision import SHARE_STEP
from stream.brokers.log_files import LogReader, encode_line
from stream.contract.ports import Encoded
from stream.contract.records import Record
from stream.contract.units import DAY_MS
from stream.home.state.at_rest import STATE_VERSION, UnknownState, decode_home, encode_home
from stream.home.state.household import Household
from tests.support.worlds import POLICY, START_MS, Run, Shape, Story, world

GOLDEN = Path(__file__).parent.parent / "golden"
LATER = GOLDEN / "later.jsonl"
PRESENT = {  # name -> the life of a home, by seed and shape
    "enrolled": (1, Shape(homes=1, people=3, records=120, erasing=False)),
    "unknown": (2, Shape(homes=1, people=2, records=60, enrolled=False, erasing=False)),
    "odd": (3, Shape(homes=1, people=4, records=80, odd=0.8, erasing=False)),
    "erased": (4, Shape(homes=1, people=2, records=80, odd=0.5)),
}
STATES = sorted({*GOLDEN.glob("home-v*.bin"), *(GOLDEN / f"home-v{STATE_VERSION}-{name}.bin" for name in PRESENT)})
each_state = pytest.mark.parametrize("path", STATES, ids=[path.stem for path in STATES])


def life(name: str) -> Household:
    return Run().play_all(world(*PRESENT[name])).homes["h-0"]


def version_of(path: Path) -> int:
    return int(path.stem.split("-")[1].removeprefix("v"))


def later_log() -> list[Record]:
    with closing(LogReader([str(LATER)])) as reader:
        return list(reader)


def line(record: Record) -> bytes:
    return encode_line(Encoded(record.topic, record.partition, record.timestamp, record.key, record.value), record.offset)


@pytest.fixture(autouse=True)
def written(request: pytest.FixtureRequest) -> None:
    """Write what is missing, when that was asked for."""
    if request.config.getoption("--update-golden"):
        GOLDEN.mkdir(exist_ok=True)
        if not LATER.exists():
            shape = Shape(homes=1, people=3, records=20, start_ms=START_MS + 25 * DAY_MS, numbered_from=5000, erasing=False)
            LATER.write_bytes(b"".join(map(line, world(99, shape))))
        for name in PRESENT:
            path = GOLDEN / f"home-v{STATE_VERSION}-{name}.bin"
            if not path.exists():
                path.write_bytes(encode_home(life(name)))


@each_state
def test_a_state_loads_for_ever(path: Path) -> None:
    raw = path.read_bytes()
    home = decode_home(raw, POLICY)
    assert home.household_id == "h-0"
    if version_of(path) == STATE_VERSION:
        assert encode_home(home) == raw
    assert encode_home(decode_home(encode_home(home), POLICY)) == encode_home(home)


def answers_of(path: Path) -> list[dict[str, Any]]:
    """What a golden state answers to the later log: every output as a reader of JSON gets it."""
    run = Run()
    run.homes["h-0"] = decode_home(path.read_bytes(), POLICY)
    run.play_all(later_log())
    return [
        {"topic": o.topic, "key": (o.key or b"").decode(), "value": None if o.value is None else json.loads(o.value)}
        for o in run.outputs
    ]


def assert_alike(found: Any, expected: Any, place: str) -> None:
    """Equal, but for the last bits of numbers, which differ between processors: a probability may fall on the next step."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), place
        for key in expected:
            assert_alike(found[key], expected[key], f"{place}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), place
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_alike(one, other, f"{place}[{i}]")
    elif place.endswith(".embedding"):
        one, other = (np.frombuffer(base64.b64decode(text), "<f2").astype("f4") for text in (found, expected))
        np.testing.assert_allclose(one, other, atol=2e-3, err_msg=place)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=2 * SHARE_STEP), place
    else:
        assert found == expected, place


@each_state
def test_a_state_goes_on_as_it_did(path: Path, request: pytest.FixtureRequest) -> None:
    golden, found = path.with_suffix(".jsonl"), answers_of(path)
    assert {f["topic"] for f in found} >= {"identities", "profiles"}
    if request.config.getoption("--update-golden"):
        golden.write_text("".join(json.dumps(f) + "\n" for f in found), "utf-8")
    expected = [json.loads(text) for text in golden.read_text("utf-8").splitlines()]
    assert_alike(found, expected, golden.stem)


@each_state
def test_a_damaged_state_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    taken = []
    for place in range(len(raw)):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        for damaged in (raw[:place], bytes(flipped)):
            try:
                decode_home(damaged, POLICY)
            except UnknownState:
                continue
            taken.append(place)
    assert taken == []


@pytest.mark.parametrize("raw", [b"", b"\x00", b"{}", b"\x91\x91\x01", b"\xc1" * 40, b"\x91" * 100_000])
def test_what_is_no_state_is_refused(raw: bytes) -> None:
    with pytest.raises(UnknownState):
        decode_home(raw, POLICY)


@pytest.mark.parametrize("name", PRESENT)
def test_writing_a_home_changes_nothing_of_it(name: str) -> None:
    home = life(name)
    first = encode_home(home)
    assert encode_home(home) == first
    assert encode_home(decode_home(first, POLICY)) == first


def test_a_home_that_was_read_shares_nothing_with_another() -> None:
    raw = (GOLDEN / f"home-v{STATE_VERSION}-enrolled.bin").read_bytes()
    one, other = decode_home(raw, POLICY), decode_home(raw, POLICY)
    run = Run()
    run.homes["h-0"] = one
    run.play_all(later_log())
    assert encode_home(one) != raw
    assert encode_home(other) == raw


def test_a_home_that_is_written_again_and_again_is_the_one_that_is_written_once() -> None:
    """Surely claimed events of people who never enrolled: their evidence is weighed anew while their shares stay whole."""
    written, silent = Story(enrolled=False), Story(enrolled=False)
    for story in (written, silent):
        for number in range(12):
            story.see(("anna", "bert")[number % 2], event_id=f"e-{number}")
        for number in range(4, 8):
            story.say("correct", event_id=f"e-{number}", person_id=("anna", "bert")[number % 2], source="annotator")
        for number in range(20):
            if story is written:
                assert encode_home(story.home) == encode_home(story.home)
            story.see(("anna", "bert")[number % 2])
    assert encode_home(written.home) == encode_home(silent.home)
