"""Dead letters are found by reason, time and household, and sent again in their order, each once."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.brokers.kafka.producer import Announcer
from stream.brokers.kafka.topics import reader
from stream.cli import app
from stream.contract.codec import decode, encode_output
from stream.contract.ports import Encoded
from stream.contract.records import DEAD_LETTER_BYTES_MAX, Position, Record, dead_letter
from stream.contract.settings import Wiring
from stream.home.messages import REFUSALS
from stream.ops import dead_letters
from stream.ops.dead_letters import REASONS, Only, erase, gather, letters, resend
from tests.conftest import Running

AT_MS = 1_763_690_000_000


def _record(offset: int, household: str = "h-1", topic: str = "recognitions") -> Record:
    value = json.dumps({"v": 1, "household_id": household, "event_id": f"e-{offset}"}).encode()
    return Record(topic, 0, offset, AT_MS + offset * 1_000, household.encode(), value)


def _letter(record: Record, reason: str = "quarantined") -> Encoded:
    return encode_output(dead_letter(record, reason, "its household failed"), record.partition, record.timestamp)


def _topic(*letters: Encoded, partition: int = 0) -> list[Record]:
    """As they stand in the topic."""
    return [
        Record("dead-letters", partition, at, letter.timestamp, letter.key, letter.value) for at, letter in enumerate(letters)
    ]


def _offsets(records: Sequence[Record], **only: Any) -> list[int]:
    return [letter.place.offset for letter in gather(records, Only(**only)).found]


def test_letters_are_chosen_by_reason_household_time_and_place() -> None:
    records = _topic(_letter(_record(1)), _letter(_record(2, "h-2"), "encoder"), _letter(_record(3), "encoder"))
    assert _offsets(records) == [1, 2, 3]
    assert _offsets(records, reasons=frozenset({"encoder"})) == [2, 3]
    assert _offsets(records, household="h-1") == [1, 3]
    assert _offsets(records, since_ms=AT_MS + 2_000) == [2, 3]
    assert _offsets(records, until_ms=AT_MS + 2_000) == [1]
    assert _offsets(records, place=Position("recognitions", 0, 2)) == [2]


def test_a_place_that_was_written_twice_is_one_letter() -> None:
    assert _offsets(_topic(_letter(_record(1)), _letter(_record(1)))) == [1]


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"{}", b"\xff", b'{"topic": 7}', b'"text"'])
def test_what_is_no_letter_is_passed_over_and_counted(value: bytes | None) -> None:
    letters = _topic(_letter(_record(1)), Encoded("dead-letters", 0, AT_MS, b"h-1", value), _letter(_record(2)))
    found, unreadable = gather(letters, Only())
    assert ([letter.place.offset for letter in found], unreadable) == ([1, 2], 1)


def test_every_reason_that_decoding_can_have_is_explained() -> None:
    told = re.findall(r"`(\w+)`", (decode.__doc__ or "").partition("closed set")[2])
    assert "encoder" in told
    assert {*told, *filter(None, REFUSALS), "quarantined"} - {"forgotten"} <= REASONS.keys()


# ---- on a real Kafka


@pytest.fixture
def wiring(kafka: Running, topics: Callable[..., str]) -> Wiring:
    prefix = topics(partitions=2)
    return Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}g")


def _write(wiring: Wiring, *letters: Encoded) -> None:
    with closing(Announcer(wiring, "a-worker")) as announce:
        announce(letters)


def _arrived(wiring: Wiring, topic: str = "recognitions") -> list[tuple[bytes | None, bytes | None]]:
    return [(record.key, record.value) for record in reader(wiring, [topic])]


def _kithkin(wiring: Wiring, *words: str, code: int = 0) -> str:
    told = CliRunner().invoke(app, ["dead-letters", *words, "--broker", wiring.broker, "--prefix", wiring.prefix])
    assert told.exit_code == code, told.output
    return told.output


def test_letters_are_sent_again_in_their_order_and_each_once_whoever_asks_how_often(wiring: Wiring) -> None:
    sent = [_record(number) for number in range(300)]
    _write(wiring, *map(_letter, sent), _letter(_record(900), "field"), _letter(_record(7, topic="feedback")))
    only = Only(reasons=frozenset({"quarantined"}))
    assert resend(wiring, only) == (301, 0, 0)
    assert resend(wiring, only) == (0, 301, 0)
    assert _arrived(wiring) == [(record.key, record.value) for record in sent]
    assert len(_arrived(wiring, "feedback")) == 1
    assert resend(wiring, Only()) == (1, 301, 0)


def test_a_resending_that_was_cut_off_goes_on(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(wiring, *(_letter(_record(number)) for number in range(450)))
    announce, calls = Announcer.__call__, list[int]()

    def dying(self: Announcer, outputs: Sequence[Encoded]) -> None:
        calls.append(len(outputs))
        if len(calls) == 2:
            raise KeyboardInterrupt
        announce(self, outputs)

    with monkeypatch.context() as dies:
        dies.setattr(Announcer, "__call__", dying)
        with pytest.raises(KeyboardInterrupt):
            resend(wiring, Only())
    assert resend(wiring, Only()) == (250, 200, 0)
    assert len(_arrived(wiring)) == 450


def test_what_was_cut_is_not_sent(wiring: Wiring) -> None:
    long = replace(_record(1), value=b"x" * (DEAD_LETTER_BYTES_MAX + 1))
    _write(wiring, _letter(long, "too_large"))
    assert resend(wiring, Only()) == (0, 0, 1)
    assert _arrived(wiring) == []


def test_the_commands_teach_the_way_from_a_reason_to_its_end(wiring: Wiring) -> None:
    rubbish = Record("feedback", 0, 4, AT_MS, None, b"\x1b[2J")
    _write(wiring, _letter(_record(812)), _letter(_record(3, "h-2"), "field"), _letter(rubbish, "json"))
    told = _kithkin(wiring, "list")
    assert "recognitions[0]@812" in told
    assert "3 dead letters, 0 of them sent again." in told
    assert REASONS["quarantined"] in told
    assert '"e-812"' in _kithkin(wiring, "show", "recognitions[0]@812")
    shown = _kithkin(wiring, "show", "feedback/0/4")
    assert "\x1b" not in shown
    assert "no key" not in shown
    assert "no dead letter of recognitions[1]@9 is kept" in _kithkin(wiring, "show", "recognitions/1/9", code=1)
    assert "nothing chooses what to send" in _kithkin(wiring, "resend", code=2)
    assert "1 would be sent." in _kithkin(wiring, "resend", "--reason", "quarantined", "--dry-run")
    assert _arrived(wiring) == []
    assert "1 sent, 0 had been sent before." in _kithkin(wiring, "resend", "--household", "h-1")
    assert "0 sent, 1 had been sent before." in _kithkin(wiring, "resend", "--household", "h-1")
    (line,) = _kithkin(wiring, "list", "--json", "--reason", "quarantined").splitlines()
    assert json.loads(line)["resent"] is True


def _signal(household: str, kind: str, number: int) -> Encoded:
    value = {"v": 1, "household_id": household, "kind": kind, "signal_id": f"s-{number}"}
    return Encoded("drift-signals", 0, AT_MS, household.encode(), json.dumps(value).encode())


def _bytes_of(wiring: Wiring) -> bytes:
    return b"".join(record.value or b"" for record in reader(wiring, ["dead-letters"]))


def test_what_came_of_a_home_before_it_was_erased_is_taken_out_of_the_topic(wiring: Wiring) -> None:
    _write(wiring, *(_letter(_record(number, f"h-{number % 3}")) for number in range(30)))
    _write(wiring, _signal("h-1", "erased", 1), _signal("h-2", "device", 2), _signal("h-9", "erased", 3))
    _write(wiring, _letter(_record(100, "h-1")))  # after it: life went on
    assert erase(wiring) == (10, 21)
    left = letters(wiring).found
    assert sorted(letter.place.offset for letter in left) == sorted([*(n for n in range(30) if n % 3 != 1), 100])
    assert _bytes_of(wiring).count(base64.b64encode(b"h-1")) == 1
    assert erase(wiring) == (0, 21), "and again there is nothing to do"
    assert resend(wiring, Only(household="h-2")) == (10, 0, 0)
    assert "10 dead letters are gone" in _kithkin(wiring, "erase", "--household", "h-0")


def test_an_erasure_that_was_cut_off_is_done_by_the_next(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(wiring, *(_letter(_record(number, f"h-{number % 2}")) for number in range(10)))
    _write(wiring, _signal("h-1", "erased", 1))
    with monkeypatch.context() as dies:
        dies.setattr(dead_letters, "_delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            erase(wiring)
    assert len(letters(wiring).found) == 10, "what stands twice is one letter"
    erase(wiring)
    assert [letter.household for letter in letters(wiring).found] == ["h-0"] * 5
    assert base64.b64encode(b"h-1") not in _bytes_of(wiring)
