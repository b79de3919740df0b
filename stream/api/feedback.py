"""What people say, to be told to a `Household`: the contract's own records, of which it fills in what it knows itself.

Law: a statement here is a record of the contract with defaults for what every feedback has; nothing else is allowed, and nothing
is checked otherwise. What is given (`feedback_id`, `given_at` in ms, `source`) stands.

>>> Correct(event_id="e-17", person_id="ana").source
'app'
"""

from typing import Literal

from pydantic import BaseModel

from stream.contract import records
from stream.contract.fields.scalars import Id, Time, Version
from stream.contract.records import Source

__all__ = ["Confirm", "Correct", "Enrol", "Erase", "Join", "Leave", "Phone", "Reject", "Retract"]


class _Told(BaseModel):
    v: Version = 1
    feedback_id: Id = ""
    household_id: Id = ""
    given_at: Time = 0
    source: Source = "app"


class Join(_Told, records.Join):
    """A person belongs to the household from now on."""

    kind: Literal["join"] = "join"


class Leave(_Told, records.Leave):
    """The person belongs to it no longer."""

    kind: Literal["leave"] = "leave"


class Phone(_Told, records.Phone):
    """Whose phone it is; `person_id` None: nobody's."""

    kind: Literal["phone"] = "phone"


class Enrol(_Told, records.Enrol):
    """Guided enrolment: those recognitions are this person's."""

    kind: Literal["enrol"] = "enrol"


class Confirm(_Told, records.Confirm):
    """Yes: who was named was right."""

    kind: Literal["confirm"] = "confirm"


class Reject(_Told, records.Reject):
    """No: it was not this person; who it was is not said."""

    kind: Literal["reject"] = "reject"


class Correct(_Told, records.Correct):
    """It was this person, or `guest`."""

    kind: Literal["correct"] = "correct"


class Retract(_Told, records.Retract):
    """Takes an earlier feedback back."""

    kind: Literal["retract"] = "retract"


class Erase(_Told, records.Erase):
    """Forget a person, or (`person_id` None) the whole household."""

    kind: Literal["erase"] = "erase"
