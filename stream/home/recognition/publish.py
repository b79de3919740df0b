"""What is said: identities and their revisions, labels, profiles.

Law: every answer's posterior sums to 1 over the members of that moment and `guest`; a revision never raises a tier.
"""

import math
from binascii import b2a_base64
from typing import Any

import numpy as np

from learners.recognition.gallery import SoftPrototypes
from learners.recognition.projection import Floats, Projection
from stream.contract.records import GUEST, EncoderProfile, Health, Identity, Label, Output, Profile, Prototype, construct
from stream.contract.units import DAY_MS

from ..context import Turn
from ..state.home import Home, Person
from ..state.ledger import Row, Shares
from .guests import returns
from .tiers import SENSORS, tier_of

__all__ = ["answer", "label", "publish_profile", "revise", "tombstone"]

PROTOTYPE_MASS_MIN = 0.5  # recordings' worth: less is no prototype

_Prototype = tuple[Floats, float, str | None, int]  # mean, mass, device, first seen at (ms)


def answer(turn: Turn, row: Row, posterior: list[float]) -> None:
    """Publish revision 0 of an event: guest, then every column."""
    home = turn.home
    named = {p.person_id: x for p, x in zip(home.people, posterior[1:], strict=True) if p.present} | {GUEST: posterior[0]}
    row.tier, row.named = tier_of(home, turn.policy, named, row.llr, row.observed_at)
    row.first_tier, row.first_named, row.packed = row.tier, row.named, None
    _identity(turn, row, named)
    label(turn, row)


def revise(turn: Turn, row: Row, before: Shares) -> None:
    """Publish an event's answer again when its shares moved enough from what they were."""
    home, policy = turn.home, turn.policy
    if max(abs(a - b) for a, b in zip(row.shares, before, strict=True)) >= policy.publishing.revision_change_min:
        row.revision += 1
        row.packed = None
        by_evidence, named = tier_of(home, policy, _members_then(home, row, row.evidence), row.llr, row.observed_at)
        posterior = _members_then(home, row, row.shares)
        best = max(posterior, key=posterior.__getitem__)
        row.tier = min(row.tier, by_evidence)
        row.named = named if row.tier >= 2 and named == best else None
        if row.named is None:
            row.tier = min(row.tier, 1)
        _identity(turn, row, posterior)
    label(turn, row)


def _members_then(home: Home, row: Row, shares: Shares) -> dict[str, float]:
    """Shares by name, of who belonged to the household at the event or does now; what is left over is a guest's."""
    there = {
        p.person_id: share
        for p, share in zip(home.people, shares[1:], strict=True)
        if p.present or (p.left_at is not None and row.observed_at < p.left_at)
    }
    guest = shares[0] + sum(shares[1:]) - sum(there.values())
    total = guest + sum(there.values())
    return {name: x / total for name, x in (there | {GUEST: guest}).items()}


def _identity(turn: Turn, row: Row, posterior: dict[str, float]) -> None:
    home = turn.home
    fields = {
        "v": 1, "event_id": row.event_id, "household_id": home.household_id, "observed_at": row.observed_at,
        "revision": row.revision, "posterior": posterior, "person_id": row.named, "tier": row.tier,
        "modalities": [m for m in SENSORS if m in row.llr], "policy_id": turn.policy.policy_id, "cause": turn.cause,
    }  # fmt: skip
    turn.outputs.append(Output("identities", home.household_id, construct(Identity, fields)))


def label(turn: Turn, row: Row) -> None:
    """Publish the label of an event that the sensors alone are sure of, two of them agreeing; or correct it, or take it back."""
    p, limits, home = max(row.evidence), turn.policy.publishing, turn.home
    if row.label is None and p < limits.label_min:
        return
    best = row.evidence.index(p)
    name, evidence = home.people[best - 1].person_id if best else GUEST, _supporting(turn, row, best)
    if p >= limits.label_min and len(evidence) >= 2:
        if name != row.label:
            _label(turn, row, {"person_id": name, "probability": min(p, 1.0), "evidence": evidence})
            row.label = name
    elif row.label is not None and (name != row.label or p < limits.label_withdrawn_below):
        left = 0.0 if name != row.label else p
        _label(turn, row, {"person_id": row.label, "probability": left, "evidence": [], "withdrawn": True})
        row.label = None


