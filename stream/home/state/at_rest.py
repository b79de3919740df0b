"""A household's state as bytes: versioned and deterministic; never pickle.

Law: `decode_home(encode_home(home))` goes on exactly as `home` would, and equal homes have equal bytes, whatever stands in
memory that they do not use. A state written by any released version loads for ever (see `upgrade`). No bytes make this crash.

The layout is a checksum; version, sizes and the household's id; its words; and what it uses of its record (`core.rest`).
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from stream.contract.errors import NewerState
from stream.contract.policy import Policy
from stream.home.core.rest import NUMBERS, RAW, READING, RENUMBERING, TIMES, WRITING, carry
from stream.home.state.household import Household, Slot, new_slot, take_out
from stream.home.state.layout import AGAIN_BYTES, GALLERY, HOME
from stream.home.state.names import Words
from stream.home.state.upgrade import DAMAGED, UnknownState, is_old, upgrade

__all__ = ["STATE_VERSION", "UnknownState", "decode_home", "encode_home"]

STATE_VERSION: Final = 6
CHECKSUM_BYTES: Final = 4
BETWEEN: Final = "\0"  # words: no id has it
_HEAD: Final = struct.Struct("<BBHI")  # version; bytes of the id, of words and of the record
INCONSISTENT: Final = "not a household's state: its checksum fits its bytes, but they do not fit each other"
_known: list[Any] = [None, {}]  # a policy, and its encoders
_DESKS: Final[list["_Desk"]] = []
_HOME_FIELDS: Final[Any] = HOME.fields
_RAW_FIELDS: Final[Any] = RAW.fields
_GALLERY_FIELDS: Final[Any] = GALLERY.fields
_GALLERIES, _GALLERIES_USED = _HOME_FIELDS["galleries"][1], _HOME_FIELDS["galleries_used"][1]
_NUMBER: Final = _GALLERY_FIELDS["number"][1]
_FINGERPRINT_AND_NAME: Final = struct.Struct("<Ih")  # the first of GALLERY
_COURSE: Final = struct.Struct("<qqihh")  # the numbers of RAW
_BYTES: Final = _RAW_FIELDS["bytes"][1]


def encode_home(household: Household) -> bytes:
    """Deterministic, versioned bytes of a household's state.

    Words are brought in the order in which the record refers to them, so that equal homes have equal ones; those to which nothing
    refers any more are forgotten. What changes its number does so in the record too.
    """
    words, desk = household.words, _desk()
    used = np.zeros(len(words.listed) + 1, np.int16)
    size, disordered = _carry(household, desk, used, WRITING)
    if disordered or used[0] < len(words.listed):
        used[0] = 0
        _carry(household, desk, used, RENUMBERING)
        words.renumber(used.tolist())
        size, _ = _carry(household, desk, np.zeros(len(words.listed) + 1, np.int16), WRITING)
    household_id, texts = household.household_id.encode(), BETWEEN.join(words.listed).encode()
    head = _HEAD.pack(STATE_VERSION, len(household_id), len(texts), size)
    body = b"".join((head, household_id, texts, desk.bytes[_BYTES : _BYTES + size]))
    _DESKS.append(desk)
    return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") + body


class _Desk(NamedTuple):
    """Room for a home at rest, and the same room as bytes."""

    raws: Any  # (1,) of RAW
    bytes: memoryview


def _desk() -> _Desk:
    """One that nobody uses; whoever takes it puts it back among `_DESKS`, unless an error came between."""
    if _DESKS:
        return _DESKS.pop()
    flat = np.zeros(RAW.itemsize, np.uint8)
    return _Desk(flat.view(RAW), flat.data)


def _carry(household: Household, desk: _Desk, words: Any, way: int, length: int = 0) -> tuple[int, int]:
    """Have the kernel go one way over a home: bytes written or read, -1 if they are no home; whether words are in disorder."""
    _COURSE.pack_into(desk.bytes, 0, 0, length, way, 0, 0)
    carry(household.memory, household.slot, desk.raws, words)  # type: ignore[no-untyped-call]
    size, _, _, failed, disordered = _COURSE.unpack_from(desk.bytes)
    assert way == READING or not failed, f"the record of {household.household_id} refers to what is not there"
    return (-1 if failed else size), disordered


def decode_home(raw: bytes, policy: Policy, slot: Slot | None = None) -> Household:
    """The household of `encode_home`'s bytes, of this or any earlier version.

    Parameters
    ----------
    raw
        The bytes.
    policy
        Whose encoders the home's galleries are matched with; what was kept of others is let go.
    slot
        (1,): where its record is to stand; whatever was there is gone. None: in a slot of its own.

    Raises
    ------
    UnknownState
        They are no state, or (NewerState) one of a later version.
    """
    if is_old(raw):
        return decode_home(encode_home(upgrade(raw, policy, new_slot())), policy, slot)
    body = memoryview(raw)[CHECKSUM_BYTES:]
    if zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") != raw[:CHECKSUM_BYTES] or not body:
        raise UnknownState(DAMAGED)
    if body[0] in _NEXT:
        return decode_home(_of_next_version(bytes(body)), policy, slot)
    if body[0] != STATE_VERSION:
        raise NewerState(body[0], STATE_VERSION) if body[0] > STATE_VERSION else UnknownState(INCONSISTENT)
    if len(body) < _HEAD.size:
        raise UnknownState(INCONSISTENT)
    _, *sizes = _HEAD.unpack_from(body)
    of_id, of_words, of_record = sizes
    if _HEAD.size + sum(sizes) != len(body):
        raise UnknownState(INCONSISTENT)
    words_at, record_at = _HEAD.size + of_id, _HEAD.size + of_id + of_words
    try:
        household_id, texts = str(body[_HEAD.size : words_at], "utf-8"), str(body[words_at:record_at], "utf-8")
        words = Words(texts.split(BETWEEN) if texts else ())
    except ValueError as error:
        raise UnknownState(INCONSISTENT) from error
    household = Household(household_id, new_slot() if slot is None else slot, words)
    if of_record > HOME.itemsize:
        raise UnknownState(INCONSISTENT)
    desk, known = _desk(), np.zeros(len(words) + 1, np.int16)
    desk.bytes[_BYTES : _BYTES + of_record] = body[record_at:]
    read, _ = _carry(household, desk, known, READING, of_record)
    _DESKS.append(desk)
    if read != of_record:
        raise UnknownState(INCONSISTENT)
    _match_galleries(household, policy)
    return household


# ---- earlier versions of this form: the bytes of each as of the next

_WITHOUT_VISITS: Final = 4  # the version before there were any, any consents, and any presences
_VISITS: Final = HOME.fields["visits"][1] - NUMBERS[0]  # type: ignore[index]
_VISITS_BYTES: Final = HOME["visits"].itemsize
_COUNTS: Final = bytes(2)  # of consents and of presences
_FILTERS_USED: Final = HOME.fields["seen_used"][1] - NUMBERS[0]  # type: ignore[index]
_WITNESSES: Final = HOME.fields["witnesses_used"][1] - NUMBERS[0]  # type: ignore[index]  # the last of the numbers


def _with_visits(body: bytes) -> bytes:
    """Of version 4: among its numbers are those of visits, behind them these counts; all 0."""
    version, of_id, of_words, of_record = _HEAD.unpack_from(body)
    numbers = _HEAD.size + of_id + of_words + int(TIMES[1])
    visits, end = numbers + _VISITS, numbers + _WITNESSES - _VISITS_BYTES - len(_COUNTS)
    head = _HEAD.pack(version + 1, of_id, of_words, of_record + _VISITS_BYTES + len(_COUNTS))
    return head + body[_HEAD.size : visits] + bytes(_VISITS_BYTES) + body[visits:end] + _COUNTS + body[end:]


def _with_ids_again(body: bytes) -> bytes:
    """Of version 5: there are no witnesses; the youngest filter of recognitions has its ids again, which here are all."""
    version, of_id, of_words, of_record = _HEAD.unpack_from(body)
    numbers = _HEAD.size + of_id + of_words + int(TIMES[1])
    filters, end = numbers + _FILTERS_USED, numbers + _WITNESSES
    again = b"\xff" * AGAIN_BYTES if any(body[filters : filters + 1]) else b""
    head = _HEAD.pack(version + 1, of_id, of_words, of_record + 1 + len(again))
    return head + body[_HEAD.size : end] + bytes(1) + body[end:] + again


_NEXT: Final = {_WITHOUT_VISITS: _with_visits, _WITHOUT_VISITS + 1: _with_ids_again}


def _of_next_version(body: bytes) -> bytes:
    if len(body) < _HEAD.size:
        raise UnknownState(INCONSISTENT)
    newer = _NEXT[body[0]](body)
    return zlib.crc32(newer).to_bytes(CHECKSUM_BYTES, "big") + newer


# ---- galleries and the policy's encoders


def _match_galleries(household: Household, policy: Policy) -> None:
    """Tell galleries their numbers in the policy; let go those of encoders that it does not know, or by another pack."""
    memory, known, gallery = household.slot.view(np.uint8).data, _encoders_of(policy), 0
    while gallery < memory[_GALLERIES_USED]:
        at = _GALLERIES + gallery * GALLERY.itemsize
        fingerprint, word = _FINGERPRINT_AND_NAME.unpack_from(memory, at)
        expected, number = known.get(household.words[word] if word else "", (None, 0))
        if fingerprint == expected:
            memory[at + _NUMBER] = number
            gallery += 1
        else:
            _let_go(household.slot[0], gallery)


def _encoders_of(policy: Policy) -> Mapping[str, tuple[int, int]]:
    """Fingerprint and number of each encoder; found once for a policy, of which a process has one."""
    if _known[0] is not policy:
        found = {name: (policy.projection(name).fingerprint, i) for i, name in enumerate(policy.encoders)}
        _known[:] = policy, found
    return _known[1]  # type: ignore[no-any-return]


def _let_go(record: Any, gallery: int) -> None:
    """Forget all that was kept of an encoder's vectors; what they had said of events stays."""
    for row in record["rows"][: record["rows_used"]]:
        for modality in range(len(row["encoders"])):
            if row["encoders"][modality] == gallery + 1:
                for field in ("vectors", "encoders", "channels", "noises"):
                    row[field][modality] = 0
        row["encoders"] -= row["encoders"] > gallery
    for person in record["people"][: record["people_used"]]:
        take_out(person, "tails", person["tails"]["encoder"] == gallery)
        person["tails"]["encoder"] -= person["tails"]["encoder"] > gallery
        person["places"][gallery:-1] = person["places"][gallery + 1 :]
        person["places"][-1] = 0
    take_out(record, "ears", record["ears"]["encoder"] == gallery)
    record["ears"]["encoder"] -= record["ears"]["encoder"] > gallery
    take_out(record, "galleries", np.arange(len(record["galleries"])) == gallery)
