"""Drift: evidence that a stream of numbers is no longer what it was, good at any time, with no level told beforehand.

Law: as long as nothing changes, evidence stays small: the e-value has a mean of at most 1 at any fixed time, and reaches
`threshold(n)` about once in n values (what is proven and what is measured of this: docs/drift.md). One value multiplies
evidence by a bounded factor, and moves what is learnt by a bounded amount.

Theory: e-detectors after Shin, Ramdas and Rinaldo (2022), in the form of Shiryaev and Roberts. For every bet k on a size
of change, R_k ← (keep · R_k + 1) · f_k(x), where the factor f_k has a mean of at most 1 given the past: the sum, over all
moments at which the change may have begun, of what that bet has won since. The evidence M is the weighted mean of the R_k.
`keep` fades beginnings of long ago, so that E[M] ≤ STARTS always: M / STARTS is an e-value at any fixed time, as a
decision over a fleet needs it (e-BH). And M grows by at most 1 a value on average: mean time to a false M ≥ A is at least A.

What it was before is learnt from the same stream. Once there is evidence for a change, values are learnt by less, as far
as the evidence *before* each says: a weight that does not look at its own value leaves the mean of what is learnt right.

A value must be independent of the ones before. Events of one visit are not: `VisitMean` makes one value of them, and says
how many independent ones it is worth.
"""

import math
import operator
from collections.abc import Sequence
from typing import ClassVar, Final, Self

__all__ = ["STARTS", "Level", "Rate", "Rise", "VisitMean", "threshold"]

STARTS: Final = 1000.0  # values: beginnings of longer ago are forgotten; less dulls slow changes, more dulls e-values
KEEP: Final = 1 - 1 / STARTS
DOUBT: Final = 40.0  # evidence at which a value is learnt by half: more notices a rate later, less alarms wrongly more often
EVIDENCE_MAX: Final = 1e12  # of one bet: enough for any decision, far from what a float cannot hold, soon lost again
OVERSHOOT: Final = 0.75  # evidence does not stop at a threshold but jumps over it: that much lower, it is as rare as asked for
VALUE_MAX: Final = 1e100  # what squares to a number that a float still holds

LEVEL_SURE: Final = 50.0  # values that are learnt wholly, and from then on this part of all: a wrong first guess mends itself
CLIP: Final = 2.5  # standard deviations: all that one value may say
LEARNT_MAX: Final = 4.0  # standard deviations: beyond, a value moves level and scale no further
STEP: Final = 0.45  # standard deviations; bets of Level: on shifts by one step and by two, up and down; of Rise: one to three

RATE_WEIGHT: Final = 10.0  # values' worth of the rate that is assumed at first
RATE_SURE: Final = 30.0  # the same for Rate, of which there is less to learn: the more it learns, the later it notices
CALM: Final = 20.0  # values before Rate bets: until then its level is the fleet's, which may not be this stream's
RATIOS: Final = (3.0, 5.0, 0.4)  # bets of Rate: the odds multiplied by that
RISES: Final = 2  # bets of Rate on a rise. Only these raise doubt: who doubts a fall, too, never forgets a rise that was passing
GAINS: Final = tuple(ratio - 1 for ratio in RATIOS)
SHARES: Final = (0.3, 0.3, 0.06)  # rises matter more; a third is held back, since a rate learnt from few ones is rough
STAKE_MAX: Final = 0.9  # of what a bet has: what one value may lose it

VISIT_CORRELATION: Final = 0.3  # of two events of one visit, assumed


def threshold(values_between_false_alarms: float) -> float:
    """The `log_e_value` at which to alarm, for at most one false alarm in so many values of a stream.

    Promised for 0.75 of that (E[M] grows by at most 1 a value), measured to hold for all of it (docs/drift.md).

    >>> round(threshold(73_000), 2)
    4.0
    """
    return math.log(OVERSHOOT * values_between_false_alarms / STARTS)


