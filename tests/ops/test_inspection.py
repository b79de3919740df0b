"""`kithkin inspect` and what it tells: what is in a home, nothing that is not, and no vector that was not asked for."""

import base64
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from learners.precision import SHARE_ONE, SHARE_STEP, VECTOR_STEP
from stream.cli import app
from stream.contract.policy import SOURCES
from stream.contract.records import GUEST
from stream.contract.settings import Wiring
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household
from stream.ops.inspection.inspection import inspect_home
from stream.ops.inspection.texts import texts_of
from stream.ops.inspection.views import HomeInspection
from stream.runtime.worker.quarantine import QUARANTINE, Quarantine
from stream.stores import open_store
from tests.support.worlds import POLICY, Desk, Run, Shape, feedback, world

GOLDEN = Path(__file__).parent.parent / "golden"
STATES = sorted(GOLDEN.glob("home-v*.bin"))
Compare = Callable[[Path, bytes], None]


@pytest.fixture(params=STATES, ids=[path.stem for path in STATES])
def home(request: pytest.FixtureRequest) -> Household:
    path: Path = request.param
    return decode_home(path.read_bytes(), POLICY)


def told(home: Household, **asked: Any) -> HomeInspection:
    return inspect_home(home, POLICY, 1_000, **asked)


def used(entry: Any, name: str) -> Any:
    return entry[name][: int(entry[f"{name}_used"])]


def event_id(row: Any) -> str:
    return bytes(row["event_id"][: int(row["event_id_length"])]).decode()


def hex_of(number: int) -> str:
    return f"{int(number):012x}"


def words(inspection: HomeInspection, events_max: int = 10) -> str:
    sections = texts_of(inspection, events_max)
    return "\n\n".join("\n  ".join([section.title, *section.lines]) for section in sections) + "\n"


# ---- the inspection


def test_an_inspection_changes_nothing_and_is_the_same_each_time(home: Household) -> None:
    before = encode_home(home)
    assert told(home, embeddings=True) == told(home, embeddings=True)
    assert encode_home(home) == before


def masses(home: Household, column: int) -> dict[str, float]:
    """How many recordings' worth there is of a person, by encoder."""
    found: dict[str, float] = {}
    names = [home.words[gallery["name"]] for gallery in used(home.record, "galleries")]
    for tail in used(home.record["people"][column], "tails"):
        found[names[tail["encoder"]]] = found.get(names[tail["encoder"]], 0.0) + float(tail["mass"])
    for row in used(home.record, "rows"):
        for gallery in row["encoders"][row["encoders"] > 0]:
            share = int(row["shares"][column + 1]) * SHARE_STEP
            found[names[gallery - 1]] = found.get(names[gallery - 1], 0.0) + share
    return {name: mass for name, mass in found.items() if mass}


def test_everybody_is_told_with_what_is_known_of_them(home: Household) -> None:
    inspection = told(home)
    assert [person.person_id for person in inspection.people] == home.people
    assert inspection.members == sum(person.here for person in inspection.people)
    assert inspection.guests.share + sum(person.share for person in inspection.people) == pytest.approx(1)
    for column, person in enumerate(inspection.people):
        assert {sense.encoder: sense.recordings for sense in person.senses} == pytest.approx(masses(home, column))
        assert all(sense.modality == POLICY.encoders[sense.encoder].modality for sense in person.senses)
        assert sum(person.usual.devices.values()) == pytest.approx(1 if person.usual.devices else 0)
        times = [sense.oldest_at for sense in person.senses if sense.oldest_at is not None]
        assert not times or (person.known_since is not None and person.known_since <= min(times))


