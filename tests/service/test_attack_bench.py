"""What the attack bench measures by: that it would see a leak, and counts what a guesser gets."""

from typing import Any

import pytest

import bench.attack.ids as ids
from bench.attack.guesses import guess
from bench.attack.ids import match_clients
from stream.runtime.service.handles import Handles
from stream.runtime.service.verifier import Place, Verifier


class OneKey(Handles):
    """Handles whose clients share a key."""

    def _key(self, kind: str, client_id: str) -> Any:
        return super()._key(kind, "everybody")


def test_a_guesser_has_three_guesses_an_unlock(monkeypatch: pytest.MonkeyPatch) -> None:
    one, both = guess(30, seed=1)
    assert (one.guesses_max, one.chance, both.guesses_max) == (3, 0.0003, 6)
    check = Verifier.check
    monkeypatch.setattr(Verifier, "check", lambda self, place, pin, at: check(self, Place(*place[:2], f"d-{at}"), pin, at))
    assert guess(5, seed=1)[0].guesses_max > 3, "at another device each time"


def test_ids_of_two_clients_are_not_alike_and_would_be_seen_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(match_clients(400, seed=1).values()) < 0.56
    monkeypatch.setattr(ids, "Handles", OneKey)
    assert match_clients(400, seed=1)["bits alike"] > 0.99
