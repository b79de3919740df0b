r"""What kafka-console-consumer prints: timestamp, partition, offset, headers and key before the value, as it was asked to.

Law: the layout is told from the first line, and each further line must have it: a part that is not of its kind is an error and
not a guess. A value is what stands behind the last separator, untouched.

Its parts, in its order: `CreateTime:1763690000123`, `Partition:0`, `Offset:7`, `Delivery:1`, `Epoch:0`, `h:1,g:2`, key, value. A
topic's name may stand before them, as other tools print it.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..log_lines import InvalidLog
from .bare import fields_of
from .envelopes import ENVELOPES, members_if_whole

__all__ = ["Console", "Head", "console_of"]

_SEPARATORS: Final = (b"\t", b"|", b";", b",", b" ", b":")
_PARTS: Final = (  # in their order, each with its form
    ("timestamp", re.compile(rb"(?:CreateTime|LogAppendTime):(-?\d+)|(?:NO_TIMESTAMP|NoTimestampType:-1)")),
    ("partition", re.compile(rb"Partition:(\d+)")),
    ("offset", re.compile(rb"Offset:(\d+)")),
    ("delivery", re.compile(rb"Delivery:(\d+|NOT_PRESENT)")),
    ("epoch", re.compile(rb"Epoch:(\d+|NOT_PRESENT)")),
)
_FORMS: Final = dict(_PARTS)
_NO_HEADERS: Final = b"NO_HEADERS"
_HEADERS: Final = re.compile(rb"[^:]+:.*")
_NULL: Final = b"null"
_SHOWN: Final = 60  # bytes
_CLOSING: Final = re.compile(rb"Processed a total of \d+ messages\s*")


class Head(NamedTuple):
    """What stood before a value; None: nothing, or the word that says so."""

    topic: bytes | None = None
    timestamp: int | None = None
    partition: int | None = None
    offset: int | None = None
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Console:
    """A layout: the parts before a value, by name and in order, and what parts them."""

    parts: tuple[str, ...]
    separator: bytes

    def split(self, text: bytes) -> tuple[Head, bytes] | None:
        """Head and value of a line without its end; None: it is the line by which the tool says how much it printed.

        Raises
        ------
        InvalidLog
            It has not this layout.
        """
        *parts, value = text.split(self.separator, len(self.parts))
        if len(parts) < len(self.parts):
            if _CLOSING.fullmatch(text):
                return None
            wanted = ", ".join((*self.parts, "value"))
            raise InvalidLog(f"not a record of a log: the first line has {wanted}, and this one begins with {text[:_SHOWN]!r}")
        found: dict[str, int | bytes | None] = {}
        for name, part in zip(self.parts, parts, strict=True):
            if name in _FORMS:
                match = _FORMS[name].fullmatch(part)
                if match is None:
                    why = f"its {name} is {part[:_SHOWN]!r}, where the first line's has another form"
                    raise InvalidLog(f"not a record of a log: {why}")
                found[name] = int(match[1]) if match[1] and match[1].lstrip(b"-").isdigit() else None
            else:
                found[name] = None if part == _NULL and name == "key" else part
        return Head(**{name: found[name] for name in Head._fields if name in found}), value  # type: ignore[arg-type]


def console_of(text: bytes, topics: frozenset[bytes]) -> Console | None:
    """The layout of a first line without its end; None: it has none before a record.

    Parameters
    ----------
    text
        The line.
    topics
        Names that a topic may end with.
    """
    for separator in _SEPARATORS:
        at = text.find(separator + b"{")
        if at < 0:
            continue
        layout = _layout(text[:at].split(separator), text[at + len(separator) :], topics)
        if layout is not None:
            return Console(layout, separator)
    return None


def _layout(parts: list[bytes], value: bytes, topics: frozenset[bytes]) -> tuple[str, ...] | None:
    household = _household(value)
    named: list[str] = []
    if any(parts[0].endswith(topic) for topic in topics):
        named.append("topic")
    for name, form in _PARTS:
        if len(named) < len(parts) and form.fullmatch(parts[len(named)]):
            named.append(name)
    rest = parts[len(named) :]
    if household is None and not named:
        return None
    if rest and rest[-1] in (household, _NULL):
        return (*named, *(("headers", "key") if len(rest) == 2 else ("key",))) if len(rest) <= 2 else None
    match rest:
        case []:
            return tuple(named)
        case [headers] if headers == _NO_HEADERS or _HEADERS.fullmatch(headers):
            return (*named, "headers")
        case [_]:
            return (*named, "key")
        case [headers, _] if headers == _NO_HEADERS or _HEADERS.fullmatch(headers):
            return (*named, "headers", "key")
    return None


def _household(value: bytes) -> bytes | None:
    """Of the record that the value is, or that stands in an envelope there."""
    members = members_if_whole(value)
    unwrapped = (unwrap(members) for unwrap in ENVELOPES.values())
    inner = next((found.value for found in unwrapped if found is not None), value)
    return fields_of(inner or b"").key
