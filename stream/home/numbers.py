"""The policy's numbers as the compiled core reads them: one POLICY, and one SPACE for each encoder that it lists.

Law: made once for a policy and never changed; what is told here is told again nowhere in the core.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from learners.kernel import record
from learners.recognition.projection import NOBODY_MAX, Projection
from stream.contract.policy import SOURCES, Policy
from stream.home.messages import POLICY, POLICY_ENCODERS_MAX
from stream.home.state.layout import CHANNELS_MAX, DIMENSIONS, HEADING, TIERS, USUAL

__all__ = ["KNOTS_MAX", "SPACE", "Space", "policy_numbers", "spaces"]

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MINUTE_MS: Final = 60_000
BUDGETS: Final = (0.1, 0.05, 0.01, 0.001)  # by tier: of guests' events, from tier 2 on of members', that may be wrong
UNTOLD_HONESTY: Final = 0.8  # of a source of which the policy says nothing
STARTS: Final = 1000.0  # see learners.drift
OVERSHOOT: Final = 0.75
LENGTH_MAX: Final = 1024  # of an encoder's vector, by the contract
KNOTS_MAX: Final = 16  # of the curve from a recording's quality to its noise; a fit has six

COLUMNS_MAX: Final = DIMENSIONS + CHANNELS_MAX + NOBODY_MAX

SPACE = record(  # how vectors of one encoder are projected
    ("noises", "<f8", CHANNELS_MAX),  # by channel, variance a dimension
    ("knots", "<f8", KNOTS_MAX),  # of the quality that is told, rising
    ("knot_noises", "<f8", KNOTS_MAX),  # what noise is multiplied by there
    ("offset", "<f4", COLUMNS_MAX),  # taken from what `by_input` gives: the first are dimensions, then channels, then nobody
    ("means", "<f4", (CHANNELS_MAX, DIMENSIONS)),  # of people in a channel, projected
    ("dimensions", "<i4"),
    ("channels", "<i4"),
    ("nobodies", "<i4"),  # how many vectors of nobody are known
    ("knots_used", "<i4"),
    ("unit", "<i4"),  # a vector is brought to length 1 first
    ("reserved", "<i4"),
    ("raw", "<f4", LENGTH_MAX),  # room to calculate in, as the next
    ("found", "<f4", COLUMNS_MAX),
)
POLICIES_KEPT: Final = 16  # whose numbers are at hand: a process has one, tests have some


class Space(NamedTuple):
    """How vectors of one encoder come in and how prototypes go out."""

    name: str
    number: int  # among the policy's encoders
    modality: int  # VOICE or FACE
    word: str  # the same as contract and policy have it
    least: tuple[tuple[str, float], ...]  # qualities below which a vector is left out
    quality: str  # the one that noise depends on; "": none
    length: int
    numbers: Any  # SPACE[1]
    by_input: npt.NDArray[np.float32]  # (d, k + C + n): the matrix, the channels' classifier, twice nobody's vectors
    back: npt.NDArray[np.float32]  # (k, d): the shortest vectors that the matrix brings to a point
    mean: npt.NDArray[np.float32]  # (d,) that `back` starts from
    temperature: float
    fingerprint: int


class _Named:
    """A policy by its `policy_id`, which names every number in it."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.policy_id = policy, policy.policy_id

    def __hash__(self) -> int:
        return hash(self.policy_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Named) and other.policy_id == self.policy_id


def policy_numbers(policy: Policy) -> Any:
    """POLICY[1]: every number of a policy that the core needs; the same array each time, which nobody changes."""
    return _numbers_of(_Named(policy))


def spaces(policy: Policy) -> Mapping[str, Space]:
    """By encoder, in the policy's order; the same each time."""
    return _spaces_of(_Named(policy))


@lru_cache(POLICIES_KEPT)
def _numbers_of(named: _Named) -> Any:
    return _numbers(named.policy)


@lru_cache(POLICIES_KEPT)
def _spaces_of(named: _Named) -> Mapping[str, Space]:
    return {name: _space(named.policy, number, name) for number, name in enumerate(named.policy.encoders)}


