"""How far to trust that a phone goes with its owner, and what unregistered phones tell of guests.

Law: a phone's evidence is bounded by its reliability, and its reliability is learnt only from what other sensors said.
"""

import math
from typing import Any, ClassVar

import numpy as np
from river import base

from learners.estimators.record_estimator import RecordEstimator, f8, shares, truth
from learners.kernel import array, entry_at_first_use, record
from learners.recognition.phones import (
    LISTENED,
    doubt_phone,
    hear_phones,
    learn_phone,
    learn_strangers,
    phone_llr,
    stranger_llr,
)

__all__ = ["PhoneReliability", "StrangerPhones"]

REGISTRATION = record(("prior_log_odds", "<f8"), ("log_odds", "<f8"), ("from_row", "<i4"), ("person", "<i4"))
PHONE = record(("registrations", REGISTRATION, 1), ("registrations_used", "<i8"))
HOME = record(("phones", PHONE, 1), ("people_used", "<i4"), ("phones_used", "<i4"))  # of one person with one phone
SIGHTING = record(("rssi_dbm", "<f8"), ("phone", "<i8"))
EVENT = record(("sightings", SIGHTING, 1), ("sightings_used", "<i8"), ("scanned", "<i8"))
WORK = record(("heard", "<f8", 1), ("heard_place", "<i8", 1))
POLICY = record(
    ("phone_heard", "<f8"), ("phone_unheard", "<f8"), ("slope_per_db", "<f8"), ("rssi_even_dbm", "<f8"),
    ("signal_llr_max", "<f8"),
)  # fmt: skip
STRANGERS = record(("strangers", "<f8", 4))


@entry_at_first_use(array(HOME), array(EVENT), array(POLICY), array(WORK), shares)
def _hear_phone_one(homes: Any, events: Any, policies: Any, works: Any, out: Any) -> None:
    hear_phones(homes[0], events[0], 0, policies[0], works[0])  # type: ignore[no-untyped-call]
    phone_llr(homes[0], 0, 1.0, works[0], out)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(HOME), f8, f8, f8)
def _learn_phone_one(homes: Any, llr: float, owner: float, rate: float) -> None:
    learn_phone(homes[0].phones[0], 0, llr, owner, rate)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(HOME))
def _doubt_phone_one(homes: Any) -> None:
    doubt_phone(homes[0].phones[0].registrations[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(STRANGERS), truth, result=f8)
def _stranger_llr_one(estimators: Any, heard: bool) -> Any:
    return stranger_llr(estimators[0].strangers, heard)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(STRANGERS), truth, f8)
def _learn_stranger_one(estimators: Any, heard: bool, guest: float) -> None:
    learn_strangers(estimators[0].strangers, heard, guest)  # type: ignore[no-untyped-call]


class PhoneReliability(RecordEstimator, base.Estimator):
    """The log-odds that a phone goes with the person it is registered to.

    Parameters
    ----------
    trust
        Of a phone just registered: the probability that it goes with its owner, 0 to 1, both excluded.
    rate
        How far one event counts.
    heard_with_owner, heard_without
        Shares of events at which such a phone is heard, when its owner speaks and when somebody else does.
    slope_per_db, rssi_even_dbm, signal_llr_max
        What a signal tells beyond having been heard: nats per dB, where it tells nothing, and nats at most.

    Examples
    --------
    >>> phone = PhoneReliability()
    >>> phone.llr_one(-50.0) > phone.llr_one(-90.0) > phone.llr_one(None)
    True
    >>> for _ in range(40):  # always heard loudly, whoever speaks
    ...     phone.learn_one(-50.0, owner=0.05)
    >>> phone.predict_one() < 0.2
    True

    References
    ----------
    Dawid and Skene (1979), *Maximum likelihood estimation of observer error-rates using the EM algorithm*.
    """

    RECORD: ClassVar[Any] = HOME

    def __init__(
        self, trust: float = 0.9, rate: float = 0.3, heard_with_owner: float = 0.87, heard_without: float = 0.5,
        slope_per_db: float = 0.055, rssi_even_dbm: float = -72.0, signal_llr_max: float = 1.5,
    ) -> None:  # fmt: skip
        self.trust, self.rate = trust, rate
        self.heard_with_owner, self.heard_without = heard_with_owner, heard_without
        self.slope_per_db, self.rssi_even_dbm, self.signal_llr_max = slope_per_db, rssi_even_dbm, signal_llr_max
        self._begin()
        phone = self._record[0]["phones"][0]
        self._record["people_used"] = self._record["phones_used"] = phone["registrations_used"] = 1
        phone["registrations"]["person"], phone["registrations"]["prior_log_odds"] = 1, math.log(trust / (1 - trust))

    def _hear(self, rssi_dbm: float | None) -> tuple[float, float]:
        """Nats of an observation: if the phone goes with its owner, and as far as that is so."""
        event, policy, work, found = np.zeros(1, EVENT), np.zeros(1, POLICY), np.zeros(1, WORK), np.zeros(1)
        event["scanned"], policy["phone_heard"] = LISTENED, math.log(self.heard_with_owner / self.heard_without)
        policy["phone_unheard"] = math.log((1 - self.heard_with_owner) / (1 - self.heard_without))
        policy["slope_per_db"], policy["rssi_even_dbm"] = self.slope_per_db, self.rssi_even_dbm
        policy["signal_llr_max"] = self.signal_llr_max
        if rssi_dbm is not None:
            event["sightings_used"], event["sightings"]["rssi_dbm"] = 1, rssi_dbm
        _hear_phone_one(self._record, event, policy, work, found)
        return float(work["heard"][0, 0]), float(found[0])

    def learn_one(self, rssi_dbm: float | None, owner: float) -> None:
        """Learn from a scan (None: the phone was not heard), given the probability that its owner spoke, by other sensors."""
        _learn_phone_one(self._record, self._hear(rssi_dbm)[0], owner, self.rate)

    def llr_one(self, rssi_dbm: float | None) -> float:
        """Nats: the owner spoke, against somebody else did, by a phone that may not be with its owner."""
        return self._hear(rssi_dbm)[1]

    def predict_one(self) -> float:
        """Probability that the phone goes with its owner; never 0 or 1."""
        registration = self._record["phones"]["registrations"][0, 0, 0]
        return float(1 / (1 + math.exp(-(registration["prior_log_odds"] + registration["log_odds"]))))

    def doubt(self) -> None:
        """Trust it no more than even, until it proves itself: it may have changed hands."""
        _doubt_phone_one(self._record)


class StrangerPhones(RecordEstimator, base.Estimator):
    """How often a phone that nobody registered is heard with guests, and with members: two Beta counts.

    A neighbour's television that is always heard soon says nothing; in a home where only guests bring unknown phones, one
    says much.

    Examples
    --------
    >>> strangers = StrangerPhones()
    >>> for _ in range(40):
    ...     strangers.learn_one(True, guest=0.9)
    ...     strangers.learn_one(False, guest=0.1)
    >>> round(strangers.llr_one(True), 1), round(strangers.llr_one(False), 1)
    (2.1, -1.4)
    """

    RECORD: ClassVar[Any] = STRANGERS

    def __init__(self) -> None:
        self._begin()

    def learn_one(self, heard: bool, guest: float) -> None:
        """Count an event by the probability that a guest spoke."""
        _learn_stranger_one(self._record, heard, guest)

    def llr_one(self, heard: bool) -> float:
        """Nats: a guest spoke, against a member."""
        return float(_stranger_llr_one(self._record, heard))
