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

from learners.habits import Habits
from learners.phones import PhoneReliability, StrangerPhones
from learners.presence import Presence
from learners.prototypes import SHARE_STEP, TAILS, PrototypesState, SoftPrototypes

from .evidence import LLR_STEP
from .household import DAY_MS, Home, Membership, Person, PhoneState, Registration
from .learning import recalibrate
from .ledger import Claim, Names, Row, Sighting, Waiting
from .memory import Generation, SeenIds
from .policy import Policy

__all__ = ["STATE_VERSION", "UnknownState", "decode_home", "encode_home"]

STATE_VERSION: Final = 3
CHECKSUM_BYTES: Final = 4


class UnknownState(ValueError):
    """Bytes that are no state of this or an earlier version."""


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
    home.waiting = [Waiting(event_id, Claim(*claim)) for event_id, claim in waiting]
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
    """Version 2 knew no channels, and listed every tail there could be; its events were last weighed when they came."""
    spaces, rows = {}, body[8]
    for encoder, (masses, times, since, means, vectors) in body[11].items():
        tails = [[i, 0, masses[i], times[i], since[i]] for i in range(len(masses)) if masses[i]]
        kept = sum(encoder in [body[5][number] for number in row[5]] for row in rows)
        spaces[encoder] = [len(masses) // TAILS, tails, means, vectors, bytes(kept)]
    for row in rows:
        row.insert(11, row[0])
    return [3, *body[1:11], spaces, *body[12:]]


UPGRADES: Final[dict[int, Callable[[list[Any]], list[Any]]]] = {1: _from_1, 2: _from_2}  # version -> how to bring it to the next


# ---- people and phones


def _encode_person(p: Person) -> list[Any]:
    memberships = [[m.joined_by, m.left_at, m.left_by] for m in p.memberships]
    return [p.person_id, p.joined_row, memberships, p.enrolled, p.calibration, p.events, p.last_seen_at, p.last_pin_at,
            p.revision, p.published_events]  # fmt: skip


def _decode_person(kept: list[Any]) -> Person:
    person_id, joined_row, memberships, enrolled, calibration, *rest = kept
    known = None if calibration is None else (calibration[0], calibration[1], calibration[2])
    return Person(person_id, joined_row, [Membership(*m) for m in memberships], enrolled, known, *rest)


def _encode_registration(r: Registration) -> list[Any]:
    return [r.feedback_id, r.from_row, r.person_id, r.reliability.prior_log_odds, r.reliability.log_odds]


def _decode_registration(kept: list[Any]) -> Registration:
    return Registration(kept[0], kept[1], kept[2], PhoneReliability(kept[3], kept[4]))


# ---- the ledger


def _encode_claim(c: Claim) -> list[Any]:
    return [c.feedback_id, c.source, c.kind, c.person_id, c.given_at, c.right, c.believed]


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
    activity, named, label = [None if name is None else number(name) for name in (row.activity, row.named, row.label)]
    return [
        row.number, row.event_id, row.observed_at, number(row.device_id), activity, [number(e) for e in row.encoders], sightings,
        row.stranger, _steps(row.evidence, SHARE_STEP, "H"), shares, llr, row.weighed, row.counted, row.tier, named, row.revision, label,
        row.label_revision, [_encode_claim(c) for c in row.claims],
    ]  # fmt: skip


def _decode_row(kept: list[Any], names: list[str]) -> Row:
    number, event_id, observed_at, device, activity, encoders, sightings, stranger, evidence, shares, llr, *rest = kept
    weighed, counted, tier, named, revision, label, label_revision, claims = rest
    known = _unsteps(evidence, SHARE_STEP, "H")
    return Row(
        number, event_id, observed_at, names[device], _named(names, activity), tuple([names[e] for e in encoders]),
        None if sightings is None else tuple([Sighting(names[i], rssi) for i, rssi in sightings]), stranger, known,
        known if shares is None else _unsteps(shares, SHARE_STEP, "H"),
        {names[m]: _unsteps(values, LLR_STEP, "b") for m, values in llr}, weighed, counted, tier, _named(names, named), revision,
        _named(names, label), label_revision, tuple([Claim(*c) for c in claims]),
    )  # fmt: skip


def _named(names: list[str], number: int | None) -> str | None:
    return None if number is None else names[number]


# ---- what was learnt


def _decode_space(home: Home, policy: Policy, encoder: str, kept: PrototypesState) -> None:
    """Bring back what was kept of an encoder; of one that the policy no longer knows it is let go."""
    own = [row for row in home.rows if encoder in row.encoders]
    if encoder in policy.encoders:
        rows = [(row.number, row.observed_at / DAY_MS, row.shares[1:]) for row in own]
        home.spaces[encoder] = SoftPrototypes.restored(policy.projection(encoder), policy.forgetting, kept, rows)
    else:
        for row in own:
            row.encoders = tuple([e for e in row.encoders if e != encoder])


def _encode_seen(seen: SeenIds) -> list[Any]:
    generations = [[bytes(g.packed), g.until] for g in (seen.young, seen.old)]
    return [*generations, seen.floors, seen.floor_of_others]


def _decode_seen(kept: list[Any]) -> SeenIds:
    return SeenIds(Generation.unpacked(*kept[0]), Generation.unpacked(*kept[1]), kept[2], kept[3])


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
