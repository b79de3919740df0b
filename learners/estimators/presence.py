"""Who is usually met: the prior of every answer.

Law: counted in whole share steps, so that giving an event another owner takes exactly the old one back.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import numpy as np
from river import base

from learners.estimators.habits import PEOPLE_MAX
from learners.estimators.record_estimator import Name, Names, RecordEstimator, i8, native, shares
from learners.kernel import array, entry_at_first_use, record
from learners.precision import SHARE_ONE
from learners.recognition.presence import count_presence, fade_presence, log_prior

__all__ = ["Presence"]

MEMBERSHIP = record(("left_at", "<i8"))
PERSON = record(("memberships", MEMBERSHIP, 1), ("presence", "<i4"), ("memberships_used", "<i4"))
PRESENCE = record(("guest_presence", "<i4"), ("people_used", "<i4"), ("people", PERSON, PEOPLE_MAX))
POLICY = record(("guest_share", "<f8"), ("guest_weight", "<f8"), ("person_weight", "<f8"), ("presence_events_max", "<f8"))


@entry_at_first_use(array(PRESENCE), i8, i8)
def _count_presence_one(homes: Any, place: int, steps: int) -> None:
    count_presence(homes[0], place, steps)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(PRESENCE), array(POLICY))
def _fade_presence_one(homes: Any, policies: Any) -> None:
    fade_presence(homes[0], policies[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(PRESENCE), array(POLICY), shares)
def _log_prior_one(homes: Any, policies: Any, out: Any) -> None:
    log_prior(homes[0], 0, policies[0], out)  # type: ignore[no-untyped-call]


class Presence(RecordEstimator, base.Estimator):
    """How often each person is met, and guests: a Dirichlet-multinomial, the guests' share a Beta of its own.

    Parameters
    ----------
    guest_share, guest_weight
        The share of guests that is assumed at first, and how many events' worth that is.
    person_weight
        How many events' worth of "everybody is met as often" there is for each person.
    events_max
        When so many events are counted all counts are halved: old presence fades.
    guest
        The label of who is nobody of the home.

    Examples
    --------
    >>> presence = Presence()
    >>> for _ in range(30):
    ...     presence.learn_one("anna")
    >>> presence.learn_one({"anna": 0.25, "bert": 0.75})
    >>> {who: round(p, 2) for who, p in presence.predict_proba_one().items()}
    {'guest': 0.11, 'anna': 0.59, 'bert': 0.3}
    """

    RECORD: ClassVar[Any] = PRESENCE

    def __init__(
        self, guest_share: float = 0.2, guest_weight: float = 40.0, person_weight: float = 30.0, events_max: float = 400.0,
        guest: str = "guest",
    ) -> None:  # fmt: skip
        self.guest_share, self.guest_weight, self.person_weight = guest_share, guest_weight, person_weight
        self.events_max = events_max
        self.guest = guest
        self._begin(Names(PEOPLE_MAX, "people"))

    def _policy(self) -> Any:
        policy = np.zeros(1, POLICY)
        policy["guest_share"], policy["guest_weight"] = self.guest_share, self.guest_weight
        policy["person_weight"], policy["presence_events_max"] = self.person_weight, self.events_max
        return policy

    def learn_one(self, y: Name | Mapping[Name, float]) -> None:
        """Count an event: whose it is, or what share of it is whose."""
        self._count(y, 1)

    def unlearn_one(self, y: Name | Mapping[Name, float]) -> None:
        """Take an event back exactly, as long as no counts were halved since."""
        self._count(y, -1)

    def _count(self, y: Name | Mapping[Name, float], sign: int) -> None:
        shares, (people,) = y if isinstance(y, Mapping) else {y: 1.0}, self._names
        for name, share in shares.items():
            place = 0 if name == self.guest else people.learn(native(name)) + 1
            self._record["people_used"], self._record["people"]["memberships_used"] = len(people.listed), 1
            _count_presence_one(self._record, place, sign * round(share * SHARE_ONE))
        _fade_presence_one(self._record, self._policy())

    def predict_proba_one(self, away: Collection[Name] = ()) -> dict[Name, float]:
        """Probability that an event is a guest's, or each person's; 0 of those who do not belong any more (`away`)."""
        (people,), found, home = self._names, np.zeros(PEOPLE_MAX + 1), self._record.copy()
        home["people"]["memberships"]["left_at"][0, : len(people.listed), 0] = [name in away for name in people.listed]
        _log_prior_one(home, self._policy(), found)
        listed = [self.guest, *(name for name in people.listed if name is not None)]
        return dict(zip(listed, np.exp(found[: len(listed)]).tolist(), strict=True))

    def predict_one(self, away: Collection[Name] = ()) -> Name:
        """Who is met most."""
        found = self.predict_proba_one(away)
        return max(found, key=found.__getitem__)