def _log_mgf(delta: float) -> float:
    """ln E exp(delta · Z), Z standard normal and cut at ±CLIP: what a bet on a shift by delta costs a value."""
    below = [0.5 * math.erfc(x / math.sqrt(2)) for x in (CLIP - delta, CLIP + delta, CLIP)]
    inside = math.exp(delta * delta / 2) * (1 - below[0] - below[1])
    return math.log(inside + 2 * math.cosh(delta * CLIP) * below[2])


COSTS: Final = tuple(math.exp(-_log_mgf(k * STEP)) for k in (1, 2))
GREAT_COST: Final = math.exp(-_log_mgf(3 * STEP))


class _Detector:
    """Bets, and what is said of them; what to bet on is the business of the detectors below."""

    __slots__ = ("_bets", "_evidence", "_run", "since")
    SHARES: ClassVar[Sequence[float]]
    SURE: ClassVar[float]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, evidence and what was learnt: for after a change that was confirmed, and dealt with."""
        self._place((0.0, 1.0, *(0.0 for _ in self.SHARES)))

    def _place(self, state: Sequence[float]) -> None:
        self.since, self._run, *self._bets = state
        self._evidence = _weighed(self._bets, self.SHARES)

    @property
    def log_e_value(self) -> float:
        """Nats of evidence for a change; minus infinity before the first bet. Compare with `threshold`, or hand to e-BH."""
        return math.log(self._evidence / STARTS) if self._evidence else -math.inf

    @property
    def e_value(self) -> float:
        """The evidence itself, 0 before the first bet."""
        return self._evidence / STARTS

    def _settle(self, factors: Sequence[float], at: float) -> None:
        """Pay out every bet, old and new; the change began when all together last began to win (Page 1954)."""
        bets = [(bet * KEEP + 1) * factor for bet, factor in zip(self._bets, factors, strict=True)]
        evidence, new = _weighed(bets, self.SHARES), _weighed(factors, self.SHARES)
        self._run *= (evidence - new) / (self._evidence * KEEP) if self._evidence else 1.0
        if self._run <= 1:
            self._run, self.since = 1.0, at
        if max(bets) > EVIDENCE_MAX:
            self._run = min(self._run, EVIDENCE_MAX)
            bets = [min(bet, EVIDENCE_MAX) for bet in bets]
            evidence = _weighed(bets, self.SHARES)
        self._bets, self._evidence = bets, evidence

    def _stakes(self) -> tuple[float, ...]:
        return (self.since, self._run, *self._bets)

    def _trust(self, learnt: float, evidence: float) -> float:
        """By how much to learn the next value, after so many, as one of the old kind: 1 without evidence, then less."""
        return 1.0 if learnt <= self.SURE else max(DOUBT / (DOUBT + evidence), self.SURE / learnt)


def _weighed(bets: Sequence[float], shares: Sequence[float]) -> float:
    """The sum of bets by their shares; of fewer bets only their own."""
    return float(sum(map(operator.mul, bets, shares)))


def _checked(x: float) -> float:
    if not -VALUE_MAX < x < VALUE_MAX:
        raise ValueError(f"a detector was given {x}: values are finite, and between ±{VALUE_MAX:g}")
    return x


class Level(_Detector):
    """Whether the mean of real values moved; their level and scale before are learnt from themselves.

    Values are turned into recursive residuals (Brown, Durbin and Evans 1975): how far a value is from the mean of those
    before it, in their standard deviations, as Student's t made normal. With normal values these are independent and
    standard normal whatever level and scale are, from the third value on, while all are learnt wholly. They are cut at
    ±CLIP, so that tails count little. Values of few kinds (yes or no, a handful of steps) are not for this detector but
    for `Rate`.

    Examples
    --------
    >>> level = Level()
    >>> for n in range(200):
    ...     level.learn_one(7 + n * 37 % 101 / 50, at=n)
    >>> level.log_e_value < threshold(73_000)
    True
    >>> for n in range(200, 240):
    ...     level.learn_one(8 + n * 37 % 101 / 50, at=n)
    >>> level.log_e_value > threshold(73_000), 190 < level.since < 210
    (True, True)
    """

    __slots__ = ("count", "mean", "squares", "weight")
    SHARES: ClassVar[Sequence[float]] = (0.25,) * 4
    SURE = LEVEL_SURE

    def reset(self) -> None:
        super().reset()
        self.count = 0.0  # values learnt
        self.weight = 0.0  # independent values that they were worth
        self.mean = 0.0
        self.squares = 0.0  # sum of weighted squares about the mean

    def learn_one(self, x: float, at: float = 0.0, w: float = 1.0) -> None:
        """Bet on a value, then learn it.

        Parameters
        ----------
        x
            The value; ValueError if it is not finite.
        at
            When, in any unit that does not run backwards; `since` is told in it.
        w
            How many independent values this one is the mean of; at least 1 (see `VisitMean`).
        """
        off = _checked(x) - self.mean
        trust = self._trust(self.count, self._evidence)
        unit = self._unit(w)
        if unit:
            self._settle(self._factors(off / unit), at)
            wide = unit * LEARNT_MAX * (1 + 20 / (self.count - 1) ** 2)  # a scale learnt from few is often far too small
            off = max(-wide, min(off, wide))
        weight = trust * w
        share = weight / (self.weight + weight)
        self.squares += self.weight * share * off * off
        self.mean += share * off
        self.weight += weight
        self.count += trust

    def _unit(self, w: float) -> float:
        """Standard deviation of how far a value worth `w` is from the mean learnt; 0: not known yet."""
        if self.count < 2:
            return 0.0
        return math.sqrt(self.squares / (self.count - 1) * (1 / w + 1 / self.weight))

    def _factors(self, u: float) -> Sequence[float]:
        """What the bets win on a value so many units from the mean."""
        up = math.exp(STEP * self._normal(u))
        down, (one, two) = 1 / up, COSTS
        return one * up, two * up * up, one * down, two * down * down

    def _normal(self, u: float) -> float:
        """Student's t with count − 1 degrees of freedom made normal (Wallace 1959), and cut."""
        nu = self.count - 1
        z = (8 * nu + 1) / (8 * nu + 3) * math.sqrt(nu * math.log1p(u * u / nu))
        return math.copysign(min(z, CLIP), u)

    def state(self) -> tuple[float, ...]:
        """All there is to keep: six numbers and one for each bet."""
        return (self.count, self.weight, self.mean, self.squares, *self._stakes())

    @classmethod
    def restored(cls, state: Sequence[float]) -> Self:
        """The detector that `state` was taken from: goes on exactly as if it had never stopped."""
        own = cls()
        own.load(state)
        return own

    def load(self, state: Sequence[float]) -> None:
        """Stand where `state` was taken."""
        self.count, self.weight, self.mean, self.squares = state[:4]
        self._place(state[4:])


