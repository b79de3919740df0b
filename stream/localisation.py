"""The cause of a change, as the kept events show it: whose recordings moved together, beside where those people were before.

Law: looking changes nothing. Whose a recording is, is asked of everything but itself, unless the policy wants it otherwise.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from learners.fusion import softmax
from learners.localise import evidence_of_shift
from learners.plain import Days, Floats
from learners.prototypes import SoftPrototypes

from .detectors import Subject
from .household import Home
from .ledger import Row
from .policy import Policy
from .residuals import CLAIMED_MIN

__all__ = ["explained", "residuals_of"]

ROWS_MIN: Final = 4  # fewer say nothing of who or what moved


def explained(home: Home, policy: Policy, since: int) -> dict[Subject, float]:
    """Nats for each device, person and encoder that it is what moved since that event; of what too little is known, none."""
    found: dict[Subject, list[float]] = {}
    for encoder in home.spaces:
        rows = [row for row in home.rows if row.number >= since and encoder in row.encoders]
        if len(rows) >= ROWS_MIN:
            residuals, owned = residuals_of(home, policy, encoder, rows)
            for subject, weights in _causes(home, rows, owned, encoder):
                found.setdefault(subject, []).append(evidence_of_shift(residuals, weights))
    return {subject: _of_some(nats) for subject, nats in found.items()}


def residuals_of(home: Home, policy: Policy, encoder: str, rows: Sequence[Row]) -> tuple[Floats, Days]:
    """Of some of the last kept events: how far (n, k) each is from where its owners were, and (n, 1 + people) whose it is."""
    space, first = home.spaces[encoder], rows[0].number
    owned = np.array([_owners(home, policy, row, encoder) for row in rows])
    before = [row.number for row in home.rows if row.number < first and encoder in row.encoders]
    places = np.stack([_place(space, column, before) for column in range(len(home.people))])
    vectors = np.stack([space.vector(row.number) for row in rows])
    return (vectors - owned[:, 1:] @ places).astype(np.float32), owned


def _causes(home: Home, rows: Sequence[Row], owned: Days, encoder: str) -> Iterator[tuple[Subject, Days]]:
    """Every cause, and how far each recording is its."""
    members = 1 - owned[:, 0]
    devices = sorted({row.device_id for row in rows})
    for device in devices:
        yield ("device", device), members * [row.device_id == device for row in rows]
    if len(devices) > 1:
        yield ("encoder", encoder), members
    for column, person in enumerate(home.people):
        if owned[:, column + 1].sum() >= 1:
            yield ("person", person.person_id), owned[:, column + 1]


def _owners(home: Home, policy: Policy, row: Row, encoder: str) -> list[float]:
    """Whose a recording is: guest, then every column."""
    if policy.drift.attribution == "own" or (row.claims and max(row.shares) >= CLAIMED_MIN):
        total = sum(row.shares)
        return [share / total for share in row.shares]
    own = policy.encoders[encoder].modality
    there = [p.left_at is None or row.observed_at < p.left_at for p in home.people]
    guest, *members = home.presence.log_prior(there)
    others = [values for modality, values in row.llr.items() if modality != own]
    if row.sightings is not None:
        guest += home.strangers.llr_one(row.stranger)
    return softmax([guest, *map(sum, zip(members, *others, strict=True))])


def _place(space: SoftPrototypes, column: int, keys: list[int]) -> Floats:
    """Where a person was, as far as they are known: the mean of what is kept of them, pulled towards people in general."""
    kept = [(tail.vector, tail.mass) for tail in space.tails(column)]
    mean = space.mean(column, keys) if keys else None
    if mean is not None:
        kept.append(mean)
    total = np.zeros(space.projection.dimensions, np.float32)
    for vector, weight in kept:
        total += weight * vector
    place: Floats = (total / (sum([weight for _, weight in kept]) + 1 / space.projection.between)).astype(np.float32)
    return place


def _of_some(nats: list[float]) -> float:
    """A cause moves one encoder's vectors, or those of several: the mean over each alone and all together."""
    ways = [*nats, sum(nats)] if len(nats) > 1 else nats
    most = max(ways)
    return most + math.log(sum([math.exp(x - most) for x in ways]) / len(ways))
