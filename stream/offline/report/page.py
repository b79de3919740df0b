"""The report: one HTML file that tells a person what a run did, home by home.

Law: it is made of inputs and outputs alone, plus the truth where somebody knows it (then answers are called right or wrong);
the file loads nothing from anywhere. The numbers and sentences are made in Python, the page draws them.

Plots are inline SVG drawn by a few hundred lines of plain JavaScript (`page.js`) instead of an embedded Plotly: the lanes
of a home (thousands of marks that say who, how sure, right or wrong, and what feedback did to them) are no chart of any library,
the file weighs 0.4 MB instead of 5, follows the reader's light or dark setting, and opens at once on a phone.
"""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS

from .homes import home
from .measures import Judged, calibration, days, judge_answers, share_right, tiers
from .run import Reading, Run, read

__all__ = ["Run", "report"]


def report(run: Run, out: Path) -> Path:
    """Write the report of a run to the file `out` (its folder is made) and return it. An empty run gives a page that says so."""
    reading = read(run)
    answers = judge_answers(reading, run.truths)
    payload = _payload(run, reading, answers)
    # "</script" would end the script element, and "<!--<script" have it never end; "\u003c" is the same string to JSON
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = _packaged_text("page.html")
    for mark, inside in (("/*CSS*/", _packaged_text("page.css")), ("/*JS*/", _packaged_text("page.js")), ("/*RUN*/null", text)):
        page = page.replace(mark, inside)
    out.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    with open(out, "w", encoding="utf-8", opener=private) as file:
        file.write(page)
    return out


def _packaged_text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _payload(run: Run, reading: Reading, answers: list[Judged]) -> dict[str, Any]:
    of_home: dict[str, list[Judged]] = defaultdict(list)
    for one in answers:
        of_home[one.answer.key[0]].append(one)
    begin_ms, end_ms = _span(reading)
    homes = [home(household, reading, run, of_home[household]) for household in reading.households]
    return {
        "begin": begin_ms, "end": end_ms, "judged": bool(answers), "homes": homes,
        "headline": _headline(homes, answers), "lead": f"{_lead(homes, answers)} {_alerts(reading)}".strip(),
        "tiles": _tiles(reading, homes, answers), "calibration": calibration(answers), "tiers": tiers(answers) if answers else [],
        "days": days(answers, begin_ms),
    }  # fmt: skip


def _span(reading: Reading) -> tuple[int, int]:
    """Midnight before the first answer or word, and midnight after the last (ms)."""
    times = [a[0].at_ms for a in reading.answers.values()] + [s.at_ms for s in reading.said.values()]
    return (min(times) // DAY_MS * DAY_MS, -(-max(times) // DAY_MS) * DAY_MS) if times else (0, DAY_MS)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def _of_hundred(share: float) -> str:
    """A share as words a person says: `97 of 100`, with a decimal where whole numbers would claim too much."""
    hundred = 100 * share
    if hundred in (0.0, 100.0):
        return "all" if hundred else "none"
    return f"{hundred:.1f} of 100" if hundred > 99 or hundred < 1 else f"{hundred:.0f} of 100"


def _headline(homes: Sequence[dict[str, Any]], answers: Sequence[Judged]) -> str:
    times = [event[0] for h in homes for event in h["events"]]
    if not times:
        return "Nothing happened: there was no recognition to answer."
    period = _count(max(1, round((max(times) - min(times)) / DAY_MS)), "day")
    place = "one home" if len(homes) == 1 else f"{len(homes)} homes"
    if not answers:
        return f"{_count(len(times), 'recognition')} answered in {place} over {period}."
    return f"In {place} over {period}, the right person came first in {_of_hundred(share_right(answers))} answers."


def _lead(homes: Sequence[dict[str, Any]], answers: Sequence[Judged]) -> str:
    """The sentence under the headline: what people said, and the home that was hardest."""
    claims = [f for h in homes for f in h["feedback"]]
    if not claims:
        return "Nobody said anything about the answers."
    changed = sum(1 for f in claims if f["before"] or f["others"])
    parts = [f"People spoke up {_count(len(claims), 'time')}; {_count(changed, 'remark')} changed an answer that had been given."]
    lies = sum(f["honest"] is False for f in claims)
    if answers:
        parts.append(f"{_count(lies, 'claim')} {'was' if lies == 1 else 'were'} not true.")
        hardest = min((h for h in homes if h["judged"]), key=lambda h: h["right"])
        why = hardest["story"] or f"right in {_of_hundred(hardest['right'])}."
        parts.append(f"The hardest home was {hardest['id']}: {why}")
    return " ".join(parts)


def _alerts(reading: Reading) -> str:
    """What people were alerted to, if they were."""
    opened = [a["summary"] for a in reading.alerts if a["state"] == "opened"]
    if not opened:
        return ""
    raised = "An alert was raised:" if len(opened) == 1 else f"{len(opened)} alerts were raised; the first:"
    return f"{raised} {opened[0]}"


def _tiles(reading: Reading, homes: Sequence[dict[str, Any]], answers: Sequence[Judged]) -> list[dict[str, str]]:
    """The few numbers to see first; each with what it is."""
    revised = sum(len(revisions) - 1 for revisions in reading.answers.values())
    tiles = [_tile(f"{len(reading.answers):,}", "recognitions answered", f"{revised:,} answers revised later")]
    if answers:
        members = [j for j in answers if j.truth != GUEST]
        guests = [j for j in answers if j.truth == GUEST]
        wrong = sum(j.answer.person_id not in (None, j.truth) for j in answers)
        tiles += [
            _tile(_percent(share_right(members)), "members first", f"of {_count(len(members), 'answer')} about members"),
            _tile(_percent(share_right(guests)), "guests seen as guests", f"of {_count(len(guests), 'guest event')}"),
            _tile(_percent(wrong / len(answers)), "named wrongly", "somebody was named (level 2 or above) and it was not them"),
        ]
    alarms = sum(mark["kind"] == "alarm" for h in homes for mark in h["change"]["marks"])
    alerts = _count(len({a["alert_id"] for a in reading.alerts}), "alert")
    known, true = sum(h["labels"]["known"] for h in homes), sum(h["labels"]["true"] for h in homes)
    told = f"{_percent(true / known)} of them true" if known else "events labelled without asking"
    return [
        *tiles,
        _tile(f"{len(reading.labels):,}", "labels for free", told),
        _tile(f"{alarms:,}", "changes noticed", f"{alerts} to the people who look after homes"),
        _tile(f"{len(reading.dead):,}", "unreadable records", "kept as dead letters with the reason"),
    ]


def _tile(value: str, name: str, note: str) -> dict[str, str]:
    return {"value": value, "name": name, "note": note}


def _percent(share: float) -> str:
    """A share in %, with a second decimal where one would round it away."""
    return "–" if math.isnan(share) else f"{100 * share:.{2 if 0 < share < 0.01 else 1}f} %"
