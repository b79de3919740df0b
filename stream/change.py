"""Change in a home: every answered event goes through what watches for it, and every claim.

Law: watching decides nothing about who it was.
"""

from typing import Final

from learners.streams import Rises

from .detectors import EARS_PER_PERSON, DeviceWatch, Ear, PersonWatch, Watch, new_ear, rate_of
from .drift_signals import tell
from .evidence import Probe, Weighed
from .household import DAY_MS, Home
from .ledger import Claim, Row
from .policy import Policy
from .records import Recognition
from .residuals import misfits, misfits_claimed, phone_against, unlike_habits
from .turn import Turn

__all__ = ["watch_claim", "watch_event"]

FEW_EARS_MIN: Final = 2
DEVICES_MAX: Final = 16
SILENT_MS: Final = 30 * DAY_MS  # a device that heard nothing for so long gives its place to another


def watch_event(turn: Turn, value: Recognition, probe: Probe, weighed: Weighed) -> None:
    """Learn from an answered event what it says of change; tell what is to be told."""
    home, policy = turn.home, turn.policy
    watch, names = home.watch, home.panel.names
    device = watch.devices.get(value.device_id) or _met(watch, value.device_id)
    begins = value.observed_at - device.seen_at > policy.drift.visit_minutes * 60_000
    if begins:
        device.visit = probe.number
    device.seen_at = max(device.seen_at, value.observed_at)
    loudest, sure = 0.0, policy.drift.sure
    for encoder, heard in probe.raw.items():
        ear = device.ears.get(encoder) or _admitted(home, policy, device, encoder)
        if ear is not None:
            score = ear.shift.score_one(heard.vector)
            if score is not None:
                ear.moved.learn_one(score, device.visit, probe.number)
                loudest = max(loudest, ear.moved.e_value)
            if begins:
                ear.shift.learn_one(heard.vector)
    for modality, column, misfit in misfits(weighed, policy.drift.attribution, sure):
        stream = _of_person(watch, names[column]).misfit.setdefault(modality, Rises())
        stream.learn_one(misfit, device.visit, probe.number)
        loudest = max(loudest, stream.e_value)
    for column, against in phone_against(weighed, sure):
        phone = _of_person(watch, names[column]).phone
        phone.learn_one(against, device.visit, probe.number)
        loudest = max(loudest, phone.e_value)
    unlike = unlike_habits(weighed, sure)
    if unlike is not None:
        habit = _of_person(watch, names[unlike[0]]).habit
        habit.learn_one(unlike[1], device.visit, probe.number)
        loudest = max(loudest, habit.e_value)
    if probe.heard:
        watch.unknown_voices.learn_one(min(weighed.posterior[0], 1.0), device.visit, probe.number)
        loudest = max(loudest, watch.unknown_voices.e_value)
    tell(turn, value, loudest)


def watch_claim(home: Home, row: Row, claim: Claim) -> None:
    """Learn what a claim about an event says: of its source, and of who it was."""
    watch, names = home.watch, home.panel.names
    if claim.right is None or claim.kind == "enrol":
        return
    if claim.source not in watch.feedback:
        watch.feedback[claim.source] = rate_of("feedback")
    watch.feedback[claim.source].learn_one(1 - claim.right, row.number, row.number)
    for modality, column, misfit in misfits_claimed(row):
        stream = _of_person(watch, names[column]).misfit.setdefault(modality, Rises())
        stream.learn_one(misfit, row.number, row.number)


def _of_person(watch: Watch, person_id: str) -> PersonWatch:
    return watch.people.get(person_id) or watch.people.setdefault(person_id, PersonWatch())


def _met(watch: Watch, device_id: str) -> DeviceWatch:
    """Watch one more device; of too many the one that heard nothing for longest is let go."""
    if len(watch.devices) >= DEVICES_MAX:
        _let_go(watch, min(watch.devices, key=lambda name: watch.devices[name].seen_at))
    return watch.devices.setdefault(device_id, DeviceWatch())


def _let_go(watch: Watch, device_id: str) -> None:
    del watch.devices[device_id]
    watch.told.pop(("device", device_id), None)


def _admitted(home: Home, policy: Policy, device: DeviceWatch, encoder: str) -> Ear | None:
    """Watch one more encoder of a device, if there is room."""
    watch = home.watch
    room = max(FEW_EARS_MIN, EARS_PER_PERSON * len(home.people))
    silent = [name for name, other in watch.devices.items() if other.seen_at < home.stream_time - SILENT_MS and other is not device]
    for name in silent:
        _let_go(watch, name)
    if sum(len(other.ears) for other in watch.devices.values()) >= room:
        return None
    device.ears[encoder] = new_ear(policy, encoder)
    return device.ears[encoder]
