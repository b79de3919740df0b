"""What watches a home, as it is kept with the home's state.

Law: `decode_watch(encode_watch(watch))` goes on exactly as `watch` would.
"""

from typing import Any

from learners.shift import Shift
from learners.stray import Stray

from .detectors import Alarm, DeviceWatch, Ear, PersonWatch, Told, Watch, rate_of
from .policy import Policy

__all__ = ["NOTHING_WATCHED", "decode_watch", "encode_watch"]

NOTHING_WATCHED: list[Any] = [[], [], b"", {}, [], None]


def encode_watch(watch: Watch) -> list[Any]:
    """Plain lists and bytes."""
    alarm = watch.alarm
    return [
        [[name, d.visit, d.seen_at, {e: [*ear.shift.state(), ear.moved.state()] for e, ear in d.ears.items()}]
         for name, d in watch.devices.items()],
        [[name, {e: place.state() for e, place in p.places.items()}, p.strays.state(), p.phone.state(), p.habit.state()] for name, p in watch.people.items()],
        watch.unknown_voices.state(), {source: stream.state() for source, stream in watch.feedback.items()},
        [[*subject, *told] for subject, told in watch.told.items()],
        None if alarm is None else [*alarm.subject, alarm.since, alarm.noticed],
    ]  # fmt: skip


def decode_watch(kept: list[Any], policy: Policy) -> Watch:
    """What was encoded; of an encoder that the policy no longer knows nothing is kept."""
    devices, people, unknown_voices, feedback, told, alarm = kept
    watch = Watch()
    for name, visit, seen_at, ears in devices:
        watch.devices[name] = DeviceWatch(visit, seen_at, {e: _ear(policy, e, *ear) for e, ear in ears.items() if e in policy.encoders})
    for name, places, strays, phone, habit in people:
        person = watch.people[name] = PersonWatch()
        for encoder, place in places.items():
            if encoder in policy.encoders:
                person.places[encoder] = Stray.restored(policy.projection(encoder).dimensions, *place)
        person.strays.load(strays)
        person.phone.load(phone)
        person.habit.load(habit)
    if unknown_voices:
        watch.unknown_voices.load(unknown_voices)
    for source, state in feedback.items():
        watch.feedback[source] = rate_of("feedback")
        watch.feedback[source].load(state)
    watch.told = {(kind, name): Told(*rest) for kind, name, *rest in told}
    watch.alarm = None if alarm is None else Alarm((alarm[0], alarm[1]), alarm[2], alarm[3])
    return watch


def _ear(policy: Policy, encoder: str, seen: int, means: bytes, moved: bytes) -> Ear:
    ear = Ear(Shift.restored(policy.projection(encoder).between, seen, means))
    ear.moved.load(moved)
    return ear
