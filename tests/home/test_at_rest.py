"""States at rest: writing and reading are each other's opposite, and no bytes are taken for a home that are none."""

import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.home.state.at_rest import STATE_VERSION, UnknownState, decode_home, encode_home
from stream.home.state.household import Household
from stream.home.state.layout import HOME, PEOPLE_MAX
from stream.home.state.names import Words
from tests.home.homes import POLICY, random_home, used_bytes

BYTES_PER_PERSON_MAX = 4_096
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25)


def checked(body: bytes) -> bytes:
    """A state with the checksum that fits it."""
    return zlib.crc32(body).to_bytes(4, "big") + body


def bytes_of(household: Household) -> np.ndarray:
    return household.memory["bytes"][0]


@few
@given(seed=seeds)
def test_a_home_that_was_written_and_read_is_the_same(seed: int) -> None:
    household = random_home(seed)
    raw = encode_home(household)
    again = decode_home(raw, POLICY)
    assert encode_home(again) == raw
    assert (again.household_id, again.words.listed) == (household.household_id, household.words.listed)
    expected = np.where(used_bytes(household), bytes_of(household), 0)
    expected[number_places(again)] = bytes_of(again)[number_places(again)]
    assert np.flatnonzero(bytes_of(again) != expected).tolist() == []


def number_places(household: Household) -> list[int]:
    """Where galleries have their number in the policy."""
    galleries, number = HOME.fields["galleries"], HOME["galleries"].base.fields["number"]
    stride = galleries[0].base.itemsize
    return [galleries[1] + i * stride + number[1] for i in range(int(household.record["galleries_used"]))]


@few
@given(seed=seeds)
def test_what_a_home_does_not_use_of_its_memory_does_not_matter(seed: int) -> None:
    household = random_home(seed)
    raw = encode_home(household)
    bytes_of(household)[~used_bytes(household)] = 255
    assert (encode_home(household) == raw)


@few
@given(seed=seeds)
def test_every_byte_that_a_home_uses_is_kept(seed: int) -> None:
    household = random_home(seed)
    raw, rng = encode_home(household), np.random.default_rng(seed)
    for place in rng.choice(np.flatnonzero(used_bytes(household, reserved=False)), 40):
        if place == HOME.fields["galleries_used"][1]:
            continue  # one more would be of no encoder, and is let go
        other = decode_home(raw, POLICY)
        bytes_of(other)[place] ^= 1
        try:
            again = encode_home(decode_home(encode_home(other), POLICY))
        except (AssertionError, UnknownState):
            continue  # it was a count, or the number of something
        lost = again == raw
        assert not lost, f"byte {place} is lost"


def test_words_that_nothing_refers_to_are_forgotten_and_the_others_move_up() -> None:
    household = Household.new("h")
    for word in ("nobody", "kitchen", "hall", "alarm"):
        household.words.learn(word)
    home = household.record
    home["devices_used"], home["alarm_name"] = 1, 4
    home["devices"][0]["name"] = 2
    raw = encode_home(household)
    assert b"nobody" not in raw
    assert household.words.listed == ["alarm", "kitchen"]
    assert (int(home["devices"][0]["name"]), int(home["alarm_name"])) == (2, 1)
    assert encode_home(household) == raw


def test_words_are_numbered_from_one() -> None:
    words = Words()
    assert (words.learn("anna"), words.learn("bert"), words.learn("anna")) == (1, 2, 1)
    assert (words.number("bert"), words.number("cora"), words[2], len(words)) == (2, None, "bert", 2)
    with pytest.raises(IndexError):
        words[0]


def test_a_home_is_read_into_a_slot_and_leaves_its_neighbours_alone() -> None:
    slots = np.zeros(3, HOME)
    slots.view(np.uint8)[:] = 7
    decode_home(encode_home(random_home(1)), POLICY, slots[1:2])
    assert (slots[[0, 2]].view(np.uint8) == 7).all()
    assert encode_home(decode_home(encode_home(random_home(1)), POLICY)) == encode_home(random_home(1))


def test_a_new_home_is_small() -> None:
    assert len(encode_home(Household.new("h"))) < 500


@pytest.mark.parametrize("people", [4, PEOPLE_MAX])
def test_a_person_takes_few_bytes(people: int) -> None:
    """Everybody enrolled in voice and face, who were heard on one more channel; a ledger as long as it gets."""
    lists = {"people": people, "galleries": 2, "rows": min(people, 4) * 7, "phones": people, "tails": 6, "claims": 0}
    watched = {"devices": 4, "ears": people, "reported": 8, "doubts": 0, "folded": 8, "waiting": 0, "floors": 4}
    household = random_home(5, **lists, **watched, consents=0, presences=0, witnesses=0, memberships=1)
    home = household.record
    home["seen_used"], home["seen"]["senders_used"] = (min(people + 1, 8), 2), 4
    home["people"]["enrolments_used"] = home["phones"]["registrations_used"] = 1
    rows = home["rows"]
    rows["event_id_length"], rows["sightings_used"], rows["modalities"], rows["shares"] = 20, 2, 15, rows["evidence"]
    rows["claims_used"][::4] = 1
    assert len(encode_home(household)) / people < BYTES_PER_PERSON_MAX


@pytest.mark.parametrize("people", [1, PEOPLE_MAX])
def test_presence_takes_less_than_a_hundred_bytes_more_of_each(people: int) -> None:
    without, told = (encode_home(random_home(5, people=people, presences=count)) for count in (0, people))
    assert 0 < len(told) - len(without) <= people * 100


# ---- what is no home


