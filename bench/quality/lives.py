"""Whether a home is as good, as small and as fast after three years as after one, and can still forget."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any, Final

import numpy as np

from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import Correct, Event
from stream.contract.units import DAY_MS
from stream.home.state.at_rest import encode_home
from stream.home.state.household import Household
from stream.home.state.names import hash_id
from stream.home.step import step

from .bootstrap import intervals
from .costs import decoded, stepped
from .judged import pool, take
from .life_world import EVENTS, QUARTERS
from .measures import Figures, believed, recognised
from .trials import Answers, Settings, policy_for
from .worlds import Trial, world_of

__all__ = ["lives", "lived"]

YEARS: Final = 3
RETRACTED: Final = 20  # claims that are taken back at the end, of each home


def lives(worlds: list[Answers], measured: list[dict[str, Any]], draws: int) -> dict[str, Any]:
    """Quality of each year over all homes, and the means of what `lived` measured."""
    columns = {name: pool([world.columns[name] for world in worlds]) for name in ("ours", "static")}
    years = []
    for year in range(YEARS):
        told: dict[str, Any] = _means([one["years"][year] for one in measured])
        for name, all_events in columns.items():
            of_year = take(all_events, (all_events["phase"] - 1) * YEARS // QUARTERS == year)
            told[name] = intervals(of_year, lambda c: recognised(c) | believed(c), draws)
        years.append(told)
    forgetting = _means([{key: value for key, value in one.items() if key != "years"} for one in measured])
    return {"events": EVENTS, "homes": int(columns["ours"]["home"].max()) + 1, "years": years, **forgetting}


def _means(found: list[Figures]) -> Figures:
    return {key: float(np.mean([one[key] for one in found])) for key in found[0]}


def lived(trial: Trial, settings: Settings) -> dict[str, Any]:
    """Microseconds and bytes of every year, then what can still be taken back and erased."""
    policy = policy_for(trial.side, settings)
    events = decoded(world_of(trial, settings.cache) / "log.jsonl", policy)
    homes: dict[str, Household] = {}
    years = [_year([events[i] for i in some], homes, policy) for some in np.array_split(np.arange(len(events)), YEARS)]
    return {"years": years} | _retracted(events, homes, policy) | _erased(events[-1], homes, policy)


def _year(events: list[Event], homes: dict[str, Household], policy: Policy) -> Figures:
    took = stepped(events, homes, policy)
    recognitions = sum(event.record.topic == "recognitions" for event in events)
    people = sum(len(home.members) for home in homes.values())
    return {
        "us": float(took.sum() / recognitions / 1e3),
        "us_p99": float(np.percentile(took, 99) / 1e3),
        "bytes_per_person": sum(len(encode_home(home)) for home in homes.values()) / people,
    }


def _retracted(events: list[Event], homes: dict[str, Household], policy: Policy) -> Figures:
    """Of the oldest remembered claims on events that have left the ledger: days since, and the % whose retraction is applied."""
    outcomes: Counter[str] = Counter()
    days = []
    for name, home in homes.items():
        said = [e.value for e in events if isinstance(e.value, Correct) and e.value.household_id == name]
        record = home.record
        kept = set(record["folded"]["feedback"][: int(record["folded_used"])].tolist())
        folded = [claim for claim in said if hash_id("feedback", claim.feedback_id) in kept]
        days += [(int(record["stream_time"]) - claim.given_at) / DAY_MS for claim in folded[:1]]
        for claim in folded[:RETRACTED]:
            undo = _said(events[-1], name, f"r-{claim.feedback_id}", kind="retract", retracts=claim.feedback_id)
            outcomes.update(step(home, undo, policy).outcomes)
    return {"retracted_percent": 100 * outcomes["used"] / sum(outcomes.values()), "retracted_days": float(np.mean(days))}


def _erased(last: Event, homes: dict[str, Household], policy: Policy) -> Figures:
    """Bytes of a home before and after one of its members is erased, and the % of homes that still name them."""
    before = sum(len(encode_home(home)) for home in homes.values())
    still = 0
    for name, home in homes.items():
        person = home.people[0]
        step(home, _said(last, name, "f-erase", kind="erase", person_id=person), policy)
        still += person in home.people
    after, count = sum(len(encode_home(home)) for home in homes.values()), len(homes)
    return {"bytes_before": before / count, "bytes_after": after / count, "still_named_percent": 100 * still / count}


def _said(last: Event, home: str, feedback_id: str, **fields: Any) -> Event:
    """A feedback at the time of the last event."""
    at = last.record.timestamp
    value = {"v": 1, "feedback_id": feedback_id, "household_id": home, "given_at": at, "source": "app", **fields}
    record = replace(last.record, topic="feedback", offset=10**9, key=home.encode(), value=json.dumps(value).encode())
    return decode(record, policy=Policy())
