"""Phones: what hearing somebody's phone tells of who spoke, and how far to trust that phone.

Law: a phone's evidence is bounded by its reliability, and its reliability is learnt only from what other sensors said.

Theory: of a phone that goes with its owner, P(heard | owner speaks) is high and its signal near; of one that lies on the
counter or went to somebody else, hearing it has nothing to do with who speaks. The evidence is the mixture of both, the
weight (Dawid and Skene 1979 call it the worker's reliability) a log-odds moved by how well either explains what was heard,
given who spoke as seen by voice and face alone.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

__all__ = ["PhoneModel", "PhoneReliability", "StrangerPhones"]

SPEAKS: Final = 0.3  # share of a home's events at which one certain person speaks
LOG_ODDS_MIN, LOG_ODDS_MAX = -5.0, 2.0  # a phone can win trust back, and never has all of it
PRIOR_EVENTS: Final = 10.0  # the weight of what is assumed of strangers' phones
EVENTS_MAX: Final = 400.0  # beyond that the older half counts half


@dataclass(frozen=True)
class PhoneModel:
    """How phones are heard, in general."""

    heard_with_owner: float  # share of the owner's events at which the phone is heard
    heard_without: float  # the same when somebody else of the home speaks
    slope_per_db: float  # log-likelihood ratio near : elsewhere, per dB
    rssi_even_dbm: float  # where the signal says nothing
    signal_llr_max: float  # nats: the error is of a session, not of a packet

    def llr(self, rssi_dbm: float | None) -> float:
        """Nats: the owner speaks against somebody else does, if the phone goes with its owner; None: not heard.

        >>> round(PhoneModel(0.9, 0.5, 0.05, -72, 1.5).llr(None), 2)
        -1.61
        """
        if rssi_dbm is None:
            return self._unheard
        signal = self.slope_per_db * (rssi_dbm - self.rssi_even_dbm)
        return self._heard + max(-self.signal_llr_max, min(signal, self.signal_llr_max))

    @cached_property
    def _heard(self) -> float:
        return math.log(self.heard_with_owner / self.heard_without)

    @cached_property
    def _unheard(self) -> float:
        return math.log((1 - self.heard_with_owner) / (1 - self.heard_without))


@dataclass(slots=True)
class PhoneReliability:
    """The log-odds that a phone goes with the person it is registered to.

    Examples
    --------
    >>> phone = PhoneReliability(prior_log_odds=2.2)
    >>> round(phone.predict_one(), 2)
    0.9
    >>> for _ in range(40):  # always heard loudly, whoever speaks
    ...     _ = phone.learn_one(llr=1.5, owner=0.05, rate=0.3)
    >>> phone.predict_one() < 0.2
    True
    """

    prior_log_odds: float
    log_odds: float = 0.0

    @classmethod
    def of(cls, trust: float) -> "PhoneReliability":
        """A phone just registered, trusted so far (0 to 1, both excluded)."""
        return cls(math.log(trust / (1 - trust)))

    def predict_one(self) -> float:
        """Probability that the phone goes with its owner; never 0 or 1."""
        return 1 / (1 + math.exp(-(self.prior_log_odds + self.log_odds)))

    def llr_one(self, llr: float) -> float:
        """What an observation is worth, of a phone that may not be with its owner."""
        trust = self.predict_one()
        return math.log(trust * math.exp(llr) + 1 - trust)

    def learn_one(self, llr: float, owner: float, rate: float) -> float:
        """Learn from one event: `owner` is the probability that the owner spoke, by the other sensors; returns the change.

        Going with its owner, the phone is heard like this with probability proportional to 1 + owner (e^llr - 1); if it
        does not, it is heard in the same way whoever speaks: with the typical share in the place of `owner`.
        """
        informative = 1 + owner * (math.exp(llr) - 1)
        blind = 1 + SPEAKS * (math.exp(llr) - 1)
        before = self.log_odds
        self.log_odds = max(LOG_ODDS_MIN, min(before + rate * math.log(informative / blind), LOG_ODDS_MAX))
        return self.log_odds - before

    def doubt(self) -> None:
        """Trust it no more than even, until it proves itself: it may have changed hands."""
        self.log_odds = max(LOG_ODDS_MIN, min(self.log_odds, -self.prior_log_odds))


@dataclass(slots=True)
class StrangerPhones:
    """How often a phone that nobody registered is heard with guests, and with members: two Beta counts.

    A neighbour's television that is always heard soon says nothing; in a home where only guests bring unknown phones,
    one says much. Counts are fractions of events by who it probably was.
    """

    with_guest: float = 0.0
    guests: float = 0.0
    with_member: float = 0.0
    members: float = 0.0

    def llr_one(self, heard: bool) -> float:
        """Nats: a guest spoke, against a member."""
        guest = (self.with_guest + 0.3 * PRIOR_EVENTS) / (self.guests + PRIOR_EVENTS)
        member = (self.with_member + 0.1 * PRIOR_EVENTS) / (self.members + PRIOR_EVENTS)
        return math.log(guest / member) if heard else math.log((1 - guest) / (1 - member))

    def learn_one(self, heard: bool, guest: float) -> None:
        """Count an event by the probability that a guest spoke; both sides halve when they get long."""
        self.guests += guest
        self.members += 1 - guest
        if heard:
            self.with_guest += guest
            self.with_member += 1 - guest
        if self.guests + self.members > EVENTS_MAX:
            self.with_guest, self.guests, self.with_member, self.members = (
                x / 2 for x in (self.with_guest, self.guests, self.with_member, self.members)
            )
