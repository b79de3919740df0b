"""The sentence a reader sees first, the one under it, and the few numbers.

Law: a share is told with its 95 % interval over homes wherever there are homes enough to tell.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream.contract.units import DAY_MS

from ..compare.intervals import Interval
from .measures import Judged, share_right
from .run import Reading
from .tally import Tally

__all__ = ["headline", "lead", "tiles"]


def headline(reading: Reading, tally: Tally, judged: Judged) -> str:
    """What happened, and how good it was."""
    times = [a[0].at_ms for a in reading.answers.values()]
    if not times:
        return "Nothing happened: there was no recognition to answer."
    period = _count(max(1, round((max(times) - min(times)) / DAY_MS)), "day")
    place = "one home" if len(tally.homes) == 1 else f"{len(tally.homes):,} homes"
    if not judged:
        return f"{_count(tally.answers, 'recognition')} answered in {place} over {period}."
    one = share_right(judged)
    if judged.by == "feedback":
        spoken = f"of {_count(len(judged.at_ms), 'answer')} that people spoke of, they agreed with {_of_hundred(one.value / 100)}"
        return f"In {place} over {period}, {spoken}{_ends(one)}."
    return f"In {place} over {period}, the right person came first in {_of_hundred(one.value / 100)} answers{_ends(one)}."


def lead(homes: Sequence[dict[str, Any]], judged: Judged) -> str:
    """The sentence under the headline: what people said, and the home that was hardest."""
    claims = [f for h in homes for f in h["feedback"]]
    if not claims:
        return "Nobody said anything about the answers."
    changed = sum(1 for f in claims if f["before"] or f["others"])
    parts = [f"People spoke up {_count(len(claims), 'time')}; {_count(changed, 'remark')} changed an answer that had been given."]
    if judged.by == "truth":
        lies = sum(f["honest"] is False for f in claims)
        parts.append(f"{_count(lies, 'claim')} {'was' if lies == 1 else 'were'} not true.")
        hardest = min((h for h in homes if h["judged"]), key=lambda h: h["right"], default=None)
        if hardest is not None and hardest["right"] < 1:
            parts.append(f"The hardest home was {hardest['id']}: right in {_of_hundred(hardest['right'])}. {hardest['story']}")
    return " ".join(parts).strip()


def tiles(reading: Reading, homes: Sequence[dict[str, Any]], judged: Judged, claimed: Judged | None) -> list[dict[str, str]]:
    """The few numbers to see first; each with what it is."""
    revised = sum(len(revisions) - 1 for revisions in reading.answers.values())
    found = [_tile(f"{len(reading.answers):,}", "recognitions answered", f"{revised:,} answers revised later")]
    if judged.by == "truth":
        c = judged.columns
        wrong = float((c["named"] & ~c["named_right"]).mean())
        guests, members = int(c["guest"].sum()), int((~c["guest"]).sum())
        found += [
            _share(share_right(judged, guests=False), "members first", f"of {_count(members, 'answer')} about members"),
            _share(share_right(judged, guests=True), "guests seen as guests", f"of {_count(guests, 'guest event')}"),
            _tile(_percent(wrong), "named wrongly", "somebody was named (level 2 or above) and it was not them"),
        ]
    if claimed:
        told = f"of {_count(len(claimed.at_ms), 'answer')} that people spoke of; rather of wrong ones"
        found.append(_share(share_right(claimed), "agreed with", told))
    alarms = sum(mark["kind"] == "alarm" for h in homes for mark in h["change"]["marks"])
    alerts = _count(len({a["alert_id"] for a in reading.alerts}), "alert")
    known, true = sum(h["labels"]["known"] for h in homes), sum(h["labels"]["true"] for h in homes)
    labels = f"{_percent(true / known)} of them true" if known else "events labelled without asking"
    return [
        *found,
        _tile(f"{len(reading.labels):,}", "labels for free", labels),
        _tile(f"{alarms:,}", "changes noticed", f"{alerts} to the people who look after homes"),
        _tile(f"{len(reading.dead):,}", "unreadable records", "kept as dead letters with the reason"),
    ]


def _tile(value: str, name: str, note: str) -> dict[str, str]:
    return {"value": value, "name": name, "note": note}


def _share(one: Interval, name: str, note: str) -> dict[str, str]:
    return _tile(_percent(one.value / 100), name, f"{note}{_ends(one)}")


def _ends(one: Interval) -> str:
    """An interval in brackets; nothing where there are too few homes, or no spread to tell of."""
    return "" if np.isnan(one.low) or one.low == one.high else f" (95 %: {one.low:.1f} to {one.high:.1f})"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _of_hundred(share: float) -> str:
    """A share as words a person says: `97 of 100`, with a decimal where whole numbers would claim too much."""
    hundred = 100 * share
    if hundred in (0.0, 100.0):
        return "all" if hundred else "none"
    return f"{hundred:.1f} of 100" if hundred > 99 or hundred < 1 else f"{hundred:.0f} of 100"


def _percent(share: float) -> str:
    """A share in %, with a second decimal where one would round it away."""
    return "–" if math.isnan(share) else f"{100 * share:.{2 if 0 < share < 0.01 else 1}f} %"
