"""An alert in plain words: what happened, how grave it is, and what to do.

Law: words are a function of what is known of the cause, and of nothing else; a kind that nobody foresaw has words too.
"""

from typing import Final, Literal, NamedTuple

from stream.contract.records import ENROL_ANEW

from .state import Subject

__all__ = ["SEVERITIES", "Severity", "Words", "of_home", "of_shared"]

Severity = Literal["low", "medium", "high"]
SEVERITIES: Final[tuple[Severity, ...]] = ("low", "medium", "high")
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
