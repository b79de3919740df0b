"""Learning: what an event teaches, and how it is taken back.

Law: everything learnt from an event hangs on its row's shares; `reshare` is the only way to change them, and undoes what
the old shares had taught. What has left the ledger sits in its owners' tails and can be forgotten only with them.
"""

from collections.abc import Mapping

import numpy as np

from learners.kernels.plain import FOLDED_SHARE_MIN, Days
from learners.precision import LLR_STEP, SHARE_STEP, quantise
from learners.recognition.calibration import Recalibration
from learners.recognition.fusion import softmax
from learners.recognition.gallery import ANCHOR, REST
from stream.contract.policy import Policy
from stream.contract.records import GUEST, Recognition
from stream.contract.units import DAY_MS

from ..recognition.evidence import Probe, Weighed, add_alike, habit_of, hear_then, phone_llr, returning_llr, tempers
from ..state.home import NAMES_MAX, Home
from ..state.ledger import Row, Shares
from ..state.seen import hashed
from .claims import heeded, let_go, shares_of, teaches, uncount_claim

__all__ = [
    "REBUILD_HEATS", "calibrate", "capacity", "fold", "forget_row", "keep", "rebuild", "recalibrate", "recount", "reshare",
    "weigh_one",
]  # fmt: skip

REBUILD_HEATS = (0.0, 0.5, 1.0)  # of the evidence of voices and faces: deterministic annealing (Ueda and Nakano 1998)
GUEST_LOGIT_COLD = -1.0  # at heat 0 of a home where nobody enrolled: rather somebody of the home than a guest
SETTLED = 0.05  # of an event that is certain: that it is weighed again now and then
HABIT_SHARE_MIN = 0.02
FOLDED_PER_PERSON = 8  # claims on folded events that can still be taken back
PEOPLE_MIN, PEOPLE_MAX = 2, 4  # the ledger grows with the home between these


def capacity(home: Home, policy: Policy) -> int:
    """How many events the ledger of this home keeps."""
    return policy.limits.rows_per_person * max(PEOPLE_MIN, min(len(home.people), PEOPLE_MAX))


# ---- a new event


def keep(home: Home, policy: Policy, value: Recognition, probe: Probe, weighed: Weighed) -> Row:
    """Put an answered event in the ledger and learn from it as it was answered."""
    kept = quantise(weighed.posterior)
    llr = {m: tuple([round(x / LLR_STEP) * LLR_STEP for x in values]) for m, values in weighed.llr.items()}
    row = Row(
        probe.number, value.event_id, value.observed_at, value.device_id, value.activity, tuple(sorted(probe.heard)),
        probe.sightings, probe.stranger, kept, kept, llr, counted=True, weighed=probe.number,
    )  # fmt: skip
    for encoder in row.encoders:
        home.spaces[encoder].learn_offset(row.device_id, probe.raw[encoder], probe.day, kept[1:])
        home.spaces[encoder].add(row.number, probe.raw[encoder], probe.day, kept[1:])
    home.rows.append(row)
    home.next_row += 1
    home.names.learn(*row.said)
    if len(home.names.listed) > NAMES_MAX:
        home.learn_names()
    if probe.sightings is not None and probe.heard:
        _learn_phones(home, policy, probe, weighed)
    recount(home, row, 1)
    for person, share in zip(home.people, kept[1:], strict=True):
        person.events += share
    return row


def _learn_phones(home: Home, policy: Policy, probe: Probe, weighed: Weighed) -> None:
    """Who spoke by everything but the phones tells how far the phones are to be trusted."""
    phones = weighed.llr["phone"]
    logits = [weighed.logits[0] - weighed.stranger_llr, *(a - b for a, b in zip(weighed.logits[1:], phones, strict=True))]
    blind = softmax(logits)
    home.strangers.learn_one(probe.stranger, blind[0])
    for column, llr, reliability in weighed.phones:
        reliability.learn_one(llr, blind[column + 1], policy.phones.learning_rate)


# ---- shares


def reshare(home: Home, row: Row, shares: Shares) -> None:
    """Give an event other owners: take back what the old shares taught, learn the new."""
    before, nothing = row.shares, (0.0,) * len(shares)
    counted = before if row.counted else nothing
    row.shares, row.counted, row.packed = shares, not row.enrolled, None
    _recount(home, row, counted, shares if row.counted else nothing)
    for person, old, new in zip(home.people, before[1:], shares[1:], strict=True):
        person.events += new - old
    for encoder in row.encoders:
        home.spaces[encoder].share(row.number, shares[1:])


