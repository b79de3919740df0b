"""The same worlds on every corpus of voices, by packs that know the corpus and by packs that do not.

Law: a set of worlds is judged as the main ones are, static profile beside it on the same events.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from itertools import product
from typing import Any, Final

from .bootstrap import intervals
from .hard_worlds import HARD
from .measures import measure, recognised
from .page_texts import CORPORA
from .people import VOICES
from .plan import Plan, trials_of
from .results import margins, pooled, worst_single
from .tables import point, table, told
from .targets import BUDGETS, NAMES, SCENARIOS, Miss, behind_in, strangers_targets, targets_of
from .trials import Answers, run

__all__ = ["WORLDS", "by_corpus", "corpora_behind", "corpora_page"]

WORLDS: Final = (*SCENARIOS, *HARD)
PACKS: Final = ("half", "strangers")
_SHOWN: Final = {"last_top1": ".1f", "ieer": ".1f", "fnir5": ".1f", "cllr_loss": ".3f", "ece": ".3f", "labels_right": ".1f"}
_BESIDE_STATIC: Final = ("last_top1", "ieer", "fnir5")


def by_corpus(pool: Executor, plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """ "corpus/packs" -> world -> figures."""
    found: dict[str, Any] = {}
    for voices, packs in product(VOICES, PACKS):
        settings = replace(plan.settings, strangers=packs == "strangers")
        trials = {world: trials_of(world, replace(plan, voices=voices)) for world in WORLDS}
        started = {world: [pool.submit(run, trial, settings) for trial in some] for world, some in trials.items()}
        tasks = {world: pool.submit(_told, [t.result() for t in some], plan.draws // 3) for world, some in started.items()}
        found[f"{voices}/{packs}"] = {world: task.result() for world, task in tasks.items()}
        say(f"voices of {voices}, packs: {packs}")
    return found


def _told(worlds: list[Answers], draws: int) -> dict[str, Any]:
    columns = pooled(worlds)
    ours, static = columns["ours"], columns["static"]
    return {
        "events": len(ours["home"]),
        "ours": intervals(ours, measure, draws),
        "static": measure(static),
        "oracle": recognised(columns["oracle"]),
        "margins": margins(ours, static),
        "single": worst_single(worlds),
    }


def corpora_behind(corpora: dict[str, Any]) -> Iterator[Miss]:
    """What is behind its target on some corpus. Of recognition, figures are asked of strangers of one corpus only."""
    for which, worlds in corpora.items():
        for world, found in worlds.items():
            yield from behind_in(f"{world}, {which}", found, _asked(which, world), found["static"]["worst_tenth"])


def _asked(which: str, world: str) -> dict[str, float]:
    kept = {name: target for name, target in targets_of(world).items() if name in ("ece", "cllr_loss") or name.startswith("tier")}
    kept.pop("tier2_covered", None)
    return kept | {"labels_right": 97.0} | (strangers_targets(world) if which == "so762/strangers" else {})


def _least(parts: dict[str, float | None]) -> tuple[str, float]:
    """The least, and what it is of; what could not be measured (null in JSON) is no part of it."""
    measured = {part: value for part, value in parts.items() if value is not None and not math.isnan(value)}
    return min(measured.items(), key=lambda part: part[1])


def corpora_page(corpora: dict[str, Any]) -> str:
    """A table a figure: worlds by corpus and packs."""
    sections = [CORPORA]
    for name, form in _SHOWN.items():
        sections += [f"**{NAMES[name]}**", _table(corpora, lambda found, name=name, form=form: _cell(found, name, form))]
    sections += ["**Least over static**", _table(corpora, lambda found: "{1:+.1f} ({0})".format(*_least(found["margins"])))]
    sections += ["**Worst tenth of homes: top-1 %**", _table(corpora, lambda found: _beside(found, "worst_tenth"))]
    sections += ["**Tiers over their budgets**", _table(corpora, _over_budget)]
    return "\n\n".join(one.strip("\n") for one in sections)


def _table(corpora: dict[str, Any], cell: Callable[[dict[str, Any]], str]) -> str:
    worlds = next(iter(corpora.values()))
    rows = [[f"`{world}`", *(cell(found[world]) for found in corpora.values())] for world in worlds]
    return table(["world", *(which.replace("/", ", ") for which in corpora)], rows)


def _cell(found: dict[str, Any], name: str, form: str) -> str:
    return _beside(found, name) if name in _BESIDE_STATIC else point(found["ours"][name], form)


def _beside(found: dict[str, Any], name: str) -> str:
    return f"**{point(found['ours'][name])}** ({told(found['static'][name], '.1f')})"


def _over_budget(found: dict[str, Any]) -> str:
    errors = [(tier, who) for tier in BUDGETS for who in ("guests", "members") if (tier, who) != (1, "members")]
    figures = {(tier, who): found["ours"][f"tier{tier}_{who}"][0] for tier, who in errors}
    over = [f"{tier}: {who} {value:.2f}" for (tier, who), value in figures.items() if value is not None and value > BUDGETS[tier]]
    return ", ".join(over) or "–"
