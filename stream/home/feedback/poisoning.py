"""Disbelief: runs of claims that contradict the sensors, from one source or about one person, are held out.

Law: whether a run is held out is a function of the ledger as it now stands: of its claims, and of what the sensors now say of
their events. So a run counts again once the sensors come to agree, or enough of it was taken back. What is held out teaches
nothing; what it taught is undone. Who only repeats the answer is not heard for or against.
"""

from typing import Final

from learners.feedback.poisoning import Suspicion, evidence_most, surprise, suspicion
from stream.contract.records import Output, Source
from stream.contract.units import DAY_MS

from ..context import Turn
from ..drift.signals import signal_of
from ..learning.claims import floored, position, shares_of
from ..learning.learning import recalibrate, reshare
from ..recognition.publish import revise
from ..state.home import Disbelief, Home
from ..state.monitors import Told

__all__ = ["review"]

HELD_OUT: Final = "these claims are held out"
HEARD_AGAIN: Final = "these claims count again"
RESOLVED: Final = -1.0  # nats, told of a run of which nothing is left

Runs = dict[tuple[Source | None, str | None], Suspicion]


def review(turn: Turn) -> None:
    """Hold out the runs of claims that are suspicious now, let those count again that no longer are, and tell of both."""
    home, least = turn.home, turn.policy.claims.suspicious_from
    if not home.disbelief and evidence_most(sum([len(row.claims) for row in home.rows])) < least:
        return
    runs = _runs(home)
    known = {doubt.key for doubt in home.disbelief}
    home.disbelief += [Disbelief(*key) for key, run in runs.items() if run.evidence >= least and key not in known]
    changed = [doubt for doubt in home.disbelief if doubt.held != (_run(runs, doubt).evidence >= least)]
    for doubt in changed:
        doubt.held = not doubt.held
    if changed:
        _reshare(turn, changed)
    for doubt in list(home.disbelief):
        _tell(turn, doubt, _run(runs, doubt), doubt in changed)


def _runs(home: Home) -> Runs:
    """The evidence against each source, and against all that is said of each person."""
    factors: dict[tuple[Source | None, str | None], list[float]] = {}
    for row in home.rows:
        for claim in row.claims:
            if claim.right is not None:
                factor = surprise(floored(row.evidence), position(home, claim), claim.kind == "reject")
                factors.setdefault((claim.source, None), []).append(factor)
                factors.setdefault((None, claim.person_id), []).append(factor)
    return {key: suspicion(values) for key, values in factors.items()}


def _run(runs: Runs, doubt: Disbelief) -> Suspicion:
    return runs.get(doubt.key, Suspicion(0.0, 0))


def _reshare(turn: Turn, doubts: list[Disbelief]) -> None:
    """Let the events of which these runs speak be as their claims now leave them."""
    home = turn.home
    for row in [row for row in home.rows if any(doubt.concerns(claim) for doubt in doubts for claim in row.claims)]:
        before, shares = row.shares, shares_of(home, row, row.evidence)
        if shares != before:
            reshare(home, row, shares)
            revise(turn, row, before)
    recalibrate(home)
    if home.unanchored:
        home.next_rebuild = 0


def _tell(turn: Turn, doubt: Disbelief, run: Suspicion, changed: bool) -> None:
    """Say that a run is held out or no longer, how it stands once a day, and at last that nothing of it is left."""
    home, now = turn.home, turn.home.stream_time
    over = not doubt.held and (not run.claims or run.log_e_value < 0)
    if changed or over or now - doubt.told_at >= DAY_MS:
        doubt.told_at = now
        nats = RESOLVED if over else run.log_e_value
        told = signal_of(turn, doubt.key, nats, (HELD_OUT if doubt.held else HEARD_AGAIN) if changed else None)
        turn.outputs.append(Output("drift-signals", home.household_id, told))
        if doubt.source:  # whoever watches sources for change says no more of it
            home.watch.told["feedback", ""] = Told(nats, turn.at, settled=doubt.held)
    if over:
        home.disbelief.remove(doubt)
