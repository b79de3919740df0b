"""Homes as the service reads them: what is asked for at once is read at once, and each is told of its own."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from stream.contract.ports import StoreError
from stream.home.state.household import Household
from stream.runtime.service.homes import Homes
from stream.stores import MemoryStore
from tests.service.site import POLICY, Site

Found = Household | None | BaseException


class Counted(MemoryStore):
    """A store that says what it was asked, and fails on demand."""

    def __init__(self, of: MemoryStore) -> None:
        super().__init__()
        self._held = of._held
        self.asked: list[list[str]] = []
        self.fails = False

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        self.asked.append([name for _, name in places])
        if self.fails:
            raise StoreError("Redis does not answer")
        return super().read(places)


@pytest.fixture
def store(tmp_path: Path) -> Counted:
    """A home `h`, and nothing else."""
    site = Site(tmp_path)
    site.see("anna")
    site.work()
    return Counted(site.store)


async def ask_at_once(homes: Homes, *names: str | None) -> Sequence[Found]:
    return await asyncio.gather(*map(homes.find_soon, names), return_exceptions=True)


def test_what_is_asked_for_at_once_is_one_read_and_each_has_a_home_of_its_own(store: Counted) -> None:
    homes = Homes(store, POLICY)
    for _ in range(2):  # where a home lies is looked for once
        store.asked.clear()
        first, absent, nobody, again = asyncio.run(ask_at_once(homes, "h", "h-9", None, "h"))
    assert store.asked == [["h", "h-9", "?"]]
    assert (absent, nobody) == (None, None)
    assert isinstance(first, Household)
    assert isinstance(again, Household)
    assert (first.household_id, again.household_id, first is again) == ("h", "h", False)
    found = homes.find("h")
    assert found is not None
    assert found.members == first.members


def test_a_store_that_does_not_answer_leaves_nobody_waiting(store: Counted) -> None:
    homes = Homes(store, POLICY)
    store.fails = True
    assert {type(one) for one in asyncio.run(ask_at_once(homes, "h", "h-9"))} == {StoreError}
    store.fails = False
    assert isinstance(asyncio.run(ask_at_once(homes, "h"))[0], Household), "and the next is answered"


def test_who_gave_up_waiting_holds_up_nobody(store: Counted) -> None:
    homes = Homes(store, POLICY)

    async def give_up() -> Found:
        first, second = (asyncio.create_task(homes.find_soon("h")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(second, 5)

    assert isinstance(asyncio.run(give_up()), Household)


def test_a_home_that_moved_is_looked_for_again(store: Counted) -> None:
    homes = Homes(store, POLICY)
    assert homes.find("h") is not None
    state = store.load(0, ["h"])["h"]
    del store._held[0].states["h"]
    store.save(1, store.claim(1).epoch, {}, {"feedback": 1}, {"h": state})
    assert homes.find("h") is None, "it is not where it was"
    assert homes.find("h") is not None