class Rise(Level):
    """Whether the mean of real values rose: as `Level`, with all its bets on that side, and one on a greater rise.

    Examples
    --------
    >>> rise = Rise()
    >>> for n in range(200):
    ...     rise.learn_one(n * 37 % 101 / 50 - n / 100, at=n)
    >>> rise.log_e_value < 0
    True
    """

    __slots__ = ()
    SHARES = (1 / 3,) * 3

    def _factors(self, u: float) -> Sequence[float]:
        up = math.exp(STEP * self._normal(u))
        one, two = COSTS
        return one * up, two * up * up, GREAT_COST * up * up * up


class Rate(_Detector):
    """Whether a share moved: of errors, disagreements, contradictions, unknown voices.

    A value is 0 or 1, or the share of ones in a visit. A bet on other odds is fair whatever the distribution within 0
    to 1, since it pays linearly. The rate before is learnt from the stream, begun at the fleet's.

    Parameters
    ----------
    rate
        The fleet's: what the rate is assumed to be at first, between 0 and 1.
    rate_weight
        How many values' worth of that is assumed.

    Examples
    --------
    >>> errors = Rate()
    >>> for n in range(300):
    ...     errors.learn_one(n % 20 == 0, at=n)
    >>> errors.log_e_value < threshold(73_000)
    True
    >>> for n in range(300, 380):
    ...     errors.learn_one(n % 4 == 0, at=n)
    >>> errors.log_e_value > threshold(73_000), 290 < errors.since < 320
    (True, True)
    """

    __slots__ = ("ones", "rate", "rate_weight", "weight")
    SHARES = SHARES
    SURE = RATE_SURE

    def __init__(self, rate: float = 0.05, rate_weight: float = RATE_WEIGHT) -> None:
        self.rate, self.rate_weight = rate, rate_weight
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self.ones = 0.0
        self.weight = 0.0  # independent values learnt

    def learn_one(self, x: float, at: float = 0.0, w: float = 1.0) -> None:
        """Bet on a value, then learn it; parameters as of `Level`, but that `x` is within 0 to 1 (else ValueError)."""
        if not 0 <= x <= 1:
            raise ValueError(f"a detector of rates was given {x}: values are shares, within 0 to 1")
        trust = self._trust(self.weight, _weighed(self._bets[:RISES], SHARES))
        if self.weight >= CALM:
            self._settle(self._factors(x, w), at)
        self.ones += trust * w * x
        self.weight += trust * w

    def predict_one(self) -> float:
        """The share of ones as learnt so far."""
        return (self.rate * self.rate_weight + self.ones) / (self.rate_weight + self.weight)

    def _factors(self, x: float, w: float) -> Sequence[float]:
        """What the bets win: 1 + stake · (x − p), the stake that of the likelihood ratio of `w` values, as far as it is safe."""
        p = self.predict_one()
        lowest, highest, off = -STAKE_MAX / (1 - p), STAKE_MAX / p, x - p
        # Odds multiplied by r: the likelihood ratio of one value is 1 + (r - 1) / (1 + p (r - 1)) · (x - p).
        return [1 + max(lowest, min(w * gain / (1 + p * gain), highest)) * off for gain in GAINS]

    def state(self) -> tuple[float, ...]:
        """All there is to keep: seven numbers."""
        return (self.ones, self.weight, *self._stakes())

    @classmethod
    def restored(cls, state: Sequence[float], rate: float = 0.05, rate_weight: float = RATE_WEIGHT) -> Self:
        """The detector that `state` was taken from: goes on exactly as if it had never stopped."""
        own = cls(rate, rate_weight)
        own.load(state)
        return own

    def load(self, state: Sequence[float]) -> None:
        """Stand where `state` was taken."""
        self.ones, self.weight = state[:2]
        self._place(state[2:])


