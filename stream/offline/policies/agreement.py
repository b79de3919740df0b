"""How long policies that differ do the same in a home: until the first record that reaches a setting in which they differ.

Law: policies that agree answer alike and leave a home in the same state, to the byte. Most settings are in the first answer of
all; listed here are those of which it is certain that they wait, with what they wait for. A record that may be it counts as it.

Whether two agree is told by what they differ in. So who agrees with a second as a third does agrees with the third: the policies
of a home are in groups, and a record can only part them further.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from stream.contract.policy import Alerting, Policy
from stream.contract.records import Record
from stream.home.state.at_rest import STATE_VERSION

from .paths import ABSENT, Path, leaves

__all__ = ["Agreement", "Group", "core_of", "waits_of"]

Group = tuple[int, ...]  # policies that agree, by number, in their order
_CLAIMS: Final = (b'"confirm"', b'"reject"', b'"correct"')
_ESCAPE: Final = b"\\"  # of a text in JSON, which may then say anything
_PROOFS, _SIGHTINGS = "proofs", "sightings"
_VERSION_AT: Final = 4  # of a state: behind its checksum


class _Wait(NamedTuple):
    """What a setting waits for: whether a record may be it, and whether it may have come to a home that has a state already."""

    record: Callable[[Record], bool]
    state: Callable[[bytes], bool]


def core_of(policy: Policy) -> str:
    """Names what of a policy can change an answer: policies with the same have the same answers."""
    return Policy.model_validate(policy.model_dump() | {"alerting": Alerting()}).policy_id


def waits_of(path: Path) -> _Wait | None:
    """What a setting waits for; None: it may be in the first answer.

    An encoder is known to a home by a gallery, which begins with its first vector. What claims weigh is in nothing but a claim,
    and a model of the policy's own learns from claims alone. A verifier's key is read with a proof, and a PIN counts after one.
    """
    match path:
        case ("encoders", name):
            return _Wait(lambda record: _mentions(record, name), lambda raw: _has_word(raw, name))
        case ("own_model",) | ("claims", "nats_enrolled" | "nats_max" | "echo_nats") | ("claims", "daily_nats", _):
            return _Wait(_claims, _always)
        case ("priors", "honesty", _) | ("priors", "honesty_weight"):
            return _Wait(_claims, _always)
        case ("proofs", "keys", _):
            return _Wait(lambda record: record.topic == _PROOFS, lambda _: False)
        case ("tiers", "pin_minutes"):
            return _Wait(lambda record: record.topic in (_PROOFS, _SIGHTINGS), _always)
    return None


def _mentions(record: Record, encoder: str) -> bool:
    value = record.value or b""
    return record.topic == "recognitions" and (b'"%b"' % encoder.encode() in value or _ESCAPE in value)


def _has_word(raw: bytes, encoder: str) -> bool:
    """Whether a state may have to do with an encoder: only in this form of states do words stand as they are."""
    return raw[_VERSION_AT : _VERSION_AT + 1] != bytes([STATE_VERSION]) or encoder.encode() in raw


def _claims(record: Record) -> bool:
    value = record.value or b""
    return record.topic == "feedback" and (any(kind in value for kind in _CLAIMS) or _ESCAPE in value)


def _always(_: bytes) -> bool:
    return True


def _leaves_used(policy: Policy) -> dict[Path, Any]:
    """The settings that can change an answer, or what a home keeps."""
    unused = {"alerting", "actions"} if policy.presence.publish else {"alerting", "actions", "presence"}
    return {path: value for path, value in leaves(policy).items() if path[0] not in unused}


class Agreement:
    """Some policies, and what parts them.

    Parameters
    ----------
    policies
        By number.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._leaves = [_leaves_used(policy) for policy in policies]
        everybody = tuple(range(len(policies)))
        differences = self._find_differences(everybody)
        self.at_first = self._part(everybody, [path for path in differences if waits_of(path) is None])
        self._waiting: dict[Group, list[tuple[Path, _Wait]]] = {}

    def with_state(self, raw: bytes) -> tuple[Group, ...]:
        """The groups in a home that has a state to begin with."""
        return self._after(self.at_first, lambda wait: wait.state(raw))

    def after(self, groups: tuple[Group, ...], record: Record) -> tuple[Group, ...]:
        """The groups in which a home's policies apply a record, of those before it: the very same where it parts nobody."""
        return self._after(groups, lambda wait: wait.record(record))

    def _after(self, groups: tuple[Group, ...], reaches: Callable[[_Wait], bool]) -> tuple[Group, ...]:
        found: list[Group] = []
        for group in groups:
            reached = [path for path, wait in self._waits(group) if reaches(wait)] if len(group) > 1 else []
            found += self._part(group, reached) if reached else (group,)
        return groups if len(found) == len(groups) else tuple(found)

    def _waits(self, group: Group) -> list[tuple[Path, _Wait]]:
        """The settings in which a group's policies differ, all of which wait."""
        if group not in self._waiting:
            waits = [(path, waits_of(path)) for path in self._find_differences(group)]
            self._waiting[group] = [(path, wait) for path, wait in waits if wait is not None]
        return self._waiting[group]

    def _find_differences(self, group: Group) -> list[Path]:
        paths = dict.fromkeys(path for number in group for path in self._leaves[number])
        return [path for path in paths if any(self._value(number, path) != self._value(group[0], path) for number in group)]

    def _part(self, group: Group, paths: Sequence[Path]) -> tuple[Group, ...]:
        """A group by what its policies have at these paths."""
        parts: list[list[int]] = []
        for number in group:
            own = [self._value(number, path) for path in paths]
            for part in parts:
                if own == [self._value(part[0], path) for path in paths]:
                    part.append(number)
                    break
            else:
                parts.append([number])
        return tuple(map(tuple, parts))

    def _value(self, number: int, path: Path) -> Any:
        return self._leaves[number].get(path, ABSENT)
