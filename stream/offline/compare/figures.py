"""The figures of recognition, from sums over homes: top-1, FNIR at FPIR 5 %, Cllr, ECE, tier errors and coverage, labels, alerts.

Law: every figure is a function of sums of what homes have, so homes can be left out or drawn twice at the cost of an addition; of
all homes it is what the events themselves give (FNIR within a five-hundredth of the guests where there are more of them). Bins of
ECE and priors of Cllr are those of all homes, whichever are left out.

Cllr: one trial per event and member, LLR = logit(posterior) - logit(prior), the prior being the share of target trials among
those with as many members; Brümmer & du Preez, 2006. FNIR and FPIR: ISO/IEC 19795-1. ECE: 15 bins of equal mass.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from stream.home.numbers import BUDGETS as BUDGETS_OF_TIERS

from .columns import Array, Columns

__all__ = ["BUDGETS", "FIGURES", "Figure", "HomeSums", "add_outputs", "figures_of", "sums_of", "weights_of_one"]

BUDGETS: Final = dict(enumerate(BUDGETS_OF_TIERS, 1))  # of a tier's errors; the fifth asks for a PIN
FPIR: Final = 0.05
ECE_BINS: Final = 15
EDGES_MAX: Final = 512
SMALLEST: Final = 1e-6  # probabilities are clipped to [SMALLEST, 1 - SMALLEST]


class Figure(NamedTuple):
    """What a figure is called, its unit, and whether more of it is better (0: neither)."""

    title: str
    unit: str
    better: int


FIGURES: Final[dict[str, Figure]] = {
    "top1": Figure("right member first", "%", 1),
    "fnir5": Figure("FNIR at FPIR 5 %", "%", -1),
    "cllr": Figure("Cllr", "bits", -1),
    "ece": Figure("ECE", "%", -1),
    **{f"tier{tier}_guests": Figure(f"tier {tier}: guests let in", "%", -1) for tier in BUDGETS},
    **{f"tier{tier}_members": Figure(f"tier {tier}: members confused", "%", -1) for tier in BUDGETS if tier > 1},
    **{f"tier{tier}_covered": Figure(f"tier {tier}: coverage", "%", 1) for tier in BUDGETS},
    "labels_right": Figure("labels right", "%", 1),
    "labels": Figure("labels per 100 events", "", 1),
    "alerts": Figure("alerts per 100 homes", "", 0),
}
_PLAIN: Final = (
    "members", "right", "guests", "target_bits", "targets", "other_bits", "others", "events", "labels", "labels_judged",
    "labels_right", "alerts", "homes", "asked",
    *(f"{what}{tier}" for tier in BUDGETS for what in ("fooled", "confused", "covered")),
)  # fmt: skip
_AT: Final = {name: at for at, name in enumerate(_PLAIN)}
_ECE_AT: Final = len(_PLAIN)
_EDGES_AT: Final = _ECE_AT + ECE_BINS


@dataclass(frozen=True, slots=True)
class HomeSums:
    """By home (row) what its events sum up to; accepts were counted at `edges` thresholds; `events` are those of members."""

    sums: Array
    edges: int
    events: Array

    def of(self, name: str) -> Array:
        """One of the plain sums, by home."""
        return np.asarray(self.sums[:, _AT[name]])

    @property
    def total(self) -> Array:
        """Of all homes."""
        return np.asarray(self.sums.sum(0))

    @property
    def without_each(self) -> Array:
        """Of all homes but one, for each home."""
        return np.asarray(self.total - self.sums)


def sums_of(columns: Columns, homes: int) -> HomeSums:
    """Add up the judged events of each of so many homes."""
    weight, guest, home = columns["weight"], columns["guest"], columns["home"]
    edges = _edges(columns["score"][guest])
    out = np.zeros((homes, _EDGES_AT + 2 * len(edges)))

    def put(at: int, value: Array) -> None:
        out[:, at] = np.bincount(home, weight * value, homes)

    put(_AT["members"], ~guest)
    put(_AT["right"], ~guest & columns["right"])
    put(_AT["guests"], guest)
    put(_AT["events"], np.ones(len(guest)))
    for name, value in _bits(columns).items():
        put(_AT[name], value)
    for tier in BUDGETS:
        for name, value in _of_tier(columns, tier).items():
            put(_AT[f"{name}{tier}"], value)
    gap = columns["hit"] - columns["confidence"]
    for at, mask in enumerate(_bins(columns)):
        put(_ECE_AT + at, gap * mask)
    _count_above(out[:, _EDGES_AT :], columns, edges)
    return HomeSums(out, len(edges), np.bincount(home[~guest], minlength=homes))


def _edges(scores: Array) -> Array:
    """Thresholds: every score of a guest; of very many, the highest half in steps of as many."""
    edges = np.unique(scores)
    if len(edges) <= EDGES_MAX:
        return np.asarray(edges)
    ranks = np.linspace(len(edges) // 2, len(edges) - 1, EDGES_MAX).astype(int)
    return np.asarray(edges[ranks])


def _count_above(out: Array, columns: Columns, edges: Array) -> None:
    """By home and edge, the guests who score higher, and the members who do and come first."""
    steps = len(edges)
    for side, mask in enumerate((columns["guest"], ~columns["guest"] & columns["right"])):
        home, weight = columns["home"][mask], columns["weight"][mask]
        passed = np.searchsorted(edges, columns["score"][mask])  # edges that are lower
        counts = np.zeros((len(out), steps + 1))
        np.add.at(counts, (home, passed), weight)
        out[:, side * steps : (side + 1) * steps] = np.cumsum(counts[:, ::-1], 1)[:, ::-1][:, 1:]


def _bits(columns: Columns) -> dict[str, Array]:
    """Of each event, what its trials cost in bits, and how many they are, by whether they are target trials."""
    p, target, weight = columns["p"], columns["target"], columns["weight"]
    there = ~np.isnan(p)
    size = there.sum(1)
    hits = np.bincount(size, weight * target.sum(1))
    prior = hits / np.maximum(np.bincount(size, weight * size), SMALLEST)
    llr = _logit(np.where(there, p, 0.5)) - _logit(prior[size])[:, None]
    bits = np.logaddexp(0, np.where(target, -llr, llr)) / np.log(2)
    other = there & ~target
    sums = {"target_bits": bits * target, "targets": target, "other_bits": bits * other, "others": other}
    return {name: trials.sum(1) for name, trials in sums.items()}


def _logit(p: Array) -> Array:
    clipped = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _bins(columns: Columns) -> list[Array]:
    """Masks of bins of equal mass, by how probable the most probable answer was."""
    order = np.argsort(columns["confidence"], kind="stable")
    masks = []
    for rows in np.array_split(order, ECE_BINS):
        mask = np.zeros(len(order), bool)
        mask[rows] = True
        masks.append(mask)
    return masks


def _of_tier(columns: Columns, tier: int) -> dict[str, Array]:
    """Errors and right answers at a tier or above; at tier 1, which names nobody, a member is right and a guest is wrong."""
    guest, reached = columns["guest"], columns["tier"] >= tier
    if tier == 1:
        return {"fooled": reached & guest, "confused": np.zeros(len(guest), bool), "covered": reached & ~guest}
    wrong = reached & columns["named"] & ~columns["named_right"]
    return {"fooled": wrong & guest, "confused": wrong & ~guest, "covered": reached & columns["named_right"] & ~guest}


def add_outputs(sums: HomeSums, outputs: dict[str, Array]) -> None:
    """Beside judged events, what was published by home: labels, labels_judged, labels_right, alerts, homes, asked."""
    for name, counts in outputs.items():
        sums.sums[:, _AT[name]] = counts


def figures_of(sums: HomeSums, totals: Array) -> dict[str, Array]:
    """Every figure of FIGURES, for each row of sums over some homes; NaN where there is nothing to measure.

    Parameters
    ----------
    sums
        Whose totals they are.
    totals
        Shape (k, n) or (n,): `sums.total`, `sums.without_each`, or of homes that were drawn.
    """
    plain = {name: totals[..., at] for name, at in _AT.items()}
    out = {"top1": _share(plain["right"], plain["members"]), "fnir5": _fnir(sums, totals)}
    bits = _ratio(plain["target_bits"], plain["targets"]) + _ratio(plain["other_bits"], plain["others"])
    gaps = np.abs(totals[..., _ECE_AT:_EDGES_AT]).sum(-1)
    out |= {"cllr": bits / 2, "ece": _share(gaps, plain["events"])}
    for tier in BUDGETS:
        out[f"tier{tier}_guests"] = _share(plain[f"fooled{tier}"], plain["guests"])
        out[f"tier{tier}_members"] = _share(plain[f"confused{tier}"], plain["members"])
        out[f"tier{tier}_covered"] = _share(plain[f"covered{tier}"], plain["members"])
    out["labels_right"] = _share(plain["labels_right"], plain["labels_judged"])
    out["labels"] = _share(plain["labels"], plain["asked"])
    out["alerts"] = _share(plain["alerts"], plain["homes"])
    return {name: out[name] for name in FIGURES}


def weights_of_one(sums: HomeSums) -> dict[str, float]:
    """By how much one event more moves each figure that is a share of events; 0 of the others, which none moves alone."""
    total = dict(zip(_PLAIN, sums.total, strict=False))
    among = {"top1": "members", "fnir5": "members", "labels_right": "labels_judged", "labels": "asked"}
    for tier in BUDGETS:
        among |= {f"tier{tier}_guests": "guests", f"tier{tier}_members": "members", f"tier{tier}_covered": "members"}
    return {name: 100 / total[among[name]] if name in among and total[among[name]] else 0.0 for name in FIGURES}


def _fnir(sums: HomeSums, totals: Array) -> Array:
    """Share of members who are not accepted, at the lowest threshold at which few enough guests are."""
    guests, members, edges = totals[..., _AT["guests"]], totals[..., _AT["members"]], sums.edges
    if not edges:
        return np.full(guests.shape, np.nan)
    above = totals[..., _EDGES_AT : _EDGES_AT + edges]
    few = above <= FPIR * guests[..., None] * (1 + 1e-12)
    at = few.argmax(-1)
    accepted = np.take_along_axis(totals[..., _EDGES_AT + edges :], at[..., None], -1)[..., 0]
    fnir = 100 * (1 - _ratio(accepted, members))
    return np.asarray(np.where(guests > 0, fnir, np.nan))


def _ratio(what: Array, among: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(among > 1e-9, what / among, np.nan))


def _share(what: Array, among: Array) -> Array:
    return 100 * _ratio(what, among)
