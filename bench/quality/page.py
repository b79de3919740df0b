"""docs/quality.md, and the table of the README, told by the results of a whole run.

Law: every figure on the page comes out of the results, and the same results give the same page.
"""

import re
from typing import Any, Final

from . import page_texts as texts
from .corpora import corpora_behind, corpora_page
from .measures import TIERS
from .tables import figures_table, point, table, told
from .targets import AT_LEAST, BUDGETS, NAMES, behind, cost_targets

__all__ = ["page", "with_summary"]

RECOGNITION: Final = ("last_top1", "ieer", "fnir5")
BELIEF: Final = ("cllr_loss", "ece")
WORTH: Final = {"last_top1": "+.1f", "ieer": "+.1f", "fnir5": "+.1f", "cllr_loss": "+.3f", "tier2_covered": "+.1f"}

Worlds = dict[str, Any]


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    worlds = results["worlds"]
    parts = [
        _title(results["settings"], worlds), _behind(results), _recognition(worlds), _beside_static(worlds), _calibration(worlds),
        _tiers(worlds), texts.LABELS + figures_table("world", _ours(worlds), ("labels_right", "labels_covered")),
        _attack(results), _microphone(results), corpora_page(results["corpora"]), _life(results["life"]),
        _costs(results["costs"]), _ablations(results["ablations"]), texts.LIMITS,
    ]  # fmt: skip
    return "\n".join(part.strip() + "\n" for part in parts)


def with_summary(readme: str, worlds: Worlds) -> str:
    """The README with the worlds' figures in its table."""
    rows = []
    for scenario, what in texts.README.items():
        rows.append([what, *(point(worlds[scenario][who]["last_top1"]) for who in ("ours", "static"))])
    heads = ["what happens", "kithkin", "static"]
    return re.sub(rf"^\| {heads[0]} \|.*?\n\n", f"{table(heads, rows)}\n\n", readme, flags=re.DOTALL | re.MULTILINE)


def _ours(worlds: Worlds) -> dict[str, Any]:
    return {f"`{scenario}`": world["ours"] for scenario, world in worlds.items()}


def _title(settings: dict[str, Any], worlds: Worlds) -> str:
    events = sum(world["events"] for world in worlds.values())
    homes = next(iter(worlds.values()))["homes"]
    return texts.TITLE.format(seeds=", ".join(map(str, settings["seeds"])), homes=homes, events=f"{events:,}", **{
        key: settings[key] for key in ("households", "draws")})  # fmt: skip


def _behind(results: dict[str, Any]) -> str:
    found = [*behind(results), *corpora_behind(results["corpora"])]
    if not found:
        return texts.BEHIND + "Nothing: every target is met."
    rows = [[f"`{miss.where}`", miss.what, miss.target, told(miss.found, ".3f" if miss.fine else ".2f")] for miss in found]
    where = list(dict.fromkeys(row[0] for row in rows))
    count = f"{len(rows)} figures are behind, in {len(where)} worlds: {', '.join(where)}.\n\n"
    return texts.BEHIND + count + table(["world", "figure", "asked", "found"], rows)


def _recognition(worlds: Worlds) -> str:
    heads, rows = ["world"], []
    for name in RECOGNITION:
        heads += [NAMES[name], "static", "oracle"]
    for scenario, world in worlds.items():
        row = [f"`{scenario}`"]
        for name in RECOGNITION:
            row += [f"**{told(world['ours'][name], '.1f')}**", point(world["static"][name]), point(world["oracle"][name])]
        rows.append(row)
    return f"{texts.RECOGNITION}{table(heads, rows)}\n\n![DET curves of all worlds](quality/det.svg)"


def _beside_static(worlds: Worlds) -> str:
    heads = ["world", "top-1 %", "static", "least over static", "single world", "worst tenth of homes %", "static"]
    rows = []
    for scenario, world in worlds.items():
        ours, static, margins = world["ours"], world["static"], world["margins"]
        least = min(margins, key=lambda part: margins[part])
        over = [f"{margins[least]:+.1f} ({least})", f"{world['single']['margin']:+.1f}"]
        tenth = [told(ours["worst_tenth"], ".1f"), point(static["worst_tenth"])]
        rows.append([f"`{scenario}`", told(ours["top1"], ".1f"), point(static["top1"]), *over, *tenth])
    return texts.BESIDE + table(heads, rows)


