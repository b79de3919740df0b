"""What the sensors say: log-likelihood ratios by modality, and the posterior they make with the prior.

Law: a modality that is missing, or a person whom it does not know yet, has a log-likelihood ratio of 0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from learners.recognition.fusion import softmax
from learners.recognition.phones import PhoneReliability
from learners.recognition.projection import Presented
from stream.contract.policy import Policy
from stream.contract.records import Recognition
from stream.contract.units import DAY_MS, HOUR_MS

from ..state.home import Home, Panel
from ..state.ledger import Sighting

__all__ = [
    "Probe", "Weighed", "add_alike", "habit_of", "hear", "hear_then", "look", "phone_llr", "returning_llr", "tempers",
    "weigh",
]  # fmt: skip

HOUR_BIN_MS: Final = 3 * HOUR_MS
GUEST_SHARE_MIN: Final = 0.25  # of an event: less is no guest that could return


@dataclass(slots=True)
class Probe:
    """A recognition as the learners see it: vectors projected, phones told apart into registered and strangers'."""

    number: int
    day: float
    raw: dict[str, Presented]  # by encoder, as it came
    heard: dict[str, Presented]  # less what the device adds
    sightings: tuple[Sighting, ...] | None
    stranger: bool
    habit: dict[str, str | int]


@dataclass(slots=True)
class Weighed:
    """Logits and posterior of guest and every column, and each modality's part in them."""

    logits: list[float]
    posterior: list[float]
    llr: dict[str, list[float]]  # voice, face, phone, habit, as far as present: by column
    phones: list["Heard"]
    stranger_llr: float
    alike: dict[int, float]  # nats by number of kept event: made by the same person, against by anybody