def recount(home: Home, row: Row, sign: int) -> None:
    """Count (or, with sign -1, take back) an event's owners in presence and habits, if it counts there."""
    if row.counted:
        nothing = (0.0,) * len(row.shares)
        _recount(home, row, *((nothing, row.shares) if sign > 0 else (row.shares, nothing)))


def _recount(home: Home, row: Row, before: Shares, after: Shares) -> None:
    """Count an event's owners `after` instead of those `before` in presence and habits."""
    home.presence.learn_one([new - old for new, old in zip(after, before, strict=True)])
    habit = habit_of(row.activity, row.observed_at)
    if habit:
        day = row.observed_at / DAY_MS
        for name, new, old in zip([GUEST, *home.panel.names], after, before, strict=True):
            change = (new if new > HABIT_SHARE_MIN else 0.0) - (old if old > HABIT_SHARE_MIN else 0.0)
            if change:
                home.habits.learn_one(habit, name, change, day)


# ---- calibrations


def recalibrate(home: Home) -> None:
    """Everybody's calibration anew: what has left the ledger, and then the ledger's claims in order."""
    for person in home.people:
        person.live = person.calibrated()
    for row in home.rows:
        if row.claims:
            calibrate(home, row)
    home.known = None


def calibrate(home: Home, row: Row) -> None:
    """Let everybody's calibration learn from a claimed event; guided enrolment and who repeats the answer teach it nothing."""
    if teaches(home, row):
        for column, person in enumerate(home.people):
            _calibrate(person.live, row, column)
        home.known = None


def _calibrate(live: Recalibration, row: Row, column: int) -> None:
    """Learn one person's comparison with a claimed event, as sure as the claim made it."""
    x: dict[str, float] = {m: row.llr[m][column] for m in ("voice", "face") if m in row.llr and row.llr[m][column] != 0.0}
    others = max(1, len(row.shares) - 2)
    share = row.shares[column + 1]
    if x and not 0.2 < share < 0.8:
        live.learn_one(x, share >= 0.8, 1.0 if share >= 0.8 else 1 / others)


# ---- leaving the ledger


def fold(home: Home, row: Row) -> None:
    """Let an event go into its owners' tails; what was claimed about it stays learnt.

    If it is the oldest, everybody's live calibration stays as it is: its lesson was their first, and now stands in their base.
    """
    if let_go(home, row):
        reshare(home, row, shares_of(home, row, row.evidence))
        recalibrate(home)
    taught = teaches(home, row)
    if taught:
        for column, person in enumerate(home.people):
            base = person.calibrated()
            _calibrate(base, row, column)
            person.calibration = base.state() if base.learnt else None
    which = ANCHOR if row.enrolled else REST
    for encoder in row.encoders:
        home.spaces[encoder].fold(row.number, which)
    for claim in row.claims:
        owners = [p.person_id for p, share in zip(home.people, row.shares[1:], strict=True) if share > FOLDED_SHARE_MIN]
        learnt = owners if claim is heeded(home, row) else []  # of others there is nothing to take back
        home.folded[hashed("feedback", claim.feedback_id)] = which, learnt
        while len(home.folded) > FOLDED_PER_PERSON * max(PEOPLE_MIN, len(home.people)):
            del home.folded[next(iter(home.folded))]
    oldest = home.rows[0] is row
    home.rows.remove(row)
    if taught and not oldest:
        recalibrate(home)


def forget_row(home: Home, row: Row) -> None:
    """Unlearn an event and forget it, as if it had never been answered."""
    for claim in row.claims:
        uncount_claim(home, claim)
    reshare(home, row, (0.0,) * len(row.shares))
    for encoder in row.encoders:
        home.spaces[encoder].drop(row.number)
    home.rows.remove(row)


# ---- weighing anew


def weigh_one(home: Home, policy: Policy) -> tuple[Row, Shares] | None:
    """Re-infer the kept event that most needs it from what is known now; the event and its old shares, if they changed.

    The one that is most open times the events since it was last inferred. For homes where everybody has enrolled.
    """
    stalest, most, now = None, 0.0, home.next_row
    for row in home.rows:
        if row.counted and row.encoders:
            stale = (now - row.weighed) * (1 + SETTLED - max(row.evidence))
            if stale > most:
                stalest, most = row, stale
    if stalest is None:
        return None
    stalest.weighed, stalest.packed = now, None
    stalest.evidence = _evidence_now(home, policy, stalest)
    shares, before = shares_of(home, stalest, stalest.evidence), stalest.shares
    if shares == before:
        return None
    reshare(home, stalest, shares)
    if stalest.claims:
        recalibrate(home)
    return stalest, before


