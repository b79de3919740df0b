"""What watches a home, as it is kept with the home's state.

Law: `decode_watch(encode_watch(watch))` goes on exactly as `watch` would.
"""

from typing import Any, Final

from learners.drift.mean_shift import Shift
from learners.drift.person_shift import Stray
from stream.contract.policy import Policy

from .state.monitors import TOLD_STEP, Alarm, DeviceWatch, Ear, PersonWatch, Told, Watch, rate_of

__all__ = ["NOTHING_WATCHED", "decode_watch", "encode_watch"]

NOTHING_WATCHED: Final[list[Any]] = [[], [], [], b"", {}, [], None]
KINDS: Final = ("device", "person", "encoder", "phone", "habit", "feedback", "unknown_voices", "unknown")  # in bytes by number


def encode_watch(watch: Watch) -> list[Any]:
    """Plain lists and bytes; encoders stand once in a table."""
    of_devices = [encoder for device in watch.devices.values() for encoder in device.ears]
    encoders = list(dict.fromkeys([*of_devices, *[encoder for person in watch.people.values() for encoder in person.places]]))
    alarm = watch.alarm
    return [
        encoders, [_encode_device(name, device, encoders) for name, device in watch.devices.items()],
        [_encode_person(name, person, encoders) for name, person in watch.people.items()],
        watch.unknown_voices.state(), {source: stream.state() for source, stream in watch.feedback.items()},
        [[KINDS.index(kind), name, round(told.log_e_value / TOLD_STEP), told.at, told.settled]
         for (kind, name), told in watch.told.items()],
        None if alarm is None else [KINDS.index(alarm.subject[0]), alarm.subject[1], alarm.since, alarm.noticed],
    ]  # fmt: skip


def _encode_device(name: str, device: DeviceWatch, encoders: list[str]) -> list[Any]:
    ears = [[encoders.index(encoder), *ear.shift.state(), ear.moved.state()] for encoder, ear in device.ears.items()]
    return [name, device.visit, device.seen_at, ears]


def _encode_person(name: str, person: PersonWatch, encoders: list[str]) -> list[Any]:
    places = [[encoders.index(encoder), *place.state()] for encoder, place in person.places.items()]
    return [name, places, person.strays.state(), person.phone.state(), person.habit.state()]


def decode_watch(kept: list[Any], policy: Policy) -> Watch:
    """What was encoded; of an encoder that the policy no longer knows nothing is kept."""
    encoders, devices, people, unknown_voices, feedback, told, alarm = kept
    watch = Watch()
    for name, visit, seen_at, ears in devices:
        known = [(encoders[number], ear) for number, *ear in ears if encoders[number] in policy.encoders]
        watch.devices[name] = DeviceWatch(visit, seen_at, {encoder: _ear(policy, encoder, *ear) for encoder, ear in known})
    for name, *person in people:
        watch.people[name] = _person(policy, encoders, person)
    if unknown_voices:
        watch.unknown_voices.load(unknown_voices)
    for source, state in feedback.items():
        watch.feedback[source] = rate_of("feedback")
        watch.feedback[source].load(state)
    watch.told = {(KINDS[kind], name): Told(steps * TOLD_STEP, at, settled) for kind, name, steps, at, settled in told}
    watch.alarm = None if alarm is None else Alarm((KINDS[alarm[0]], alarm[1]), alarm[2], alarm[3])
    return watch


def _ear(policy: Policy, encoder: str, seen: int, means: bytes, moved: bytes) -> Ear:
    ear = Ear(Shift.restored(policy.projection(encoder).between, seen, means))
    ear.moved.load(moved)
    return ear


def _person(policy: Policy, encoders: list[str], kept: list[Any]) -> PersonWatch:
    person, (places, strays, phone, habit) = PersonWatch(), kept
    for number, seen, usual in places:
        if encoders[number] in policy.encoders:
            dimensions = policy.projection(encoders[number]).dimensions
            person.places[encoders[number]] = Stray.restored(dimensions, seen, usual)
    person.strays.load(strays)
    person.phone.load(phone)
    person.habit.load(habit)
    return person