class VisitMean:
    """One value of all events of a visit, said when the visit is over, that is, when the next one begins.

    Events of one visit share a voice with a cold, a place in the room, a mood. k events of which any two are correlated
    by c are worth k / (1 + (k - 1) c) independent ones.

    Examples
    --------
    >>> visits = VisitMean(correlation=1.0)
    >>> [visits.learn_one(x, visit) for x, visit in [(1.0, 7), (2.0, 7), (5.0, 8)]]
    [None, None, (1.5, 1.0)]
    """

    __slots__ = ("correlation", "events", "total", "visit")

    def __init__(self, correlation: float = VISIT_CORRELATION) -> None:
        self.correlation = correlation
        self.visit = 0  # which one is going on
        self.total = 0.0
        self.events = 0

    def learn_one(self, x: float, visit: int) -> tuple[float, float] | None:
        """Count an event; if it is the first of another visit: mean and weight of the one before, for a detector."""
        done = None
        if visit != self.visit:
            done = self.flush()
            self.visit = visit
        self.total += x
        self.events += 1
        return done

    def flush(self) -> tuple[float, float] | None:
        """Mean and weight of the visit going on, which ends with this; None when there was no event."""
        k, total = self.events, self.total
        self.total, self.events = 0.0, 0
        return (total / k, k / (1 + (k - 1) * self.correlation)) if k else None

    def state(self) -> tuple[int, float, int]:
        """All there is to keep."""
        return self.visit, self.total, self.events

    @classmethod
    def restored(cls, state: tuple[int, float, int], correlation: float = VISIT_CORRELATION) -> Self:
        """What `state` was taken from."""
        own = cls(correlation)
        own.visit, own.total, own.events = state
        return own
