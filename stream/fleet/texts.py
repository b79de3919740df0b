"""An alert in plain words: what happened, how grave it is, and what to do.

Law: words are a function of what is known of the cause, and of nothing else; a kind that nobody foresaw has words too.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from stream.contract.records import ENROL_ANEW

from .state import Subject

__all__ = [
    "FORGOTTEN", "KNOWN_CAUSES", "SEVERITIES", "Severity", "Words", "of_end", "of_home", "of_shared", "of_shared_change",
    "runbook_of",
]  # fmt: skip

Severity = Literal["low", "medium", "high"]
SEVERITIES: Final[tuple[Severity, ...]] = ("low", "medium", "high")
FORGOTTEN: Final = "Erased as asked for."  # all that is said of an alert about somebody who was erased
WIDE_SHARE: Final = 0.05  # of the fleet: a shared cause that reaches so far is grave
WIDE_HOMES: Final = 100


class Words(NamedTuple):
    """What an alert says."""

    severity: Severity
    summary: str
    suggested_action: str


_OF_HOME: Final[dict[str, Words]] = {  # {who}, {where}, {encoder} and {home} are filled in
    "person": Words("medium", "{who} of {home} is no longer recognised as before.", "Re-enrol {who}."),
    "device": Words("medium", "Everybody comes across differently on {where} of {home}.",
                    "Check {where}: its microphone and camera."),
    "encoder": Words("medium", "Vectors of {encoder} are not what they were in {home}.", "Check what changed with {encoder}."),
    "phone": Words("low", "A phone of {who} in {home} no longer goes with its owner.",
                   "Ask {who} whether the phone changed hands."),
    "feedback": Words("medium", "What is said of answers in {home} contradicts the evidence more than before.",
                      "Look at who gives feedback in {home}."),
    "habit": Words("low", "Habits of {who} in {home} changed.", "Nothing to do: habits are learnt anew."),
    "unknown_voices": Words("medium", "More unknown people than before speak in {home}.",
                            "Ask whether somebody moved in, and enrol them."),
    "quarantine": Words("high", "Records of {home} can no longer be processed.", "Look at the dead letters of {home}."),
}  # fmt: skip
_CROSSWISE: Final = Words(
    "medium", "What is said of people in {home} contradicts what was enrolled of them, as if under each other's names.",
    "Ask in {home} whether they were; if so, enrol them anew.",
)  # fmt: skip
_OTHERWISE: Final = Words("medium", "Something changed in {home}, and it is not clear what.", "Look at {home}.")
_SHARED_ACTIONS: Final = {
    "firmware": "Roll back firmware {value}.",
    "encoder": "Roll back encoder {value}, or enrol anew.",
    "model": "Check what changed for devices of model {value}.",
}


KNOWN_CAUSES: Final = (*sorted({*_OF_HOME, *_SHARED_ACTIONS}), "room")  # other attributes of devices have no words of their own


def runbook_of(cause_kind: str) -> str:
    """The page about a cause: its name among the runbooks.

    >>> runbook_of("unknown_voices"), runbook_of("hardware")
    ('drift-unknown-voices.md', 'drift-attribute.md')
    """
    known = cause_kind in KNOWN_CAUSES
    return f"drift-{cause_kind.replace('_', '-')}.md" if known else "drift-attribute.md"


def of_end(state: Literal["resolved", "expired"], evidence: Mapping[str, object]) -> str:
    """Why an alert ended."""
    if state == "expired":
        return "Ended: no home has spoken of it for as long as evidence counts."
    if by := evidence.get("resolved_by"):
        return f"Ended: {by} resolved it."
    if other := evidence.get("merged_into"):
        return f"Ended: {other}, of a cause that many homes share, speaks for it."
    return "Ended: what was seen since speaks against a change."


def of_shared_change(severity: tuple[str, str], members: tuple[int, int]) -> str:
    """What a shared cause's update is about: its severity and its members, before and now."""
    told = [f"severity is {severity[1]} now, was {severity[0]}"] if severity[0] != severity[1] else []
    told += [f"{members[1]:,} homes changed, {members[0]:,} when it was last told"] if members[0] != members[1] else []
    sentence = "; ".join(told) or "the evidence grew"
    return f"{sentence[:1].upper()}{sentence[1:]}."


def of_home(household_id: str, subject: Subject) -> Words:
    """Of a change in one home."""
    crosswise = subject.kind == "feedback" and subject.adapted is not None and ENROL_ANEW in subject.adapted
    words = _CROSSWISE if crosswise else _OF_HOME.get(subject.kind, _OTHERWISE)
    place = subject.attributes.get("room") or subject.device_id
    filled = {
        "home": household_id,
        "who": subject.person_id or "somebody",
        "where": f"the {place} device" if place else "a device",
        "encoder": subject.encoder or "an encoder",
    }
    summary = words.summary.format(**filled)
    return Words(words.severity, summary[:1].upper() + summary[1:], words.suggested_action.format(**filled))


def of_shared(attribute: tuple[str, str], members: int, homes: int, fleet: int) -> Words:
    """Of a change that homes with one attribute share: so many of them, of so many with that attribute, of so many in all."""
    kind, value = attribute
    wide = members >= WIDE_HOMES or members >= WIDE_SHARE * fleet
    told = f"{members:,} of {homes:,} homes with {kind} {value} changed together."
    action = _SHARED_ACTIONS.get(kind, "Look at what homes with {kind} {value} have in common.")
    return Words("high" if wide else "medium", told, action.format(kind=kind, value=value))
