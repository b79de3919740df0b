"""An answer taken apart: what each term gave in nats, what its tier asked for, and what every later revision changed.

Law: the terms add up to the log odds of the answer as it was before it was rounded. Log odds are those of the subject (who was
named; else who was likeliest; or anybody of the home) against everybody else.

What later revisions rest on is kept in steps of 1/4096 of an event, so that nothing there is surer than 9 nats.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from learners.precision import NATS_STEP
from stream.contract.codec import decode
from stream.contract.policy import SOURCES, Policy
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import GUEST, Identity
from stream.home.core.feedback.claims import LEAST
from stream.home.core.work import WORK
from stream.home.events import Run
from stream.home.messages import CLAIM_KINDS, OUT
from stream.home.numbers import policy_numbers
from stream.home.own.term import own_term
from stream.home.publish import Response
from stream.home.state.at_rest import decode_home
from stream.home.state.household import Household

from .history import History, Moment, Revision
from .kernels import FOUND, SHARED, TERMS, keep, leave_out, share_out, take_apart

__all__ = ["ANYBODY", "Explanation", "Held", "Revised", "Said", "Term", "explain"]

ANYBODY: Final = "anybody of the home"
_ROUNDED: Final = 2e-5  # what rounding may do to a posterior of many people
_SENSORS: Final = ("voice", "face", "phone")
_AGREEING: Final = 2
_SUREST: Final = math.log((1.0 - LEAST) / LEAST)  # nats, of what is kept in steps


@dataclass(frozen=True, slots=True)
class Term:
    """What one term gave to the log odds, in nats."""

    name: str
    nats: float


@dataclass(frozen=True, slots=True)
class Held:
    """What kept an answer from the next tier: the log odds asked for and had (nats), or another reason.

    `disputed` nats are taken off what the member had, for claims that somebody was them, which the sensors contradict.
    """

    tier: int
    reason: str  # of "sure", "guest", "sensors", "pin"
    asked: float | None = None
    had: float | None = None
    disputed: float = 0.0


@dataclass(frozen=True, slots=True)
class Said:
    """A claim about the event."""

    source: str
    kind: str
    person_id: str
    nats: float  # what it weighs; an enrolment is taken as it is
    holds: bool  # of several, the one that counts


@dataclass(frozen=True, slots=True)
class Revised:
    """A later answer. `terms` lead from the answer before it to its own log odds; of what left the ledger there are none."""

    revision: int
    caused_by: str  # what the record says
    topic: str
    partition: int
    offset: int
    person_id: str | None
    tier: int
    probability: float  # of the subject
    log_odds: float | None
    terms: list[Term]
    said: list[Said]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one event was answered as it was."""

    event_id: str
    household_id: str
    device_id: str
    observed_at: int
    modalities: list[str]
    policy_id: str
    person_id: str | None
    tier: int
    subject: str
    probability: float
    log_odds: float | None  # None: nobody else could be
    terms: list[Term]
    posterior: dict[str, float]  # before it was rounded
    ratios: dict[str, dict[str, float]]  # nats that each sensor gave to each person, before calibration
    held: Held | None
    runner_up: str | None
    lead: float | None  # nats by which the likeliest is ahead of the next
    revisions: list[Revised]