def habit_of(activity: str | None, at: int) -> dict[str, str | int]:
    """The features of a habit: the hour (in bins of three, UTC) and the activity, without an activity none."""
    return {} if activity is None else {"hour": at % DAY_MS // HOUR_BIN_MS, "activity": activity}


def look(home: Home, policy: Policy, value: Recognition) -> Probe:
    """What a recognition shows, given which phones this home has registered."""
    raw, heard = {}, {}
    for part in (value.voice, value.face):
        if part is not None:
            least, quality = policy.encoders[part.encoder].quality_min, part.quality
            if not quality or not least or all(quality.get(name, q) >= q for name, q in least.items()):
                projection = policy.projection(part.encoder)
                told = quality.get(projection.quality.name) if quality else None
                raw[part.encoder] = projection.project(part.embedding, told)  # type: ignore[arg-type]
                heard[part.encoder] = home.space(part.encoder, policy).aligned(value.device_id, raw[part.encoder])
    sightings, stranger = None, False
    if value.phones is not None:
        known = home.phones
        sightings = tuple([Sighting(p.phone_id, float(round(p.rssi_dbm))) for p in value.phones if p.phone_id in known])
        stranger = len(sightings) < len(value.phones)
    habit = habit_of(value.activity, value.observed_at)
    return Probe(home.next_row, value.observed_at / DAY_MS, raw, heard, sightings, stranger, habit)


class Heard(NamedTuple):
    """What one registered phone says of its owner: `llr` if it goes with them, whatever it is worth."""

    column: int
    llr: float
    reliability: PhoneReliability


def hear(home: Home, policy: Policy, sightings: Sequence[Sighting]) -> list[Heard]:
    """Every phone, heard or not, that now belongs to somebody of the home."""
    signals, model = {s.phone_id: s.rssi_dbm for s in sightings}, policy.phone_model
    return [Heard(column, model.llr(signals.get(phone_id)), trust) for phone_id, column, trust in home.panel.phones]


def hear_then(home: Home, policy: Policy, sightings: Sequence[Sighting], number: int) -> list[Heard]:
    """Every phone, heard or not, that belonged to somebody of the home at an earlier event."""
    if all(phone.registrations[-1].from_row <= number for phone in home.phones.values()):
        return hear(home, policy, sightings)
    signals, columns = {s.phone_id: s.rssi_dbm for s in sightings}, {name: i for i, name in enumerate(home.panel.names)}
    then = [(phone_id, phone.at(number)) for phone_id, phone in home.phones.items()]
    return [
        Heard(columns[r.person_id], policy.phone_model.llr(signals.get(phone_id)), r.reliability)
        for phone_id, r in then if r is not None and r.person_id in columns
    ]  # fmt: skip


def phone_llr(heard: list[Heard], people: int) -> list[float]:
    """By column, nats: what people's phones say; of several phones the one that speaks most for its owner."""
    llr = [0.0] * people
    for column, raw, reliability in heard:
        own = reliability.llr_one(raw)
        llr[column] = own if llr[column] == 0.0 else max(own, llr[column])
    return llr


def tempers(home: Home, policy: Policy) -> list[float]:
    """By column: people who never enrolled are anchored by nothing, so what is like them counts less."""
    return [1.0 if enrolled else policy.learning.unanchored_temper for enrolled in home.panel.enrolled]


def weigh(home: Home, policy: Policy, probe: Probe) -> Weighed:
    """All evidence of a probe, fused."""
    panel, people = home.panel, len(home.people)
    llr: dict[str, list[float]] = {}
    alike: dict[int, float] = {}
    for encoder, heard in probe.heard.items():
        space = home.space(encoder, policy)
        found = space.llr(heard, probe.day).tolist()
        llr[policy.encoders[encoder].modality] = found[:people]
        add_alike(alike, space.keys, found[people:])
    if not all(panel.enrolled):
        scale = tempers(home, policy)
        llr = {modality: [x * temper for x, temper in zip(raw, scale, strict=True)] for modality, raw in llr.items()}
    parts = list(llr.values()) if not panel.calibrated else [_recalibrated(panel, llr)]
    stranger_llr, phones = 0.0, []
    if probe.sightings is not None:
        phones = hear(home, policy, probe.sightings)
        llr["phone"] = phone_llr(phones, people)
        parts.append(llr["phone"])
        stranger_llr = home.strangers.llr_one(probe.stranger)
    if probe.habit:
        llr["habit"] = home.habits.llr(probe.habit, panel.names)
        parts.append(llr["habit"])
    guest, *prior = home.presence.log_prior(panel.present)
    logits = [guest + stranger_llr + returning_llr(home, policy, alike), *map(sum, zip(prior, *parts, strict=True))]
    return Weighed(logits, softmax(logits), llr, phones, stranger_llr, alike)


def add_alike(alike: dict[int, float], keys: Sequence[int], llr: Sequence[float]) -> None:
    """Add one space's log-likelihood ratios of kept rows, each by itself, to those of other spaces."""
    found = dict(zip(keys, llr, strict=True))
    for key in alike.keys() & found.keys():
        found[key] += alike[key]
    alike.update(found)


def returning_llr(home: Home, policy: Policy, alike: Mapping[int, float], without: int = -1) -> float:
    """Nats: a guest, who may be one of those who were here, against somebody never heard.

    The Chinese restaurant process over guests' recordings but for one: log((θ + Σ g_j exp(llr_j)) / (θ + Σ g_j)), where g_j is
    the guest share of a row.
    """
    if not alike or home.unanchored:
        return 0.0
    theta = mixture = policy.learning.new_guest_weight
    mass = theta
    for row in home.rows:
        share = row.shares[0]
        if share > GUEST_SHARE_MIN and row.number != without:
            mass += share
            mixture += share * math.exp(alike.get(row.number, 0.0))
    return math.log(mixture / mass)


def _recalibrated(panel: Panel, llr: dict[str, list[float]]) -> list[float]:
    """Voice and face together, each person's by their own calibration."""
    total: list[float] = [sum(parts) for parts in zip(*llr.values(), strict=True)] or [0.0] * len(panel.names)
    for column, live in panel.calibrated:
        if total[column] != 0.0:
            total[column] = live.llr_one({m: values[column] for m, values in llr.items() if values[column] != 0.0})
    return total
