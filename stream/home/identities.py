"""Identities as JSON: most of what is published, so they are written by the compiled core, from numbers and words to bytes.

Law: the bytes are those of the contract's model, key by key and digit by digit; the model of an identity is made of them. Ids
have only characters that JSON takes as they are.

A table of texts holds the policy's id, and for every household that an answer is of its id and then the names of its columns.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from learners.kernel import array, entry, kernel
from stream.contract.records import GUEST
from stream.home.messages import ANSWER, RESULT
from stream.home.state.layout import ID_MAX, PEOPLE_MAX, PLACES

__all__ = ["BYTES_MAX", "MILLIONTHS", "SENSORS", "write_answers"]

MILLIONTHS: Final = 1_000_000
SENSORS: Final = ("voice", "face", "phone")
BYTES_MAX: Final = 512 + (PLACES + 3) * (ID_MAX + 16)  # of one identity without its cause
DIGITS: Final = 6
_ZERO: Final = ord("0")
_QUOTE: Final = ord('"')
_COMMA: Final = ord(",")
_MINUS: Final = ord("-")


def _text(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8).copy()


_EVENT = _text('{"v":1,"event_id":"')
_HOUSEHOLD = _text('","household_id":"')
_OBSERVED = _text('","observed_at":')
_REVISION = _text(',"revision":')
_POSTERIOR = _text(',"posterior":{')
_GUEST = _text(f'"{GUEST}":')
_PERSON = _text('},"person_id":')
_NULL = _text("null")
_TIER = _text(',"tier":')
_MODALITIES = _text(',"modalities":[')
_SENSORS = [_text(f'"{sensor}"') for sensor in SENSORS]
_VOICE, _FACE, _PHONE = _SENSORS
_POLICY = _text('],"policy_id":"')
_CAUSE = _text('","cause":')
_COLON = _text('":')
_NOTHING, _ALL = _text("0.0"), _text("1.0")
_POINT = _text("0.")
_SMALL = _text("e-6")


@kernel
def _put(text: Any, written: Any, at: Any) -> Any:
    """Write a text; where it ends."""
    for i in range(len(text)):
        written[at + i] = text[i]
    return at + len(text)


@kernel
def _put_number(number: Any, written: Any, at: Any) -> Any:
    """Write a whole number; where it ends."""
    if number < 0:
        written[at] = _MINUS
        at, number = at + 1, -number
    digits, rest = 1, number // 10
    while rest > 0:
        digits, rest = digits + 1, rest // 10
    for i in range(digits):
        written[at + digits - 1 - i] = _ZERO + number % 10
        number //= 10
    return at + digits


@kernel
def _put_share(millionths: Any, written: Any, at: Any) -> Any:
    """Write a probability, with as few digits as there are; where it ends."""
    if millionths == 0 or millionths == MILLIONTHS:
        return _put(_NOTHING if millionths == 0 else _ALL, written, at)
    if millionths < 10:
        written[at] = _ZERO + millionths
        return _put(_SMALL, written, at + 1)
    at, digits = _put(_POINT, written, at), DIGITS
    while millionths % 10 == 0:
        millionths, digits = millionths // 10, digits - 1
    for i in range(digits):
        written[at + digits - 1 - i] = _ZERO + millionths % 10
        millionths //= 10
    return at + digits


@kernel
def _put_posterior(result: Any, names: Any, written: Any, at: Any) -> Any:
    """Write the listed columns and the guest, in the order they stand in (see `publish.round_off`); where it ends."""
    texts, ends, household = names
    listed = 0
    for column in range(PEOPLE_MAX):
        if (result.members >> column) & 1:
            written[at] = _QUOTE
            at = _put(_COLON, written, _put(texts[ends[household + column] : ends[household + column + 1]], written, at + 1))
            at = _put_share(int(np.rint(result.posterior[listed] * MILLIONTHS)), written, at)
            written[at] = _COMMA
            at, listed = at + 1, listed + 1
    at = _put(_GUEST, written, at)
    return _put_share(int(np.rint(result.posterior[listed] * MILLIONTHS)), written, at)


@kernel
def _put_modalities(modalities: Any, written: Any, at: Any) -> Any:
    """Write the sensors that were there; where it ends."""
    first = at
    for sensor in range(len(SENSORS)):
        if (modalities >> sensor) & 1:
            if at > first:
                written[at] = _COMMA
                at += 1
            at = _put(_VOICE if sensor == 0 else _FACE if sensor == 1 else _PHONE, written, at)
    return at


@entry(array(RESULT), array(np.dtype("i4")), array(np.dtype("u1")), array(np.dtype("i4")), array(np.dtype("u1")))
def write_answers(results: Any, places: Any, texts: Any, ends: Any, written: Any) -> None:
    """Write answers, up to their cause; they have been rounded.

    Parameters
    ----------
    places
        (n,): of an answer the number of its household's text; then where it ends in `written`. Of other results unchanged.
    texts, ends
        The table: of text `k` where it ends.
    written
        Where to; BYTES_MAX for each.
    """
    at = 0
    for n in range(len(results)):
        result = results[n]
        if result.kind == ANSWER:
            household = places[n]
            at = _put(result.event_id[: result.event_id_length], written, _put(_EVENT, written, at))
            at = _put(texts[ends[household - 1] : ends[household]], written, _put(_HOUSEHOLD, written, at))
            at = _put_number(result.observed_at, written, _put(_OBSERVED, written, at))
            at = _put_number(int(result.revision), written, _put(_REVISION, written, at))
            at = _put_posterior(result, (texts, ends, household), written, _put(_POSTERIOR, written, at))
            at = _put(_PERSON, written, at)
            if result.named > 0:
                name = household + int(result.named)
                written[at] = _QUOTE
                at = _put(texts[ends[name - 1] : ends[name]], written, at + 1)
                written[at] = _QUOTE
                at += 1
            else:
                at = _put(_NULL, written, at)
            at = _put_number(int(result.tier), written, _put(_TIER, written, at))
            at = _put_modalities(int(result.modalities), written, _put(_MODALITIES, written, at))
            at = _put(_CAUSE, written, _put(texts[: ends[0]], written, _put(_POLICY, written, at)))
            places[n] = at
