"""Policies compared on the same logs: who is better, how surely, where it hurts, and which settings it is owed to.

Law: all policies are asked the same questions, and differences are paired by home. The first policy is A, the one that was live:
what people said was said of its answers. The same logs, policies and options give the same comparison, whatever `jobs` is.
"""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from stream.brokers.log_files import STDIN
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import GUEST
from stream.contract.settings import load_policy

from ..policies.agreement import core_of
from ..replay.applied import in_applied_order, open_log, read_order_of
from .answered import Answered
from .columns import Array, Case, Columns, judge, take
from .figures import FIGURES, HomeSums, add_outputs, figures_of, sums_of
from .ground import Ground
from .intervals import Interval, differences, interval, levels
from .propensity import Propensity, weigh
from .questions import Questions, ask, read_truth
from .shares import Plan, Player
from .side_by_side.processes import Watch, answer_all
from .side_by_side.steps import Steps

__all__ = [
    "LOST_POINTS", "Basis", "Comparison", "HomeChange", "Judge", "Pair", "Task", "compare", "compare_sums", "judges",
    "questions_of",
]  # fmt: skip

_LOG = logging.getLogger(__name__)
LOST_POINTS: Final = 5.0  # of top-1, beyond which a home has lost, or gained


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be compared: policies by file, the first being the one that was live, on what ground, by which truth.

    `shares`: whether the difference is shared out over settings, which takes more runs. `worst`: homes that are listed.
    """

    policies: Sequence[Path]
    ground: Ground
    truth: Path | None = None
    shares: bool = False
    jobs: int = 1
    worst: int = 10


class HomeChange(NamedTuple):
    """A home, its judged events of members, and what it gained in points of top-1 (below 0: lost)."""

    household_id: str
    events: int
    gained: float


@dataclass(slots=True)
class Pair:
    """One policy against A: differences by figure, homes that lost and gained, and the shares of settings by figure."""

    first: str
    other: str
    differences: dict[str, Interval]
    homes: int
    lost: int
    gained: int
    worst: list[HomeChange]
    shares: dict[str, list[tuple[Player, Interval]]] = field(default_factory=dict)
    exact: bool = True  # the shares, which were otherwise averaged over orders that were drawn


@dataclass(slots=True)
class Basis:
    """One way of judging: by `truth` or by `feedback`."""

    by: str
    events: int
    levels: dict[str, dict[str, Interval]]
    pairs: list[Pair]
    propensity: Propensity | None = None


@dataclass(slots=True)
class Comparison:
    """All that came out. `same` names for a policy the earlier one whose very answers it has."""

    names: list[str]
    policy_ids: list[str]
    same: dict[str, str]
    questions: Questions
    bases: list[Basis]
    unusable: dict[str, int]  # claims that nothing can be judged by
    steps: Steps


def compare(task: Task, watch: Watch = lambda *_: None) -> Comparison:
    """Have every policy answer over the logs, and compare the others with the first.

    Raises
    ------
    ConfigError
        Policies that cannot be read, fewer than two, nothing to judge by, or truth that does not fit the logs.
    InvalidLog
        A file is no log.
    JobLost
        A process ended before its run did.
    """
    names, policies = _policies(task.policies)
    if STDIN in task.ground.logs:
        raise ConfigError("LOG", STDIN, "standard input, which can be read but once", "files, for each policy reads them anew")
    questions = questions_of(task.ground, task.truth)
    plans = [Plan(policies[0], other) for other in policies[1:]] if task.shares else []
    everybody = [*policies, *(plan.policy(some) for plan in plans for some in plan.sets)]
    answers, steps = _answer_all(task, everybody, questions, watch)
    answered = [answers[core_of(policy)] for policy in policies]
    found = judges(questions, answered)
    if not found:
        right = "one in which people said something of answers (confirm or correct); or give --truth"
        raise ConfigError("LOG", " ".join(task.ground.logs), "without any claim to judge by", right)
    bases = [_basis(one, task, names, policies, answered) for one in found]
    for one, basis in zip(found, bases, strict=True):
        for pair, plan in zip(basis.pairs, plans, strict=False):
            _share_out(pair, plan, {some: one.sums(p, answers[core_of(p)]) for some in plan.sets if (p := plan.policy(some))})
    same = _same(names, policies)
    ids = [policy.policy_id for policy in policies]
    return Comparison(names, ids, same, questions, bases, _unusable(questions, answered[0]), steps)


def _policies(paths: Sequence[Path]) -> tuple[list[str], list[Policy]]:
    if len(paths) < 2:
        right = "two policy files or more (names that end in .toml), the live one first; an empty file is the defaults"
        raise ConfigError("POLICY", " ".join(map(str, paths)), "the command line", right)
    stems = [path.stem for path in paths]
    names = [stem if stems.count(stem) == 1 else str(path) for stem, path in zip(stems, paths, strict=True)]
    return names, [load_policy(path) for path in paths]


def _same(names: Sequence[str], policies: Sequence[Policy]) -> dict[str, str]:
    cores = [core_of(policy) for policy in policies]
    return {name: names[cores.index(core)] for name, core in zip(names, cores, strict=True) if names[cores.index(core)] != name}


def questions_of(ground: Ground, truth: Path | None) -> Questions:
    """What is judged on a ground. Raises ConfigError: nothing is to be answered there, or the truth is of other logs."""
    truths = read_truth(truth) if truth else {}
    prefix, order = ground.wiring.prefix, read_order_of(ground.logs, ground.what_if, ground.wiring.prefix, _LOG.warning)
    with closing(open_log(ground.logs, order, prefix, _LOG.warning)) as log:
        questions = ask(in_applied_order(log, order), ground.what_if, truths)
    if not questions.home:
        raise ConfigError("LOG", " ".join(ground.logs), "without any recognition to be answered", "a log of recognitions")
    if truths and not questions.counts["truths"]:
        household, event_id = next(iter(truths))
        why = f"whose events are not in the log; its first is {event_id} of {household}"
        raise ConfigError("truth", str(truth), why, "the truth of this very log")
    return questions


def _answer_all(
    task: Task, policies: Sequence[Policy], questions: Questions, watch: Watch
) -> tuple[dict[str, Answered], Steps]:
    """What they answer, by core; and the steps that it took."""
    cores: dict[str, dict[str, Policy]] = {}
    for policy in policies:
        cores.setdefault(core_of(policy), {})[policy.policy_id] = policy
    groups = [list(group.values()) for group in cores.values()]
    found = answer_all(groups, task.ground, questions, task.jobs, watch)
    return dict(zip(cores, found.answered, strict=True)), found.steps


# ---- judging


@dataclass(frozen=True, slots=True)
class Judge:
    """Who it was, by one way of knowing: by row; members of claimed events are those that A had."""

    by: str
    questions: Questions
    truths: dict[int, str]
    members: dict[int, list[str]]
    propensity: Propensity | None = None

    @property
    def rows(self) -> list[int]:
        """Rows of the questions, in the order of the columns."""
        return list(self.truths)

    def columns(self, answered: Answered) -> Columns:
        """A policy's answers beside who it was."""
        if self.propensity is None:
            return take(answered.judged, np.array([row in self.truths for row in self.questions.known], bool))
        home, weights = self.questions.home, self.propensity.weights
        return judge([
            Case(home[row], truth, self.members[row], weights[row], answered.told.get(row)) for row, truth in self.truths.items()
        ])  # fmt: skip

    def sums(self, policy: Policy, answered: Answered) -> HomeSums:
        """What a policy's answers come to, by home."""
        homes = len(self.questions.homes)
        sums = sums_of(self.columns(answered), homes)
        alerts = answered.alerts_by_home(policy, self.questions.homes)
        add_outputs(sums, self._labels(answered) | {"alerts": alerts, "homes": np.ones(homes)})
        return sums

    def _labels(self, answered: Answered) -> dict[str, Array]:
        home, homes = np.array(self.questions.home), len(self.questions.homes)

        def count(rows: Sequence[int]) -> Array:
            return np.bincount(home[np.array(rows, np.int64)], minlength=homes).astype(float)

        known = self.truths if self.by == "truth" else {}
        judged = [row for row in answered.labels if row in known]
        right = [row for row in judged if answered.labels[row] == known[row]]
        asked = np.bincount(home, minlength=homes).astype(float)
        all_labels = count(list(answered.labels))
        return {"labels": all_labels, "labels_judged": count(judged), "labels_right": count(right), "asked": asked}


