"""Presence as it is published: the fields of a record, and what it says at another time.

Law: what is published is a function of time, which whoever reads it evaluates at their own; nothing is published merely because
time has passed.
"""

from typing import Any, Final, NamedTuple

from stream.contract.policy import Policy
from stream.contract.units import HOUR_MS
from stream.home.messages import RESULT, ROOMS_MAX
from stream.home.outputs import Fields, round_out
from stream.home.profiles import reader
from stream.home.state.household import Household

__all__ = ["PRESENCE_RESULT", "Present", "presence_fields", "presences_of"]

EVIDENCE: Final = ("voice", "face", "phone", "activity")
_HOUR_S: Final = 3_600
_READ: Final = ("event_at", "probability", "log_e", "posterior", "revision", "name", "rooms", "named", "modalities")
PRESENCE_RESULT: Final = reader(RESULT, _READ)


def presence_fields(household: Household, read: tuple[Any, ...], policy: Policy) -> Fields:
    """Of a result, as the contract has it, but for its cause."""
    (since, home, half_life_h), shares = read[:3], read[3 : -4 - ROOMS_MAX]
    revision, name, *rooms, present, bits = read[-4 - ROOMS_MAX :]
    words, decay = household.words, {"to": policy.presence.home_share, "half_life_s": round(_HOUR_S * half_life_h)}
    told = {words[room]: round_out(share) for room, share in zip(rooms, shares, strict=False) if room}
    return {
        "v": 1, "household_id": household.household_id, "person_id": words[name], "home": home, "present": bool(present),
        "rooms": dict(sorted(told.items(), key=lambda room: (-room[1], room[0]))), "since": since,
        "decay": decay, "evidence": [word for bit, word in enumerate(EVIDENCE) if bits >> bit & 1], "revision": revision,
    }  # fmt: skip


class Present(NamedTuple):
    """What a home published of a person last; `device_id`: where they were, None: nowhere in particular. Times in ms."""

    person_id: str
    home: float
    present: bool
    device_id: str | None
    since: int
    to: float
    half_life_ms: int

    def home_at(self, at_ms: int) -> float:
        """Probability that they are at home at a time; before `since` it is that of then.

        >>> Present("ana", 0.9, True, None, 0, 0.5, 3_600_000).home_at(3_600_000)
        0.7
        """
        faded: float = 2.0 ** (-max(at_ms - self.since, 0) / self.half_life_ms)
        return self.to + (self.home - self.to) * faded


def presences_of(household: Household, policy: Policy) -> list[Present]:
    """Of all members of whom something was published."""
    home, words, members = household.record, household.words, {*household.members}
    return [
        Present(
            person_id, float(entry["home"]), bool(entry["present"]),
            words[int(entry["device_name"])] if entry["device_name"] else None, int(entry["since"]),
            policy.presence.home_share, round(HOUR_MS * float(entry["half_life_h"])),
        )
        for entry in home["presences"][: int(home["presences_used"])]
        for person_id in [household.people[int(entry["person"]) - 1]]
        if entry["since"] and person_id in members
    ]  # fmt: skip
