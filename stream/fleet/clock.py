"""What time it is in a fleet: as late as several of its homes say.

Law: no home alone moves the fleet's time far, and so makes late what the others say. What a home says ahead of it waits.

Theory of operation: each home's time is what its own records agree on (`home/core/admission`), which may be wrong. A signal that
is no more than a day ahead moves the fleet's time; one further ahead does when a twentieth of the homes agree, two at least,
or when one home says so three times while no other speaks. The time that one home alone has ever told gives way to another's.
"""

from dataclasses import dataclass, field
from typing import Final

from stream.contract.units import DAY_MS

__all__ = ["APART_MS", "FleetClock"]

APART_MS: Final = 30 * DAY_MS  # further apart homes do not agree; every home speaks once a week
_ALONE_MAX: Final = 3  # words in a row
_QUORUM: Final = 20  # of so many homes one


@dataclass(slots=True)
class FleetClock:
    """Whose word the fleet's time is."""

    alone: str | None = None  # the household that told it, as long as no other spoke
    ahead: dict[str, int] = field(default_factory=dict)  # households that are ahead of it, and their times (ms)
    run: tuple[str, int] = ("", 0)  # who spoke ahead last, and how often in a row

    def hear(self, household: str, at: int, time: int, homes: int) -> int:
        """The fleet's time after a household's word of its own (ms), of so many homes that spoke lately; it may be earlier."""
        if not time:
            self.alone = household
            return at
        if self.alone is not None and self.alone != household:
            self.alone = None
            if at < time - DAY_MS:
                self.alone = household
                return at
        if at <= time + (DAY_MS if self.alone is None else APART_MS):
            self.ahead.pop(household, None)
            self.run = ("", 0)
            return max(time, at)
        self._leave_behind(time)
        self.ahead[household] = max(at, self.ahead.get(household, 0))
        self.run = (household, self.run[1] + 1 if self.run[0] == household else 1)
        agreeing = sorted(other for other in self.ahead.values() if abs(other - at) <= APART_MS)
        needed = max(2, homes // _QUORUM)
        if len(agreeing) < needed and self.run[1] < _ALONE_MAX:
            return time
        time = agreeing[-needed] if len(agreeing) >= needed else at
        self._leave_behind(time)
        return time

    def _leave_behind(self, time: int) -> None:
        """Who is not ahead of the fleet's time any more agrees with nobody who is."""
        self.ahead = {household: at for household, at in self.ahead.items() if at > time + DAY_MS}

    def forget(self, household: str) -> None:
        """A household is to be named no more."""
        self.alone = None if self.alone == household else self.alone
        self.ahead.pop(household, None)
        self.run = ("", 0) if self.run[0] == household else self.run