def explain(history: History, policy: Policy, anybody: bool = False) -> Explanation:
    """Take the answers to an event apart.

    Parameters
    ----------
    history
        With a `moment`.
    policy
        That it was played under.
    anybody
        Whether the subject of an answer that names nobody is anybody of the home, and not who was likeliest.
    """
    assert history.moment is not None, "an event that was answered"
    moment = history.moment
    home, found = _find(moment, policy)
    names, count = [GUEST, *home.people], len(home.people) + 1
    logits, posterior = found["logits"][:, :count], found["posterior"][:count]
    answer, likeliest = moment.answer, int(np.argmax(posterior))
    members = np.array([n > 0 and name in answer.posterior for n, name in enumerate(names)])
    _check(answer, dict(zip(names, posterior.tolist(), strict=True)))
    subject, places = _subject(answer, names, likeliest, members if anybody else None)
    steps = [_log_odds(one, places) for one in logits]
    others = sorted((n for n in range(count) if n != likeliest and logits[-1, n] > -math.inf), key=lambda n: -logits[-1, n])
    value: Any = moment.event.value
    certain = not math.isfinite(steps[-1])
    surest = math.copysign(_SUREST, steps[-1]) if certain else steps[-1]
    return Explanation(
        history.event_id, history.household_id, value.device_id, answer.observed_at, [*answer.modalities], answer.policy_id,
        answer.person_id, answer.tier, subject, float(posterior[places].sum()), None if certain else steps[-1], _terms(steps),
        {name: float(p) for name, p in zip(names, posterior, strict=True) if name in answer.posterior},
        {sensor: dict(zip(names[1:], found["llr"][m, : count - 1].tolist(), strict=True))
         for m, sensor in enumerate((*_SENSORS, "habit")) if np.any(found["llr"][m])},
        _find_held(answer, moment.row, members, (logits[-1], found)), names[others[0]] if others else None,
        float(logits[-1, likeliest] - logits[-1, others[0]]) if others else None,
        _find_revisions(history, policy, subject, surest),
    )  # fmt: skip


def _find(moment: Moment, policy: Policy) -> tuple[Household, Any]:
    """The home with the event kept in it, and FOUND of that."""
    value: Any = moment.event.value
    home = Household.new(value.household_id) if moment.before is None else decode_home(moment.before, policy)
    run: Run[Response] = Run(policy)
    run.add(Response(moment.event, home), 0)
    events, numbers = run.ready(home.slot), policy_numbers(policy)
    if (own := own_term(policy)) is not None:
        own.say(home.slot, events, [home.household_id])
    events["at"] = moment.answer.observed_at  # as it was admitted
    work, found = np.zeros(1, WORK), np.zeros(1, FOUND)
    keep(home.slot, events, numbers)
    latest = home.record["rows"][int(home.record["rows_used"]) - 1]
    if moment.row is not None and np.any((latest["encoders"] > 0) & (moment.row["encoders"] == 0)):
        leave_out(home.slot, numbers, work, np.zeros(1, OUT))
    take_apart(home.slot, numbers, work, found)
    return home, found[0]


def _check(answer: Identity, posterior: dict[str, float]) -> None:
    """What was taken apart is what was answered."""
    for name, p in answer.posterior.items():
        assert abs(posterior[name] - p) < _ROUNDED, f"{answer.event_id}: the terms give {posterior[name]} where {p} was answered"


def _subject(
    answer: Identity, names: Sequence[str], likeliest: int, members: npt.NDArray[np.bool_] | None
) -> tuple[str, npt.NDArray[np.bool_]]:
    """Of whom log odds are told, and their places."""
    if answer.person_id is None and members is not None:
        return ANYBODY, members
    name = answer.person_id or names[likeliest]
    return name, np.array([name == one for one in names])


def _log_odds(logits: npt.NDArray[np.float64], places: npt.NDArray[np.bool_]) -> float:
    """Nats of some places against all others; infinite where there are none."""
    return _log_sum(logits[places]) - _log_sum(logits[~places])


def _log_sum(logits: npt.NDArray[np.float64]) -> float:
    finite = logits[logits > -np.inf]
    return float(np.logaddexp.reduce(finite)) if len(finite) else -math.inf


def _terms(steps: Sequence[float]) -> list[Term]:
    """What each term moved; those that moved nothing are left out, but for the prior."""
    if not all(map(math.isfinite, steps)):
        return []
    moved = [steps[0], *(after - before for before, after in pairwise(steps))]
    return [Term(name, nats) for name, nats in zip(TERMS, moved, strict=True) if nats != 0.0 or name == TERMS[0]]