def _calibration(worlds: Worlds) -> str:
    heads = ["world", "with", "events", "Cllr − minCllr", "ECE"]
    rows = []
    for scenario, world in worlds.items():
        for pattern, found in world["patterns"].items():
            rows.append([f"`{scenario}`", pattern, f"{found['events']:,}", *(told(found[name], ".3f") for name in BELIEF)])
    by_world = figures_table("world", _ours(worlds), (*BELIEF, "min_cllr"))
    plot = "![Reliability in all worlds](quality/reliability.svg)"
    return f"{texts.CALIBRATION}{by_world}\n\n{plot}\n{texts.PATTERNS}{table(heads, rows)}"


def _tiers(worlds: Worlds) -> str:
    errors = [(tier, who) for tier in TIERS for who in ("guests", "members") if (tier, who) != (1, "members")]
    heads = ["world", *(f"{tier}: {who} ≤ {BUDGETS[tier]:g}" for tier, who in errors), *(f"{tier} covers" for tier in TIERS)]
    rows = []
    for scenario, world in worlds.items():
        row = [f"`{scenario}`"]
        for tier, who in errors:
            name = f"tier{tier}_{who}"
            row.append(f"{point(world['ours'][name], '.2f')} ({told(world['single'][name], '.2f')})")
        rows.append(row + [point(world["ours"][f"tier{tier}_covered"], ".0f") for tier in TIERS])
    return texts.TIERS + table(heads, rows)


def _attack(results: dict[str, Any]) -> str:
    claims, silent = results["attack"]["claims"], results["attack"]["silent"]
    rows = {"the attacker claims to be the victim": claims, "the same, and says nothing": silent}
    loss = f"What the claims change of the victim's top-1: {told(results['victim_loss'], '+.2f')} points."
    return f"{texts.ATTACK}{figures_table('', rows, ('attack_top', 'attack_tier2', 'victim_top1'))}\n\n{loss}"


def _microphone(results: dict[str, Any]) -> str:
    rows = {"known": results["worlds"]["micswap"]["ours"], "unknown": results["unknown_microphone"]}
    return texts.MICROPHONE + figures_table("far-field channel", rows, (*RECOGNITION, *BELIEF))


def _life(life: dict[str, Any]) -> str:
    names = {"top1": ".1f", "ieer": ".1f", "fnir5": ".1f", "cllr_loss": ".3f", "ece": ".3f"}
    rows = []
    for number, year in enumerate(life["years"], 1):
        costs = [f"{year[key]:,.0f}" for key in ("bytes_per_person", "us", "us_p99")]
        ours = [told(year["ours"][name], form) for name, form in names.items()]
        rows.append([str(number), *ours, point(year["static"]["top1"]), *costs])
    heads = ["year", *(NAMES[name] for name in names), "static's top-1", "bytes a person", "µs an event", "p99 of a step, µs"]
    return f"{texts.LIFE.format(**life)}{table(heads, rows)}\n{texts.LIFE_AFTER.format(**life)}"


def _costs(costs: dict[str, Any]) -> str:
    rows = []
    for scenario, cost in costs["worlds"].items():
        most, p99 = cost_targets(cost["kind"], costs["loop_s"])
        figures = (cost["us"], most, cost["us_median"], cost["us_p99"], p99)
        rows.append([f"`{scenario}`", *(f"{figure:.0f}" for figure in figures)])
    heads = ["world", "µs an event", "asked", "median of a step", "p99 of a step", "asked"]
    kernels = "compiled" if costs["compiled"] else "interpreted"
    return texts.COST.format(loop_s=costs["loop_s"], kernels=kernels) + table(heads, rows)


def _ablations(parts: dict[str, Any]) -> str:
    scenarios = list(next(iter(parts.values())))
    heads = ["part", *(f"`{scenario}`" for scenario in scenarios)]
    tables = []
    for name, form in WORTH.items():
        rows = [[part, *(_worth(name, found[scenario][name], form) for scenario in scenarios)] for part, found in parts.items()]
        tables.append(f"{NAMES[name]}:\n\n{table(heads, rows)}\n")
    useless = [part for part, found in parts.items() if not any(_helps(n, found[s][n]) for n in WORTH for s in scenarios)]
    return texts.PARTS + "\n".join(tables) + f"\nSurely of use in none of these: {', '.join(useless) or 'no part'}."


def _helps(name: str, worth: list[float]) -> bool:
    """Whether the whole interval is on the better side of 0."""
    return worth[1] > 0 if name in AT_LEAST else worth[2] < 0


def _worth(name: str, worth: list[float], form: str) -> str:
    helps, harms = _helps(name, worth), _helps(name, [-worth[0], -worth[2], -worth[1]])
    mark = "**" if helps else "_" if harms else ""
    return f"{mark}{point(worth, form)}{mark}"