@few
@given(seed=seeds, places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), cut=st.booleans())
def test_bytes_of_chance_are_refused_or_are_a_home(seed: int, places: list[tuple[float, int]], cut: bool) -> None:
    body = bytearray(encode_home(random_home(seed))[4:])
    for where, value in places:
        body[int(where * (len(body) - 1))] = value
    try:
        household = decode_home(checked(bytes(body[: int(places[0][0] * len(body))] if cut else body)), POLICY)
    except UnknownState:
        return
    encode_home(household)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for given_bytes in (raw, checked(raw), checked(b"\x04" + raw)):
        with pytest.raises(UnknownState):
            decode_home(given_bytes, POLICY)


def test_a_state_that_was_cut_is_refused_wherever_that_was() -> None:
    raw = encode_home(random_home(2, people=2, rows=2, seen=3))
    for length in range(len(raw)):
        for cut in (raw[:length], checked(raw[4:length])):
            with pytest.raises(UnknownState):
                decode_home(cut, POLICY)


def test_a_damaged_state_is_refused() -> None:
    raw = encode_home(random_home(3, people=2, rows=2, seen=3))
    for place in range(len(raw)):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(UnknownState, match="checksum does not fit"):
            decode_home(bytes(flipped), POLICY)


def test_a_newer_version_is_named() -> None:
    with pytest.raises(UnknownState, match=f"a state has version 9, this program knows versions up to {STATE_VERSION}"):
        decode_home(checked(b"\x09" + encode_home(random_home(4))[5:]), POLICY)


@pytest.mark.parametrize(
    ("path", "value"),
    [("people_used", 17), ("rows_used", -1), ("people.0.tails_used", 13), ("rows.0.named", 3), ("rows.0.encoders", 3),
     ("rows.0.claims.0.person", -1), ("people.0.memberships_used", 0), ("people.0.name", 99), ("waiting.0.claim.kind", 6),
     ("alarm_kind", 9)],
)  # fmt: skip
def test_what_refers_to_nothing_is_not_taken(path: str, value: int) -> None:
    household = random_home(6, people=2, galleries=2, rows=2, claims=1, waiting=1)
    raw, entry = encode_home(household), household.record
    *way, last = path.split(".")
    for step in way:
        entry = entry[int(step) if step.isdigit() else step]
    entry[last] = value
    with pytest.raises((AssertionError, UnknownState)):  # ours when it is written, or told when it is read
        decode_home(encode_home(household), POLICY)
    assert decode_home(raw, POLICY)


# ---- galleries


def test_what_was_kept_of_an_encoder_that_the_policy_does_not_know_is_let_go() -> None:
    first, second = POLICY.encoders
    other = POLICY.model_copy(update={"encoders": {second: POLICY.encoders[second]}})
    household = random_home(7, people=3, galleries=2, rows=9, ears=8, tails=6)
    home = household.record
    kept = {
        "tails": [int((p["tails"]["encoder"][:6] == 1).sum()) for p in home["people"][:3]],
        "ears": int((home["ears"]["encoder"][:8] == 1).sum()), "vectors": int((home["rows"]["encoders"][:9] == 2).sum()),
    }  # fmt: skip
    places = home["people"]["places"][:3, 1].copy()
    llr = home["rows"]["llr"][:9, :, :3].copy()
    read = decode_home(encode_home(household), other)
    now = read.record
    assert first.encode() not in encode_home(read)
    assert (int(now["galleries_used"]), int(now["galleries"][0]["number"])) == (1, 0)
    assert [int(p["tails_used"]) for p in now["people"][:3]] == kept["tails"]
    assert (int(now["ears_used"]), set(now["ears"]["encoder"].tolist())) == (kept["ears"], {0})
    assert int((now["rows"]["encoders"][:9] == 1).sum()) == kept["vectors"]
    assert now["people"]["places"][:3, 0].tobytes() == places.tobytes()
    known = (home["rows"]["modalities"][:9, None] >> np.arange(4) & 1).astype(bool)  # what it had said of events stays
    assert now["rows"]["llr"][:9, :, :3][known].tolist() == llr[known].tolist()


def test_what_was_kept_by_another_pack_is_let_go() -> None:
    household = random_home(8, people=2, galleries=2, rows=4)
    household.record["galleries"][0]["fingerprint"] ^= 1
    read = decode_home(encode_home(household), POLICY)
    kept = read.record["galleries"][: int(read.record["galleries_used"])]
    assert [read.words[int(gallery["name"])] for gallery in kept] == list(POLICY.encoders)[1:]


def test_galleries_find_their_numbers_in_another_order_of_encoders() -> None:
    turned = POLICY.model_copy(update={"encoders": dict(reversed(POLICY.encoders.items()))})
    raw = encode_home(random_home(9, galleries=2))
    there = decode_home(raw, turned)
    assert there.record["galleries"]["number"][:2].tolist() == [1, 0]
    assert encode_home(there) == raw


# ---- both ways of running


def test_interpreted_and_compiled_write_the_same_bytes() -> None:
    told = (
        "import zlib; from tests.home.homes import POLICY, random_home;"
        "from stream.home.state.at_rest import decode_home, encode_home;"
        "raw = encode_home(random_home(11, people=2, rows=3, seen=5));"
        "print(zlib.crc32(raw), encode_home(decode_home(raw, POLICY)) == raw)"
    )
    here = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", told], env=here, stdout=subprocess.PIPE, text=True, check=True)
    expected = zlib.crc32(encode_home(random_home(11, people=2, rows=3, seen=5)))
    assert found.stdout.split() == [str(expected), "True"]
