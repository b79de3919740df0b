"""The cause of a change: what is believed of everything that is watched in a home, and which one is named.

Law: a home's evidence is the mean over all it is watched for, weighed by how often each kind of cause is met a priori, so that
its own mean is at most 1 as long as nothing changes. The largest part names the cause; less than half of the whole is "unknown".
"""

import math
from collections.abc import Mapping
from typing import Final

from learners.localise import named_shares

from .detectors import Subject, Watch
from .household import Home
from .localisation import explained
from .policy import Policy

__all__ = ["UNKNOWN", "believed", "e_value_of", "named", "parts_of", "since_of", "subjects_of"]

MET: Final = {"device": 0.4, "person": 0.3, "phone": 0.1, "unknown_voices": 0.1, "habit": 0.05, "feedback": 0.05}
MOVING: Final = ("device", "person")  # kinds that move recordings, so that the kept ones show which it was
ENCODER_SHARE: Final = 0.25  # how often it is an encoder, against one device
UNKNOWN: Final = ("unknown", "")
NAMED_MIN: Final = 0.5


def e_value_of(watch: Watch, subject: Subject) -> float:
    """The evidence that a subject changed: the mean over all that is watched of it."""
    streams = watch.streams(subject)
    return sum([stream.e_value for stream in streams]) / len(streams) if streams else 0.0


def subjects_of(watch: Watch) -> list[Subject]:
    """All that is watched and has shown anything yet; every device."""
    people = [(kind, name) for kind in ("person", "phone", "habit") for name in watch.people]
    shown = [s for s in [*people, ("unknown_voices", ""), ("feedback", "")] if any(stream.began for stream in watch.streams(s))]
    return [*(("device", name) for name in watch.devices), *shown]


def parts_of(watch: Watch) -> dict[Subject, float]:
    """The evidence of each subject times how often such a cause is met; their sum is the home's e-value."""
    devices, people = max(1, len(watch.devices)), max(1, len(watch.people))
    alike = {"device": devices, "person": people, "phone": people, "habit": people}
    return {s: MET[s[0]] / alike.get(s[0], 1) * e_value_of(watch, s) for s in subjects_of(watch)}


def since_of(watch: Watch, parts: Mapping[Subject, float]) -> int:
    """Since which event something changed, as the surest stream has it."""
    surest = max(parts, key=parts.__getitem__)
    return max(watch.streams(surest), key=lambda stream: stream.e_value).since


def believed(home: Home, policy: Policy, parts: Mapping[Subject, float], since: int) -> dict[Subject, float]:
    """What is believed of each cause, 0 to 1: its part, and of those that move recordings also what the kept events show."""
    moving = {subject: part for subject, part in parts.items() if subject[0] in MOVING}
    others = {subject: part for subject, part in parts.items() if subject[0] not in MOVING}
    nats = explained(home, policy, since)
    of_devices = sum([part for (kind, _), part in moving.items() if kind == "device"])
    suspected = moving | {subject: ENCODER_SHARE * of_devices for subject in nats if subject[0] == "encoder"}
    shown = {subject: math.log(part) + nats.get(subject, 0.0) for subject, part in suspected.items() if part > 0}
    shares = named_shares(list(shown.values()))
    whole = sum(moving.values())
    together = others | {subject: whole * share for subject, share in zip(shown, shares, strict=True)}
    total = sum(together.values())
    return {s: part / total for s, part in together.items()} if total else {}


def named(beliefs: Mapping[Subject, float]) -> Subject:
    """The cause that explains most, if that is at least half."""
    most = max(beliefs, key=beliefs.__getitem__, default=UNKNOWN)
    return most if beliefs.get(most, 0.0) >= NAMED_MIN else UNKNOWN