def _find_held(answer: Identity, row: Any, members: npt.NDArray[np.bool_], found: tuple[Any, Any]) -> Held | None:
    """What kept an answer from the next tier."""
    logits, numbers = found
    asked, tier = numbers["asked"], answer.tier + 1
    if not members.any():
        return Held(tier, "guest")
    best = int(np.argmax(np.where(members, logits, -np.inf)))
    if tier == 1:
        return Held(1, "sure", float(asked[0]), _log_odds(logits, members))
    if logits[0] > logits[best]:
        return Held(tier, "guest")
    one = np.arange(len(logits)) == best
    disputed = float(numbers["disputed"][best])
    sure = _log_odds(logits, one) - disputed
    if tier <= len(asked) and sure < asked[tier - 1]:
        return Held(tier, "sure", float(asked[tier - 1]), sure, disputed)
    agreeing = 0 if row is None else int(np.count_nonzero(row["llr"][: len(_SENSORS), best - 1] > 0))
    if tier == len(asked) and agreeing < _AGREEING:
        return Held(tier, "sensors", float(_AGREEING), float(agreeing))
    return Held(tier, "pin") if tier > len(asked) and answer.tier == len(asked) else None


# ---- later revisions


def _find_revisions(history: History, policy: Policy, subject: str, first: float) -> list[Revised]:
    """Every later answer, from the one before it."""
    told, before = list[Revised](), first
    for number, revision in enumerate(history.revisions):
        answer, cause = revision.answer, revision.cause
        of_last = number + 1 == len(history.revisions) or history.revisions[number + 1].cause is not cause
        terms, said, log_odds = _find_moves(history, revision, policy, (subject, before)) if of_last else ([], [], None)
        listed = answer.posterior
        probability = 1 - listed[GUEST] if subject == ANYBODY else listed.get(subject, 0.0)
        told.append(
            Revised(
                answer.revision, _cause(history, revision, policy), cause.topic, cause.partition, cause.offset, answer.person_id,
                answer.tier, probability, log_odds, terms, said,
            )
        )  # fmt: skip
        before = before if log_odds is None else log_odds
    return told


def _find_moves(
    history: History, revision: Revision, policy: Policy, so_far: tuple[str, float]
) -> tuple[list[Term], list[Said], float | None]:
    """What led from the answer before to this one: evidence that was inferred again, and the claim that holds."""
    home, (subject, before) = decode_home(revision.state, policy), so_far
    own, names = home.row(history.event_id), [GUEST, *home.people]
    if own is None or (subject != ANYBODY and subject not in names):
        return [], [], None
    work, shared = np.zeros(1, WORK), np.zeros(1, SHARED)
    work["event"] = own
    share_out(home.slot, work, shared)
    places = np.array([n > 0 if subject == ANYBODY else name == subject for n, name in enumerate(names)])
    evidence, shares = (_bounded_logit(shared[0][name][: len(names)][places].sum()) for name in ("evidence", "shares"))
    said = _claims_of(home.record["rows"][own], names, int(shared[0]["heeded"]))
    terms = [Term("again", evidence - before), *([Term("claim", shares - evidence)] if said else [])]
    return terms, said, shares


def _bounded_logit(p: float) -> float:
    p = min(max(float(p), LEAST), 1.0 - LEAST)
    return math.log(p / (1.0 - p))


def _claims_of(row: Any, names: Sequence[str], heeded: int) -> list[Said]:
    claims = row["claims"][: int(row["claims_used"])]
    return [
        Said(
            SOURCES[int(claim["source"])], CLAIM_KINDS[int(claim["kind"])], names[int(claim["person"])],
            int(claim["nats"]) * NATS_STEP, n == heeded,
        )
        for n, claim in enumerate(claims)
    ]  # fmt: skip


def _cause(history: History, revision: Revision, policy: Policy) -> str:
    """What the record that caused a revision is, in a word: "recognition", or the kind of feedback; "… of another event"."""
    value: Any = decode(revision.cause, policy).value
    kind = "recognition" if isinstance(value, RECOGNITIONS) else str(value.kind)
    about = getattr(value, "event_ids", [getattr(value, "event_id", None)])
    return kind if history.event_id in about else f"{kind} of another event"