def _evidence_now(home: Home, policy: Policy, row: Row) -> Shares:
    """What sensors and prior say of a kept event, given all that is known beside it."""
    people, parts = len(home.people), []
    alike: dict[int, float] = {}
    for encoder in row.encoders:
        space = home.spaces[encoder]
        found = space.llr_of(row.number).tolist()
        parts.append(found[:people])
        add_alike(alike, space.keys, found[people:])
    guest, *prior = home.presence.log_prior([p.left_at is None or row.observed_at < p.left_at for p in home.people])
    guest += returning_llr(home, policy, alike, row.number)
    if row.sightings is not None:
        parts.append(phone_llr(hear_then(home, policy, row.sightings, row.number), people))
        guest += home.strangers.llr_one(row.stranger)
    return quantise(softmax([guest, *map(sum, zip(prior, *parts, strict=True))]))


def rebuild(home: Home, policy: Policy, heats: tuple[float, ...] = REBUILD_HEATS) -> dict[int, Shares]:
    """Re-infer the kept events from each other, guided enrolment apart; returns the old shares of those that changed.

    Jacobi passes over all events at once, at rising weight of voices and faces: who never enrolled is found by their phone
    first. (One event after the other is overconfident.)
    """
    free = [row for row in home.rows if not row.enrolled]
    if not free or not home.people:
        return {}
    base = _base_logits(home, policy, free)
    cold = not any(p.enrolled for p in home.people)
    anchored = [i + 1 for i, p in enumerate(home.people) if p.enrolled]
    evidence = [row.evidence for row in free]
    shares = [row.shares for row in free]
    for heat in heats:
        logits = base + _sensed(home, policy, free, _llr_kept(home, free), heat)
        logits[:, 0] += GUEST_LOGIT_COLD * (1 - heat) if cold else 0.0
        found = np.exp(logits - logits.max(1, keepdims=True))
        found = np.rint(found / found.sum(1, keepdims=True) / SHARE_STEP) * SHARE_STEP
        for i, row in enumerate(free):
            if heat == 1 or not any(shares[i][a] > 0.5 for a in anchored):
                evidence[i] = tuple(found[i].tolist())
                shares[i] = shares_of(home, row, evidence[i])
                for encoder in row.encoders:
                    home.spaces[encoder].share(row.number, shares[i][1:])
    before = {}
    for row, seen, owned in zip(free, evidence, shares, strict=True):
        row.evidence, row.weighed, row.packed = seen, home.next_row, None
        if owned != row.shares:
            before[row.number] = row.shares
            reshare(home, row, owned)
    return before


def _llr_kept(home: Home, rows: list[Row]) -> dict[str, Days]:
    """By encoder, (those of the rows that have it, people + kept rows): each against all the others."""
    found, numbers = {}, {row.number for row in rows}
    for encoder, space in home.spaces.items():
        if space.keys:
            found[encoder] = space.llr_kept()[[i for i, number in enumerate(space.keys) if number in numbers]]
    return found


def _sensed(home: Home, policy: Policy, rows: list[Row], llr: Mapping[str, Days], heat: float) -> Days:
    """(rows, guest and columns): what voices and faces of kept events say; only who never enrolled is cooled."""
    scale = np.array([t if p.enrolled else t * heat for t, p in zip(tempers(home, policy), home.people, strict=True)])
    people, place = len(scale), {row.number: i for i, row in enumerate(rows)}
    total = np.zeros((len(rows), 1 + people))
    alike: list[dict[int, float]] = [{} for _ in rows]
    for encoder, found in llr.items():
        keys = home.spaces[encoder].keys
        there = [place[number] for number in keys if number in place]
        total[there, 1:] += found[:, :people] * scale
        for i, of_rows in zip(there, found[:, people:].tolist(), strict=True):
            add_alike(alike[i], keys, of_rows)
    total[:, 0] = [heat * returning_llr(home, policy, found, row.number) for row, found in zip(rows, alike, strict=True)]
    return total


def _base_logits(home: Home, policy: Policy, rows: list[Row]) -> Days:
    """(rows, guest and columns): prior, phones and strangers of kept events; who was not of the home then: minus infinity."""
    stranger_llr = {heard: home.strangers.llr_one(heard) for heard in (False, True)}
    priors: dict[tuple[bool, ...], list[float]] = {}
    found = []
    for row in rows:
        there = tuple([p.left_at is None or row.observed_at < p.left_at for p in home.people])
        if there not in priors:
            priors[there] = home.presence.log_prior(there)
        logits = priors[there]
        if row.sightings is not None:
            phones = phone_llr(hear_then(home, policy, row.sightings, row.number), len(there))
            logits = list(map(sum, zip(logits, [stranger_llr[row.stranger], *phones], strict=True)))
        found.append(logits)
    return np.array(found)
