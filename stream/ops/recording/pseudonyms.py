"""Pseudonyms: ids of a recording replaced by keyed hashes, so that its replay gives the same answers with other names.

Law: the same key gives the same hash of an id; two ids never share a pseudonym; ids of homes, people, devices and phones sort
as before, `guest` among them, for their order may decide a tie. So the replay of a recording with pseudonyms is that of the
recording itself, with pseudonyms. Of a record only the contract's fields stay, and of one that nobody can read only that it
cannot be read.

What it is not: anonymous. Voices and faces stay biometric data, and times and habits tell of people too.
"""

import hashlib
import hmac
import re
from base64 import b32encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from stream.contract.errors import ConfigError
from stream.contract.records import GUEST, Record

__all__ = ["TOPICS", "Pseudonyms", "key_of"]

_KEY_BYTES_MIN: Final = 16
_HASH_CHARACTERS: Final = 16  # of base32, 80 bits
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ID_MAX: Final = 64  # characters
_UNREADABLE: Final = b"{"

_STAYS, _SORTED, _HASHED = "stays", "sorted", "hashed"
_VECTOR: Final = {"encoder": _STAYS, "embedding": _STAYS, "quality": _STAYS}
_CAUSE: Final = {"topic": _STAYS, "partition": _STAYS, "offset": _STAYS}
# What becomes of each field. A list: of each of its items; one of two: of the names and values of an object.
_RULES: Final[Mapping[str, Any]] = {
    "recognitions": {
        "v": _STAYS, "event_id": _HASHED, "household_id": _SORTED, "device_id": _SORTED, "observed_at": _STAYS, "voice": _VECTOR,
        "face": _VECTOR, "phones": [{"phone_id": _SORTED, "rssi_dbm": _STAYS}], "activity": _STAYS, "device": _STAYS,
        "input": _STAYS, "session": {"session_id": _HASHED, "person_id": _SORTED, "device_class": _STAYS},
    },
    "feedback": {
        "v": _STAYS, "feedback_id": _HASHED, "household_id": _SORTED, "given_at": _STAYS, "source": _STAYS, "kind": _STAYS,
        "person_id": _SORTED, "event_id": _HASHED, "event_ids": [_HASHED], "retracts": _HASHED, "phone_id": _SORTED,
    },
    "sightings": {
        "v": _STAYS, "sighting_id": _HASHED, "household_id": _SORTED, "device_id": _SORTED, "device_class": _STAYS,
        "kind": _STAYS, "nonce": _HASHED, "observed_at": _STAYS,
    },
    "journal": {
        "v": _STAYS, "partition": _STAYS, "offsets_from": _STAYS, "offsets_to": _STAYS, "count": _STAYS, "epoch": _STAYS,
        "step_version": _STAYS, "policy_id": _STAYS,
    },
    "identities": {
        "v": _STAYS, "event_id": _HASHED, "household_id": _SORTED, "observed_at": _STAYS, "revision": _STAYS,
        "posterior": (_SORTED, _STAYS), "person_id": _SORTED, "tier": _STAYS, "modalities": _STAYS, "policy_id": _STAYS,
        "cause": _CAUSE, "acts_for": _SORTED,
    },
    "labels": {
        "v": _STAYS, "event_id": _HASHED, "household_id": _SORTED, "person_id": _SORTED, "probability": _STAYS,
        "evidence": _STAYS, "revision": _STAYS, "cause": _CAUSE, "withdrawn": _STAYS, "unnamed_id": _STAYS,
    },
}  # fmt: skip
TOPICS: Final = frozenset(_RULES)  # others have words or names in places that no rule knows


