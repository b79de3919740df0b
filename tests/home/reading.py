"""What the record of a home says, by name: rows, claims, people, tails and sources, for tests that look into it.

What is returned of the record are views: whoever wants to compare with later keeps a copy.
"""

from typing import Any

import numpy as np

from learners.precision import SHARE_STEP
from stream.contract.policy import SOURCES
from stream.contract.records import GUEST
from stream.home.messages import ENROL
from stream.home.state.household import Household
from stream.home.state.layout import NOBODY, NOT_COUNTED, ROW

__all__ = [
    "ENROLLED", "LEARNT", "claims_of", "doubts_of", "enrolled_all", "floats", "galleries_of", "gallery_of", "holding",
    "is_enrolled", "is_present", "masses", "people_of", "person_at", "phones_of", "rows_of", "source_of",
    "steps_counted", "suspended_of", "tail_masses", "tails_of", "used",
]  # fmt: skip

ENROLLED, LEARNT = 0, 1  # kinds of tails


def used(entry: Any, name: str) -> Any:
    """The entries of a list of a record that are used."""
    return entry[name][: int(entry[f"{name}_used"])]


def rows_of(home: Household) -> Any:
    return used(home.record, "rows")


def people_of(home: Household) -> Any:
    return used(home.record, "people")


def phones_of(home: Household) -> Any:
    return used(home.record, "phones")


def claims_of(row: Any) -> Any:
    return used(row, "claims")


def floats(home: Household, row: Any, field: str = "shares") -> list[float]:
    """Shares (or evidence) of an event: guest first, then every column."""
    return (row[field][: len(home.people) + 1] * SHARE_STEP).tolist()  # type: ignore[no-any-return]


def person_at(home: Household, place: int) -> str:
    """Who stands at a place."""
    return [GUEST, *home.people][place]


# ---- people


def is_present(person: Any) -> bool:
    """Whether somebody belongs to the home now."""
    return not used(person, "memberships")[-1]["left_at"]


def enrolled_all(home: Household) -> bool:
    """Whether everybody who is known has enrolled."""
    return all(person["enrolments_used"] for person in people_of(home))


# ---- claims


def is_enrolled(row: Any) -> bool:
    return bool((claims_of(row)["kind"] == ENROL).any())


def holding(row: Any) -> Any:
    """Of all claims that were made about an event the highest in rank: enrolment, then the source, then the later one."""
    return max(claims_of(row), key=lambda claim: (claim["kind"] == ENROL, claim["source"], claim["given_at"]), default=None)


def steps_counted(claims: Any) -> list[int]:
    """How far claims were counted as right, share steps; of those that were counted."""
    return [right for right in claims["right"].tolist() if right != NOT_COUNTED]


def source_of(home: Household, source: str) -> Any:
    return home.record["sources"][SOURCES.index(source)]  # type: ignore[arg-type]


def doubts_of(home: Household) -> Any:
    return used(home.record, "doubts")


def suspended_of(home: Household) -> set[tuple[str | None, str | None]]:
    """(source, person) of the runs of claims that do not count; one of both is None."""
    found = set()
    for doubt in doubts_of(home)[doubts_of(home)["suspended"] == 1]:
        source = None if doubt["source"] == NOBODY else SOURCES[doubt["source"]]
        found.add((source, None if doubt["person"] == NOBODY else person_at(home, doubt["person"])))
    return found


# ---- galleries


def galleries_of(home: Household) -> dict[str, int]:
    """By encoder: the index of its gallery."""
    return {home.words[int(gallery["name"])]: index for index, gallery in enumerate(used(home.record, "galleries"))}


def gallery_of(home: Household, encoder: str) -> int:
    return galleries_of(home)[encoder]


def tails_of(home: Household, encoder: str, column: int) -> Any:
    """What was folded of a person's recordings by one encoder."""
    tails = used(people_of(home)[column], "tails")
    return tails[tails["encoder"] == gallery_of(home, encoder)]


def tail_masses(home: Household, encoder: str, column: int) -> dict[int, float]:
    """Recordings folded of a person: ENROLLED by hand, and LEARNT."""
    tails = tails_of(home, encoder, column)
    return {kind: float(tails["mass"][tails["learnt"] == kind].sum()) for kind in np.unique(tails["learnt"]).tolist()}


def masses(home: Household, encoder: str) -> list[float]:
    """By column: recordings' worth of what is kept of a person by one encoder, folded or not."""
    slot, rows, places = gallery_of(home, encoder) + 1, rows_of(home), ROW.fields["shares"][0].shape[0]
    kept = rows["shares"][(rows["encoders"] == slot).any(1)].sum(0, dtype=np.int64) if len(rows) else np.zeros(places)
    folded = [float(tails_of(home, encoder, column)["mass"].sum()) for column in range(len(home.people))]
    return [mass + float(kept[column + 1]) * SHARE_STEP for column, mass in enumerate(folded)]
