"""What the attack bench measures by: that it would see a leak, and counts what a guesser gets."""

from pathlib import Path
from typing import Any

import pytest

import bench.attack.homes as homes
import bench.attack.ids as ids
from bench.attack.guesses import guess
from bench.attack.ids import match_clients
from bench.quality.people import Side
from stream.contract.policy import Policy
from stream.runtime.service.handles import Handles
from stream.runtime.service.verifier import Place, Verifier


class OneKey(Handles):
    """Handles whose clients share a key."""

    def _key(self, kind: str, client_id: str) -> Any:
        return super()._key(kind, "everybody")


def test_homes_are_attacked_in_every_way_and_only_what_is_genuine_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(homes, "WORLDS", ("kin",))
    monkeypatch.setattr(homes, "policy_for", lambda *_: Policy())  # to fit packs takes longer than all the rest
    ((world, tried),) = homes.attack_homes(Side(0, 0, "an4"), 1, 0, tmp_path)
    assert world == "kin"
    tries = {kind.partition(":")[0] for kind in tried.tries}
    assert tries >= {"forged", "replayed", "foreign", "stale", "write access to `feedback`", "a housemate with the PIN"}
    counted = {kind for kind, won in tried.won.items() if won}
    assert "genuine (to compare)" in counted
    assert {kind for kind in counted if "to compare" not in kind and "taken for the owner" not in kind} == set()


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
