"""An explanation as lines of text: a waterfall of nats, the tier, what would have been, and what came later.

Law: what stands in a line stands in the explanation; numbers are rounded for the eye and nothing is added.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from stream.contract.records import GUEST

from .audience import Why
from .explanation import Explanation, Held, Revised, Term
from .otherwise import Otherwise

__all__ = ["TERMS", "describe_held", "lines_of"]

_TIERS: Final = ("unknown", "present", "personal", "private", "purchase", "protected")
TERMS: Final = {  # names of terms, for people
    "prior": "how often they are met", "voice": "voice", "face": "face", "calibration": "calibration, from feedback",
    "unenrolled": "who never enrolled", "phone": "phones", "habit": "habits", "own": "the policy's own model",
    "stranger": "phones of strangers", "returning": "guests who return", "again": "inferred again since",
    "claim": "the claim that holds",
}  # fmt: skip
_KINDS: Final = {"confirm": "it was", "correct": "it was", "enrol": "enrolled as", "reject": "it was not"}
_NAME, _WIDTH = 26, 34
_SHOWN: Final = 0.005  # nats: less is left out, and counted in the sum


def lines_of(why: Why) -> list[str]:
    """All of it, without colours."""
    told = why.explanation
    lines = [*_heading(told), "", *_waterfall(told.terms, told.log_odds, told.probability), "", *_tier(told)]
    lines += _ratios(told)
    if why.without or why.under_wish:
        lines += ["", "What would have been"]
        lines += [f"  {_otherwise(one, told)}" for one in (*why.without, *([why.under_wish] if why.under_wish else []))]
    if told.revisions:
        lines += ["", "Later"]
        for one in told.revisions:
            lines += _later(one, told.subject)
    return lines


def _heading(told: Explanation) -> Iterator[str]:
    at = datetime.fromtimestamp(told.observed_at / 1000, UTC)
    sensors = ", ".join(told.modalities) or "no sensor"
    yield f"{told.event_id} of {told.household_id}, {at:%Y-%m-%d %H:%M:%S} UTC, {told.device_id}: {sensors}"
    who = told.person_id or "nobody is named"
    yield f"Answered: {who}, tier {told.tier} ({_TIERS[told.tier]}). {told.subject}: {_share(told.probability)}"


def _waterfall(terms: Sequence[Term], log_odds: float | None, probability: float) -> Iterator[str]:
    """A bar a term, from where the sum stood to where it stands then."""
    if not terms or log_odds is None:
        yield "Nobody else could be, so there is nothing to weigh."
        return
    yield "In nats, for (+) and against (-), one after the other"
    sums = [0.0]
    for term in terms:
        sums.append(sums[-1] + term.nats)
    low, high = min(sums), max(sums)
    scale = (_WIDTH - 1) / ((high - low) or 1.0)
    for term, before, after in zip(terms, sums, sums[1:], strict=False):
        if abs(term.nats) >= _SHOWN or term is terms[0]:
            first, last = sorted(round((one - low) * scale) for one in (before, after))
            bar = " " * first + ("█" if term.nats > 0 else "░") * max(1, last - first)
            yield f"  {TERMS[term.name]:<{_NAME}}{term.nats:+7.2f}  {bar}"
    yield f"  {'together':<{_NAME}}{log_odds:+7.2f}  = {_share(probability)}"


def _tier(told: Explanation) -> Iterator[str]:
    if told.held is not None:
        yield describe_held(told.held)
    if told.runner_up is not None and told.lead is not None:
        yield f"Next likeliest: {told.runner_up}, {told.lead:.2f} nats behind; so much against would have made it likelier."


def describe_held(held: Held) -> str:
    """What kept an answer from the next tier."""
    name = f"Tier {held.tier} ({_TIERS[held.tier]})"
    if held.reason == "sure" and held.asked is not None and held.had is not None:
        less = f" (less {held.disputed:.2f}, for claims that the sensors contradict)" if held.disputed >= _SHOWN else ""
        return f"{name} asks for {held.asked:.2f} nats; there were {held.had:.2f}{less}, {held.asked - held.had:.2f} too few."
    if held.reason == "sensors":
        return f"{name} asks for two sensors that agree; {held.had or 0:.0f} did."
    if held.reason == "pin":
        return f"{name} asks for a proof of that person in the minutes before, such as a PIN; there was none."
    return f"{name} was out of reach: a guest was likelier than any member."


def _ratios(told: Explanation) -> Iterator[str]:
    if told.ratios:
        yield ""
        yield "What each sensor gave to each, in nats, before calibration"
        for sensor, ratios in told.ratios.items():
            yield f"  {sensor:<8}" + "  ".join(f"{name} {nats:+.2f}" for name, nats in ratios.items())


def _otherwise(one: Otherwise, told: Explanation) -> str:
    change = one.change[:1].upper() + one.change[1:]
    if one.tier is None:
        return f"{change}: no answer"
    if not one.flips:
        return f"{change}: the same, {told.subject} {_share(one.probability)}"
    who = one.person_id or "nobody named"
    return f"{change}: {who}, tier {one.tier} ({_TIERS[one.tier]}), {told.subject} {_share(one.probability)}"


def _later(one: Revised, subject: str) -> Iterator[str]:
    who = one.person_id or "nobody named"
    cause = f"{one.caused_by} ({one.topic}/{one.partition}/{one.offset})"
    yield f"  Revision {one.revision}, by a {cause}: {who}, tier {one.tier}, {subject} {_share(one.probability)}"
    for term in one.terms:
        if abs(term.nats) >= _SHOWN:
            yield f"    {TERMS[term.name]:<{_NAME - 2}}{term.nats:+7.2f}"
    if one.log_odds is not None:
        yield f"    {'together':<{_NAME - 2}}{one.log_odds:+7.2f}"
    for said in one.said:
        holds = "" if said.holds else "; it does not count"
        person = "a guest" if said.person_id == GUEST else said.person_id
        weight = "as it is" if said.kind == "enrol" else f"{said.nats:.2f} nats"
        yield f"    {said.source} said: {_KINDS.get(said.kind, said.kind)} {person} ({weight}{holds})"


def _share(p: float) -> str:
    """Per cent, with more digits near the ends."""
    return f"{p:.1%}" if 0.001 <= p <= 0.999 else f"{p:.3%}"
