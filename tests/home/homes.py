"""Homes of nothing but chance, and which bytes of a home are used: told once more, slowly and from the layout alone."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from stream.home.core.admission.seen import RECOGNISED
from stream.home.messages import CAUSES, CONFIRM, ENROL, RETRACT
from stream.home.state.household import Household
from stream.home.state.layout import (
    AGAIN_BYTES,
    CHANNELS_MAX,
    DIMENSIONS,
    HOME,
    HOURS,
    MODALITIES,
    NOBODY,
    SOURCES,
    TIERS,
    UNKNOWN,
)  # fmt: skip
from tests.support.worlds import POLICY

__all__ = ["POLICY", "random_home", "used_bytes"]

WORDS = {  # where numbers of words stand: list -> fields
    "": ("alarm_name", "activities"), "people": ("name",), "phones": ("name",), "rows": ("device_name", "activity"),
    "devices": ("name",), "ears": ("device_name",), "reported": ("name",), "consents": ("client", "actions"),
    "presences": ("device_name",), "witnesses": ("happened",),
}  # fmt: skip


def random_home(seed: int, **used: int) -> Household:
    """Every number by chance, as far as a home can have it; `used`: how long a list is, such as `people=4`."""
    rng = np.random.default_rng(seed)
    household = Household.new(f"h-{seed}")
    home, words = household.record, household.words
    for number in range(40):
        words.learn(f"word-{number}")
    encoders = [words.learn(name) for name in POLICY.encoders]
    _fill(household.slot, rng, used)
    home["galleries_used"] = int(rng.integers(0, len(encoders) + 1)) if "galleries" not in used else used["galleries"]
    for number, name in enumerate(list(POLICY.encoders)[: int(home["galleries_used"])]):
        gallery = home["galleries"][number]
        gallery["name"], gallery["number"], gallery["fingerprint"] = encoders[number], number, POLICY.projection(name).fingerprint
        gallery["offsets"]["device_name"] = rng.integers(1, 41, len(gallery["offsets"]))
    for path, fields in WORDS.items():
        entries = home[path] if path else home
        for field in fields:
            entries[field] = rng.integers(0, 41, entries[field].shape)
    _within(home, rng)
    home["alarm_kind"] = rng.integers(0, len(CAUSES))
    return household


def _fill(entries: Any, rng: np.random.Generator, used: dict[str, int]) -> None:
    """Numbers of chance in every field of some records; 0 in what is reserved."""
    for name in entries.dtype.names:
        values = entries[name]
        if name.startswith("reserved"):
            entries[name] = 0
        elif name.endswith("_used"):
            longest = entries[name.removesuffix("_used")].shape[-1]
            entries[name] = used.get(name.removesuffix("_used"), rng.integers(0, longest + 1, values.shape))
        elif values.dtype.names:
            _fill(values, rng, used)
        elif values.dtype.kind == "f":
            entries[name] = rng.normal(0, 9, values.shape) * (rng.random(values.shape) < 0.5)
        else:
            size = values.dtype.itemsize
            bits = 48 if size == 8 else 8 * size - (values.dtype.kind == "i")
            entries[name] = rng.integers(0, 2**bits, values.shape, np.uint64).astype(values.dtype)


def _within(home: Any, rng: np.random.Generator) -> None:
    """Bring numbers that stand for something into their bounds."""
    people, galleries, phones = (int(home[f"{name}_used"]) for name in ("people", "galleries", "phones"))

    def choose(entries: Any, field: str, low: int, high: int) -> None:
        entries[field] = rng.integers(low, high + 1, entries[field].shape)

    rows, waiting, doubts = home["rows"], home["waiting"]["claim"], home["doubts"]
    tails, claims = home["people"]["tails"], rows["claims"]
    home["people"]["memberships_used"] = np.maximum(home["people"]["memberships_used"], 1)
    home["phones"]["registrations_used"] = np.maximum(home["phones"]["registrations_used"], 1)
    for person in home["people"] if not galleries else ():
        person["tails_used"] = 0
    if not galleries:
        home["ears_used"] = 0
    if not people:
        home["consents_used"] = home["presences_used"] = 0
    home["presences_used"] = min(int(home["presences_used"]), people)
    if not phones:
        rows["sightings_used"] = 0
    home["witnesses"]["phone"] = rng.integers(0, phones + 1, len(home["witnesses"])) if people else 0
    by_phone = home["witnesses"]["phone"] > 0
    home["witnesses"]["person"] = np.where(by_phone, rng.integers(1, max(1, people) + 1, len(by_phone)), 0)
    for entries, field, low, high in (
        (tails, "encoder", 0, max(0, galleries - 1)), (tails, "channel", 0, CHANNELS_MAX - 1), (tails, "learnt", 0, 1),
        (home["ears"], "encoder", 0, max(0, galleries - 1)), (home["phones"]["registrations"], "person", 0, people),
        (rows, "named", 0, people), (rows, "first_named", 0, people), (rows, "label", 0, people + 1),
        (rows, "tier", 0, TIERS + 1), (rows, "first_tier", 0, TIERS + 1), (rows, "hour", 0, HOURS - 1),
        (rows, "modalities", 0, 2**MODALITIES - 1), (rows, "encoders", 0, galleries), (rows, "channels", 0, CHANNELS_MAX - 1),
        (rows, "event_id_length", 0, 64), (rows["sightings"], "phone", 0, max(0, phones - 1)),
        (claims, "person", 0, people), (claims, "source", 0, SOURCES - 1), (claims, "kind", CONFIRM, ENROL),
        (home["consents"], "person", 1, max(1, people)), (home["presences"], "person", 1, max(1, people)),
        (waiting, "person", UNKNOWN, people), (waiting, "source", 0, SOURCES - 1), (waiting, "kind", CONFIRM, RETRACT),
        (home["reported"], "kind", 0, len(CAUSES) - 1),
    ):  # fmt: skip
        choose(entries, field, low, high)
    by_source = rng.random(len(doubts)) < 0.5
    doubts["source"] = np.where(by_source, rng.integers(0, SOURCES, len(doubts)), NOBODY)
    doubts["person"] = np.where(by_source, NOBODY, rng.integers(0, people + 1, len(doubts)))


def used_bytes(household: Household, reserved: bool = True) -> Any:
    """(bytes of HOME,) whether each is part of what the home is; `reserved`: what is reserved in a used entry is, too."""
    home, mask = household.record, np.zeros(HOME.itemsize, bool)
    common = int(home["people_used"]), int(home["galleries_used"])
    for start, size, kept in _spans(home, 0, "", common):
        mask[start : start + size] |= kept or reserved
    return mask


def _spans(entry: Any, at: int, path: str, common: tuple[int, int]) -> Iterator[tuple[int, int, bool]]:
    """Where the used bytes of an entry are, how many, and whether they are more than reserved; from the start of the home."""
    dtype = entry.dtype
    for name, (field, place, *_) in dtype.fields.items():
        here, (item, shape) = path + name, field.subdtype or (field, ())
        if here == "galleries.number":  # found anew when a home is read
            continue
        parts = _parts(here, entry, common)
        if f"{name}_used" in dtype.fields:
            counts = np.atleast_1d(entry[f"{name}_used"])
            entries = entry[name].reshape(len(counts), -1)
            used = [g * shape[-1] + i for g, count in enumerate(counts) for i in range(int(count))]
            for start in [i * item.itemsize for i in used]:
                own = at + place + start
                if item.fields:
                    yield from _spans(entries.reshape(-1)[start // item.itemsize], own, f"{here}.", common)
                else:
                    yield own, item.itemsize, True
        elif parts is not None:
            yield from ((at + place + start, size, True) for start, size in parts)
        elif item.fields and not shape:
            yield from _spans(entry[name], at + place, f"{here}.", common)
        else:
            yield at + place, field.itemsize, not name.startswith("reserved")


def _parts(path: str, entry: Any, common: tuple[int, int]) -> list[tuple[int, int]] | None:
    """Of a field that is used in part, other than a list: which bytes of it; None: it is another."""
    people, galleries = common
    match path:
        case "people.places":
            return [(0, galleries * entry["places"].dtype.itemsize)]
        case "rows.event_id":
            return [(0, int(entry["event_id_length"]))]
        case "rows.vectors":
            return [(modality * DIMENSIONS, DIMENSIONS) for modality in range(2) if entry["encoders"][modality]]
        case "rows.evidence" | "rows.shares":
            return [(0, 2 * (people + 1))]
        case "again":
            return [(0, AGAIN_BYTES)] if entry["seen_used"][RECOGNISED] else []
        case "rows.llr":
            columns = entry["llr"].shape[1]
            return [(m * columns, people) for m in range(MODALITIES) if int(entry["modalities"]) >> m & 1]
    return None