def judges(questions: Questions, answered: Sequence[Answered]) -> list[Judge]:
    """By truth, where there is any, and by feedback, where people said anything that can be judged by; the live policy first."""
    found, live = [], answered[0]
    anybody: Array = ~np.isnan(np.stack([one.confidence for one in answered])).all(axis=0)  # else it is no question of theirs
    known = {row: questions.truths[row] or GUEST for row in questions.known if anybody[row]}
    if known:
        found.append(Judge("truth", questions, known, {}))
    if claimed := _find_claimed(questions, live):
        members = {row: [person for person in live.told[row].posterior if person != GUEST] for row in claimed}
        found.append(Judge("feedback", questions, claimed, members, weigh(live.confidence, live.guest, claimed)))
    return found


def _find_claimed(questions: Questions, live: Answered) -> dict[int, str]:
    """Who it was by what stands of the claims, where A had answered before and the claim says who."""
    found = {}
    for row, verdict in questions.verdicts.items():
        answer, standing = live.told.get(row), verdict.standing
        who = live.confirmed.get(row) if standing.kind == "confirm" else standing.person_id
        if answer is not None and standing.kind != "reject" and who is not None and who in answer.posterior:
            found[row] = who
    return found


def _unusable(questions: Questions, live: Answered) -> dict[str, int]:
    """Claims that nothing is judged by: how many events each reason left out."""
    counts = {"before any answer": 0, "only who it was not": 0, "confirmed nobody": 0, "of nobody known": 0}
    used = _find_claimed(questions, live)
    for row, verdict in questions.verdicts.items():
        if row in used:
            continue
        if row not in live.told:
            counts["before any answer"] += 1
        elif verdict.standing.kind == "reject":
            counts["only who it was not"] += 1
        elif verdict.standing.kind == "confirm":
            counts["confirmed nobody"] += 1
        else:
            counts["of nobody known"] += 1
    return {reason: count for reason, count in counts.items() if count}