def key_of(path: Path) -> bytes:
    """The key in a file. Raises ConfigError when it cannot be read or is too short to be one."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError("pseudonymise", str(path), f"which cannot be read ({error.strerror})", _RIGHT) from None
    if len(key) < _KEY_BYTES_MIN:
        why = f"whose key has {len(key)} bytes, of {_KEY_BYTES_MIN} at least"
        raise ConfigError("pseudonymise", str(path), why, _RIGHT)
    return key


_RIGHT: Final = "a file that `openssl rand -hex 32` wrote"


class Pseudonyms:
    """Pseudonyms of all ids that were noted; every record must be noted before the first is asked for.

    Parameters
    ----------
    key
        The secret: who has it can try ids until one fits.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._noted: set[str] = set()
        self._names: dict[str, str] = {}

    def note(self, record: Record) -> None:
        """Learn the ids of a record that sort."""
        self._noted.update(_words_of(record.key))
        value = _object(record.value)
        if value is not None and record.topic in _RULES:
            self._noted.update(_sorted_ids(_RULES[record.topic], value))
        self._names = {}

    def of(self, record: Record) -> Record | None:
        """The record with pseudonyms; None: it is of a topic that has no rule."""
        rule = _RULES.get(record.topic)
        if rule is None:
            return None
        value = record.value
        if value is not None:
            found = _object(value)
            value = _UNREADABLE if found is None else msgspec.json.encode(self._replace(rule, found))
        return replace(record, key=self._key_of(record.key), value=value)

    def _key_of(self, key: bytes | None) -> bytes | None:
        return None if key is None else "/".join(map(self._name, _words_of(key))).encode()

    def _replace(self, rule: Any, value: Any) -> Any:
        match rule:
            case dict() if isinstance(value, dict):
                return {name: self._replace(rule[name], inner) for name, inner in value.items() if name in rule}
            case [each] if isinstance(rule, list) and isinstance(value, list):
                return [self._replace(each, inner) for inner in value]
            case (names, each) if isinstance(rule, tuple) and isinstance(value, dict):
                return {self._replace(names, name): self._replace(each, inner) for name, inner in value.items()}
            case "stays":
                return value
            case "sorted" if isinstance(value, str):
                return self._name(value)
            case "hashed" if isinstance(value, str):
                return _as_valid_as(value, self._hash(value))
        return None  # of another type than the contract's, which makes it unreadable anyway

    def _name(self, name: str) -> str:
        """What sorts among the others as the name does."""
        if not self._names:
            width = len(str(len(self._noted)))
            ranked = enumerate(sorted(self._noted - {GUEST}))
            self._names = {one: f"{'a' if one < GUEST else 'p'}{rank:0{width}d}-{self._hash(one)}" for rank, one in ranked}
        if name in (GUEST, ""):
            return name
        known = self._names.get(name)
        assert known is not None, "every record was noted"
        return _as_valid_as(name, known)

    def _hash(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return b32encode(digest).decode()[:_HASH_CHARACTERS].lower()


def _as_valid_as(name: str, pseudonym: str) -> str:
    """What is no id, or too long for a name, stays so: it is refused as before."""
    if _ID.fullmatch(name) or not name:
        return pseudonym if name else name
    return f"{pseudonym}!".ljust(_ID_MAX + 1, "!") if len(name) > _ID_MAX else f"{pseudonym}!"


def _words_of(key: bytes | None) -> list[str]:
    """Ids in a key: a household's, perhaps with a person's."""
    return [] if key is None else key.decode(errors="replace").split("/")


def _object(value: bytes | None) -> dict[str, Any] | None:
    """The object that a value is; None: it is none."""
    try:
        found = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _sorted_ids(rule: Any, value: Any) -> Iterator[str]:
    """Ids in a value whose order is kept."""
    if rule == _SORTED and isinstance(value, str):
        yield value
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(rule, dict) and isinstance(value, dict):
        pairs = ((inner, value[name]) for name, inner in rule.items() if name in value)
    elif isinstance(rule, list) and isinstance(value, list):
        pairs = ((rule[0], inner) for inner in value)
    elif isinstance(rule, tuple) and isinstance(value, dict):
        pairs = ((rule[0], name) for name in value)
    for inner, part in pairs:
        yield from _sorted_ids(inner, part)
