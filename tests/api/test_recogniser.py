"""A device that has only profiles answers nearly what kithkin answers."""

import json
from collections.abc import Callable
from statistics import mean

import numpy as np
import pytest

from stream import Household, Policy, Recogniser, feedback
from stream.contract.policy import Encoder
from stream.contract.records import GUEST, Profile

from .lives import apply, observed, records_by_home

REFRESHED_EVERY = 40  # records between two publications
AGREEMENT_MIN = 0.97
START_MS = 1_763_690_000_000


@pytest.fixture(scope="module")
def home() -> Household:
    """Ana and Ben, who enrolled, and Ana's phone."""
    rng, projection = np.random.default_rng(4), Policy().projection("resemblyzer-0.1.4")
    made = Household("linden-1")
    for person_id in ("ana", "ben"):
        made.tell(feedback.Join(person_id=person_id), at=START_MS)
        place = rng.standard_normal(projection.dimensions) * np.sqrt(projection.between)
        heard = [projection.restore((place + rng.standard_normal(len(place))).astype("f4")) for _ in range(6)]
        events = [made.recognise(voice=voice, at=START_MS + 1000 * n).event_id for n, voice in enumerate(heard)]
        made.tell(feedback.Enrol(person_id=person_id, event_ids=events), at=START_MS + 60_000)
    made.tell(feedback.Phone(phone_id="phone-ana", person_id="ana"), at=START_MS + 61_000)
    return made


def test_a_device_that_has_only_profiles_agrees_with_kithkin_in_nearly_all_events() -> None:
    agreed: list[bool] = []
    sure: list[bool] = []
    for household_id, records in records_by_home(homes=4, days=21, seed=3).items():
        home, device = Household(household_id), Recogniser()
        for number, record in enumerate(records):
            seen = json.loads(record.value or b"")
            known = record.topic == "recognitions" and device.people and device.people == home.members
            own = device.recognise(**observed(seen, record.timestamp)) if known else {}
            answers = apply(home, record)
            if own and answers:
                (answer,) = answers
                assert own.keys() == answer.posterior.keys()
                assert sum(own.values()) == pytest.approx(1, abs=1e-4)
                agreed.append(max(own, key=own.__getitem__) == answer.likeliest)
                if answer.tier >= 3:
                    sure.append(agreed[-1])
            if number % REFRESHED_EVERY == 0 and home.members:
                device = Recogniser.from_profile(*home.profiles.values())
    assert len(agreed) > 300
    assert mean(agreed) >= AGREEMENT_MIN
    assert mean(sure) >= mean(agreed), "where kithkin is sure, the device agrees no less often"


def test_recognising_teaches_it_nothing(home: Household) -> None:
    device = Recogniser.from_profile(*home.profiles.values())
    seen = {"voice": np.random.default_rng(1).standard_normal(256), "phones": ["phone-ana"], "at": START_MS + 90_000}
    assert len({tuple(device.recognise(**seen).items()) for _ in range(40)}) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form", [lambda p: p, lambda p: p.model_dump(), lambda p: p.model_dump_json(), lambda p: p.model_dump_json().encode()],
    ids=["model", "dict", "text", "bytes"],
)  # fmt: skip
def test_a_profile_may_be_given_in_any_form(home: Household, form: Callable[[Profile], object]) -> None:
    device = Recogniser.from_profile(*(form(profile) for profile in home.profiles.values()))  # type: ignore[arg-type]
    assert device.people == ["ana", "ben"]
    assert device.recognise(phones={"phone-ana": -45.0}, at=START_MS + 90_000)["ana"] > 0.5


def test_who_is_none_of_them_is_a_guest(home: Household) -> None:
    device = Recogniser.from_profile(*home.profiles.values())
    projection = Policy().projection("resemblyzer-0.1.4")
    place = np.random.default_rng(99).standard_normal(projection.dimensions) * np.sqrt(projection.between)
    found = device.recognise(voice=projection.restore(place.astype("f4")), at=START_MS + 90_000)
    assert max(found, key=found.__getitem__) == GUEST


def test_who_is_forgotten_is_gone(home: Household) -> None:
    device = Recogniser.from_profile(*home.profiles.values())
    device.forget("ana")
    device.forget("nobody")
    assert device.people == ["ben"]
    assert "ana" not in device.recognise(phones=["phone-ana"], at=START_MS + 90_000)


def test_an_older_profile_changes_nothing(home: Household) -> None:
    newest = home.profiles["ana"]
    older = newest.model_copy(update={"revision": newest.revision - 1, "phones": []})
    one, other = Recogniser.from_profile(newest), Recogniser.from_profile(newest, older)
    assert one.recognise(phones=["phone-ana"], at=START_MS) == other.recognise(phones=["phone-ana"], at=START_MS)


def test_what_is_no_profile_of_the_home_is_told_in_a_sentence(home: Household) -> None:
    profile = home.profiles["ana"]
    with pytest.raises(ValueError, match="nobody is known yet"):
        Recogniser().recognise(phones=[])
    with pytest.raises(ValueError, match="of h-2, and those before are of linden-1"):
        Recogniser.from_profile(profile, profile.model_copy(update={"household_id": "h-2"}))
    with pytest.raises(ValueError, match="validation error"):
        Recogniser.from_profile({"v": 1})
    other = Policy(encoders={"mine": Encoder(modality="voice", length=8, metric="cosine")})
    with pytest.raises(ValueError, match=r"'resemblyzer-0\.1\.4', which the policy does not list"):
        Recogniser.from_profile(profile, policy=other)
    unfitted = Policy(encoders={"resemblyzer-0.1.4": Encoder(modality="voice", length=256, metric="cosine")})
    with pytest.raises(ValueError, match=r"made with another pack of 'resemblyzer-0\.1\.4'"):
        Recogniser.from_profile(profile, policy=unfitted)
