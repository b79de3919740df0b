"""What happens in the simulated homes: one story a home, told again with other people when there are more homes than stories.

Law: a story only says who lives there and what is special; how they live is `neighbourhood_life`, what they say
`neighbourhood_talk`. `about` is the sentence that the report prints, with `{0}`, `{1}`… for the people in order and
`{guest}` for the visitor who comes most often.
"""

from dataclasses import dataclass
from typing import Final, Literal

from .people import Role

__all__ = ["SCENARIOS", "Scenario", "Twist"]

Twist = Literal[
    "growing", "cold", "phone_left", "microphone", "moves_in", "prank", "contradiction", "visitors", "erased", "alike",
    "phone_passed_on", "faults",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """Who lives in a home and the one thing that makes it hard."""

    twist: Twist
    about: str
    people: tuple[Role, ...]
    enrolled: bool = True  # guided enrolment on the first evening; else known by name only
    guests: float = 0.12  # share of the visits to a device that guests make


SCENARIOS: Final = (
    Scenario("growing", "{2} is growing: the voice changes from week to week.", ("worker", "parent", "child")),
    Scenario("cold", "Nobody was ever enrolled: {0}, {1} and {2} are known by name and phone only.",
          ("student", "student", "worker"), enrolled=False),
    Scenario("phone_left", "{0} leaves the phone on the kitchen counter, whoever is in the room.", ("worker", "parent", "teen")),
    Scenario("microphone", "Half way the kitchen device gets another microphone.", ("parent", "worker", "teen", "child")),
    Scenario("moves_in", "{guest}, a frequent guest, moves in without enrolment; {1} moves out.",
          ("student", "student", "worker"), guests=0.3),
    Scenario("prank", "{2} keeps telling the app that it was {0}.", ("parent", "worker", "teen")),
    Scenario("contradiction", "{0} corrects in the app, and takes it back or says otherwise by PIN.", ("worker", "elder")),
    Scenario("visitors", "{0} lives alone and has many visitors.", ("elder",), guests=0.45),
    Scenario("erased", "{2} moves out and asks to be forgotten.", ("student", "worker", "student")),
    Scenario("alike", "{0} and {1} are twins: they look and sound alike.", ("teen", "teen", "parent")),
    Scenario("phone_passed_on", "{0} gets a new phone and passes the old one on to {1}.", ("worker", "child", "parent")),
    Scenario("faults", "A bad network: records come twice, late, cut off or out of order.", ("elder", "elder"), guests=0.2),
)  # fmt: skip
