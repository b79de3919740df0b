"""The cause of a change: what is believed of everything that is watched in a home, and which one is named.

Law: a home's evidence is the mean over all it is watched for, weighed by how often each kind of cause is met a priori, so that
its own mean is at most 1 as long as nothing changes. The largest part names the cause; less than half of the whole is "unknown".
What moved is seen in the kept events: whose recordings moved together, beside where those people were before. Looking changes
nothing. Whose a recording is, is asked of everything but itself, unless the policy wants it otherwise.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from learners.drift.localise import evidence_of_shift, named_shares
from learners.kernels.plain import Days, Floats
from learners.recognition.fusion import softmax
from learners.recognition.gallery import SoftPrototypes
from stream.contract.policy import Policy

from ..state.home import Home
from ..state.ledger import Row
from ..state.monitors import Subject, Watch
from .attribution import CLAIMED_MIN

__all__ = ["UNKNOWN", "believed", "e_value_of", "named", "parts_of", "residuals_of", "since_of", "subjects_of"]

MET: Final = {"device": 0.4, "person": 0.3, "phone": 0.1, "unknown_voices": 0.1, "habit": 0.05, "feedback": 0.05}
MOVING: Final = ("device", "person")  # kinds that move recordings, so that the kept ones show which it was
ENCODER_SHARE: Final = 0.25  # how often it is an encoder, against one device
UNKNOWN: Final = ("unknown", "")
NAMED_MIN: Final = 0.5
ROWS_MIN: Final = 4  # fewer say nothing of who or what moved


def e_value_of(watch: Watch, subject: Subject) -> float:
    """The evidence that a subject changed: the mean over all that is watched of it."""
    streams = watch.streams(subject)
    return sum([stream.e_value for stream in streams]) / len(streams) if streams else 0.0


def subjects_of(watch: Watch) -> list[Subject]:
    """All that is watched and has shown anything yet; every device."""
    people = [(kind, name) for kind in ("person", "phone", "habit") for name in watch.people]
    shown = [s for s in [*people, ("unknown_voices", ""), ("feedback", "")] if any(stream.began for stream in watch.streams(s))]
    return [*(("device", name) for name in watch.devices), *shown]


def parts_of(watch: Watch) -> dict[Subject, float]:
    """The evidence of each subject times how often such a cause is met; their sum is the home's e-value."""
    devices, people = max(1, len(watch.devices)), max(1, len(watch.people))
    alike = {"device": devices, "person": people, "phone": people, "habit": people}
    return {s: MET[s[0]] / alike.get(s[0], 1) * e_value_of(watch, s) for s in subjects_of(watch)}


def since_of(watch: Watch, parts: Mapping[Subject, float]) -> int:
    """Since which event something changed, as the surest stream has it."""
    surest = max(parts, key=parts.__getitem__)
    return max(watch.streams(surest), key=lambda stream: stream.e_value).since


def believed(home: Home, policy: Policy, parts: Mapping[Subject, float], since: int) -> dict[Subject, float]:
    """What is believed of each cause, 0 to 1: its part, and of those that move recordings also what the kept events show."""
    moving = {subject: part for subject, part in parts.items() if subject[0] in MOVING}
    others = {subject: part for subject, part in parts.items() if subject[0] not in MOVING}
    nats = explained(home, policy, since)
    of_devices = sum([part for (kind, _), part in moving.items() if kind == "device"])
    suspected = moving | {subject: ENCODER_SHARE * of_devices for subject in nats if subject[0] == "encoder"}
    shown = {subject: math.log(part) + nats.get(subject, 0.0) for subject, part in suspected.items() if part > 0}
    shares = named_shares(list(shown.values()))
    whole = sum(moving.values())
    together = others | {subject: whole * share for subject, share in zip(shown, shares, strict=True)}
    total = sum(together.values())
    return {s: part / total for s, part in together.items()} if total else {}


def named(beliefs: Mapping[Subject, float]) -> Subject:
    """The cause that explains most, if that is at least half."""
    most = max(beliefs, key=beliefs.__getitem__, default=UNKNOWN)
    return most if beliefs.get(most, 0.0) >= NAMED_MIN else UNKNOWN


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