def _basis(
    judge: Judge, task: Task, names: Sequence[str], policies: Sequence[Policy], answered: Sequence[Answered]
) -> Basis:
    sums = [judge.sums(policy, one) for policy, one in zip(policies, answered, strict=True)]
    pairs = []
    for name, other in zip(names[1:], sums[1:], strict=True):
        pairs.append(compare_sums((names[0], sums[0]), (name, other), judge.questions.homes, task.worst))
    shown = {name: levels(one) for name, one in zip(names, sums, strict=True)}
    return Basis(judge.by, len(judge.truths), shown, pairs, judge.propensity)


def compare_sums(first: tuple[str, HomeSums], other: tuple[str, HomeSums], homes: Sequence[str], worst: int) -> Pair:
    """One policy against the first, from what their homes sum up to."""
    (name, here), (other_name, there) = first, other
    members, right = here.of("members"), here.of("right")
    judged = members > 0
    gained = np.zeros(len(members))
    gained[judged] = 100 * (there.of("right") - right)[judged] / members[judged]
    order = np.argsort(gained, kind="stable")
    changes = [HomeChange(homes[at], round(here.events[at]), float(gained[at])) for at in order[:worst] if gained[at] < 0]
    lost, won = int((gained < -LOST_POINTS).sum()), int((gained > LOST_POINTS).sum())
    return Pair(name, other_name, differences(here, there), int(judged.sum()), lost, won, changes)


def _share_out(pair: Pair, plan: Plan, sums: dict[frozenset[int], HomeSums]) -> None:
    """Shares of the difference in each figure, with intervals from leaving out each home."""
    totals = {some: figures_of(one, one.total) for some, one in sums.items()}
    without = {some: figures_of(one, one.without_each) for some, one in sums.items()}
    pair.exact = plan.exact
    for name in FIGURES:
        values = plan.shares({some: figures[name] for some, figures in totals.items()})
        spreads = plan.shares({some: figures[name] for some, figures in without.items()})
        pair.shares[name] = [
            (player, interval(float(value), np.asarray(spread)))
            for player, value, spread in zip(plan.players, values, spreads, strict=True)
        ]