def _numbers(policy: Policy) -> Any:
    numbers = np.zeros(1, POLICY)
    for name, number in {**_limits(policy), **_sensors(policy), **_people(policy), **_presence(policy)}.items():
        numbers[name] = number
    assert len(policy.encoders) <= POLICY_ENCODERS_MAX, f"a policy lists at most {POLICY_ENCODERS_MAX} encoders"
    for number, name in enumerate(policy.encoders):
        _encoder(numbers["encoders"][0, number], policy, name)
    return numbers


def _limits(policy: Policy) -> dict[str, Any]:
    limits, tiers, drift = policy.limits, policy.tiers, policy.drift
    return {
        "late_ms": limits.late_days * DAY_MS, "gap_ms": limits.gap_days * DAY_MS, "ahead_ms": limits.ahead_hours * HOUR_MS,
        "ledger_ms": limits.ledger_days * DAY_MS, "waiting_ms": limits.waiting_days * DAY_MS,
        "departed_ms": limits.departed_days * DAY_MS,
        "pin_ms": tiers.pin_minutes * MINUTE_MS, "session_ms": drift.visit_minutes * MINUTE_MS,
        "rows_per_person": limits.rows_per_person, "waiting_max": limits.waiting_max,
        "profile_events": policy.publishing.profile_events, "sure": drift.sure,
        "alarm_nats": math.log(OVERSHOOT * drift.false_alarm_events / STARTS),
        "decide_after_events": drift.decide_after_events, "adapting": drift.adapting,
        "own_attribution": drift.attribution == "own",
    }  # fmt: skip


def _sensors(policy: Policy) -> dict[str, Any]:
    phones, learning = policy.phones, policy.learning
    return {
        "phone_heard": math.log(phones.heard_with_owner / phones.heard_without),
        "phone_unheard": math.log((1 - phones.heard_with_owner) / (1 - phones.heard_without)),
        "slope_per_db": phones.slope_per_db, "rssi_even_dbm": phones.rssi_even_dbm, "signal_llr_max": phones.signal_llr_max,
        "phone_rate": phones.learning_rate, "forgetting_per_day": learning.forgetting_per_day,
        "forgetting_most": learning.forgetting_most, "tail_mass_max": learning.tail_mass_max,
        "unanchored_temper": learning.unanchored_temper, "unnamed_llr_min": learning.unnamed_llr_min,
        "new_guest_weight": learning.new_guest_weight, "rebuild_growth": learning.rebuild_growth,
        "habits_half_life_days": learning.habits_half_life_days,
    }  # fmt: skip


def _people(policy: Policy) -> dict[str, Any]:
    priors, claims, tiers, publishing = policy.priors, policy.claims, policy.tiers, policy.publishing
    right = [priors.honesty.get(source, UNTOLD_HONESTY) for source in SOURCES]
    return {
        "guest_share": priors.guest_share, "guest_weight": priors.guest_weight, "person_weight": priors.person_weight,
        "presence_events_max": priors.presence_events_max,
        "prior_right": [priors.honesty_weight * r for r in right],
        "prior_wrong": [priors.honesty_weight * (1 - r) for r in right],
        "nats_enrolled": claims.nats_enrolled, "nats_max": claims.nats_max, "echo_nats": claims.echo_nats,
        "daily_nats": [claims.daily_nats.get(source, claims.nats_max) for source in SOURCES],
        "suspicious_from": claims.suspicious_from, "least_log_odds": [math.log(p / (1 - p)) for p in tiers.least],
        "aims": [BUDGETS[tier] * tiers.budget_share for tier in range(TIERS)], "tier_rate": tiers.learning_rate,
        "lower_nats": tiers.lower_nats, "higher_nats": tiers.higher_nats,
        "revision_change_min": publishing.revision_change_min, "label_min": publishing.label_min,
        "label_withdrawn_below": publishing.label_withdrawn_below, "label_llr_min": publishing.label_llr_min,
    }  # fmt: skip


