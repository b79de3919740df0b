"""The life of an alert: opened -> updated -> resolved, or expired when nobody speaks of it any more.

Law: every change of an alert is a new revision of it, and nothing else is. An alert opens on strong evidence and resolves
only when there is less than none (an e-value below 1), so that it does not flicker in between; then it rests for a while.
An acknowledged alert says no more until it ends, nor does a silenced one until its time. After its end it is revised only to
forget somebody: its state and its time stay as they were. Each state says what it changed, the last one why it ended.
"""

from typing import Any, Final, Literal

from stream.contract.policy import Alerting
from stream.contract.records import Alert, Command
from stream.contract.units import DAY_MS, HOUR_MS

from .evidence import Groups, Shared, alike
from .state import Case, Fleet, Subject, case_key, new_alert_id, shared_key
from .texts import FORGOTTEN, SEVERITIES, of_end, of_home, of_shared, of_shared_change

__all__ = [
    "MONTH_MS", "close", "follow_home", "follow_shared", "leave_out", "obey_case", "open_home", "open_shared", "scrub",
]  # fmt: skip

MONTH_MS: Final = 30 * DAY_MS
SILENCE_MS: Final = DAY_MS  # where it is not told for how long
GROWN: Final = 1.5  # so many times as many members as last told are news


def open_home(fleet: Fleet, household_id: str, subject: Subject, at: int) -> Alert:
    """A change in one home, found at that decision."""
    key = case_key(household_id, subject)
    words = of_home(household_id, subject)
    alert = Alert(
        alert_id=new_alert_id(key, at),
        household_id=household_id,
        state="opened",
        cause_kind=subject.kind,
        opened_at=at,
        updated_at=at,
        **words._asdict(),
        members=[household_id],
        evidence=_evidence_of_home(subject),
        revision=0,
        person_id=subject.person_id,
        device_id=subject.device_id,
        attributes=subject.attributes,
    )
    fleet.opened.setdefault(household_id, []).append(at)
    return _open(fleet, key, alert, 1)


def open_shared(fleet: Fleet, shared: Shared, groups: Groups, policy: Alerting) -> Alert:
    """A change that many homes share, found at the decision that is being made."""
    at, (name, value) = fleet.decided_at, shared.attribute
    key = shared_key(shared.attribute)
    alert = Alert(
        alert_id=new_alert_id(key, at),
        household_id=None,
        state="opened",
        cause_kind=name,
        opened_at=at,
        updated_at=at,
        **of_shared(shared.attribute, len(shared.members), shared.homes, len(fleet.homes))._asdict(),
        members=shared.members[: policy.members_listed],
        evidence={**_evidence_of_group(shared), "alike": alike(shared.attribute, groups)},
        revision=0,
        attributes={name: value},
    )
    return _open(fleet, key, alert, len(shared.members))


def follow_home(fleet: Fleet, case: Case) -> Alert | None:
    """What became of one home's alert; None: it stands."""
    household = case.alert.household_id or ""
    subject = next((s for s in fleet.homes.get(household, ()) if case_key(household, s) == case.key), None)
    if subject is None:
        return close(case, "expired", fleet.decided_at)
    if subject.log_e_value < 0:
        return close(case, "resolved", fleet.decided_at, log_e_value=round(subject.log_e_value, 2))
    news = subject.adapted is not None and subject.adapted != case.alert.evidence.get("adapted")
    if news and not _is_quiet(case, fleet.decided_at):
        words, change = of_home(household, subject)._asdict(), f"The home did something about it: {subject.adapted}."
        return _revise(case, fleet.decided_at, state="updated", **words, evidence=_evidence_of_home(subject), change=change)
    return None


