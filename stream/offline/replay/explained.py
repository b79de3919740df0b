"""Answers of a report taken apart: a few of each of the homes that went worst, by the worker's own step.

Law: what is chosen is what a reader would ask about: answers that were wrong by truth or by what people said, then the most
doubtful.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from stream.contract.codec import household_of_key
from stream.contract.policy import Policy
from stream.contract.records import Record

from ..report.run import EventKey, Reading, Run, read
from ..why.explanation import Explanation, explain
from ..why.history import play_all
from ..why.texts import TERMS, describe_held

__all__ = ["explain_events"]

EVENTS_MAX: Final = 5  # of a home
RECORDS_MAX: Final = 20_000  # of a home, beyond which stepping it once more takes too long for a page


def explain_events(
    inputs: Sequence[Record], outputs: Sequence[Record], policy: Policy, of: tuple[Collection[str], Mapping[EventKey, str]]
) -> dict[str, dict[str, Any]]:
    """By home and event, what each term gave in nats; `of` are the homes, and the truth where it is known."""
    homes, truths = of
    records: dict[str, list[Record]] = defaultdict(list)
    for record in inputs:
        records[household_of_key(record.key)].append(record)
    reading = read(Run(inputs, outputs))
    found = {}
    for home in homes:
        if len(records[home]) <= RECORDS_MAX:
            histories = play_all(records[home], home, _order_asked(reading, home, truths), policy)
            told = {one.event_id: _draw(explain(one, policy)) for one in histories if one.moment is not None}
            found[home] = {event: terms for event, terms in told.items() if terms["terms"]}
    return found


def _order_asked(reading: Reading, home: str, truths: Mapping[EventKey, str]) -> list[str]:
    """Events of a home in the order in which a reader would ask."""
    said: dict[str, str] = {
        str(one.value.get("event_id")): str(one.value.get("person_id"))
        for one in reading.said.values() if one.household_id == home and one.value.get("kind") == "correct"
    }  # fmt: skip
    guided = reading.guided

    def rank(key: EventKey) -> tuple[bool, float, str]:
        first = reading.answers[key][0]
        who = truths.get(key) or said.get(key[1])
        return who in (None, first.best), first.posterior[first.best], key[1]

    own = sorted((key for key in reading.answers if key[0] == home and key not in guided), key=rank)
    return [event_id for _, event_id in own[:EVENTS_MAX]]


def _draw(told: Explanation) -> dict[str, Any]:
    """What the page draws of an explanation."""
    return {
        "subject": told.subject, "p": round(told.probability, 5),
        "nats": None if told.log_odds is None else round(told.log_odds, 3), "device": told.device_id,
        "terms": [[TERMS[term.name], round(term.nats, 3)] for term in told.terms],
        "held": "" if told.held is None else describe_held(told.held),
        "next": "" if told.runner_up is None or told.lead is None else f"{told.runner_up}, {told.lead:.2f} nats behind",
    }  # fmt: skip
