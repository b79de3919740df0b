"""States of versions 1 to 3, which were lists in msgpack, brought to HOME.

Law: whatever they knew a home still knows, at the precision that it is kept at now. What found no room any more (limits are
smaller than a policy could once make them) is what counted least.

A list of version 3: version, household, stream time, next row, next rebuild, names, people, phones, rows, claims that wait,
claims that were folded, what is kept of each encoder, seen ids, presence, habits, reliability of sources, thresholds,
allowances, doubts, monitors.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from learners.precision import MEAN_STEP, MEAN_STEPS_MAX, NATS_STEP, SHARE_ONE
from learners.recognition.gallery import ANCHORED_ONE
from stream.contract.errors import NewerState, UnknownState
from stream.contract.policy import SOURCES, Policy
from stream.contract.records import GUEST
from stream.home.core.admission.seen import begin_filter_of
from stream.home.messages import CAUSES, CLAIM_KINDS
from stream.home.state.household import DAY_MS, Household, Slot, append, take_out
from stream.home.state.layout import (
    ACTIVITIES_MAX,
    CLAIMS_MAX,
    DEVICES_MAX,
    EARS_MAX,
    ENCODERS_MAX,
    ENROLMENTS_MAX,
    FACE,
    FOLDED_MAX,
    HOURS,
    MEMBERSHIPS_MAX,
    NOBODY,
    NOT_COUNTED,
    PEOPLE_MAX,
    PHONES_MAX,
    REGISTRATIONS_MAX,
    REPORTED_MAX,
    ROWS_MAX,
    SEEN_PER_FILTER,
    SENDERS_MAX,
    SIGHTINGS_MAX,
    TAILS_MAX,
    TIERS,
    UNKNOWN,
    VOICE,
    WAITING_MAX,
)  # fmt: skip
from stream.home.state.names import HASH_BYTES, Words, hash_id
from stream.home.statements import ACTIVITIES_TOTAL, BY_ACTIVITY, HOURS_TOTAL, recalibrate_home, uncount_claim

__all__ = ["DAMAGED", "UnknownState", "is_old", "upgrade"]

VERSION: Final = 3  # to which older ones are brought first
NEWEST: Final = 4
CHECKSUM_BYTES: Final = 4
DAMAGED: Final = "not a household's state, or one that was damaged: its checksum does not fit its bytes"
HOUR_BIN_MS: Final = 3 * 3_600_000
TAILS: Final = 2  # of a person and channel: what was enrolled by hand, and the rest
LEARNT: Final = 1  # of those: the rest
ENROLLED_WEIGHT: Final = 1e6  # recordings: of too many tails the lightest goes that was not enrolled by hand
NOTHING_MONITORED: Final[list[Any]] = [[], [], [], b"", {}, [], None]
KINDS: Final = ("device", "person", "encoder", "phone", "habit", "feedback", "unknown_voices", "unknown")
MODALITIES: Final = {"voice": VOICE, "face": FACE, "phone": 2, "habit": 3}
_CLAIM_KINDS: Final = {name: kind for kind, name in CLAIM_KINDS.items()}
_SESSION: Final = struct.Struct("<IfB")
# Errors of a reader that is given other things than it expects.
_OTHER_THAN_EXPECTED: Final = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError, struct.error,
)  # fmt: skip


def is_old(raw: bytes) -> bool:
    """Whether bytes look like a state of before version 4: behind the checksum comes a list."""
    first = raw[CHECKSUM_BYTES] if len(raw) > CHECKSUM_BYTES else 0
    return first & 0xF0 == 0x90 or first in (0xDC, 0xDD)


def upgrade(raw: bytes, policy: Policy, slot: Slot) -> Household:
    """The household of a state of version 1, 2 or 3; raises UnknownState."""
    checksum, packed = raw[:CHECKSUM_BYTES], raw[CHECKSUM_BYTES:]
    expected = zlib.crc32(packed).to_bytes(CHECKSUM_BYTES, "big")
    if checksum not in (expected, hashlib.blake2b(packed, digest_size=CHECKSUM_BYTES).digest()):
        raise UnknownState(DAMAGED)
    try:
        body: list[Any] = msgspec.msgpack.decode(packed)
        while body[0] in _UPGRADES:
            body = _UPGRADES[body[0]](body)
        if body[0] == VERSION:
            return _Upgrade(body, policy, slot).household
    except _OTHER_THAN_EXPECTED as error:
        raise UnknownState(f"not a household's state, though its checksum fits: it cannot be read ({error})") from error
    if isinstance(body[0], int) and body[0] > NEWEST:
        raise NewerState(body[0], NEWEST)
    raise UnknownState(f"a state of version {body[0]!r}, which there never was")


# ---- from version 1 to 2 and 3


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

    Of an answer that was revised it had forgotten the first; its events were last inferred when they came; its homes had
    learnt no thresholds, its claims knew no day.
    """
    for person in body[6]:
        person.append({})
    for row in body[8]:
        row[5] = []
        row.insert(11, row[0])
        for claim in row[18]:
            _claim_from_2(claim, len(body[6]) + 1)
        row.insert(11, None)
        row.append(None)
    for _, claim in body[9]:
        _claim_from_2(claim, len(body[6]) + 1)
    young, old, floors, floor_of_others = body[12]
    generations = [[packed, _pack_times(until)] for packed, until in (young, old)]
    seen = [*generations, _pack_times(floors), floor_of_others]
    return [3, *body[1:11], {}, seen, *body[13:], [[0, 0] for _ in range(TIERS)], {}, [], NOTHING_MONITORED]


