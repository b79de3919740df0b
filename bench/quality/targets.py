"""What is asked of recognition, and where a run is behind it.

Law: a figure is held against its target as it stands, not by the end of its interval that flatters.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

__all__ = [
    "AT_LEAST", "LOOP_S", "NAMES", "SCENARIOS", "Miss", "behind", "behind_in", "cost_targets", "misses", "strangers_targets",
    "targets_of",
]  # fmt: skip

SCENARIOS: Final = ("ageing", "micswap", "missing", "poison", "phone_left", "phones_swapped", "false_feedback", "newcomer",
                    "guests", "guests50", "cold", "faults", "steady")  # fmt: skip
NAMES: Final = (
    {"top1": "top-1 %", "last_top1": "last-phase top-1 %", "ieer": "IEER %", "fnir5": "FNIR % at FPIR 5 %"}
    | {"cllr_loss": "Cllr − minCllr", "min_cllr": "minCllr", "ece": "ECE", "worst_tenth": "worst tenth of homes %"}
    | {"labels_right": "labels right %", "labels_covered": "events labelled %", "victim_top1": "victim's own top-1 %"}
    | {"attack_top": "attacker taken for the victim %", "attack_tier2": "attacker named as the victim at tier 2 %"}
    | {f"tier{tier}_guests": f"tier {tier}: guests answered as members %" for tier in (1, 2, 3, 4)}
    | {f"tier{tier}_members": f"tier {tier}: members named wrongly %" for tier in (2, 3, 4)}
    | {f"tier{tier}_covered": f"tier {tier}: member events covered %" for tier in (1, 2, 3, 4)}
)
AT_LEAST: Final = {"last_top1", "tier2_covered", "labels_right", "labels_covered"}  # of all others: at most
LOOP_S: Final = 0.8  # of the machine that the cost is asked of
COSTS: Final = {"enrolled": (40.0, 500.0), "cold": (60.0, 1000.0)}  # us an event, p99 of a step
UNKNOWN_MICROPHONE: Final = 88.0
VICTIM_LOSS: Final = -1.0
STATIC_MARGIN: Final = -0.5  # points that no world, half or phase may be under `static`
BEST: Final = 99.9  # %: of static, above which nothing is asked to be
BUDGETS: Final = {1: 10.0, 2: 5.0, 3: 1.0, 4: 0.1}
# world -> last-phase top-1, IEER, FNIR at FPIR 5 %
_RECOGNITION: Final = (
    {"ageing": (94, 6, 6), "micswap": (94, 8, 10), "missing": (92, 12, 18), "newcomer": (99, 3, 2), "cold": (96, 15, 20)}
    | dict.fromkeys(("poison", "phone_left", "phones_swapped", "false_feedback"), (99, 4, 3.5))
    | dict.fromkeys(("guests", "guests50"), (99.5, 2, 0.7))
)
# the same of strangers, by packs without their corpus
_STRANGERS: Final = (
    {"micswap": (97.5, 8, 12), "ageing": (97, 6, 7), "missing": (93, 12, 17), "noisy": (94, 12, 20), "storm": (95, 11, 20)}
    | {"cold": (97, 14, 18), "guests": (99.4, 3, 2)}
    | dict.fromkeys(("poison", "kin"), (98.5, 5, 6))
)
_COVERED: Final = {"ageing": 70, "guests": 90}
_LABELS: Final = {"guests": (97, 60), "cold": (90, 40)}
_ATTACK: Final = {"attack_top": 3.0, "attack_tier2": 0.0}


class Miss(NamedTuple):
    """A figure that is behind its target: where, what, the target and what it is (a number, or one with its interval)."""

    where: str
    what: str
    target: str
    found: Any

    @property
    def fine(self) -> bool:
        """Whether it is told with three decimals."""
        return "Cllr" in self.what or self.what == "ECE"


def targets_of(scenario: str) -> dict[str, float]:
    """Figure -> its target in a world."""
    asked = {"ece": 0.03, "cllr_loss": _cllr_loss_most(scenario)}
    for tier, budget in BUDGETS.items():
        asked |= {f"tier{tier}_guests": budget} | ({f"tier{tier}_members": budget} if tier > 1 else {})
    asked |= dict(zip(("last_top1", "ieer", "fnir5"), _RECOGNITION.get(scenario, ()), strict=False))
    asked |= dict(zip(("labels_right", "labels_covered"), _LABELS.get(scenario, ()), strict=False))
    asked |= {"tier2_covered": _COVERED[scenario]} if scenario in _COVERED else {}
    return asked | (_ATTACK if scenario == "poison" else {})


def strangers_targets(scenario: str) -> dict[str, float]:
    """What is asked of recognition where no pack knows the corpus: figure -> target."""
    return dict(zip(("last_top1", "ieer", "fnir5"), _STRANGERS.get(scenario, ()), strict=False))


def _cllr_loss_most(scenario: str) -> float:
    return 0.05 if scenario in ("cold", "newcomer") else 0.03


def misses(scenario: str, figures: dict[str, float]) -> list[str]:
    """The figures of a world that are behind their targets."""
    return _misses(targets_of(scenario), figures)


def _misses(asked: dict[str, float], figures: dict[str, float]) -> list[str]:
    return [name for name, target in asked.items() if name in figures and _is_behind(name, figures[name], target)]


def _is_behind(name: str, value: float | None, target: float) -> bool:
    return value is None or (value < target if name in AT_LEAST else value > target)


def behind(results: dict[str, Any]) -> list[Miss]:
    """Everything in the results of a whole run that is behind, world by world, then the rest."""
    found = [miss for scenario, world in results["worlds"].items() for miss in _of_world(scenario, world)]
    return [*found, *_of_attack(results), *_of_microphone(results), *_of_cost(results["costs"])]


def _of_world(scenario: str, world: dict[str, Any]) -> Iterator[Miss]:
    yield from behind_in(scenario, world, targets_of(scenario), world["static"]["worst_tenth"][0])
    for pattern, figures in world["patterns"].items():
        if _is_behind("cllr_loss", figures["cllr_loss"][0], _cllr_loss_most(scenario)):
            yield Miss(scenario, f"Cllr − minCllr, {pattern}", f"≤ {_cllr_loss_most(scenario):g}", figures["cllr_loss"])


def behind_in(where: str, world: dict[str, Any], asked: dict[str, float], static_tenth: float) -> Iterator[Miss]:
    """What is behind in one world: figures that are asked for, and the static profile, whose worst tenth of homes is told."""
    for name in _misses(asked, {name: interval[0] for name, interval in world["ours"].items()}):
        sign = "≥" if name in AT_LEAST else "≤"
        yield Miss(where, NAMES[name], f"{sign} {asked[name]:g}", world["ours"][name])
    for part, margin in [*world["margins"].items(), ("worst single world", world["single"]["margin"])]:
        if margin is not None and margin < STATIC_MARGIN:  # where all homes are hard there are no others
            yield Miss(where, f"top-1 over static, {part}", f"≥ {STATIC_MARGIN:g}", margin)
    ours = world["ours"]["worst_tenth"]
    if ours[0] <= min(static_tenth, BEST):
        yield Miss(where, NAMES["worst_tenth"], f"> static's {static_tenth:.1f}", ours)


def _of_attack(results: dict[str, Any]) -> Iterator[Miss]:
    if (loss := results["victim_loss"])[0] < VICTIM_LOSS:
        yield Miss("poison", "what the claims change of the victim's top-1, points", f"≥ {VICTIM_LOSS:g}", loss)


def _of_microphone(results: dict[str, Any]) -> Iterator[Miss]:
    found = results["unknown_microphone"]["last_top1"]
    if found[0] < UNKNOWN_MICROPHONE:
        yield Miss("micswap", "last-phase top-1 %, unknown microphone", f"≥ {UNKNOWN_MICROPHONE:g}", found)


def _of_cost(costs: dict[str, Any]) -> Iterator[Miss]:
    names = {"us": "µs an event", "us_p99": "p99 of a step, µs"}
    for scenario, cost in costs["worlds"].items():
        for (name, what), target in zip(names.items(), cost_targets(cost["kind"], costs["loop_s"]), strict=True):
            if cost[name] > target:
                yield Miss(scenario, what, f"≤ {target:.0f}", cost[name])


def cost_targets(kind: str, loop_s: float) -> tuple[float, float]:
    """Microseconds of an event and of the 99th percentile of steps, on a machine that takes so long for the loop."""
    most, p99 = COSTS[kind]
    return most * loop_s / LOOP_S, p99 * loop_s / LOOP_S
