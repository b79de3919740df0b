"""The fleet stage: what homes say of change in them, put together into few alerts, each of one cause.

Law: the same signals give the same alerts, in whatever order those of one window come, and a signal that comes again changes
nothing. It knows no clock but what homes agree on (`clock`): decisions are made at whole windows of event time
(`decision_hours`), about the signals before.
Of the alerts of one decision at most the policy's share is false on average (e-BH); one cause that many homes share is one
alert, and those homes are not alerted singly for it.

What a home has to say, and when. A *subject* is what evidence is of: (kind, person, device, encoder) within a home. Kinds are
person, device, encoder, phone, feedback, habit, unknown_voices, quarantine; others are understood as "something".
* `log_e_value` is the subject's own evidence, in nats: the log of the mean over the starts of the last 14 days of the plain
  products. Its exponential has a mean of at most 1 as long as nothing changes; finite, so no less than -30. A last word
  replaces the one before. The same evidence is not told under two names: a cause that got another name sends the old one's
  subject with a value below 0.
* `streams` says how many subjects the home is watched for (else the policy's `subjects_per_home`), since the chance that one
  of many is conspicuous is greater: a home's evidence is the mean over them. It is 1 where the value is that mean already.
* `attributes` are those of the device that the evidence is of, or came through: by them and by the encoder homes are grouped.
* `is_due` says when: as soon as the evidence crosses the home's own threshold; every 6 hours while it is notable (e > 5), and
  once more when it is no longer; when it has fallen back below 0, which resolves its alert; and once a week in any case, for
  the fleet must know the homes in which nothing happens. Every device has a subject of its own.
* `evidence` (what the home believes of each kind of cause) and `adapted` (what it did about it) are told on.
* `kind` "clock" (a wrong clock) and "enrolment" (bad recordings in one) are counted, and no evidence.
* `kind` "erased" asks to forget: the person, or with `person_id` null the whole home.
"""

from collections.abc import Container, Iterable, Iterator, Mapping

from stream.contract.policy import Alerting
from stream.contract.records import CLOCK, ENROLMENT, ERASED, Alert, Command, Signal
from stream.contract.units import DAY_MS, HOUR_MS, MINUTE_MS

from .cases import MONTH_MS, close, follow_home, follow_shared, leave_out, obey_case, open_home, open_shared, scrub
from .clock import APART_MS
from .evidence import OWN_KINDS, Groups, groups_of, pick_homes, shared_causes, weigh
from .state import AHEAD_MAX, DUPLICATE_MS, Case, Fleet, Subject, case_key

__all__ = ["advance", "alerts_of", "fleet_step", "grace_ms", "obey", "take"]


def fleet_step(fleet: Fleet, signal: Signal, policy: Alerting) -> list[Alert]:
    """Take one signal, and decide what its time allows to; for signals that come about in their order.

    Returns
    -------
    list of Alert
        New revisions of alerts, in the order to publish them; mostly none.
    """
    take(fleet, signal)
    return advance(fleet, fleet.stream_time - grace_ms(policy), policy)


def take(fleet: Fleet, signal: Signal) -> None:
    """Take a signal for the next decision. One that was taken before, or comes too late to tell, changes nothing."""
    if signal.kind in (CLOCK, ENROLMENT):
        fleet.count(signal.kind)
        return
    if signal.signal_id not in fleet.seen and (signal.observed_at >= fleet.floor or fleet.clock.alone is not None):
        _note_time(fleet, signal)
    if signal.observed_at < fleet.floor:
        fleet.count("late")
    elif _is_too_far_ahead(fleet, signal):
        fleet.count("ahead")
    elif signal.signal_id in fleet.seen:
        fleet.count("duplicate")
    else:
        fleet.count("taken")
        fleet.note_id(signal.signal_id, signal.observed_at)
        fleet.waiting.append((signal.household_id, Subject.of(signal)))


def _note_time(fleet: Fleet, signal: Signal) -> None:
    """Let a home say what time it is. If the time before was one home's alone, and wrong, nothing was decided by it."""
    before = fleet.stream_time
    fleet.stream_time = fleet.clock.hear(signal.household_id, signal.observed_at, before, len(fleet.homes))
    if fleet.stream_time < before:
        fleet.decided_at = fleet.floor = 0