def _label(turn: Turn, row: Row, said: dict[str, Any]) -> None:
    row.label_revision, row.packed, home = row.label_revision + 1, None, turn.home
    fields = {
        "v": 1, "event_id": row.event_id, "household_id": home.household_id, **said, "revision": row.label_revision,
        "cause": turn.cause,
    }  # fmt: skip
    if said["person_id"] == GUEST and returns(home, row):
        fields["unnamed_id"] = f"unnamed-{row.unnamed}"
    turn.outputs.append(Output("labels", home.household_id, construct(Label, fields)))


def _supporting(turn: Turn, row: Row, best: int) -> list[str]:
    """The sensors that speak for a person by themselves (or, for a guest, against everybody of the home; or: was here before)."""
    least = turn.policy.publishing.label_llr_min
    if best:
        return [s for s in SENSORS if s in row.llr and row.llr[s][best - 1] >= least]
    against = [s for s in SENSORS if s in row.llr and row.llr[s] and max(row.llr[s]) <= -least]
    return [*against, "returning"] if returns(turn.home, row) else against


# ---- profiles


def publish_profile(turn: Turn, person: Person) -> None:
    """Publish what is now known of a member."""
    home, policy = turn.home, turn.policy
    column = home.people.index(person)
    encoders, drift = {}, 0.0
    for encoder, space in sorted(home.spaces.items()):
        prototypes = _prototypes(home, space, column)
        if prototypes:
            learnt, offset, weights = person.live.state()
            calibration = {
                "weight": weights.get(policy.encoders[encoder].modality, 1.0), "offset": offset, "learnt": float(learnt),
                "temperature": space.projection.temperature,
            }  # fmt: skip
            fields = {"prototypes": _published(space.projection, prototypes), "calibration": calibration}
            encoders[encoder] = construct(EncoderProfile, fields)
            drift = max(drift, _moved(prototypes[0][0], prototypes[-1][0]))
    owned = [row.shares[column + 1] for row in home.rows]
    trust = sum([s * s for s in owned]) / sum(owned) if sum(owned) > 0 else 0.0
    health = {"events": person.events, "last_seen_at": person.last_seen_at, "drift": drift, "trust": trust}
    value = construct(Profile, {
        "v": 1, "household_id": home.household_id, "person_id": person.person_id, "revision": person.revision,
        "updated_at": turn.at, "encoders": encoders, "habits": home.habits.of(person.person_id),
        "phones": [i for i, owner, _ in home.panel.phones if owner == column], "health": construct(Health, health),
        "policy_id": policy.policy_id, "cause": turn.cause,
    })  # fmt: skip
    turn.outputs.append(Output("profiles", f"{home.household_id}/{person.person_id}", value))
    person.revision += 1
    person.published_events = person.events


def tombstone(turn: Turn, person_id: str) -> None:
    """Tell everybody that a profile is no more."""
    turn.outputs.append(Output("profiles", f"{turn.home.household_id}/{person_id}", None))


def _prototypes(home: Home, space: SoftPrototypes, column: int) -> list[_Prototype]:
    """(mean, mass, device, first seen at), oldest first: the folded past, and the ledger's events by device."""
    found: list[_Prototype] = []
    for tail in space.tails(column):
        found.append((tail.vector, tail.mass, None, round(tail.since * DAY_MS)))
    rows: dict[str, list[Row]] = {}
    for row in home.rows:
        if row.number in space:
            rows.setdefault(row.device_id, []).append(row)
    for device, own in rows.items():
        mean = space.mean(column, [row.number for row in own])
        if mean is not None and mean[1] >= PROTOTYPE_MASS_MIN:
            found.append((*mean, device, min(row.observed_at for row in own)))
    return sorted(found, key=lambda p: p[3])


def _published(projection: Projection, prototypes: list[_Prototype]) -> list[Prototype]:
    """As the contract has them: in the encoder's own space, as base64 of float16."""
    restored = projection.restore(np.stack([mean for mean, _, _, _ in prototypes])).astype("<f2")
    texts = [b2a_base64(vector.tobytes(), newline=False).decode() for vector in restored]
    return [
        construct(Prototype, {"embedding": text, "weight": mass, "device_id": device, "since": since})
        for text, (_, mass, device, since) in zip(texts, prototypes, strict=True)
    ]


def _moved(first: Floats, last: Floats) -> float:
    """How far apart two means are: root mean square over dimensions, in standard deviations within a person."""
    away = last - first
    return math.sqrt(float(away @ away) / len(away))
