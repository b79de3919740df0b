"""Which decisions are withdrawn: whatever the order of the two topics, once, and only for a reason."""

from itertools import permutations
from typing import Any

import pytest

from stream.contract.records import Cause, Decided
from stream.runtime.service.events.withdrawals import CauseRead, Revised, Withdrawals

NOW_MS = 2_000
ORDERS = [*permutations(range(3))]
CAUSE = Cause(topic="feedback", partition=0, offset=2)


def decided(decision_id: str = "d-1", **fields: Any) -> Decided:
    return Decided(**{
        "decision_id": decision_id, "household_id": "h", "client_id": "pharmacy", "action": "mail.read", "event_id": "e-1",
        "revision": 1, "required": 3, "had": 4, "outcome": "allow", "sub": "s", "at": 1_000, **fields,
    })  # fmt: skip


def revised(revision: int, tier: int, person_id: str | None = "anna", event_id: str = "e-1", household_id: str = "h") -> Revised:
    return Revised(household_id, event_id, revision, tier, person_id, CauseRead("feedback", 0, revision))


def withdrawn(*records: Decided | Revised, by: Withdrawals | None = None) -> list[Decided]:
    """What is withdrawn as these come; each is read back, as a service reads its own."""
    by, found = by or Withdrawals(), []
    for record in records:
        new = by.take_decided(record, NOW_MS) if isinstance(record, Decided) else by.take_identity(record, NOW_MS)
        assert [one for own in new for one in by.take_decided(own, NOW_MS)] == []
        found += new
    return found


BASIS = revised(1, 4)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_an_answer_below_the_tier_withdraws_in_whatever_order_records_come(order: tuple[int, ...]) -> None:
    records = [BASIS, decided(), revised(2, 2)]
    assert withdrawn(*[records[place] for place in order]) == [decided(withdrawn_at=NOW_MS, cause=CAUSE)]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join(map(str, order)))
def test_an_answer_of_somebody_else_withdraws_in_whatever_order_records_come(order: tuple[int, ...]) -> None:
    records = [BASIS, decided(), revised(2, 5, "bert")]
    assert withdrawn(*[records[place] for place in order]) == [decided(withdrawn_at=NOW_MS, cause=CAUSE)]


@pytest.mark.parametrize("later", [
    revised(2, 3), revised(2, 5), revised(0, 0, None), revised(1, 4), revised(2, 0, None, "e-2"),
    revised(2, 0, None, household_id="k"),
])  # fmt: skip
def test_an_answer_that_is_still_enough_or_of_something_else_withdraws_nothing(later: Revised) -> None:
    assert withdrawn(BASIS, decided(), later) == []


@pytest.mark.parametrize("fields", [
    {"outcome": "step_up"}, {"outcome": "deny"}, {"event_id": None, "revision": None}, {"revision": None}, {"required": None},
])  # fmt: skip
def test_what_was_not_granted_by_an_answer_is_not_withdrawn(fields: dict[str, Any]) -> None:
    assert withdrawn(BASIS, decided(**fields), revised(2, 0, None)) == []


def test_what_says_nothing_of_a_person_holds_for_whoever_it_was() -> None:
    nobody = decided(required=1, had=1, sub=None)
    assert withdrawn(revised(1, 4, "bert"), nobody, revised(2, 4, "anna"), revised(3, 1, None)) == []
    assert len(withdrawn(revised(1, 4, "bert"), nobody, revised(2, 0, None))) == 1


def test_a_decision_on_a_later_answer_stands_though_an_earlier_one_fell_short() -> None:
    found = withdrawn(BASIS, decided("d-1"), revised(2, 2), revised(3, 4), decided("d-2", revision=3))
    assert [one.decision_id for one in found] == ["d-1"]


def test_the_first_answer_that_falls_short_is_the_cause_and_it_is_withdrawn_once() -> None:
    found = withdrawn(decided(), revised(4, 0, None), revised(3, 0, None), BASIS, decided())
    assert len(found) == 1
    both = Withdrawals()
    both.take_identity(revised(3, 0, None), NOW_MS)
    both.take_identity(revised(2, 0, None), NOW_MS)
    assert both.take_decided(decided(), NOW_MS)[0].cause == CAUSE


def test_all_decisions_on_an_answer_are_withdrawn() -> None:
    found = withdrawn(BASIS, decided("d-1"), decided("d-2", client_id="music"), revised(2, 0, None))
    assert [(one.decision_id, one.client_id) for one in found] == [("d-1", "pharmacy"), ("d-2", "music")]


def test_after_a_restart_nothing_is_withdrawn_twice_and_what_was_missed_is_withdrawn() -> None:
    kept = [decided("d-1"), decided("d-2", event_id="e-2"), decided("d-1", withdrawn_at=NOW_MS, cause=CAUSE)]
    anew = Withdrawals()
    assert withdrawn(*kept, by=anew) == []
    answers = [BASIS, revised(2, 2), revised(1, 4, event_id="e-2"), revised(2, 2, event_id="e-2")]
    assert [one.decision_id for one in withdrawn(*kept, *answers, by=anew)] == ["d-2"]


def test_what_another_process_withdrew_is_not_withdrawn_again() -> None:
    assert withdrawn(BASIS, decided(), decided(withdrawn_at=1_500, cause=CAUSE), revised(2, 2)) == []


def test_what_was_forgotten_is_not_taken_up_again() -> None:
    few = Withdrawals(decisions_max=2)
    kept = [decided(f"d-{n}", at=n) for n in range(4)]
    assert withdrawn(*kept, decided("d-0", at=0, withdrawn_at=NOW_MS), *kept, by=few) == []
    found = withdrawn(BASIS, revised(2, 2), *kept, by=few)
    assert {one.decision_id for one in found} <= {"d-2", "d-3"}
    assert len(found) == len({one.decision_id for one in found})