def _is_too_far_ahead(fleet: Fleet, signal: Signal) -> bool:
    """Whether a word would wait for a time that may never come, as too many do already."""
    if signal.observed_at <= fleet.stream_time + APART_MS or len(fleet.waiting) < AHEAD_MAX:
        return False
    return sum(word.at > fleet.stream_time + APART_MS for _, word in fleet.waiting) >= AHEAD_MAX


def grace_ms(policy: Alerting) -> int:
    """How much longer than its window a decision waits, in event time."""
    return policy.grace_minutes * MINUTE_MS


def advance(fleet: Fleet, now: int, policy: Alerting) -> list[Alert]:
    """Make every decision that is due when event time has reached `now` (ms): alerts open, change, resolve and expire."""
    window = policy.decision_hours * HOUR_MS
    alerts: list[Alert] = []
    if not fleet.decided_at and fleet.waiting:
        first = min(subject.at for _, subject in fleet.waiting)
        fleet.decided_at = first - first % window
    while fleet.decided_at and fleet.decided_at + window <= now:
        if not (fleet.homes or fleet.cases or fleet.opened):  # however long nobody speaks
            spoken = min((word.at for _, word in fleet.waiting), default=now)
            fleet.decided_at = max(fleet.decided_at, min(spoken, now) // window * window)
            if fleet.decided_at + window > now:
                break
        fleet.decided_at += window
        alerts += _take_window(fleet)
        alerts += _decide(fleet, policy)
    return alerts


def obey(fleet: Fleet, command: Command) -> list[Alert]:
    """Do at once what an operator says of an alert. Of an alert that is unknown or closed, nothing can be said.

    Their clock may be ahead of event time; that makes no alert younger than the newest signal.
    """
    case = next((case for case in fleet.cases.values() if case.alert.alert_id == command.alert_id), None)
    alert = None if case is None else obey_case(case, command, min(command.given_at, fleet.stream_time))
    fleet.count("ignored" if alert is None else command.kind)
    return [] if alert is None else [alert]


def alerts_of(signals: Iterable[Signal], policy: Alerting) -> Iterator[Alert]:
    """The alerts of all signals that there are, the last window included: what a replay has to say."""
    fleet = Fleet()
    for signal in sorted(signals, key=lambda signal: (signal.observed_at, signal.signal_id)):
        yield from fleet_step(fleet, signal, policy)
    last = max((word.at for _, word in fleet.waiting if word.at <= fleet.stream_time + APART_MS), default=fleet.stream_time)
    yield from advance(fleet, last + policy.decision_hours * HOUR_MS, policy)


def _take_window(fleet: Fleet) -> list[Alert]:
    """Let the words of the window that ends replace what was said before; in an order that is theirs, not that of arrival."""
    heard = [word for word in fleet.waiting if word[1].at < fleet.decided_at]
    fleet.waiting = [word for word in fleet.waiting if word[1].at >= fleet.decided_at]
    alerts: list[Alert] = []
    for household, word in sorted(heard, key=lambda told: (told[1].at, told[0], told[1].signal_id)):
        if word.kind == ERASED:
            alerts += _erase(fleet, household, word.person_id)
            continue
        home = fleet.homes.setdefault(household, [])
        known = next((i for i, subject in enumerate(home) if subject.same_as(word)), None)
        if known is None:
            home.append(word)
        elif word.at >= home[known].at:
            home[known] = word
    return alerts


def _erase(fleet: Fleet, household: str, person_id: str | None) -> list[Alert]:
    """Forget a person or a home; what their alerts said is replaced by nothing."""
    theirs = [
        case
        for case in fleet.cases.values()
        if case.alert.household_id == household and person_id in (None, case.alert.person_id)
    ]
    for case in theirs:
        del fleet.cases[case.key]
    home, alerts = fleet.homes.pop(household, []), [scrub(case, fleet.decided_at) for case in theirs]
    if person_id is None:
        fleet.clock.forget(household)
        fleet.opened.pop(household, None)
        named = [leave_out(case, household, fleet.decided_at) for case in fleet.cases.values()]
        alerts += [alert for alert in named if alert is not None]
    elif kept := [subject for subject in home if subject.person_id != person_id]:
        fleet.homes[household] = kept
    return alerts


def _decide(fleet: Fleet, policy: Alerting) -> list[Alert]:
    """One decision: shared causes first, since they explain homes; then homes; and what became of alerts that stand."""
    _forget(fleet, policy)
    fleet.count("decision")
    groups = groups_of(fleet.homes)
    alerts = _follow(fleet, groups, policy)
    known = [case.attribute for case in _find_standing(fleet, policy) if case.attribute is not None]
    for shared in shared_causes(groups, known, policy):
        alerts.append(open_shared(fleet, shared, groups, policy))
    explained = _explain(fleet, groups, policy)
    alerts += _merge(fleet, explained)
    free = _free(fleet, explained, policy)
    for household, subject in pick_homes(fleet.homes, free, policy):
        if len(fleet.opened.get(household, ())) < policy.household_alerts_max:
            alerts.append(open_home(fleet, household, subject, fleet.decided_at))
        else:
            fleet.count("withheld")
    return alerts


def _forget(fleet: Fleet, policy: Alerting) -> None:
    at, memory = fleet.decided_at, policy.memory_days * DAY_MS
    for household, home in list(fleet.homes.items()):
        home[:] = [subject for subject in home if subject.at >= at - memory]
        if not home:
            del fleet.homes[household]
    kept = max(memory, policy.cooldown_days * DAY_MS)
    fleet.cases = {k: c for k, c in fleet.cases.items() if c.standing or c.silent(at) or c.alert.updated_at >= at - kept}
    opened = {household: [time for time in times if time > at - MONTH_MS] for household, times in fleet.opened.items()}
    fleet.opened = {household: times for household, times in opened.items() if times}
    fleet.floor = max(fleet.floor, at - DUPLICATE_MS)
    fleet.forget_ids()


def _follow(fleet: Fleet, groups: Groups, policy: Alerting) -> list[Alert]:
    changed = []
    for case in fleet.cases.values():
        if case.standing:
            attribute = case.attribute
            if attribute is None:
                changed.append(follow_home(fleet, case))
            else:
                changed.append(follow_shared(fleet, case, weigh(attribute, groups, policy), policy))
    return [alert for alert in changed if alert is not None]


def _find_standing(fleet: Fleet, policy: Alerting) -> list[Case]:
    """Alerts that stand, or closed so lately that their cause is not alerted again, or are silenced."""
    since = fleet.decided_at - policy.cooldown_days * DAY_MS
    at = fleet.decided_at
    return [case for case in fleet.cases.values() if case.standing or case.silent(at) or case.alert.updated_at > since]


def _explain(fleet: Fleet, groups: Groups, policy: Alerting) -> dict[str, str]:
    """Households of shared causes, each with the alert that speaks for it."""
    shared = [(case.attribute, case.alert.alert_id) for case in _find_standing(fleet, policy)]
    return {home: alert_id for attribute, alert_id in shared if attribute is not None for home in groups.get(attribute, ())}


def _merge(fleet: Fleet, explained: Mapping[str, str]) -> list[Alert]:
    """Close the alerts of single homes that a shared cause speaks for now."""
    theirs = [case for case in fleet.cases.values() if case.standing and case.alert.household_id in explained]
    return [
        close(case, "resolved", fleet.decided_at, merged_into=explained[case.alert.household_id or ""])
        for case in theirs
        if case.alert.cause_kind not in OWN_KINDS
    ]


def _free(fleet: Fleet, explained: Container[str], policy: Alerting) -> dict[str, list[Subject]]:
    """By home, the subjects that may be alerted: no alert speaks of them, and no shared cause explains them."""
    spoken_of = {case.key for case in _find_standing(fleet, policy)}
    households = {key.partition("/")[0] for key in spoken_of}
    free = {}
    for household, home in fleet.homes.items():
        open_to = [s for s in home if s.kind in OWN_KINDS] if household in explained else home
        if household in households:
            open_to = [s for s in open_to if case_key(household, s) not in spoken_of]
        if open_to:
            free[household] = open_to
    return free
