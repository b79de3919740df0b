"""The judged events of worlds as columns: who it was, what was answered, and in which home.

Law: one row an event, in every column; what a row means is fixed by `score.py` of the tools, whose `judge` fills it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .tools import tool

__all__ = ["Columns", "judge", "labels_of", "pool", "take"]

Columns = dict[str, npt.NDArray[Any]]
MEMBERS_MAX = 16  # of a home at one time: places of a row of `p`, unused ones are NaN
PLAIN = ("phase", "hard", "modalities", "guest", "right", "score", "confidence", "hit", "p_truth", "squares", "tier")


def judge(world: Path, out: Path) -> Columns:
    """The scored events of a world beside the answers in a folder. A label is 1 (right), 0 (wrong) or -1 (there is none)."""
    score = tool("score")
    truth = {t["event_id"]: t for t in score.lines(world / "truth.jsonl") if t["phase"]}
    answers, _ = score.load_answers(out / "identities.jsonl")
    events = [score.judge(t, answers.get(i)) for i, t in truth.items()]
    columns = {name: np.array([e[name] for e in events]) for name in PLAIN}
    homes = {name: number for number, name in enumerate(sorted({e["household"] for e in events}))}
    columns["home"] = np.array([homes[e["household"]] for e in events])
    columns["answered"] = np.array([i in answers for i in truth])
    columns["named"] = np.array([e["person"] is not None for e in events])
    columns["named_right"] = np.array([e["person"] == e["who"] for e in events])
    columns["attack"] = np.array([bool(e["claimed"]) for e in events])
    columns["attack_top"] = np.array([bool(e["claimed"]) and e["top"] == e["claimed"] for e in events])
    columns["attack_named"] = np.array([bool(e["claimed"]) and e["person"] == e["claimed"] for e in events])
    columns["victim"] = np.array([e["who"] in victims for e, victims in zip(events, _victims(events), strict=True)])
    columns["p"], columns["target"] = np.full((len(events), MEMBERS_MAX), np.nan), np.zeros((len(events), MEMBERS_MAX), bool)
    for row, event in enumerate(events):
        columns["p"][row, : len(event["p"])], columns["target"][row, : len(event["p"])] = event["p"], event["target"]
    columns["label"] = labels_of(out / "labels.jsonl", truth)
    return columns


def _victims(events: list[dict[str, Any]]) -> list[set[str]]:
    """For every event, whom somebody claims to be in its home."""
    claimed: dict[str, set[str]] = {}
    for event in events:
        claimed.setdefault(event["household"], set()).update([event["claimed"]] if event["claimed"] else [])
    return [claimed[event["household"]] for event in events]


def labels_of(path: Path, truth: dict[str, Any]) -> npt.NDArray[np.int8]:
    """What the last revision of each event's label is worth; all -1 without the file."""
    last: dict[str, Any] = {}
    for record in tool("score").lines(path) if path.exists() else ():
        value = record["value"]
        if value["event_id"] in truth and value["revision"] >= last.get(value["event_id"], value)["revision"]:
            last[value["event_id"]] = value
    return np.array([last[i]["person_id"] == t["person_id"] if i in last else -1 for i, t in truth.items()], np.int8)


def pool(worlds: list[Columns]) -> Columns:
    """The events of several worlds as of one; a home of one world is none of another's. Sorted by home."""
    homes = np.cumsum([0, *(w["home"].max() + 1 for w in worlds)])
    pooled = {name: np.concatenate([w[name] for w in worlds]) for name in worlds[0]}
    pooled["home"] = np.concatenate([w["home"] + first for w, first in zip(worlds, homes, strict=False)])
    return take(pooled, np.argsort(pooled["home"], kind="stable"))


def take(columns: Columns, rows: npt.NDArray[Any]) -> Columns:
    """Some of the events: a mask or row numbers."""
    return {name: column[rows] for name, column in columns.items()}
