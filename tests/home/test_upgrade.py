"""States of released versions: each loads for ever, and a home still knows what it knew.

`tests/golden/home-v<version>-<name>.bin` were written by that version and are never written again. What is known of each once it
was read stands in `upgraded-v<version>-<name>.txt` (reviewed as a diff).
"""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from learners.precision import LLR_STEP, MEAN_STEP, NATS_STEP, SHARE_ONE, SHARE_STEP
from stream.home.messages import CAUSES, CLAIM_KINDS
from stream.home.state.at_rest import UnknownState, decode_home, encode_home
from stream.home.state.household import Household
from stream.home.state.layout import CLAIMS_MAX, PEOPLE_MAX, REPORTED_MAX, ROWS_MAX, SENDERS_MAX, TAILS_MAX
from stream.home.state.names import HASH_BYTES, hash_id
from tests.home.homes import POLICY

GOLDEN = Path(__file__).parent.parent / "golden"
OLD = sorted(GOLDEN.glob("home-v[123]-*.bin"))
each_state = pytest.mark.parametrize("path", OLD, ids=[path.stem for path in OLD])
ENROLLED = GOLDEN / "home-v3-enrolled.bin"


def checked(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(4, "big") + packed


def body_of(path: Path) -> list[Any]:
    """What a state of version 3 holds, as plain lists."""
    body: list[Any] = msgspec.msgpack.decode(path.read_bytes()[4:])
    return body


def read(body: list[Any]) -> Household:
    return decode_home(checked(msgspec.msgpack.encode(body)), POLICY)


def used(entry: Any, name: str) -> Any:
    return entry[name][: int(entry[f"{name}_used"])]


# ---- what is known


def told(household: Household) -> Iterator[str]:
    """What a home knows, for people to read."""
    home, words = household.record, ["", *household.words.listed]
    names = ["guest", *(words[int(p["name"])] for p in used(home, "people"))]
    yield f"home {household.household_id} at {home['stream_time']}, {home['next_row']} events, rebuilt at {home['next_rebuild']}"
    strangers = np.round(home["strangers"], 3).tolist()
    yield f"presence {home['guest_presence']} {used(home, 'people')['presence'].tolist()}, strangers {strangers}"
    yield f"thresholds {home['thresholds'].tolist()}, activities {[words[n] for n in home['activities'].tolist() if n]}"
    for name, source in zip(("voice", "app", "pin", "annotator"), home["sources"], strict=True):
        yield f"source {name}: right {source['right']}, wrong {source['wrong']}, spent {source['spent']} on day {source['day']}"
    filters = [[(int(f["ids"]), int(f["senders_used"])) for f in home["seen"][k][: int(home["seen_used"][k])]] for k in range(2)]
    yield f"seen {filters}, floors {home['floors_used']}"
    for name, person in zip(names[1:], used(home, "people"), strict=True):
        yield f"{name}: events {person['events'] * SHARE_STEP:.2f}, seen {person['last_seen_at']}, profile {person['revision']}"
        yield f"  here {used(person, 'memberships')['left_at'].tolist()}, enrolled {person['enrolments_used']}"
        yield f"  calibration {_numbers(person['calibration'])}, live {_numbers(person['live'])}"
        yield f"  habits {np.round(person['habits'][person['habits'] != 0], 3).tolist()}"
        yield f"  shift {_stream(person['shift'])}, phone {_stream(person['phone'])}, habit {_stream(person['habit'])}"
        for tail in used(person, "tails"):
            which = f"{tail['encoder']}/{tail['channel']}/{tail['learnt']}"
            vector = (tail["vector"][:3] * MEAN_STEP).round(3).tolist()
            yield f"  tail {which}: {tail['mass']:.3f} of day {tail['day']:.3f}, {vector}"
    for phone in used(home, "phones"):
        owners = [(names[int(r["person"])], round(float(r["log_odds"]), 3)) for r in used(phone, "registrations")]
        yield f"phone {words[int(phone['name'])]}: {owners}"
    for gallery in used(home, "galleries"):
        devices = [words[number] for number in used(gallery, "offsets")["device_name"].tolist()]
        yield f"gallery {words[int(gallery['name'])]}: offsets of {devices}"
    for row in used(home, "rows"):
        yield from _row(row, words, names)
    for ear in used(home, "ears"):
        usual = ear["usual"][:3].tolist()
        yield f"ear {words[int(ear['device_name'])]}/{ear['encoder']}: {ear['seen']}, {usual}, {_stream(ear['moved'])}"
    for said in used(home, "reported"):
        yield f"reported {CAUSES[int(said['kind'])]} {words[int(said['name'])]}: {said['log_e'] / 64:.2f} at {said['at']}"
    for claim in used(home, "waiting")["claim"]:
        yield f"waiting {CLAIM_KINDS[int(claim['kind'])]} {claim['feedback']:x} of {claim['given_at']}"
    yield f"folded {[(hex(f['feedback']), int(f['owners']), int(f['learnt'])) for f in used(home, 'folded')]}"


def _numbers(calibration: Any) -> str:
    return f"{calibration['learnt']} {np.round([calibration['offset'], *calibration['weights']], 4).tolist()}"


def _stream(stream: Any) -> str:
    session = stream["session"]
    return f"{session['session']}+{session['events']} {np.round(stream['numbers'].astype(float), 3).tolist()}"


def _row(row: Any, words: list[str], names: list[str]) -> Iterator[str]:
    event_id = bytes(row["event_id"][: int(row["event_id_length"])]).decode()
    label = names[int(row["label"]) - 1] if row["label"] else None
    named, activity = names[int(row["named"])] if row["named"] else None, words[int(row["activity"])] or "nothing"
    yield f"{row['number']} {event_id} at {row['observed_at']} of {words[int(row['device_name'])]}, {activity}: {named}"
    yield f"  tier {row['tier']}, revision {row['revision']}, label {label}"
    places = len(names)
    yield f"  evidence {row['evidence'][:places].tolist()}" + (
        f", shares {row['shares'][:places].tolist()}" if (row["shares"] != row["evidence"]).any() else ""
    )
    heard = [(int(s["phone"]), int(s["rssi_dbm"])) for s in used(row, "sightings")] if row["scanned"] else None
    ratios = {m: (row["llr"][m][: places - 1] * LLR_STEP).tolist() for m in range(4) if int(row["modalities"]) >> m & 1}
    yield f"  says {ratios}, heard {heard}, vectors {row['encoders'].tolist()} {row['vectors'][:, :3].tolist()}"
    for claim in used(row, "claims"):
        right, nats = None if claim["right"] < 0 else round(claim["right"] * SHARE_STEP, 4), claim["nats"] * NATS_STEP
        yield f"  {CLAIM_KINDS[int(claim['kind'])]} {names[int(claim['person'])]}: {nats:.3f} nats, right {right}"


@each_state
def test_a_state_loads_for_ever(path: Path, golden: Callable[[Path, bytes], None]) -> None:
    household = decode_home(path.read_bytes(), POLICY)
    assert household.household_id == "h-0"
    raw = encode_home(household)
    assert encode_home(decode_home(raw, POLICY)) == raw
    golden(GOLDEN / f"{path.stem.replace('home', 'upgraded')}.txt", ("\n".join(told(household)) + "\n").encode())


@each_state
def test_a_damaged_state_is_refused(path: Path) -> None:
    raw = path.read_bytes()
    taken = []
    for place in range(0, len(raw), 7):
        flipped = bytearray(raw)
        flipped[place] ^= 1 << place % 8
        for damaged in (raw[:place], bytes(flipped)):
            try:
                decode_home(damaged, POLICY)
            except UnknownState:
                continue
            taken.append(place)
    assert taken == []


@pytest.mark.parametrize("raw", [b"", b"\x00", b"{}", b"\x91\x91\x01", b"\xc1" * 40, b"\x91" * 100_000])
def test_what_is_no_state_is_refused(raw: bytes) -> None:
    for told_bytes in (raw, checked(raw)):
        with pytest.raises(UnknownState):
            decode_home(told_bytes, POLICY)


def test_a_list_of_a_newer_version_is_named() -> None:
    with pytest.raises(UnknownState, match="a state has version 7, this program knows versions up to 4"):
        decode_home(checked(msgspec.msgpack.encode([7, "h-0"])), POLICY)


@pytest.mark.parametrize("place", range(2, 20))
def test_a_list_that_holds_something_else_is_refused(place: int) -> None:
    body = body_of(ENROLLED)
    for other in ("anna", [["anna"]], {"anna": 1}, -1):
        body[place] = other
        try:
            encode_home(read(body))
        except UnknownState:
            continue


# ---- at other precision


def test_float16_becomes_whole_steps() -> None:
    body, kept = body_of(ENROLLED), decode_home(ENROLLED.read_bytes(), POLICY)
    encoder, space = next(iter(body[11].items()))
    means = np.frombuffer(space[2], "<f2").reshape(-1, POLICY.projection(encoder).dimensions)
    tails = [tail for person in used(kept.record, "people") for tail in used(person, "tails") if tail["encoder"] == 0]
    found = np.array([tail["vector"][: means.shape[1]] for tail in tails]) * MEAN_STEP
    assert len(found) == len(means) > 0
    assert np.abs(found - means.astype(float)).max() <= MEAN_STEP / 2


def test_ids_of_feedback_and_of_events_become_hashes() -> None:
    body = body_of(ENROLLED)
    claim = ["f-1", "app", "correct", "anna:h-0", body[2], None, 0, 0]
    body[9] = [["e-later", claim], ["f-back", ["f-2", "app", "retract", "", body[2], None, 0, 0]]]
    waiting = used(read(body).record, "waiting")
    assert waiting["event"].tolist() == [hash_id("event", "e-later"), hash_id("feedback", "f-back")]
    assert waiting["claim"]["feedback"].tolist() == [hash_id("feedback", "f-1"), hash_id("feedback", "f-2")]
    assert waiting["claim"]["person"].tolist() == [1, -1]


# ---- where there is less room now


def test_of_too_many_claims_the_highest_in_rank_stay_and_what_others_told_is_taken_back() -> None:
    body = body_of(ENROLLED)
    sources = ("voice", "pin", "app", "voice", "annotator", "app")
    claims = [[f"f-{n}", source, "correct", "anna:h-0", n, 3000, 256, 7] for n, source in enumerate(sources)]
    before = read(body).record["sources"]["right"].tolist()
    for row in body[8]:
        row[19] = []
    body[8][-1][19] = claims
    home = read(body).record
    kept = used(home["rows"][int(home["rows_used"]) - 1], "claims")
    assert len(kept) == CLAIMS_MAX
    assert kept["given_at"].tolist() == [1, 2, 4, 5]
    assert (np.array(before) - home["sources"]["right"]).tolist() == [2 * 3000, 0, 0, 0]


def test_of_too_many_people_who_left_go_first() -> None:
    body = body_of(ENROLLED)
    anna, people = body[6][0], len(body[6])
    anna[2][-1][1:] = [body[2] - 1, "f-left"]
    for n in range(PEOPLE_MAX - people + 1):
        body[6].append([f"more-{n}", 0, [[f"f-more-{n}", None, None]], [], None, 0.0, None, None, 0, 0.0, {}])
        body[13][1].append(0)
    for row in body[8]:
        row[8] += b"\0\0" * (PEOPLE_MAX - people + 1)
        row[9] = None if row[9] is None else row[9] + b"\0\0" * (PEOPLE_MAX - people + 1)
        row[10] = [[m, raw + b"\0" * (PEOPLE_MAX - people + 1)] for m, raw in row[10]]
    household = read(body)
    home = household.record
    assert home["people_used"] == PEOPLE_MAX
    assert household.column("anna:h-0") is None
    assert {int(row["shares"].sum()) for row in used(home, "rows")} <= set(range(SHARE_ONE - PEOPLE_MAX, SHARE_ONE + PEOPLE_MAX))
    assert b"anna" not in encode_home(household)


def test_of_too_many_events_the_newest_stay_with_their_vectors() -> None:
    body, before = body_of(ENROLLED), decode_home(ENROLLED.read_bytes(), POLICY)
    rows = len(body[8])
    number_of = {name: n for n, name in enumerate(body[5])}
    for encoder, space in body[11].items():
        kept = [n for n, row in enumerate(body[8]) if number_of[encoder] in row[5]]
        dimensions, more = len(space[3]) // len(kept), len([n for n in kept if n < 20])
        space[3] = space[3][: more * dimensions] + space[3]
        space[4], space[5] = space[4][:more] + space[4], space[5][:more] + space[5]
    body[8] = [[*row] for row in body[8][:20]] + body[8]
    after, last = read(body).record, before.record
    assert after["rows_used"] == ROWS_MAX
    for one, other in zip(used(after, "rows")[-rows:], used(last, "rows"), strict=True):
        assert one["vectors"].tolist() == other["vectors"].tolist()
        assert one["encoders"].tolist() == other["encoders"].tolist()


def test_of_too_many_tails_the_lightest_learnt_go() -> None:
    body = body_of(ENROLLED)
    space = next(iter(body[11].values()))
    dimensions = len(space[2]) // 2 // len(space[1])
    space[1] = [[which, channel, 5.0 - channel / 10, 0.0, 0.0] for which in range(2) for channel in range(7)]
    space[2] = np.zeros(dimensions * 14, "<f2").tobytes()
    for other in list(body[11].values())[1:]:
        other[1], other[2] = [], b""
    tails = used(read(body).record["people"][0], "tails")
    assert len(tails) == TAILS_MAX
    assert tails["channel"][tails["learnt"] == 0].tolist() == list(range(7))
    assert tails["channel"][tails["learnt"] == 1].tolist() == list(range(5))


def test_of_too_many_senders_and_subjects_the_latest_stay() -> None:
    body = body_of(ENROLLED)
    times = b"".join(number.to_bytes(HASH_BYTES, "big") for n in range(20) for number in (n, 1000 + n))
    body[12] = [[body[12][0][0], times], [b"", b""], times, 5]
    body[19][5] = [[0, f"device-{n}", 64, n, False] for n in range(REPORTED_MAX + 3)]
    home = read(body).record
    youngest = home["seen"][:, 0]
    assert (home["seen_used"].tolist(), youngest["senders_used"].tolist()) == ([1, 1], [SENDERS_MAX] * 2)
    assert youngest["others_until"].tolist() == [1000 + 20 - SENDERS_MAX - 1] * 2
    assert (int(home["floors_used"]), int(home["floor_of_others"])) == (SENDERS_MAX, 1000 + 20 - SENDERS_MAX - 1)
    assert used(home, "reported")["at"].tolist() == list(range(3, REPORTED_MAX + 3))


def test_an_encoder_of_another_pack_is_let_go() -> None:
    body = body_of(ENROLLED)
    encoder, space = next(iter(body[11].items()))
    space[7] ^= 1
    household = read(body)
    assert encoder not in household.words.listed
    assert household.record["galleries_used"] == len(body[11]) - 1
