"""The whole measurement: every world, the trials beside them, long lives, costs and ablations, as one dictionary for JSON.

Law: costs are measured while nothing else of ours runs; all else is spread over processes and does not depend on how.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

from . import ablations
from .ablations import PARTS, ablated
from .bootstrap import differences, intervals
from .corpora import by_corpus
from .costs import costs
from .life_world import LIFE
from .lives import lived, lives
from .measures import attacked, believed, recognised
from .people import FAR, VOICES
from .plan import Plan, trials_of
from .results import pooled, reported
from .targets import SCENARIOS
from .trials import Answers, Settings, run

__all__ = ["ablation_table", "rounded", "whole"]

Tasks = list[Future[Answers]]


def whole(plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything."""
    sizes = {"seeds": list(plan.seeds), "households": plan.households, "draws": plan.draws}
    results: dict[str, Any] = {"settings": sizes, "costs": costs(plan.households, plan.settings)}
    say("costs")
    with ProcessPoolExecutor(plan.jobs, get_context("spawn")) as pool:
        started = {scenario: _start(pool, scenario, plan, plan.settings) for scenario in SCENARIOS}
        unknown = _start(pool, "micswap", plan, replace(plan.settings, without=FAR))
        unclaimed = _start(pool, "poison", plan, replace(plan.settings, unclaimed=True))
        told = {scenario: pool.submit(reported, _done(tasks), plan.draws) for scenario, tasks in started.items()}
        results["worlds"] = {scenario: task.result() for scenario, task in told.items()}
        say("worlds")
        results |= _beside(started["poison"], unclaimed, unknown, plan.draws)
        say("unknown microphone, attack")
        results["life"] = _lives(pool, plan)
        say("long lives")
        results["corpora"] = by_corpus(pool, plan.smaller, say)
        results["ablations"] = ablation_table(pool, plan.smaller, say)
    return {key: rounded(value) for key, value in results.items()}


def _start(pool: Executor, scenario: str, plan: Plan, settings: Settings) -> Tasks:
    return [pool.submit(run, trial, settings) for trial in trials_of(scenario, plan)]


def _done(tasks: Tasks) -> list[Answers]:
    return [task.result() for task in tasks]


def _beside(poison: Tasks, unclaimed: Tasks, unknown: Tasks, draws: int) -> dict[str, Any]:
    """A microphone of which no pack knows, and what an attacker's claims change."""
    attack, quiet = (pooled(_done(tasks))["ours"] for tasks in (poison, unclaimed))
    microphone = pooled(_done(unknown))["ours"]
    return {
        "unknown_microphone": intervals(microphone, lambda c: recognised(c) | believed(c), draws),
        "attack": {name: intervals(c, attacked, draws) for name, c in (("claims", attack), ("silent", quiet))},
        "victim_loss": differences(attack, quiet, attacked, draws)["victim_top1"],
    }


def _lives(pool: Executor, plan: Plan) -> dict[str, Any]:
    trials = trials_of(LIFE, replace(plan, seeds=plan.seeds[:2], households=plan.life_households))
    worlds = _done([pool.submit(run, trial, plan.settings) for trial in trials])
    measured = [task.result() for task in [pool.submit(lived, trial, plan.settings) for trial in trials]]
    return pool.submit(lives, worlds, measured, plan.draws // 3).result()


def ablation_table(pool: Executor, plan: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Part -> scenario -> what the part is worth there, figure by figure: homes of all corpora by packs without them."""
    plan = replace(plan, seeds=plan.seeds[:1])
    whole_ones = {scenario: _done(_strangers(pool, scenario, plan)) for scenario in ablations.SCENARIOS}
    table: dict[str, Any] = {}
    for part, lines in PARTS.items():
        without = {scenario: _strangers(pool, scenario, plan, lines) for scenario in ablations.SCENARIOS}
        told = {s: pool.submit(ablated, whole_ones[s], _done(tasks), plan.draws // 3) for s, tasks in without.items()}
        table[part] = {scenario: task.result() for scenario, task in told.items()}
        say(f"without {part}")
    return table


def _strangers(pool: Executor, scenario: str, plan: Plan, lines: Sequence[str] = ()) -> Tasks:
    """A scenario of every corpus in turn, by packs that know nothing of it."""
    settings = replace(plan.settings, strangers=True, overrides=(*plan.settings.overrides, *lines))
    return [task for voices in VOICES for task in _start(pool, scenario, replace(plan, voices=voices), settings)]


def rounded(value: Any) -> Any:
    """For JSON: five decimals, and null for what could not be measured."""
    if isinstance(value, dict):
        return {str(key): rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    return value
