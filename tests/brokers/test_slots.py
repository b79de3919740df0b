"""Slots: two living workers never share one, and a restarted one has its own again."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stream.brokers.kafka.slots import Slot
from stream.contract.errors import ConfigError
from stream.contract.settings import Wiring

CLAIM = """
from stream.brokers.kafka.slots import Slot
from stream.contract.settings import Wiring
slot = Slot(Wiring())
print(slot.name, flush=True)
input()
"""
Claim = Callable[..., Slot]


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Claim]:
    """Claims a slot of a wiring, for this test, on a host where nobody has one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with ExitStack() as ends:

        def claimed(**settings: str) -> Slot:
            slot = Slot(Wiring(**settings))
            ends.callback(slot.release)
            return slot

        yield claimed


def test_workers_of_one_host_have_the_lowest_free_numbers(claim: Claim) -> None:
    slots = [claim() for _ in range(3)]
    host = slots[0].name.removesuffix("-0")
    assert [slot.name for slot in slots] == [f"{host}-{number}" for number in range(3)]
    slots[1].release()
    assert claim().name == f"{host}-1"


def test_each_group_counts_for_itself(claim: Claim) -> None:
    names = [claim(**settings).name[-2:] for settings in ({}, {"group": "other"}, {"prefix": "prod."}, {})]
    assert names == ["-0", "-0", "-0", "-1"]


def test_a_slot_that_is_named_is_had_as_it_is(claim: Claim) -> None:
    slots = [claim(slot="rack-7", prefix="prod.", group="homes") for _ in range(2)]
    assert [slot.transactional_id for slot in slots] == ["prod.homes-rack-7"] * 2


def test_a_slot_is_free_again_when_its_process_was_killed(claim: Claim) -> None:
    with subprocess.Popen([sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        name = worker.stdout.readline().strip()
        assert (name[-2:], claim().name[-2:]) == ("-0", "-1")
        worker.kill()
    assert claim().name == name


def test_a_folder_that_cannot_be_had_is_named(claim: Claim, tmp_path: Path) -> None:
    (tmp_path / "kithkin").write_text("a file")
    with pytest.raises(ConfigError, match="kithkin"):
        claim()
