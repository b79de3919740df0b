"""Change in a home: every answered event goes through what watches for it, and every claim.

Law: watching decides nothing about who it was.
"""

from typing import Final

from learners.drift.person_shift import Stray
from learners.kernels.plain import Floats
from stream.contract.records import Recognition
from stream.contract.units import DAY_MS, MINUTE_MS

from ..context import Turn
from ..recognition.evidence import Probe, Weighed
from ..state.home import Home
from ..state.ledger import Claim, Row
from ..state.monitors import EARS_PER_PERSON, DeviceWatch, Ear, PersonWatch, Watch, new_ear, rate_of
from .attribution import attributed, claimed, phone_against, unlike_habits
from .signals import tell

__all__ = ["watch_claim", "watch_event"]

WATCHED_SOURCES: Final = ("voice", "app")  # anybody may speak there; annotators and a PIN outrank them
FEW_EARS_MIN: Final = 2
DEVICES_MAX: Final = 16
SILENT_MS: Final = 30 * DAY_MS  # a device that heard nothing for so long gives its place to another


def watch_event(turn: Turn, value: Recognition, probe: Probe, weighed: Weighed) -> None:
    """Learn from an answered event what it says of change; tell what is to be told."""
    home, drift, at = turn.home, turn.policy.drift, probe.number
    watch, names = home.watch, home.panel.names
    device = watch.devices.get(value.device_id) or _met(watch, value.device_id)
    begins = abs(value.observed_at - device.seen_at) > drift.visit_minutes * MINUTE_MS
    if begins:
        device.visit = at
    device.seen_at, visit = max(device.seen_at, value.observed_at), device.visit
    loudest = 0.0
    for encoder, heard in probe.raw.items():
        ear = device.ears.get(encoder) or _admitted(turn, device, encoder)
        if ear is not None:
            # Whoever spoke, a device adds the same: somebody who is alone for a week must not look like another microphone.
            beside = home.spaces[encoder].beside(heard.vector, weighed.posterior[1:], visit)
            loudest = max(loudest, ear.learn_one(beside, visit, at))
        whose = attributed(weighed, turn.policy.encoders[encoder].modality, drift.attribution, drift.sure)
        if whose is not None:
            loudest = max(loudest, _stray(home, whose, (encoder, heard.vector), visit, at))
    day = int(probe.day)  # one value a day: who leaves a phone behind does so for a day
    for column, against in phone_against(weighed, drift.sure):
        loudest = max(loudest, _of_person(watch, names[column]).phone.learn_one(against, day, at))
    unlike = unlike_habits(weighed, drift.sure)
    if unlike is not None:
        loudest = max(loudest, _of_person(watch, names[unlike[0]]).habit.learn_one(unlike[1], visit, at))
    if probe.heard:
        loudest = max(loudest, watch.unknown_voices.learn_one(min(weighed.posterior[0], 1.0), visit, at))
    tell(turn, value, loudest)


def watch_claim(home: Home, row: Row, claim: Claim) -> None:
    """Learn what a claim about an event says: of its source, and of who it was."""
    if claim.kind == "enrol":
        return
    if claim.right is not None and claim.source in WATCHED_SOURCES:
        if claim.source not in home.watch.feedback:
            home.watch.feedback[claim.source] = rate_of("feedback")
        home.watch.feedback[claim.source].learn_one(1 - claim.right, row.number, row.number)
    column = claimed(row)
    if column is not None:
        for encoder in row.encoders:
            _stray(home, column, (encoder, home.spaces[encoder].vector(row.number)), row.number, row.number)


def _stray(home: Home, column: int, recording: tuple[str, Floats], visit: int, at: int) -> float:
    """Learn how far a recording by an encoder strays from the person whose it surely is; the evidence of that."""
    encoder, vector = recording
    person, kept = _of_person(home.watch, home.panel.names[column]), home.spaces[encoder].kept_before(visit)
    if encoder not in person.places:
        person.places[encoder] = Stray(len(vector))
    place = person.places[encoder]
    score = place.score_one(vector, kept, column)
    if visit == at:
        place.learn_one(vector)
    return 0.0 if score is None else person.strays.learn_one(score, visit, at)


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


def _admitted(turn: Turn, device: DeviceWatch, encoder: str) -> Ear | None:
    """Watch one more encoder of a device, if there is room."""
    home, watch = turn.home, turn.home.watch
    room = max(FEW_EARS_MIN, EARS_PER_PERSON * len(home.people))
    since = home.stream_time - SILENT_MS
    silent = [name for name, other in watch.devices.items() if other.seen_at < since and other is not device]
    for name in silent:
        _let_go(watch, name)
    if sum(len(other.ears) for other in watch.devices.values()) >= room:
        return None
    device.ears[encoder] = new_ear(turn.policy, encoder)
    return device.ears[encoder]
