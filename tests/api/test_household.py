"""A household in a program's own memory answers what the worker answers, and says what is wrong with what it is given."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream import Household, Identity, Policy, feedback, replay
from stream.brokers.log_files import encode_record
from stream.contract.errors import UnknownState
from stream.contract.policy import Encoder
from stream.contract.records import FEEDBACK, Profile
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay
from stream.offline.replay.replay import replay as run
from stream.stores import open_store

from .lives import apply, records_by_home

HOUR_MS = 3_600_000
START_MS = 1_763_690_000_000
HEAVY = ("numpy", "numba", "pydantic", "river", "scipy", "msgspec", "learners", "stream.home", "stream.contract")


def of(answer: Identity) -> tuple[Any, ...]:
    """What an answer says, wherever the record that made it stood."""
    return answer.event_id, answer.revision, answer.posterior, answer.person_id, answer.tier, answer.modalities


@pytest.fixture
def home() -> Household:
    """Ana and Ben, of whom nothing is known."""
    made = Household("linden-1")
    for person_id in ("ana", "ben"):
        made.tell(feedback.Join(person_id=person_id), at=START_MS)
    return made


@pytest.fixture
def voices() -> Callable[[str], np.ndarray]:
    """Gives recordings of somebody, one after the other."""
    rng, projection = np.random.default_rng(3), Policy().projection("resemblyzer-0.1.4")
    people = {name: rng.standard_normal(projection.dimensions) * np.sqrt(projection.between) for name in ("ana", "ben", "eve")}

    def record(name: str) -> np.ndarray:
        return projection.restore((people[name] + rng.standard_normal(projection.dimensions)).astype("f4"))

    return record


# ---- the same as the worker


def test_a_household_answers_what_a_replay_of_the_same_log_answers(tmp_path: Path) -> None:
    homes = records_by_home(homes=3, days=12, seed=5)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(encode_record(record) for records in homes.values() for record in records))
    run(Replay([str(log)], tmp_path / "out", Policy(), Wiring(store=str(tmp_path / "states.db"))))
    published = [json.loads(line)["value"] for line in (tmp_path / "out" / "identities.jsonl").read_text().splitlines()]
    expected = {(told["household_id"], told["event_id"], told["revision"]): Identity(**told) for told in published}

    store = open_store(str(tmp_path / "states.db"))
    for household_id, records in homes.items():
        home = Household(household_id)
        found = [answer for record in records for answer in apply(home, record)]
        assert len(found) > 50
        assert [of(answer) for answer in found] == [of(expected[household_id, a.event_id, a.revision]) for a in found]
        newest = {event: max(r for h, e, r in expected if (h, e) == (household_id, event)) for event in home.answers}
        assert {e: of(a) for e, a in home.answers.items()} == {
            e: of(expected[household_id, e, revision]) for e, revision in newest.items()
        }
        (state,) = (s for p in store.partitions() for s in store.load(p, [household_id]).values())
        assert home.to_bytes() == state
    store.close()


def test_a_household_that_was_written_and_read_back_goes_on_as_the_one_that_was_not() -> None:
    ((household_id, records),) = records_by_home(homes=1, days=10, seed=8).items()
    once, again = Household(household_id), Household(household_id)
    for number, record in enumerate(records):
        if number % 7 == 0:
            again = Household.from_bytes(again.to_bytes())
        assert [of(answer) for answer in apply(once, record)] == [of(answer) for answer in apply(again, record)]
    assert once.to_bytes() == again.to_bytes()
    assert again.household_id == household_id


def test_what_is_refused_changes_nothing(home: Household, voices: Callable[[str], np.ndarray]) -> None:
    before = home.to_bytes()
    for wrong in ({"voice": voices("ana")[:9]}, {"voice": voices("ana"), "event_id": "a b"}, {}):
        with pytest.raises(ValueError, match=r"."):
            home.recognise(**wrong)  # type: ignore[arg-type]
    assert home.to_bytes() == before


def test_profiles_of_a_moment_are_those_that_were_published_then(tmp_path: Path) -> None:
    ((household_id, records),) = records_by_home(homes=1, days=10, seed=2).items()
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(map(encode_record, records)))
    replay(log, tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "profiles.jsonl").read_text().splitlines()]
    cause = lines[-1]["value"]["cause"]
    home, places = Household(household_id), [{"topic": r.topic, "partition": r.partition, "offset": r.offset} for r in records]
    for record in records[: places.index(cause) + 1]:
        apply(home, record)
    for published in (Profile(**line["value"]) for line in lines if line["value"]["cause"] == cause):
        now = home.profiles[published.person_id]
        same = {"encoders", "habits", "phones", "health", "updated_at"}
        assert now.model_dump(include=same) == published.model_dump(include=same)
        assert now.revision == published.revision + 1, "the next one to be published"


def test_asking_for_profiles_changes_nothing(home: Household, voices: Callable[[str], np.ndarray]) -> None:
    home.recognise(voice=voices("ana"), at=START_MS + HOUR_MS)
    before = home.to_bytes()
    assert sorted(home.profiles) == ["ana", "ben"]
    assert home.to_bytes() == before


# ---- in use


def test_somebody_who_enrolled_is_named_and_explained(home: Household, voices: Callable[[str], np.ndarray]) -> None:
    for number, name in enumerate(("ana", "ben")):
        events = [home.recognise(voice=voices(name), at=START_MS + HOUR_MS * (number + 1) + 9000 * n).event_id for n in range(5)]
        home.tell(feedback.Enrol(person_id=name, event_ids=events), at=START_MS + HOUR_MS * (number + 1) + 60_000)
    answer = home.recognise(voice=voices("ana"), device="kitchen", at=START_MS + 4 * HOUR_MS)
    assert answer.likeliest == answer.person_id == "ana"
    assert home.recognise(voice=voices("eve"), at=START_MS + 5 * HOUR_MS).likeliest == "guest"

    why = home.explain(answer.event_id)
    assert why.explanation.posterior == pytest.approx(answer.posterior, abs=1e-5)
    assert "Answered: ana" in str(why)

    told = home.tell(feedback.Correct(event_id=answer.event_id, person_id="ben"), at=START_MS + 6 * HOUR_MS)
    assert told.outcomes[0] in ("used", "contradictory")
    assert home.answers[answer.event_id].revision == len(told.revised)


def test_several_events_of_one_moment_have_names_of_their_own(home: Household, voices: Callable[[str], np.ndarray]) -> None:
    names = [home.recognise(voice=voices("ana"), at=START_MS + HOUR_MS).event_id for _ in range(3)]
    assert len(set(names)) == 3


@pytest.mark.parametrize("phones", [{"p-1": -50.0}, {"p-1": None}, ["p-1"], {}, []], ids=["signal", "heard", "list", "no", "0"])
def test_phones_are_told_with_or_without_their_signal(home: Household, phones: Any) -> None:
    assert home.recognise(phones=phones, at=START_MS + HOUR_MS).modalities == ["phone"]


def test_an_encoder_of_ones_own_is_added_by_the_policy() -> None:
    policy = Policy(encoders={"mine": Encoder(modality="voice", length=8, metric="cosine")})
    home = Household("h-1", policy)
    assert home.recognise(voice=np.arange(8), at=START_MS).posterior == {"guest": 1.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"voice": np.ones(256), "encoder": "ecapa-2"}, r"no voice encoder 'ecapa-2'; it knows 'resem.*Policy\(encoders=.*fit"),
        ({"voice": np.ones(3)}, "gives a vector of 256 numbers, this has 3 numbers"),
        ({"voice": np.ones((2, 256))}, r"the shape \(2, 256\)"),
        ({"voice": np.full(256, np.nan)}, "NaN or infinite numbers"),
        ({"voice": np.zeros(256)}, "all zeros"),
        ({"voice": np.full(256, 1e9)}, "absurdly long"),
        ({"voice": "hello"}, "a vector is an array of numbers"),
        ({"face": np.ones(256)}, "'dlib-resnet-v1' gives a vector of 128 numbers"),
        ({"encoder": "resemblyzer-0.1.4", "phones": []}, "give voice=array"),
        ({"phones": "p-1"}, r"phones=\['p-1'\]"),
        ({"phones": {"p-1": 99.0}}, "rssi_dbm"),
        ({"phones": [], "at": datetime(2026, 1, 31)}, "time zone"),
        ({"phones": [], "at": 1_763_690_000}, "observed_at"),
        ({}, "there is nothing to recognise"),
    ],
    ids=lambda told: "-".join(told) if isinstance(told, dict) else None,
)
def test_what_cannot_be_is_told_in_a_sentence(home: Household, wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        home.recognise(**wrong)


def test_a_misspelt_word_is_told_with_those_that_are_known(home: Household) -> None:
    with pytest.raises(TypeError, match="'voce' is nothing that is observed; known: voice, "):
        home.recognise(voce=np.ones(256))  # type: ignore[call-arg]


def test_an_event_is_answered_once(home: Household) -> None:
    home.recognise(phones=[], at=START_MS + HOUR_MS, event_id="e-1")
    with pytest.raises(ValueError, match="e-1 was answered before"):
        home.recognise(phones=[], at=START_MS + HOUR_MS, event_id="e-1")


def test_an_event_from_long_ago_is_refused_with_the_reason(home: Household) -> None:
    for hour in range(4):
        home.recognise(phones=[], at=START_MS + hour * HOUR_MS, device=f"d-{hour % 2}")
    with pytest.raises(ValueError, match=r"refused: .* days before the newest record"):
        home.recognise(phones=[], at=START_MS - 300 * 24 * HOUR_MS)


def test_feedback_of_another_home_is_refused(home: Household) -> None:
    said = {"v": 1, "feedback_id": "f", "household_id": "h-2", "given_at": START_MS, "source": "app"}
    said |= {"kind": "join", "person_id": "x"}
    with pytest.raises(ValueError, match="feedback of h-2, and this is linden-1"):
        home.tell(FEEDBACK.validate_python(said))


def test_feedback_about_nobody_says_so(home: Household) -> None:
    event_id = home.recognise(phones=[], at=START_MS + HOUR_MS).event_id
    assert home.tell(feedback.Correct(event_id=event_id, person_id="zoe"), at=START_MS + HOUR_MS).outcomes == ("unknown_person",)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65])
def test_a_household_without_a_proper_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a household"):
        Household(name)


def test_bytes_that_are_no_state_are_refused() -> None:
    with pytest.raises(UnknownState):
        Household.from_bytes(b"what is this")


def test_only_the_latest_events_can_be_explained(home: Household) -> None:
    with pytest.raises(KeyError, match=r"latest 64 answers.*kithkin why"):
        home.explain("e-1")


# ---- as a package


def test_statements_are_the_contracts_own_records() -> None:
    statements = [getattr(feedback, name) for name in feedback.__all__]
    assert sorted(one.model_fields["kind"].default for one in statements) == sorted(json_kinds())
    for one in statements:
        own = one.__mro__[2]
        assert one.model_fields.keys() == own.model_fields.keys()


def json_kinds() -> list[str]:
    """As the contract's schema has them."""
    return re.findall(r'"const": ?"(\w+)"', json.dumps(FEEDBACK.json_schema()["$defs"]))


def test_naming_a_household_loads_nothing_heavy() -> None:
    asked = "import sys; from stream import Household; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", asked], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert [name for name in HEAVY if name in loaded] == []


def test_whatever_the_package_names_is_there() -> None:
    import stream

    assert {*stream.__all__} <= {*dir(stream)}
    assert all(getattr(stream, name) is not None for name in stream.__all__)
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = stream.nothing