def test_all_phones_feedback_and_events_are_told(home: Household) -> None:
    inspection = told(home)
    phones = [phone for person in inspection.people for phone in person.phones] + list(inspection.others_phones)
    assert sorted(phone.phone_id for phone in phones) == sorted(
        home.words[phone["name"]] for phone in used(home.record, "phones")
    )
    assert [waiting.about for waiting in inspection.waiting] == [hex_of(w["event"]) for w in used(home.record, "waiting")]
    assert [source.source for source in inspection.sources] == list(SOURCES)
    rows = used(home.record, "rows")[::-1]
    assert [event.event_id for event in inspection.ledger] == [event_id(row) for row in rows]
    for event, row in zip(inspection.ledger, rows, strict=True):
        assert {claim.feedback for claim in event.claims} == {hex_of(claim["feedback"]) for claim in used(row, "claims")}
        assert sum(event.shares.values()) == pytest.approx(1, abs=0.005 * (len(home.people) + 1) + SHARE_STEP)
        assert list(event.shares.values()) == sorted(event.shares.values(), reverse=True)
        assert set(event.shares) <= {GUEST, *home.people}


def test_of_one_person_only_what_concerns_them_is_told(home: Household) -> None:
    whole = told(home)
    for person in whole.people:
        own = told(home, person_id=person.person_id)
        assert list(own.people) == [person]
        assert list(own.others_phones) == []
        assert [event for event in whole.ledger if person.person_id in event.shares] == [
            event for event in own.ledger if person.person_id in event.shares
        ]
        assert all(
            person.person_id in event.shares or person.person_id in {claim.person_id for claim in event.claims}
            for event in own.ledger
        )


def test_a_person_who_is_not_of_the_home_is_an_error(home: Household) -> None:
    with pytest.raises(KeyError):
        told(home, person_id="nobody")


def test_no_vector_is_told_that_was_not_asked_for(home: Household) -> None:
    assert [sense.vectors for person in told(home).people for sense in person.senses if sense.vectors] == []
    assert "embedding" not in json.dumps(asdict(told(home)))


def test_a_vector_that_was_asked_for_is_the_one_that_is_kept(home: Household) -> None:
    for column, person in enumerate(told(home, embeddings=True).people):
        for sense in person.senses:
            rows, projection = used(home.record, "rows"), POLICY.projection(sense.encoder)
            gallery = [home.words[g["name"]] for g in used(home.record, "galleries")].index(sense.encoder) + 1
            own = {event_id(r): r for r in rows if r["shares"][column + 1] >= SHARE_ONE / 2 and gallery in r["encoders"]}
            vectors = {vector.event_id: vector for vector in sense.vectors if vector.event_id is not None}
            assert sum(v.mass for v in sense.vectors if v.event_id is None) == pytest.approx(sense.enrolled + sense.folded)
            assert vectors.keys() == own.keys()
            for name, row in own.items():
                found = np.frombuffer(base64.b64decode(vectors[name].embedding), "<f2")
                steps = row["vectors"][row["encoders"].tolist().index(gallery)][: projection.dimensions]
                expected = projection.restore(steps.astype("f4") * np.float32(VECTOR_STEP))
                np.testing.assert_array_equal(found, expected.astype("<f2"))


@pytest.mark.parametrize("seed", range(3))
def test_of_who_was_erased_nothing_is_told(seed: int) -> None:
    shape = Shape(homes=1, people=3, records=80, odd=0.3, erasing=False)
    records = list(world(seed, shape))
    run, desk = Run().play_all(records), Desk(now=records[-1].timestamp)
    home = run.homes["h-0"]
    person = home.people[0]
    assert person in words(told(home), events_max=100)
    run.play(desk.record("feedback", feedback("h-0", "f-erase", desk.now, "erase", person_id=person)))
    assert person not in json.dumps(asdict(told(home, embeddings=True)))
    assert person not in words(told(home), events_max=100)


# ---- in words


def test_the_words_are_as_reviewed(golden: Compare) -> None:
    for path in GOLDEN.glob("home-v1-*.bin"):  # which are never written again
        raw = path.read_bytes()
        text = words(inspect_home(decode_home(raw, POLICY), POLICY, len(raw)), events_max=3)
        golden(GOLDEN / f"{path.stem}.inspection.txt", text.encode())


