"""Profiles: a snapshot of what is known of a member, as the fields of a record."""

import math
import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from learners.kernel import array, entry
from stream.home.messages import PROFILE
from stream.home.numbers import SPACE, Space
from stream.home.outputs import Fields, round_out
from stream.home.state.household import Household
from stream.home.state.layout import HOURS

__all__ = ["Snapshot", "calibration_of", "distance_moved", "habits_of", "prototypes_of", "reader", "restore", "snapshot_of"]

HABIT_SHARE_MIN: Final = 0.005  # of a person's events: rarer habits do not show in a profile
_FLOAT: Final = np.dtype("f4")
_CODES: Final = {"l": "q", "L": "Q"}  # what struct calls numbers of 8 bytes


def reader(dtype: np.dtype[Any], names: Sequence[str]) -> struct.Struct:
    """How these fields of a record, in its order, are unpacked; the rest is passed over."""
    assert dtype.fields is not None
    form, at = "<", 0
    for name in names:
        field, offset = dtype.fields[name][:2]
        item, (count,) = field.subdtype or (field, (1,))
        assert offset >= at, f"{name} stands before what is read before it"
        form += f"{offset - at}x" + (f"{count}s" if name == "event_id" else f"{count}{_CODES.get(item.char, item.char)}")
        at = offset + count * item.itemsize
    return struct.Struct(f"{form}{dtype.itemsize - at}x")


class Snapshot(NamedTuple):
    """Of a PROFILE."""

    trust: float
    events: float
    last_seen_at: int
    updated_at: int
    weight_of_voice: float
    weight_of_face: float
    offset: float
    learnt: float
    phones: int
    revision: int
    knows_voice: int
    knows_face: int
    prototypes_used: int
    enrol_faults: int


_OF_SNAPSHOT: Final = (
    "trust", "events", "last_seen_at", "updated_at", "weights", "offset", "learnt", "phones", "revision", "known",
    "prototypes_used", "enrol_faults",
)  # fmt: skip
_SNAPSHOT: Final = reader(PROFILE, _OF_SNAPSHOT)


def snapshot_of(profiles: Any) -> Snapshot:
    """Of the first PROFILE (1,)."""
    return Snapshot(*_SNAPSHOT.unpack_from(profiles.view(np.uint8).data))




def prototypes_of(household: Household, space: Space, kept: Any) -> list[Fields]:
    """As the contract has them: in the encoder's own space, as float16, whose bytes become base64."""
    vectors, words = np.empty((len(kept), space.length), np.float32), household.words
    restore(np.ascontiguousarray(kept["vector"]), space.back, space.mean, space.numbers, vectors)
    raw, size = vectors.astype("<f2").tobytes(), 2 * space.length
    told = zip(kept["mass"].tolist(), kept["device_name"].tolist(), kept["since"].tolist(), strict=True)
    return [
        {
            "embedding": raw[n * size : (n + 1) * size], "weight": round_out(mass),
            "device_id": words[device] if device else None, "since": since,
        }
        for n, (mass, device, since) in enumerate(told)
    ]  # fmt: skip


@entry(array(_FLOAT, 2), array(_FLOAT, 2), array(_FLOAT), array(SPACE), array(_FLOAT, 2))
def restore(points: Any, back: Any, mean: Any, spaces: Any, vectors: Any) -> None:
    """Fill in the shortest vectors (n, d) that are projected to points (n, k): `mean` and the point times `back` (k, d).

    Numbers are added in the order they stand in, so that bytes agree between processors.
    """
    whole = back.shape[0] - back.shape[0] % 4
    for n in range(len(points)):
        point, vector = points[n], vectors[n]
        for i in range(len(mean)):
            vector[i] = mean[i]
        for k in range(0, whole, 4):
            a, b, c, d = point[k], point[k + 1], point[k + 2], point[k + 3]
            for i in range(len(mean)):
                vector[i] = vector[i] + a * back[k, i] + b * back[k + 1, i] + c * back[k + 2, i] + d * back[k + 3, i]
        for k in range(whole, back.shape[0]):
            for i in range(len(mean)):
                vector[i] += point[k] * back[k, i]
        if spaces[0].unit:
            square = 0.0
            for i in range(len(mean)):
                square += np.float64(vector[i] * vector[i])
            scale = np.float32(1 / np.sqrt(square))
            for i in range(len(mean)):
                vector[i] *= scale


def distance_moved(means: Any) -> float:
    """How far apart the first and the last mean are: root mean square over dimensions, in standard deviations within a person."""
    if len(means) == 1:
        return 0.0
    away = (means[-1] - means[0]).astype(np.float64)
    return math.sqrt(float(away @ away) / len(away))


def calibration_of(profile: Snapshot, space: Space) -> Fields:
    """Of the modality that an encoder stands in; what was never taught counts as it is."""
    weights, known = (profile.weight_of_voice, profile.weight_of_face), (profile.knows_voice, profile.knows_face)
    return {
        "weight": round_out(weights[space.modality]) if known[space.modality] else 1.0, "offset": round_out(profile.offset),
        "learnt": profile.learnt, "temperature": space.temperature,
    }  # fmt: skip


def habits_of(household: Household, profiles: Any) -> dict[str, dict[str, float]]:
    """A person's own shares by feature and value: what of them shows in a profile."""
    numbers, words = profiles["habits"][0].tolist(), household.words
    hours, activities, (of_hours, of_activities) = numbers[:HOURS], numbers[HOURS:-2], numbers[-2:]
    told: dict[str, dict[str, float]] = {}
    if of_activities > 0:
        named = zip(profiles["activities"][0].tolist(), activities, strict=True)
        told["activity"] = _shares([(words[word], count) for word, count in named if word and count], of_activities)
    if of_hours > 0:
        told["hour"] = _shares([(str(hour), count) for hour, count in enumerate(hours) if count], of_hours)
    return {feature: shares for feature, shares in told.items() if shares}


def _shares(counts: list[tuple[str, float]], total: float) -> dict[str, float]:
    return {name: round(count / total, 4) for name, count in sorted(counts) if count > HABIT_SHARE_MIN * total}
