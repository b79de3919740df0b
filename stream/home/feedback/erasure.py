"""Erasure: forgetting a person, a phone, a whole household.

Law: afterwards no byte of that person is in the state: not their name, their phones, their vectors or what was said of
them. Only hashes of record ids stay, so that a repeated record is not taken for new.
"""

from stream.contract.units import DAY_MS

from ..context import Turn
from ..drift.signals import tell_erased
from ..learning.learning import forget_row, recalibrate, recount
from ..recognition.publish import tombstone
from ..state.home import Home
from ..state.ledger import Row

__all__ = ["erase_home", "erase_person", "forget_person", "forget_phone", "purge_departed"]

SHARE_MAX = 0.05  # an event that may be the person's with more than this goes with them


def erase_home(turn: Turn) -> None:
    """Forget everything; what stays is that it was seen."""
    old = turn.home
    for person in old.people:
        tombstone(turn, person.person_id)
    fresh = Home.new(old.household_id, turn.policy)
    fresh.seen, fresh.stream_time, fresh.next_row = old.seen, old.stream_time, old.next_row
    for name in Home.__slots__:
        setattr(old, name, getattr(fresh, name))
    turn.touched.clear()
    tell_erased(turn, None)


def erase_person(turn: Turn, person_id: str) -> bool:
    """Forget a person and every event that may have been theirs; False when there is nobody of that name."""
    column = turn.home.column(person_id)
    if column is None:
        return False
    forget_person(turn.home, column)
    turn.touched.pop(person_id, None)
    tombstone(turn, person_id)
    tell_erased(turn, person_id)
    return True


def forget_person(home: Home, column: int) -> None:
    """Take a person out of everything, with the events that may have been theirs; what is left of those is a guest's."""
    person_id = home.people[column].person_id
    for row in [row for row in home.rows if _is_of(row, column, person_id)]:
        forget_row(home, row)
    for row in home.rows:
        recount(home, row, -1)
        row.remove_column(column)
    for space in home.spaces.values():
        space.remove_person(column)
        space.offsets.clear()  # they were learnt beside what this person is like
    del home.presence.steps[column], home.people[column]
    home.known = None
    home.watch.forget_person(person_id)
    home.habits.forget(person_id)
    for row in home.rows:
        recount(home, row, 1)
    for phone_id, phone in list(home.phones.items()):
        phone.registrations = [r for r in phone.registrations if r.person_id != person_id]
        if not phone.registrations:
            forget_phone(home, phone_id)
    home.waiting = [w for w in home.waiting if w.claim.person_id != person_id]
    home.known = None
    home.disbelief = [s for s in home.disbelief if s.person_id != person_id]
    home.folded = {k: (which, [o for o in owners if o != person_id]) for k, (which, owners) in home.folded.items()}
    home.learn_names()
    recalibrate(home)


def _is_of(row: Row, column: int, person_id: str) -> bool:
    said = person_id in (row.named, row.first_named, row.label) or any(c.person_id == person_id for c in row.claims)
    return said or max(row.shares[column + 1], row.evidence[column + 1]) > SHARE_MAX


def forget_phone(home: Home, phone_id: str) -> None:
    """Forget a phone: its registrations, and where it was heard."""
    home.phones.pop(phone_id, None)
    home.known = None
    for row in home.rows:
        if row.sightings:
            row.sightings = tuple(s for s in row.sightings if s.phone_id != phone_id)
    home.learn_names()


def purge_departed(turn: Turn) -> None:
    """Forget who left long enough ago that nothing said of the past can reach them."""
    home = turn.home
    if all(home.panel.present):
        return
    limit = home.stream_time - turn.policy.limits.departed_days * DAY_MS
    for person in [p for p in home.people if p.left_at is not None and p.left_at < limit]:
        forget_person(home, home.people.index(person))