def _presence(policy: Policy) -> dict[str, Any]:
    presence = policy.presence
    return {
        "presence": presence.publish, "home_share": presence.home_share, "home_half_life_h": presence.half_life_hours,
        "phone_heard_home": presence.phone_heard_home, "phone_heard_away": presence.phone_heard_away,
        "phone_off": presence.phone_off_share, "phone_left": presence.phone_left_share,
        "phone_half_life_h": presence.phone_half_life_hours,
        "present_from": presence.present_from, "away_from": presence.away_from, "silence": presence.silence,
        "presence_change_min": presence.change_min,
    }  # fmt: skip


def _encoder(numbers: Any, policy: Policy, name: str) -> None:
    """Fill in ENCODER_NUMBERS; what is beyond the pack's dimensions and channels stays 0."""
    projection = policy.projection(name)
    between, channels = projection.between, projection.channels
    k, c = len(between), len(channels.noise)
    assert k <= DIMENSIONS, f"{name}: {k} dimensions are more than a home keeps"
    assert c <= CHANNELS_MAX, f"{name}: {c} channels are more than a home keeps"
    numbers["temperature"], numbers["fitted"] = projection.temperature, projection.fitted
    numbers["centre_spread"], numbers["fingerprint"] = projection.centre_spread, projection.fingerprint
    numbers["between"][:k], numbers["noise"][:c], numbers["shift"][:c, :c] = between, channels.noise, channels.shift
    numbers["channel_means"][:c, :k] = channels.mean
    heading = np.sort(np.argsort(between, kind="stable")[:HEADING])
    usual = np.linspace(0, k - 1, min(k, USUAL)).astype(np.int64)
    numbers["heading"][: len(heading)], numbers["usual"][: len(usual)] = heading, usual
    numbers["heading_scale"][: len(heading)] = (1 / np.sqrt(1 + between[heading])).astype(np.float32)
    numbers["heading_used"], numbers["usual_used"] = len(heading), len(usual)
    numbers["dimensions"], numbers["channels"] = k, c
    numbers["modality"] = _modality(policy, name)


def _modality(policy: Policy, name: str) -> int:
    return ("voice", "face").index(policy.encoders[name].modality)


def _space(policy: Policy, number: int, name: str) -> Space:
    projection, encoder = policy.projection(name), policy.encoders[name]
    quality, channels, nobody = projection.quality, projection.channels, projection.nobody
    k, c, knots = projection.dimensions, len(channels.noise), len(quality.knots) if quality.name else 0
    assert knots <= KNOTS_MAX, f"{name}: a curve of {knots} knots is finer than {KNOTS_MAX}"
    numbers = np.zeros(1, SPACE)
    space = numbers[0]
    space["dimensions"], space["channels"], space["knots_used"], space["nobodies"] = k, c, knots, len(nobody.radius)
    space["unit"] = projection.metric == "cosine"
    space["noises"][:c], space["means"][:c, :k] = channels.noise.astype(np.float64), channels.mean
    space["knots"][:knots] = quality.knots.astype(np.float64)[:knots]
    space["knot_noises"][:knots] = quality.noise.astype(np.float64).round(6)[:knots]
    outside = np.square(nobody.vectors).sum(1) - np.square(nobody.radius)
    space["offset"][: k + c + len(outside)] = np.concatenate([projection.matrix @ projection.mean, -channels.bias, outside])
    columns = [projection.matrix, channels.weights, 2 * nobody.vectors.reshape(len(outside), projection.length)]
    by_input = np.ascontiguousarray(np.concatenate(columns).T.astype(np.float32))
    return Space(
        name, number, _modality(policy, name), encoder.modality, tuple(encoder.quality_min.items()), quality.name,
        projection.length, numbers, by_input, _back(projection), projection.mean.astype(np.float32),
        projection.temperature, projection.fingerprint,
    )  # fmt: skip


def _back(projection: Projection) -> npt.NDArray[np.float32]:
    """By float64, so that what is rounded is the same on every processor."""
    return _inverse(projection.matrix.astype(np.float64).tobytes(), projection.matrix.shape)


@lru_cache(POLICIES_KEPT)
def _inverse(matrix: bytes, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(k, d) -> (k, d), the transposed pseudo-inverse: packs are few, and policies with the same pack many in tests."""
    inverse = np.linalg.pinv(np.frombuffer(matrix, np.float64).reshape(shape))
    return np.ascontiguousarray(inverse.T, np.float32)
