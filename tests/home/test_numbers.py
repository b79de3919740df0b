"""The policy's numbers as the core reads them."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from stream.contract.policy import Drift, Encoder, Limits, Policy, Presence, Tiers
from stream.home.numbers import policy_numbers, spaces
from stream.home.state.layout import CHANNELS_MAX, DIMENSIONS, PEOPLE_MAX, PHONES_MAX, WAITING_MAX

POLICY = Policy()
VOICE, FACE = POLICY.encoders


def test_times_are_milliseconds() -> None:
    numbers = policy_numbers(Policy(limits=Limits(late_days=3, departed_days=0), tiers=Tiers(pin_minutes=2)))[0]
    assert (numbers.late_ms, numbers.departed_ms, numbers.pin_ms) == (3 * 86_400_000, 0, 120_000)


def test_thresholds_are_log_odds_and_nats() -> None:
    numbers = policy_numbers(POLICY)[0]
    assert numbers.least_log_odds[2] == pytest.approx(math.log(0.995 / 0.005))
    assert numbers.aims.tolist() == pytest.approx([0.04, 0.02, 0.004, 0.0004])
    assert numbers.alarm_nats == pytest.approx(math.log(0.75 * 73))


def test_sources_stand_in_their_order_and_one_without_a_limit_has_that_of_one_claim() -> None:
    policy = Policy(claims={"daily_nats": {"app": 7.0}})  # type: ignore[arg-type]
    numbers = policy_numbers(policy)[0]
    assert numbers.daily_nats.tolist() == [5.0, 7.0, 5.0, 5.0]
    assert numbers.prior_right.tolist() == pytest.approx([16, 18, 19, 19.6])
    assert (numbers.prior_right + numbers.prior_wrong).tolist() == pytest.approx([20.0] * 4)


@pytest.mark.parametrize(
    ("limit", "room"), [("members_max", PEOPLE_MAX), ("phones_max", PHONES_MAX), ("waiting_max", WAITING_MAX)]
)
def test_no_policy_asks_for_more_than_a_home_has_room_for(limit: str, room: int) -> None:
    assert getattr(Limits(**{limit: room}), limit) == room  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=f"{limit}\n.*less than or equal to {room}"):
        Limits(**{limit: room + 1})  # type: ignore[arg-type]


def test_switches_are_numbers() -> None:
    on, off = policy_numbers(POLICY)[0], policy_numbers(Policy(drift=Drift(adapting=False, attribution="own")))[0]
    assert (on.adapting, on.own_attribution, off.adapting, off.own_attribution) == (1, 0, 0, 1)


def test_every_number_of_the_policy_is_set() -> None:
    numbers = policy_numbers(Policy(presence=Presence(publish=True)))
    zero = {name for name in numbers.dtype.names if name != "encoders" and not np.any(numbers[name])}
    assert zero == {"own_attribution"}


def test_an_encoder_has_its_packs_numbers_and_zeros_behind_them() -> None:
    numbers, projection = policy_numbers(POLICY)[0].encoders[1], POLICY.projection(FACE)
    channels = len(projection.channels.noise)
    assert (numbers.dimensions, numbers.channels, numbers.modality, numbers.fitted) == (64, channels, 1, 1)
    assert numbers.between.tolist() == projection.between.tolist()
    assert numbers.noise.tolist() == projection.channels.noise.tolist() + [0.0] * (CHANNELS_MAX - channels)
    assert numbers.shift[:channels, :channels].tolist() == projection.channels.shift.tolist()
    assert not numbers.shift[channels:].any()
    least = np.sort(projection.between)[:24]
    assert np.sort(projection.between[numbers.heading]).tolist() == least.tolist()
    assert numbers.heading_scale.tolist() == (1 / np.sqrt(1 + projection.between[numbers.heading])).tolist()
    assert numbers.usual.tolist() == np.linspace(0, 63, 16).astype(int).tolist()


def test_an_encoder_of_few_dimensions_leaves_the_rest_at_zero() -> None:
    policy = Policy(encoders={"tiny": Encoder(modality="voice", length=5, metric="cosine")})
    numbers = policy_numbers(policy)[0].encoders[0]
    assert (numbers.dimensions, numbers.heading_used, numbers.usual_used, numbers.fitted) == (5, 5, 5, 0)
    assert numbers.usual.tolist() == [0, 1, 2, 3, 4, *[0] * 11]
    assert numbers.heading.tolist() == [0, 1, 2, 3, 4, *[0] * 19]
    assert numbers.between.tolist() == [2.0] * 5 + [0.0] * (DIMENSIONS - 5)


def test_numbers_are_made_once_for_equal_policies() -> None:
    assert policy_numbers(Policy()) is policy_numbers(POLICY)
    assert spaces(Policy()) is spaces(POLICY)
    assert policy_numbers(Policy(limits=Limits(ledger_days=61))) is not policy_numbers(POLICY)


def test_what_comes_back_is_where_it_was_projected() -> None:
    for space in spaces(POLICY).values():
        point = np.linspace(-2, 2, len(space.back))
        vector = (space.mean + point @ space.back).astype(np.float32)
        projected = vector @ space.by_input[:, : len(point)] - space.numbers[0].offset[: len(point)]
        assert np.abs(projected - point).max() < 1e-3
