"""What sensors saw, as a program has it: NumPy vectors, dicts and datetimes; and the contract's record of it.

Law: what comes out is what a device would have sent, so that the worker's own reading judges it. Here only that is looked at
which a record cannot hold any more, or which can be said better to who has the array in hand.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stream.contract.policy import Policy

__all__ = ["Observation", "moment_of", "recognition_of"]

_DEVICE: Final = "device"
_PATTERN: Final = "<f2"
_NORM_MAX: Final = 1e4  # as the contract's
_NAMES: Final = {"voice": ("encoder", "quality"), "face": ("face_encoder", "face_quality")}


class Observation(TypedDict, total=False):
    """What one device saw of one interaction: at least one of `voice`, `face`, `phones` and `activity`.

    Attributes
    ----------
    voice, face
        (d,): what the encoder gave, as many numbers as the policy says. Kept as float16.
    encoder, face_encoder
        Which encoder that was; may be left out where the policy lists one of that modality.
    quality, face_quality
        Measures of the recording, such as {"duration_s": 2.4} (seconds) or {"detection_score": 1.2}.
    phones
        Bluetooth sightings: by phone the strength of its signal in dBm (None: not known), or only the phones. Empty: the device
        listened and heard none. Left out: it did not listen.
    activity
        What was asked or done, a dotted name such as "music.play".
    device
        Which device of the home; "device" where there is one.
    attributes
        What the device is, such as {"model": "show-8", "firmware": "2.1.0"}; drift is attributed to these.
    at
        When it happened: a datetime that knows its time zone, or ms since the Unix epoch. Now.
    arrived_at
        When it came here, in the same forms; as `at`. Ahead of it by more than a day (`limits.ahead_hours`), an event is refused.
    event_id
        Names it, once in the household. Made up from the time.
    """

    voice: "npt.ArrayLike"
    encoder: str
    quality: Mapping[str, float]
    face: "npt.ArrayLike"
    face_encoder: str
    face_quality: Mapping[str, float]
    phones: Mapping[str, float | None] | Iterable[str]
    activity: str
    device: str
    attributes: Mapping[str, str]
    at: datetime | int
    arrived_at: datetime | int
    event_id: str


def moment_of(at: datetime | int | None) -> int:
    """A time, ms since the Unix epoch; None: now. Raises ValueError where a datetime does not say of which zone it is.

    >>> from datetime import UTC
    >>> moment_of(datetime(2026, 1, 31, 18, tzinfo=UTC))
    1769882400000
    """
    if at is None:
        return time_ns() // 1_000_000
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError(f"{at!r} does not say its time zone: give datetime(…, tzinfo=UTC), or ms since the Unix epoch")
        return math.floor(at.timestamp() * 1000)
    return int(at)


def recognition_of(seen: Observation, policy: "Policy") -> dict[str, Any]:
    """The contract's record of it, without `event_id` and `household_id` where they are not told.

    Raises
    ------
    ValueError
        A word is misspelt, an encoder is not listed, or a vector is none of its encoder: says what would be right.
    """
    if unknown := [*seen.keys() - Observation.__annotations__.keys()]:
        raise TypeError(f"{unknown[0]!r} is nothing that is observed; known: {', '.join(Observation.__annotations__)}")
    value: dict[str, Any] = {"v": 1, "device_id": seen.get("device", _DEVICE), "observed_at": moment_of(seen.get("at"))}
    told: Mapping[str, Any] = seen
    for modality, (encoder, quality) in _NAMES.items():
        if told.get(modality) is not None:
            value[modality] = _vector(told[modality], modality, told.get(encoder), policy)
            if told.get(quality) is not None:
                value[modality]["quality"] = {name: float(number) for name, number in told[quality].items()}
        elif told.get(encoder) is not None or told.get(quality) is not None:
            raise ValueError(f"{encoder} and {quality} tell of a {modality}, and there is none: give {modality}=array")
    if (phones := seen.get("phones")) is not None:
        value["phones"] = [_sighting(phone, rssi) for phone, rssi in _sightings(phones)]
    if seen.get("activity") is not None:
        value["activity"] = seen["activity"]
    if seen.get("attributes") is not None:
        value["device"] = dict(seen["attributes"])
    return value


def _sightings(phones: Mapping[str, float | None] | Iterable[str]) -> Iterable[tuple[str, float | None]]:
    if isinstance(phones, str):
        raise ValueError(f"phones is a list of phones, or a dict of their signals: give phones=[{phones!r}]")
    return phones.items() if isinstance(phones, Mapping) else [(phone, None) for phone in phones]


def _sighting(phone: str, rssi_dbm: float | None) -> dict[str, Any]:
    return {"phone_id": phone} if rssi_dbm is None else {"phone_id": phone, "rssi_dbm": float(rssi_dbm)}


def _vector(told: "npt.ArrayLike", modality: str, encoder: str | None, policy: "Policy") -> dict[str, Any]:
    """The part of a record that a vector is."""
    import numpy as np

    known = [name for name, listed in policy.encoders.items() if listed.modality == modality]
    name = encoder or (known[0] if len(known) == 1 else None)
    if name not in known:
        what = "which encoder it is of is not said" if name is None else f"the policy lists no {modality} encoder {name!r}"
        raise ValueError(
            f"{modality}: {what}; it knows {', '.join(map(repr, known)) or 'none'}. One of your own is added with "
            f'Policy(encoders={{"NAME": Encoder(modality="{modality}", length=LENGTH, metric="cosine")}}), or in the policy\'s '
            "file; `kithkin fit` makes a pack for it (docs/packs.md)"
        )
    vector = _numbers(told, modality)
    if vector.shape != (policy.encoders[name].length,):
        shape = f"{len(vector)} numbers" if vector.ndim == 1 else f"the shape {vector.shape}"
        raise ValueError(f"{modality}: {name!r} gives a vector of {policy.encoders[name].length} numbers, this has {shape}")
    if not np.isfinite(vector).all():
        first = int(np.argmin(np.isfinite(vector)))
        raise ValueError(f"{modality}: the vector has NaN or infinite numbers (the first at {first})")
    length = float(np.linalg.norm(vector))
    if not 0 < length < _NORM_MAX:
        what = "all zeros" if length == 0 else "absurdly long"
        raise ValueError(f"{modality}: the vector is {what} (its length is {length:g})")
    return {"encoder": name, "embedding": base64.b64encode(vector.astype(_PATTERN).tobytes()).decode()}


def _numbers(told: "npt.ArrayLike", modality: str) -> "npt.NDArray[np.float64]":
    import numpy as np

    try:
        return np.asarray(told, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{modality}: a vector is an array of numbers, and this is none: {error}") from None
