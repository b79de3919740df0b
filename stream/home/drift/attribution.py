"""What an answered event says of change: how well each sensor fits who it was, where something else says who it was.

Law: nothing is measured against itself. A voice is compared with a person where face, phone and habit (or feedback) are sure of
them, a phone with its owner where voice and face are; so a person's voice that changed is not taken for another person's.
"""

from collections.abc import Iterator, Sequence
from math import exp
from operator import sub
from typing import Final, Literal

from learners.recognition.fusion import softmax

from ..recognition.evidence import Weighed
from ..state.ledger import Row

__all__ = ["Attribution", "attributed", "claimed", "phone_against", "unlike_habits"]

Attribution = Literal["others", "own"]  # who says whose an event was: everything but the sensor in question, or the whole answer
CLAIMED_MIN: Final = 0.9  # of an event's shares, all claims considered: then feedback says who it was
PHONE_LLR_MIN: Final = 0.5  # nats: less is no word for its owner
SURE_AT_ALL_MIN: Final = 0.5  # of an answer: where it is less, nothing but habits is not sure either, for they say little


def attributed(weighed: Weighed, modality: str, attribution: Attribution, sure: float) -> int | None:
    """The column of whose voice or face it was, where that is at least so `sure`."""
    llr = weighed.llr.get(modality)
    if llr is None:
        return None
    return _surely(weighed.posterior, sure) if attribution == "own" else _surely_without(weighed, llr, sure)


def claimed(row: Row) -> int | None:
    """The column of who it was by feedback; of events with one of voice and face, for with both it was known when it came."""
    return _surely(row.shares, CLAIMED_MIN) if row.claims and ("voice" in row.llr) != ("face" in row.llr) else None


def phone_against(weighed: Weighed, sure: float) -> Iterator[tuple[int, float]]:
    """(owner's column, 1 if it speaks against who it was) of each person's phones that have a say, where voice and face are sure.

    A phone has a say when its owner is there, or when it is near and its owner is not; the latter speaks against it.
    """
    if weighed.phones and ("voice" in weighed.llr or "face" in weighed.llr):
        llr = weighed.llr["phone"]
        blind = softmax(_without(weighed, llr, weighed.stranger_llr))
        near: dict[int, float] = {}
        for column, of_phone, _ in weighed.phones:
            near[column] = max(of_phone, near.get(column, of_phone))
        for column, by_phone in near.items():
            owner = blind[column + 1]
            if owner >= sure:
                yield column, float(by_phone < 0)
            elif owner <= 1 - sure and by_phone > PHONE_LLR_MIN:
                yield column, 1.0


def unlike_habits(weighed: Weighed, sure: float) -> tuple[int, float] | None:
    """(column, 1 if habits speak against that person), where everything else is `sure` of them."""
    llr = weighed.llr.get("habit")
    if llr is None or max(weighed.posterior) < SURE_AT_ALL_MIN:
        return None
    column = _surely_without(weighed, llr, sure)
    return None if column is None else (column, float(llr[column] < 0))


def _without(weighed: Weighed, llr: Sequence[float], of_guest: float = 0.0) -> list[float]:
    """The logits that all but one sensor make."""
    guest, *members = weighed.logits
    return [guest - of_guest, *map(sub, members, llr)]


def _surely_without(weighed: Weighed, llr: Sequence[float], sure: float) -> int | None:
    """`_surely` of the posterior that all but one sensor make, of which only the greatest is needed."""
    logits = _without(weighed, llr)
    most = max(logits)
    if logits[0] == most or sure * sum([exp(x - most) for x in logits]) > 1:
        return None
    return logits.index(most) - 1


def _surely(posterior: Sequence[float], sure: float) -> int | None:
    """The column of who it surely was; None if that is a guest, or nobody."""
    most = max(posterior)
    return posterior.index(most) - 1 if most >= sure and posterior[0] < most else None