def _claim_from_2(claim: list[Any], places: int) -> None:
    """Version 2 kept how reliable a claim's source was held to be, not what it weighed; of what was not counted: 1."""
    right, reliability = claim[5:7]
    others = 1 if claim[2] == "reject" else max(1, places - 1)
    nats = max(0.0, float(np.log(reliability * others / (1 - reliability)))) if reliability < 1 else 0.0
    claim[5:] = [None if right is None else round(right * SHARE_ONE), int(nats / NATS_STEP), 0]


def _pack_times(times: dict[int, int]) -> bytes:
    return b"".join([number.to_bytes(HASH_BYTES, "big") for pair in times.items() for number in pair])


_UPGRADES: Final[dict[int, Callable[[list[Any]], list[Any]]]] = {1: _from_1, 2: _from_2}  # version -> to the next


# ---- from version 3


class _Kept(NamedTuple):
    """What version 3 kept of an encoder: `tails`: owner, channel, mass, mean time, first time."""

    people: int
    tails: list[Any]
    means: bytes  # of tails, float16
    vectors: bytes  # of rows that have one, in their order
    channels: bytes
    noises: bytes
    offsets: list[Any]
    fingerprint: int


class _Upgrade:
    """A home that is made of a list of version 3."""

    def __init__(self, body: list[Any], policy: Policy, slot: Slot) -> None:
        _, household_id, *times, names, people, phones, rows, waiting, folded, spaces = body[:12]
        self.household = Household(household_id, slot, Words())
        self.household.clear()
        self.policy, self.names = policy, names
        self.home, self.learn = self.household.record, self.household.words.learn
        self.home["stream_time"], self.home["next_row"], self.home["next_rebuild"] = times
        present = sorted(range(len(people)), key=lambda column: people[column][2][-1][1] is not None)
        kept = sorted(present[:PEOPLE_MAX])  # who left goes first
        self.columns = {people[column][0]: i for i, column in enumerate(kept)}
        self.kept_columns = kept
        self.galleries: dict[str, tuple[int, int]] = {}  # by encoder: index in galleries, and modality
        for column in kept:
            self._person(people[column])
        for phone_id, registrations in phones[:PHONES_MAX]:
            self._phone(phone_id, registrations)
        for encoder, space in spaces.items():
            self._gallery(encoder, _Kept(*space))
        seen, presence, habits, sources, thresholds, allowances, doubts, monitors = body[12:]
        self._load_seen(*seen)
        self._presence(presence)
        self._habits(*habits)
        self.home["thresholds"] = thresholds
        self._sources(sources, allowances)
        self._rows(rows, {encoder: _Kept(*space) for encoder, space in spaces.items()})
        for event_id, claim in waiting[-WAITING_MAX:]:
            kind: Any = "feedback" if claim[2] == "retract" else "event"
            if self._can_be_read(claim):
                entry = append(self.home, "waiting")
                entry["event"] = hash_id(kind, event_id)
                self._claim(entry["claim"], claim)
        for feedback, (which, owners) in list(folded.items())[-FOLDED_MAX:]:
            entry = append(self.home, "folded")
            bits = sum(1 << self.columns[owner] for owner in owners if owner in self.columns)
            entry["feedback"], entry["learnt"], entry["owners"] = feedback, which, bits
        for source, person_id, suspended, reported_at in doubts:
            entry = append(self.home, "doubts")
            entry["source"] = NOBODY if source is None else SOURCES.index(source)
            entry["person"] = NOBODY if person_id is None else self._place(person_id)
            entry["suspended"], entry["reported_at"] = suspended, reported_at
        self._monitors(*monitors)
        recalibrate_home(self.household)

    def _place(self, person_id: str | None) -> int:
        """Of a person; of a guest, of nobody, and of who found no room: 0."""
        return 0 if person_id is None or person_id not in self.columns else self.columns[person_id] + 1

    # -- people and phones

    def _person(self, kept: list[Any]) -> None:
        person_id, joined_row, memberships, enrolled, calibration, *rest, relapse = kept
        events, last_seen_at, last_pin_at, revision, published = rest
        person = append(self.home, "people")
        person["name"], person["joined_row"], person["revision"] = self.learn(person_id), joined_row, revision
        for joined_by, left_at, left_by in memberships[-MEMBERSHIPS_MAX:]:
            membership = append(person, "memberships")
            membership["joined_by"], membership["left_at"] = hash_id("feedback", joined_by), left_at or 0
            membership["told_at"] = left_at or 0
            membership["left_by"] = hash_id("feedback", left_by) if left_by else 0
        numbers = [hash_id("feedback", feedback_id) for feedback_id in enrolled[-ENROLMENTS_MAX:]]
        person["enrolments"][: len(numbers)], person["enrolments_used"] = numbers, len(numbers)
        for calibrated in (person["calibration"], person["live"]):
            calibrated["weights"] = 1.0
        if calibration is not None:
            learnt, offset, weights = calibration
            person["calibration"]["learnt"], person["calibration"]["offset"] = learnt, offset
            for modality, weight in weights.items():
                person["calibration"]["weights"][MODALITIES[modality]] = weight
                person["calibration"]["known"][MODALITIES[modality]] = 1
        person["events"], person["published"] = round(events * SHARE_ONE), round(published * SHARE_ONE)
        person["last_seen_at"], person["last_pin_at"] = last_seen_at or 0, last_pin_at or 0
        for modality, steps in relapse.items():
            person["rollback"][MODALITIES[modality]] = steps

    def _phone(self, phone_id: str, registrations: list[Any]) -> None:
        phone = append(self.home, "phones")
        phone["name"] = self.learn(phone_id)
        for feedback_id, from_row, person_id, prior_log_odds, log_odds in registrations[-REGISTRATIONS_MAX:]:
            entry = append(phone, "registrations")
            entry["feedback"], entry["from_row"] = hash_id("feedback", feedback_id), from_row
            entry["person"] = self._place(person_id)
            entry["prior_log_odds"], entry["log_odds"] = prior_log_odds, log_odds

    # -- voices and faces

    def _gallery(self, encoder: str, kept: _Kept) -> None:
        """Bring back what was kept of an encoder; if the policy does not know it, or by another pack, it is let go."""
        index = int(self.home["galleries_used"])
        if encoder not in self.policy.encoders or index == ENCODERS_MAX:
            return
        if kept.fingerprint != self.policy.projection(encoder).fingerprint:
            return
        gallery = append(self.home, "galleries")
        gallery["name"], gallery["fingerprint"] = self.learn(encoder), kept.fingerprint
        self.galleries[encoder] = index, MODALITIES[self.policy.encoders[encoder].modality]
        dimensions = self.policy.projection(encoder).dimensions
        for device, mean in kept.offsets:
            entry = append(gallery, "offsets")
            entry["device_name"], entry["vector"][:dimensions] = self.learn(device), _steps(mean)
        means = _steps(kept.means).reshape(-1, dimensions)
        for (owner, channel, mass, day, since), mean in zip(kept.tails, means, strict=True):
            if owner // TAILS in self.kept_columns:
                person = self.home["people"][self.kept_columns.index(owner // TAILS)]
                if person["tails_used"] == TAILS_MAX:
                    weights = person["tails"]["mass"] + (person["tails"]["learnt"] != LEARNT) * ENROLLED_WEIGHT
                    if mass + (owner % TAILS != LEARNT) * ENROLLED_WEIGHT <= weights.min():
                        continue
                    take_out(person, "tails", np.arange(TAILS_MAX) == weights.argmin())
                tail = append(person, "tails")
                tail["encoder"], tail["learnt"], tail["channel"] = index, owner % TAILS, channel
                tail["anchored"] = int(ANCHORED_ONE)  # as it was trusted then
                tail["vector"][:dimensions] = mean
                tail["mass"], tail["day"], tail["since"] = mass, day, since

    # -- the ledger

    def _rows(self, rows: list[Any], spaces: dict[str, _Kept]) -> None:
        places = dict.fromkeys(spaces, 0)
        for i, kept in enumerate(rows):
            fits = i >= len(rows) - ROWS_MAX
            row = append(self.home, "rows") if fits else np.zeros((), self.home["rows"].dtype)
            self._row(row, kept)
            for encoder in [self.names[number] for number in kept[5]]:
                if encoder in self.galleries:
                    self._vector(row, encoder, spaces[encoder], places[encoder])
                    places[encoder] += 1

    def _vector(self, row: Any, encoder: str, kept: _Kept, place: int) -> None:
        (index, modality), dimensions = self.galleries[encoder], self.policy.projection(encoder).dimensions
        vector = np.frombuffer(kept.vectors, "i1", dimensions, place * dimensions)
        row["encoders"][modality], row["vectors"][modality][:dimensions] = index + 1, vector
        row["channels"][modality], row["noises"][modality] = kept.channels[place], kept.noises[place]

    def _row(self, row: Any, kept: list[Any]) -> None:
        number, event_id, observed_at, device, activity, _, sightings, stranger, *rest = kept
        evidence, shares, llr, *rest = rest
        unnamed, inferred, counted, tier, named, revision, label, label_revision, claims, first = rest
        names, raw = [self._name_of(number) for number in (activity, named, label)], event_id.encode()
        row["observed_at"], row["number"], row["inferred"] = observed_at, number, inferred
        row["event"] = hash_id("event", event_id)
        row["event_id"][: len(raw)], row["event_id_length"] = np.frombuffer(raw, "u1"), len(raw)
        row["device_name"] = self.learn(self.names[device])
        row["activity"] = self.learn(names[0]) if names[0] else 0
        row["hour"], row["unnamed"] = observed_at % DAY_MS // HOUR_BIN_MS, -1 if unnamed is None else unnamed
        row["counted"], row["tier"] = counted, tier
        row["revision"], row["label_revision"] = revision, label_revision
        row["named"], row["first_tier"] = self._place(names[1]), first[0] if first else tier
        row["first_named"] = self._place(self._name_of(first[1])) if first else row["named"]
        if names[2] is not None and (names[2] == GUEST or names[2] in self.columns):
            row["label"] = self._place(names[2]) + 1
        row["evidence"] = self._shares(evidence)
        row["shares"] = row["evidence"] if shares is None else self._shares(shares)
        for modality, values in llr:
            own = MODALITIES[self.names[modality]]
            row["modalities"] |= 1 << own
            row["llr"][own][: len(self.kept_columns)] = np.frombuffer(values, "i1")[self.kept_columns]
        row["stranger"], row["scanned"] = stranger, sightings is not None
        phones = self.home["phones"]["name"][: int(self.home["phones_used"])].tolist()
        heard = [(self.household.words.number(self.names[n]), rssi_dbm) for n, rssi_dbm in sightings or ()]
        for phone, rssi_dbm in [sighting for sighting in heard if sighting[0] in phones][:SIGHTINGS_MAX]:
            sighting = append(row, "sightings")
            sighting["phone"] = phones.index(phone)
            sighting["rssi_dbm"] = max(-128, min(round(rssi_dbm), 127))
        self._claims(row, claims)

    def _name_of(self, number: int | None) -> str | None:
        return None if number is None else self.names[number]

    def _shares(self, raw: bytes) -> Any:
        """(places,) of those who found room; what was others' is a guest's."""
        guest, *shares = np.frombuffer(raw, "<u2").tolist()
        own = [shares[column] for column in self.kept_columns]
        kept = np.zeros(PEOPLE_MAX + 1, np.int64)
        kept[0], kept[1 : 1 + len(own)] = min(SHARE_ONE, guest + sum(shares) - sum(own)), own
        return kept

    def _claims(self, row: Any, claims: list[Any]) -> None:
        """Those of them that rank highest; what others told of their sources is taken back."""
        ranks = [(claim[2] == "enrol", SOURCES.index(claim[1]), claim[4]) for claim in claims]
        highest = sorted(range(len(claims)), key=lambda i: ranks[i])[-CLAIMS_MAX:]
        for i, claim in enumerate(claims):
            if i in highest and self._can_be_read(claim):
                self._claim(append(row, "claims"), claim)
            else:
                gone = np.zeros((), row["claims"].dtype)
                self._claim(gone, claim)
                uncount_claim(self.home, gone)

    def _can_be_read(self, claim: list[Any]) -> bool:
        """Whether somebody is still there of whom a claim is."""
        return claim[3] in ("", GUEST) or claim[3] in self.columns

    def _claim(self, entry: Any, claim: list[Any]) -> None:
        feedback_id, source, kind, person_id, given_at, right, nats, day = claim
        entry["feedback"], entry["given_at"], entry["day"] = hash_id("feedback", feedback_id), given_at, day
        entry["source"], entry["kind"] = SOURCES.index(source), _CLAIM_KINDS[kind]
        entry["person"] = UNKNOWN if person_id == "" else self._place(person_id)
        entry["right"], entry["nats"] = NOT_COUNTED if right is None else right, nats

    # -- what was learnt

    def _load_seen(self, young: list[Any], old: list[Any], floors: bytes, floor_of_others: int) -> None:
        home = self.home
        home["floors_used"], others = _latest(home["floors"], _hashes(floors))
        home["floor_of_others"] = max(floor_of_others, others)
        for kind, (packed, until) in product(range(2), (old, young)):  # which kind a hash is of was not told
            hashes, senders = _hashes(packed), _hashes(until)
            for first in range(0, len(hashes), SEEN_PER_FILTER):
                told = np.array([kind, *hashes[first : first + SEEN_PER_FILTER]], np.int64)
                begin_filter_of(self.household.slot, told)  # type: ignore[no-untyped-call]
                youngest = home["seen"][kind][0]
                youngest["senders_used"], youngest["others_until"] = _latest(youngest["senders"], senders)

    def _presence(self, kept: list[Any]) -> None:
        home, (guest_steps, steps, *strangers) = self.home, kept
        home["guest_presence"], home["strangers"] = guest_steps, strangers
        home["people"]["presence"][: len(self.kept_columns)] = [steps[column] for column in self.kept_columns]

    def _habits(self, origin: float, day: float, counts: dict[str, Any], totals: dict[str, Any]) -> None:
        home = self.home
        home["habits_origin"], home["habits_day"] = origin, day
        of = {person_id: home["people"]["habits"][i] for person_id, i in self.columns.items()}
        of[GUEST] = home["guest_habits"]
        activities = counts.get("activity", {}).items()
        by_activity = sorted(activities, key=lambda found: -sum(found[1].values()))[:ACTIVITIES_MAX]
        kept = {hour: people for hour, people in counts.get("hour", {}).items() if 0 <= hour < HOURS}
        for slot, (activity, people) in enumerate(by_activity):
            home["activities"][slot], kept[BY_ACTIVITY + slot] = self.learn(activity), people
        kept[HOURS_TOTAL], kept[ACTIVITIES_TOTAL] = totals.get("hour", {}), totals.get("activity", {})
        for index, people in kept.items():
            for person_id, count in people.items():
                if person_id in of:
                    of[person_id][index] = count

    def _sources(self, reliability: dict[str, Any], allowances: dict[str, Any]) -> None:
        for source, (right, wrong) in reliability.items():
            entry = self.home["sources"][SOURCES.index(source)]
            entry["right"], entry["wrong"] = right, wrong
        for source, (day, steps) in allowances.items():
            entry = self.home["sources"][SOURCES.index(source)]
            entry["day"], entry["spent"] = day, steps

    # -- monitors

    def _monitors(self, *kept: Any) -> None:
        encoders, devices, people, unknown_voices, feedback, told, alarm = kept
        home = self.home
        for name, session, seen_at, ears in sorted(devices, key=lambda device: device[2])[-DEVICES_MAX:]:
            entry = append(home, "devices")
            entry["name"], entry["session"], entry["seen_at"] = self.learn(name), session, seen_at
            self._ears(name, [(encoders[number], *ear) for number, *ear in ears])
        for name, places, *streams in people:
            if name in self.columns:
                person = home["people"][self.columns[name]]
                for number, seen, usual in places:
                    if encoders[number] in self.galleries:
                        place, steps = person["places"][self.galleries[encoders[number]][0]], _steps(usual)
                        place["seen"], place["usual"][: len(steps)] = seen, steps
                for field, state in zip(("shift", "phone", "habit"), streams, strict=True):
                    _stream(person[field], state)
        if unknown_voices:
            _stream(home["unknown_voices"], unknown_voices)
        for source, state in feedback.items():
            _stream(home["sources"][SOURCES.index(source)]["claims"], state)
        for kind, name, log_e, at, settled in sorted(told, key=lambda said: said[3])[-REPORTED_MAX:]:
            entry = append(home, "reported")
            entry["kind"], entry["name"] = CAUSES.index(KINDS[kind]), self.learn(name) if name else 0
            entry["log_e"], entry["at"], entry["settled"] = log_e, at, settled
        if alarm is not None:
            home["alarm_kind"] = CAUSES.index(KINDS[alarm[0]])
            home["alarm_name"] = self.learn(alarm[1]) if alarm[1] else 0
            home["alarm_since"], home["alarm_noticed"] = alarm[2:]

    def _ears(self, device: str, ears: Iterable[tuple[Any, ...]]) -> None:
        for encoder, seen, means, moved in ears:
            if encoder in self.galleries and self.home["ears_used"] < EARS_MAX:
                entry, (lately, usual) = append(self.home, "ears"), _steps(means).reshape(2, -1)
                entry["device_name"], entry["seen"] = self.learn(device), seen
                entry["encoder"] = self.galleries[encoder][0]
                entry["lately"][: len(lately)], entry["usual"][: len(usual)] = lately, usual
                _stream(entry["moved"], moved)


def _steps(halves: bytes) -> Any:
    """Numbers that were kept as float16, in steps of MEAN_STEP."""
    steps = np.rint(np.frombuffer(halves, "<f2").astype(np.float64) / MEAN_STEP)
    return np.clip(steps, -MEAN_STEPS_MAX, MEAN_STEPS_MAX).astype(np.int16)


def _hashes(packed: bytes) -> list[int]:
    return [int.from_bytes(packed[i : i + HASH_BYTES], "big") for i in range(0, len(packed), HASH_BYTES)]


def _latest(senders: Any, numbers: list[int]) -> tuple[int, int]:
    """Write those senders whose time is the greatest; how many there are, and the greatest time of the others."""
    found = list(zip(numbers[::2], numbers[1::2], strict=True))
    latest = sorted(sorted(range(len(found)), key=lambda i: found[i][1])[-SENDERS_MAX:])
    for entry, i in zip(senders, latest, strict=False):
        entry["sender"], entry["at"] = found[i]
    return len(latest), max((at for i, (_, at) in enumerate(found) if i not in latest), default=0)


def _stream(entry: Any, state: bytes) -> None:
    """A stream of values: the session going on, and its numbers."""
    session = entry["session"]
    session["session"], session["total"], session["events"] = _SESSION.unpack_from(state)
    entry["numbers"] = np.frombuffer(state, "<f4", offset=_SESSION.size)
