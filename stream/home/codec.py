"""A household's state as bytes: explicit, versioned, deterministic; never pickle.

Law: `decode_home(encode_home(home))` goes on exactly as `home` would, and equal homes have equal bytes. A state written
by any released version loads for ever: `UPGRADES` brings an older layout to the newest, one version at a time.

The layout is a checksum and msgpack: a list that starts with its version. Names that recur (people, devices, activities,
phones) stand once in a table; shares are uint16 in steps of SHARE_STEP, kept vectors int8 in steps of STEP, tails float16.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from learners.feedback.annotators import NATS_STEP, Allowance, claim_nats
from learners.precision import LLR_STEP, SHARE_STEP
from learners.recognition.gallery import TAILS, PrototypesState, SoftPrototypes
from learners.recognition.habits import Habits
from learners.recognition.phones import PhoneReliability, StrangerPhones
from learners.recognition.presence import Presence
from stream.contract.errors import UnknownState
from stream.contract.policy import Policy
from stream.contract.units import DAY_MS

from .learning.learning import recalibrate
from .monitors_codec import NOTHING_WATCHED, decode_watch, encode_watch
from .state.home import RELAPSE_STEP, TIERS, Disbelief, Home, Membership, Person, PhoneState, Registration
from .state.ledger import Claim, Names, Row, Sighting, Waiting
from .state.seen import HASH_BYTES, Generation, SeenIds

__all__ = ["STATE_VERSION", "decode_home", "encode_home"]

STATE_VERSION: Final = 3
CHECKSUM_BYTES: Final = 4


def encode_home(home: Home) -> bytes:
    """Deterministic, versioned bytes of a household's state."""
    rows = [row.packed or _pack(home, row) for row in home.rows]
    body = [
        STATE_VERSION, home.household_id, home.stream_time, home.next_row, home.next_rebuild, home.names.listed,
        [_encode_person(p) for p in home.people],
        [[i, [_encode_registration(r) for r in phone.registrations]] for i, phone in home.phones.items()],
        rows,
        [[w.event_id, _encode_claim(w.claim)] for w in home.waiting],
        home.folded,
        {encoder: space.state() for encoder, space in home.spaces.items()},
        _encode_seen(home.seen), _encode_presence(home), _encode_habits(home.habits),
        {s: [h.right_steps, h.wrong_steps] for s, h in home.honesty.items()},
        [[kind.steps for kind in tier] for tier in home.thresholds],
        {s: [a.day, a.steps] for s, a in home.allowances.items() if a.day == home.stream_time // DAY_MS},
        [[s.source, s.person_id, s.held, s.told_at] for s in home.disbelief],
        encode_watch(home.watch),
    ]  # fmt: skip
    packed = msgspec.msgpack.encode(body)
    return _checksum(packed) + packed


def decode_home(raw: bytes, policy: Policy) -> Home:
    """The household of `encode_home`'s bytes, of this or any earlier version; raises UnknownState."""
    body = _upgraded(raw)
    _, household_id, stream_time, next_row, next_rebuild, names, people, phones, rows, waiting, folded, spaces, *learnt = body
    home = Home.new(household_id, policy)
    home.stream_time, home.next_row, home.next_rebuild = stream_time, next_row, next_rebuild
    home.folded = {number: (which, owners) for number, (which, owners) in folded.items()}
    home.people = [_decode_person(p) for p in people]
    home.phones = {i: PhoneState([_decode_registration(r) for r in kept]) for i, kept in phones}
    home.waiting = [Waiting(event_id, _decode_claim(claim)) for event_id, claim in waiting]
    home.names = Names(names)
    home.rows = [_decode_row(row, names) for row in rows]
    for encoder, kept in spaces.items():
        _decode_space(home, policy, encoder, PrototypesState(*kept))
    home.seen = _decode_seen(learnt[0])
    _decode_presence(home, learnt[1])
    home.habits = _decode_habits(learnt[2], policy)
    for source, (right, wrong) in learnt[3].items():
        honesty = home.honesty.setdefault(source, policy.honesty(source))
        honesty.right_steps, honesty.wrong_steps = right, wrong
    for tier, steps in zip(home.thresholds, learnt[4], strict=True):
        for kind, number in zip(tier, steps, strict=True):
            kind.steps = number
    for source, (day, steps) in learnt[5].items():
        home.allowances[source] = Allowance(day, steps)
    home.disbelief = [Disbelief(*kept) for kept in learnt[6]]
    home.watch = decode_watch(learnt[7], policy)
    recalibrate(home)
    return home


def _checksum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(CHECKSUM_BYTES, "big")


def _checksum_1(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=CHECKSUM_BYTES).digest()


def _upgraded(raw: bytes) -> list[Any]:
    checksum, packed = raw[:CHECKSUM_BYTES], raw[CHECKSUM_BYTES:]
    if checksum not in (_checksum(packed), _checksum_1(packed)):
        raise UnknownState("not a household's state, or one that was damaged: its checksum does not fit its bytes")
    body: list[Any] = msgspec.msgpack.decode(packed)
    while body[0] in UPGRADES:
        body = UPGRADES[body[0]](body)
    if body[0] != STATE_VERSION:
        raise UnknownState(f"a state of version {body[0]!r}; this program knows versions up to {STATE_VERSION}")
    return body


def _from_1(body: list[Any]) -> list[Any]:
    """Version 1 had each row's vectors in the row, and each tail on its own."""
    names, rows, spaces = body[5], body[8], {}
    for encoder, pairs in body[11].items():
        tails = [tail or (b"", 0.0, 0.0, 0.0) for pair in pairs for tail in pair]
        masses, times, since = ([tail[i] for tail in tails] for i in (1, 2, 3))
        kept = b"".join([raw for row in rows for number, raw in row[5] if names[number] == encoder])
        spaces[encoder] = [masses, times, since, b"".join([tail[0] for tail in tails]), kept]
    for row in rows:
        row[5] = [number for number, _ in row[5]]
    return [2, *body[1:11], spaces, *body[12:]]


def _from_2(body: list[Any]) -> list[Any]:
    """Version 2 knew no channels, and its packs are no more: what it had kept of voices and faces is let go.

    It listed every tail there could be; its events were last weighed when they came.

    Of an answer that was revised it had forgotten the first; its homes had learnt no thresholds, its claims knew no day.
    """
    spaces, rows = {}, body[8]
    for encoder, (masses, times, since, means, vectors) in body[11].items():
        tails = [[i, 0, masses[i], times[i], since[i]] for i in range(len(masses)) if masses[i]]
        kept = sum(encoder in [body[5][number] for number in row[5]] for row in rows)
        spaces[encoder] = [len(masses) // TAILS, tails, means, vectors, bytes(kept), bytes(kept), [], 0]
    for person in body[6]:
        person.append({})
    for row in rows:
        row.insert(11, row[0])
        for claim in row[18]:
            _claim_from_2(claim, len(body[6]) + 1)
        row.insert(11, None)
        row.append(None)
    for _, claim in body[9]:
        _claim_from_2(claim, len(body[6]) + 1)
    young, old, floors, floor_of_others = body[12]
    seen = [*([packed, _pack_times(until)] for packed, until in (young, old)), _pack_times(floors), floor_of_others]
    return [3, *body[1:11], spaces, seen, *body[13:], [[0, 0] for _ in range(TIERS)], {}, [], NOTHING_WATCHED]


def _claim_from_2(claim: list[Any], people: int) -> None:
    """Version 2 kept how honest a claim's source was held to be, and not what it weighed; of what was not counted: 1."""
    right, honesty = claim[5:7]
    nats = claim_nats(people, honesty, claim[2] == "reject") if honesty < 1 else 0.0
    claim[5:] = [None if right is None else round(right / SHARE_STEP), int(nats / NATS_STEP), 0]


UPGRADES: Final[dict[int, Callable[[list[Any]], list[Any]]]] = {1: _from_1, 2: _from_2}  # version -> how to bring it to the next


# ---- people and phones


def _encode_person(p: Person) -> list[Any]:
    memberships = [[m.joined_by, m.left_at, m.left_by] for m in p.memberships]
    return [p.person_id, p.joined_row, memberships, p.enrolled, p.calibration, p.events, p.last_seen_at, p.last_pin_at,
            p.revision, p.published_events, {m: round(x / RELAPSE_STEP) for m, x in p.relapse.items() if x}]  # fmt: skip


def _decode_person(kept: list[Any]) -> Person:
    person_id, joined_row, memberships, enrolled, calibration, *rest, relapse = kept
    known = None if calibration is None else (calibration[0], calibration[1], calibration[2])
    person = Person(person_id, joined_row, [Membership(*m) for m in memberships], enrolled, known, *rest)
    person.relapse = {modality: steps * RELAPSE_STEP for modality, steps in relapse.items()}
    return person


def _encode_registration(r: Registration) -> list[Any]:
    return [r.feedback_id, r.from_row, r.person_id, r.reliability.prior_log_odds, r.reliability.log_odds]


def _decode_registration(kept: list[Any]) -> Registration:
    return Registration(kept[0], kept[1], kept[2], PhoneReliability(kept[3], kept[4]))


# ---- the ledger


def _encode_claim(c: Claim) -> list[Any]:
    right = None if c.right is None else round(c.right / SHARE_STEP)
    return [c.feedback_id, c.source, c.kind, c.person_id, c.given_at, right, round(c.nats / NATS_STEP), c.day]


def _decode_claim(kept: list[Any]) -> Claim:
    feedback_id, source, kind, person_id, given_at, right, nats, day = kept
    return Claim(
        feedback_id, source, kind, person_id, given_at, None if right is None else right * SHARE_STEP, nats * NATS_STEP, day
    )


def _steps(values: Sequence[float], step: float, kind: str) -> bytes:
    return struct.pack(f"<{len(values)}{kind}", *[round(x / step) for x in values])


def _unsteps(raw: bytes, step: float, kind: str) -> tuple[float, ...]:
    return tuple([steps * step for (steps,) in struct.iter_unpack(f"<{kind}", raw)])


def _pack(home: Home, row: Row) -> msgspec.Raw:
    """Pack a row as it is kept; once until it changes, since most of a ledger stays as it is."""
    row.packed = msgspec.Raw(msgspec.msgpack.encode(_encode_row(home, row)))
    return row.packed


def _encode_row(home: Home, row: Row) -> list[Any]:
    number = home.names.number
    shares = None if row.shares == row.evidence else _steps(row.shares, SHARE_STEP, "H")
    sightings = None if row.sightings is None else [(number(s.phone_id), s.rssi_dbm) for s in row.sightings]
    llr = [(number(m), _steps(values, LLR_STEP, "b")) for m, values in row.llr.items()]
    said = row.activity, row.named, row.label, row.first_named
    activity, named, label, first_named = [None if name is None else number(name) for name in said]
    first = None if (row.first_tier, row.first_named) == (row.tier, row.named) else [row.first_tier, first_named]
    return [
        row.number, row.event_id, row.observed_at, number(row.device_id), activity, [number(e) for e in row.encoders], sightings,
        row.stranger, _steps(row.evidence, SHARE_STEP, "H"), shares, llr, row.unnamed, row.weighed, row.counted, row.tier,
        named, row.revision, label, row.label_revision, [_encode_claim(c) for c in row.claims], first,
    ]  # fmt: skip


def _decode_row(kept: list[Any], names: list[str]) -> Row:
    number, event_id, observed_at, device, activity, encoders, sightings, stranger, evidence, shares, llr, *rest = kept
    unnamed, weighed, counted, tier, named, revision, label, label_revision, claims, first = rest
    first_tier, first_named = first or (tier, named)
    known = _unsteps(evidence, SHARE_STEP, "H")
    return Row(
        number, event_id, observed_at, names[device], _named(names, activity), tuple([names[e] for e in encoders]),
        None if sightings is None else tuple([Sighting(names[i], rssi) for i, rssi in sightings]), stranger, known,
        known if shares is None else _unsteps(shares, SHARE_STEP, "H"),
        {names[m]: _unsteps(values, LLR_STEP, "b") for m, values in llr}, unnamed, weighed, counted, tier, _named(names, named),
        revision, _named(names, label), label_revision, tuple([_decode_claim(c) for c in claims]),
        first_tier, _named(names, first_named),
    )  # fmt: skip


def _named(names: list[str], number: int | None) -> str | None:
    return None if number is None else names[number]


# ---- what was learnt


def _decode_space(home: Home, policy: Policy, encoder: str, kept: PrototypesState) -> None:
    """Bring back what was kept of an encoder; of one that the policy no longer knows, or knows by another pack, it is let go."""
    own = [row for row in home.rows if encoder in row.encoders]
    if encoder in policy.encoders and kept.fingerprint == policy.projection(encoder).fingerprint:
        rows = [(row.number, row.observed_at / DAY_MS, row.shares[1:]) for row in own]
        home.spaces[encoder] = SoftPrototypes.restored(policy.projection(encoder), policy.forgetting, kept, rows)
    else:
        for row in own:
            row.encoders = tuple([e for e in row.encoders if e != encoder])


def _encode_seen(seen: SeenIds) -> list[Any]:
    generations = [[bytes(g.packed), _pack_times(g.until)] for g in (seen.young, seen.old)]
    return [*generations, _pack_times(seen.floors), seen.floor_of_others]


def _decode_seen(kept: list[Any]) -> SeenIds:
    young, old = (Generation.unpacked(packed, _unpack_times(until)) for packed, until in kept[:2])
    return SeenIds(young, old, _unpack_times(kept[2]), kept[3])


def _pack_times(times: dict[int, int]) -> bytes:
    """Hashes of senders and times (ms), each in as many bytes as a hash has."""
    return b"".join([number.to_bytes(HASH_BYTES, "big") for pair in times.items() for number in pair])


def _unpack_times(packed: bytes) -> dict[int, int]:
    numbers = [int.from_bytes(packed[i : i + HASH_BYTES], "big") for i in range(0, len(packed), HASH_BYTES)]
    return dict(zip(numbers[::2], numbers[1::2], strict=True))


def _encode_presence(home: Home) -> list[Any]:
    s = home.strangers
    return [home.presence.guest_steps, home.presence.steps, s.with_guest, s.guests, s.with_member, s.members]


def _decode_presence(home: Home, kept: list[Any]) -> None:
    presence: Presence = home.presence
    presence.guest_steps, presence.steps, home.strangers = kept[0], kept[1], StrangerPhones(*kept[2:])


def _encode_habits(habits: Habits) -> list[Any]:
    return [habits.origin_day, habits.day, habits.counts, habits.totals]


def _decode_habits(kept: list[Any], policy: Policy) -> Habits:
    habits = Habits(policy.learning.habits_half_life_days)
    habits.origin_day, habits.day, habits.counts, habits.totals = kept
    return habits