def follow_shared(fleet: Fleet, case: Case, shared: Shared, policy: Alerting) -> Alert | None:
    """What became of a shared cause; None: nothing that is worth telling."""
    at, alert = fleet.decided_at, case.alert
    if not shared.homes:
        return close(case, "expired", at)
    if shared.log_e_value < 0:
        return close(case, "resolved", at, **_evidence_of_group(shared))
    words = of_shared(shared.attribute, len(shared.members), shared.homes, len(fleet.homes))
    graver = SEVERITIES.index(words.severity) > SEVERITIES.index(alert.severity)
    grown = len(shared.members) >= GROWN * case.members
    rested = at - alert.updated_at >= policy.update_hours * HOUR_MS
    if _is_quiet(case, at) or not (graver or grown) or not rested:
        return None
    change = of_shared_change((alert.severity, words.severity), (case.members, len(shared.members)))
    case.members = len(shared.members)
    evidence = {**alert.evidence, **_evidence_of_group(shared)}
    members = shared.members[: policy.members_listed]
    return _revise(case, at, state="updated", **words._asdict(), members=members, evidence=evidence, change=change)


def _is_quiet(case: Case, at: int) -> bool:
    """Whether an operator wants to hear no more of it."""
    return case.alert.acknowledged_by is not None or case.silent(at)


def close(case: Case, state: Literal["resolved", "expired"], at: int, **evidence: Any) -> Alert:
    """The last revision of an alert, with what is now known."""
    change = of_end(state, evidence)
    return _revise(case, at, state=state, evidence={**case.alert.evidence, **evidence}, change=change)


def obey_case(case: Case, command: Command, at: int) -> Alert | None:
    """What an operator wants of an alert; None: it is so already."""
    if not case.standing:
        return None
    if command.kind == "resolve":
        return close(case, "resolved", at, resolved_by=command.by)
    if command.kind == "silence":
        until = at + (SILENCE_MS if command.until is None else max(0, command.until - command.given_at))
        if case.alert.silenced_until == until:
            return None
        told = f"Silenced by {command.by} for {(until - at) / HOUR_MS:,.0f} hours."
        return _revise(case, at, state="updated", silenced_until=until, change=told)
    if case.alert.acknowledged_by is not None:
        return None
    return _revise(case, at, state="updated", acknowledged_by=command.by, change=f"{command.by} has it in hand.")


def scrub(case: Case, at: int) -> Alert:
    """The last revision of an alert about somebody who is to be forgotten: nothing in it says who that was."""
    return _forget(
        case, at, "resolved", household_id=None, person_id=None, device_id=None, members=[], attributes={}, evidence={},
        summary=FORGOTTEN, suggested_action="Nothing to do.", change=FORGOTTEN,
    )  # fmt: skip


def leave_out(case: Case, household_id: str, at: int) -> Alert | None:
    """A shared cause without the name of a home that is to be forgotten; None: it does not name it."""
    if household_id not in case.alert.members:
        return None
    members = [member for member in case.alert.members if member != household_id]
    return _forget(case, at, "updated", members=members, change="A home was erased.")


def _forget(case: Case, at: int, state: Literal["updated", "resolved"], **changed: Any) -> Alert:
    """Take something out of an alert; that is news only of one that stands."""
    return _revise(case, at, state=state, **changed) if case.standing else _revise(case, case.alert.updated_at, **changed)


def _open(fleet: Fleet, key: str, alert: Alert, members: int) -> Alert:
    fleet.cases[key] = Case(key, alert, members)
    return alert


def _revise(case: Case, at: int, **changed: Any) -> Alert:
    """Time never goes back in an alert: what an operator says may be later than the next decision."""
    before = case.alert
    told = {**changed, "updated_at": max(at, before.updated_at), "revision": before.revision + 1}
    case.alert = before.model_copy(update=told)
    return case.alert


def _evidence_of_home(subject: Subject) -> dict[str, Any]:
    """What the home said: the evidence, what it believes of each kind of cause, and what it did about it."""
    told: dict[str, Any] = {"log_e_value": round(subject.log_e_value, 2), "signal_id": subject.signal_id}
    told |= {"beliefs": subject.beliefs} if subject.beliefs else {}
    return told | ({"adapted": subject.adapted} if subject.adapted is not None else {})


def _evidence_of_group(shared: Shared) -> dict[str, Any]:
    return {"log_e_value": round(shared.log_e_value, 2), "members": len(shared.members), "homes": shared.homes}