def test_a_home_of_which_nothing_is_known_is_told() -> None:
    text = words(told(Household.new("h-new")))
    assert "nobody has joined yet, so everybody is a guest" in text
    assert "0 events answered" in text
    assert "Latest events" not in text


def test_as_many_events_as_asked_are_told_the_latest_first(home: Household) -> None:
    inspection = told(home)
    titles = [section.title for section in texts_of(inspection, 2)]
    assert not inspection.ledger or f"Latest events (2 of {len(inspection.ledger)} kept), times in UTC" in titles


def test_vectors_stand_under_their_sense(home: Household) -> None:
    text = words(told(home, embeddings=True))
    senses = [sense for person in told(home, embeddings=True).people for sense in person.senses if sense.recordings >= 1]
    assert all(vector.embedding in text for sense in senses for vector in sense.vectors)


# ---- the command


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Flags that name a store in which two homes stand, and one of them is left out."""
    if request.param == "sqlite":
        flags = ["--store", str(tmp_path / "states.db")]
        wiring = Wiring()
    else:
        flags = ["--store", request.getfixturevalue("redis_url"), "--prefix", f"{tmp_path.name}.", "--group", "inspected"]
        wiring = Wiring(prefix=f"{tmp_path.name}.", group="inspected")
    with closing(open_store(flags[1], wiring)) as store:
        for partition, path in enumerate(STATES[:2]):
            epoch = store.claim(partition).epoch
            left_out = Quarantine(epoch, {"h-1": "KeyError at feedback[1]@7"}).encode()
            store.save(partition, epoch, {}, {"feedback": 1}, {f"h-{partition}": path.read_bytes(), QUARANTINE: left_out})
    return flags


def test_a_household_is_found_in_whatever_partition_it_lies(store: list[str]) -> None:
    home = decode_home(STATES[1].read_bytes(), POLICY)
    shown = run("h-1", *store)
    assert all(f"\n{person}" in shown for person in home.people)
    assert "Left out when it failed: KeyError at feedback[1]@7" in shown
    assert "Left out" not in run("h-0", *store)


def test_as_json_it_is_one_object_with_everything(store: list[str]) -> None:
    raw = STATES[1].read_bytes()
    shown = json.loads(run("h-1", "--json", *store))
    expected = inspect_home(decode_home(raw, POLICY), POLICY, len(raw))
    assert shown == {"partition": 1, "left_out": "KeyError at feedback[1]@7", **json.loads(json.dumps(asdict(expected)))}


def test_one_person_can_be_asked_for_and_vectors_too(store: list[str]) -> None:
    person = decode_home(STATES[0].read_bytes(), POLICY).people[0]
    shown = json.loads(run("h-0", "--json", "--person", person, "--embeddings", *store))
    assert [one["person_id"] for one in shown["people"]] == [person]
    assert all(sense["vectors"] for one in shown["people"] for sense in one["senses"])


def test_an_unknown_household_or_person_is_told_with_the_nearest(store: list[str]) -> None:
    assert "it should be a household with a state, such as h-1, h-0" in run("h-11", *store, code=2)
    people = decode_home(STATES[0].read_bytes(), POLICY).people
    assert f"it should be a person of h-0, such as {people[0]}" in run("h-0", "--person", people[0] + "x", *store, code=2)


def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    assert "a file that does not exist" in run("h-0", "--store", tmp_path / "states.db", code=2)
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_was_damaged_is_told(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "states.db"))) as store:
        store.save(0, store.claim(0).epoch, {}, {"feedback": 1}, {"h-0": STATES[0].read_bytes()[:-1]})
    assert "the state of h-0 cannot be read" in run("h-0", "--store", tmp_path / "states.db", code=1)
