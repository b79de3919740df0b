"""What is remarkable of a home, as a few sentences made of what the page knows of it.

Law: nothing is told that the page does not show; who was confused with whom is said by truth, else by what people said.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from stream.contract.units import DAY_MS

__all__ = ["story_of"]

_SENTENCES_MAX: Final = 5
_SETTLING_MS: Final = 2 * DAY_MS  # in which a home begins, so that who joins then is nothing remarkable
_DOUBT_MIN: Final = 0.2  # on average, from which it is worth a sentence


def story_of(home: dict[str, Any]) -> str:
    """A few sentences about a home of the page; empty: nothing is remarkable."""
    told = [*_story_of_confusion(home), *_story_of_alarm(home), *_story_of_doubt(home), *_story_of_change(home), *_unread(home)]
    return " ".join(told[:_SENTENCES_MAX])


def _story_of_confusion(home: dict[str, Any]) -> Iterator[str]:
    """Who was most often taken for whom."""
    people, counts = home["people"], Counter[tuple[str, str]]()
    for who, row in zip(people, home["confusion"], strict=False):
        counts.update({(who, best): n for best, n in zip(people, row, strict=True) if n and best != who})
    if not home["confusion"]:
        counts.update(
            (said["person"], said["before"]["ranked"][0][0])
            for said in home["feedback"]
            if said["kind"] == "correct" and said["before"] and said["before"]["ranked"][0][0] != said["person"]
        )
    by = "" if home["confusion"] else ", as people said"
    told = [f"{who} was taken for {best} {_times(n)}" for (who, best), n in counts.most_common(2)]
    if told:
        yield f"{', '.join(told)}{by}."


def _story_of_alarm(home: dict[str, Any]) -> Iterator[str]:
    marks = home["change"]["marks"]
    told = next((mark for kind in ("alert", "alarm") for mark in marks if mark["kind"] == kind), None)
    if told is not None:
        text = told["text"] if told["text"].endswith(".") else f"{told['text'][:1].upper()}{told['text'][1:]}."
        yield f"{_day(told['t'])}: {text}"


def _story_of_doubt(home: dict[str, Any]) -> Iterator[str]:
    if home["doubt"] >= _DOUBT_MIN:
        yield f"On average whoever came first was given {1 - home['doubt']:.0%} only."


def _story_of_change(home: dict[str, Any]) -> Iterator[str]:
    """The first device that began to say something else of itself; people who came or went later."""
    own = home["happenings"]
    device = next((one for one in own if one["kind"] == "device"), None)
    if device is not None:
        yield f"{_day(device['t'])}: the device {device['text']}."
    settled = min((event[0] for event in home["events"]), default=0) + _SETTLING_MS
    later = (one for one in own if one["kind"] in ("join", "leave", "erase") and one["t"] > settled)
    moved = [f"{_day(one['t'])}: {one['text']}" for one in later]
    if moved:
        yield f"{', '.join(moved[:2])}{', …' if len(moved) > 2 else ''}."


def _unread(home: dict[str, Any]) -> Iterator[str]:
    dead = sum(one["kind"] == "dead letter" for one in home["happenings"])
    if dead:
        yield f"{dead:,} of its records could not be read."


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%-d %b")
