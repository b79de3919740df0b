"""Which settings a difference is owed to: its Shapley shares over what differs between two policies.

Law: the shares of a figure add up to its difference. A setting's share is what setting it changes, on average over all orders in
which the settings could be set one after the other (Shapley, 1953): exact where few differ, else over orders that are drawn, each
with its reverse (Mitchell et al., 2022); in each order the steps add up, and so does their mean.

Settings that make no sense apart (tiers must rise) are set together, and so is all of one encoder, and of a model.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any, Final

import numpy as np

from stream.contract.policy import Policy

from ..policies.paths import ABSENT, Path, leaves, put, take
from .columns import Array

__all__ = ["Plan", "Player", "players_of", "shapley"]

Player = tuple[str, ...]  # settings that are set together, by dotted names
_EXACT_MAX: Final = 5  # players: 30 policies between the two
_RUNS_MAX: Final = 30  # about so many policies between the two, where orders are drawn


def players_of(first: Policy, other: Policy) -> list[Player]:
    """The settings that differ, those that belong together in one; in the order in which they stand in the policy.

    >>> from stream.contract.policy import Tiers
    >>> players_of(Policy(), Policy(tiers=Tiers(personal=0.94, private=0.996, pin_minutes=6)))
    [('tiers.personal', 'tiers.private'), ('tiers.pin_minutes',)]
    """
    return [tuple(map(".".join, paths)) for paths in _set_together(first, other)]


def _set_together(first: Policy, other: Policy) -> list[tuple[Path, ...]]:
    """The players, as the paths of their settings."""
    here, there = leaves(first), leaves(other)
    differ = [path for path in dict.fromkeys([*here, *there]) if here.get(path, ABSENT) != there.get(path, ABSENT)]
    players: dict[Path, list[Path]] = {}
    for path in differ:
        players.setdefault(_partner(path, differ), []).append(path)
    return [tuple(paths) for paths in players.values()]


def _partner(path: Path, differ: Sequence[Path]) -> Path:
    """What a setting is set together with: the first of those that must rise and differ too."""
    table, *rest = path
    for names in getattr(Policy.model_fields[table].annotation, "in_order", ()):
        if len(rest) == 1 and rest[0] in names:
            return next((table, one) for one in names if (table, one) in differ)
    return path


class Plan:
    """Which policies between two are run, and what their figures come to."""

    def __init__(self, first: Policy, other: Policy, seed: int = 0) -> None:
        self.players, self._paths = players_of(first, other), _set_together(first, other)
        self._first, self._other = first, other
        self.exact = len(self.players) <= _EXACT_MAX
        self._orders = [] if self.exact else _draw_orders(len(self.players), seed)

    @property
    def sets(self) -> list[frozenset[int]]:
        """The sets of players (numbers) that are as in the other policy; both ends are among them."""
        count = len(self.players)
        if self.exact:
            return [frozenset(some) for size in range(count + 1) for some in combinations(range(count), size)]
        return list(dict.fromkeys(frozenset(order[:size]) for order in self._orders for size in range(count + 1)))

    def policy(self, some: frozenset[int]) -> Policy:
        """The first policy with these players set as in the other."""
        if not some or len(some) == len(self.players):
            return self._other if some else self._first
        dumped, there = self._first.model_dump(), self._other.model_dump()
        for number in some:
            for path in self._paths[number]:
                put(dumped, path, take(there, path))
        return Policy.model_validate(dumped)

    def shares(self, value: Mapping[frozenset[int], Array]) -> list[Array]:
        """Each player's share, of whatever shape the values have."""
        return shapley(len(self.players), value.__getitem__, self._orders)


def _draw_orders(players: int, seed: int) -> list[tuple[int, ...]]:
    rng, orders = np.random.default_rng(seed), []
    for _ in range(max(1, _RUNS_MAX // (2 * (players - 1)))):
        order = tuple(rng.permutation(players).tolist())
        orders += [order, order[::-1]]
    return orders


def shapley(players: int, value: Callable[[frozenset[int]], Any], orders: Sequence[Sequence[int]] = ()) -> list[Any]:
    """The share of each of so many players in `value` of all less that of none; without orders: over all of them, exactly.

    >>> shapley(2, lambda some: 3.0 * (0 in some) + 1.0 * (1 in some) + 2.0 * (len(some) == 2))
    [4.0, 2.0]
    """
    if orders:
        steps = [[(order[at], frozenset(order[:at])) for at in range(players)] for order in orders]
        found: list[Any] = [0.0] * players
        for player, before in (step for order in steps for step in order):
            found[player] = found[player] + (value(before | {player}) - value(before)) / len(orders)
        return found
    out: list[Any] = []
    for player in range(players):
        others = [one for one in range(players) if one != player]
        share: Any = 0.0
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for some in combinations(others, size):
                before = frozenset(some)
                share = share + weight * (value(before | {player}) - value(before))
        out.append(share)
    return out
