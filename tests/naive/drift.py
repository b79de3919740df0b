"""What watches for change, slowly and plainly: the formulas in float64, with no thought of speed.

Law: a reference shares no code with what it is a reference of. Each class can `stand` where a record does, so
that one step of both is compared from the same numbers; what is left is the rounding of one step.
"""

import math
from typing import Any

import numpy as np

__all__ = ["MeanRise", "MeanShift", "PersonShift", "RateChange", "evidence_of_shift", "residual"]

STARTS, DOUBT, CAP = 1000.0, 40.0, 1e12
KEEP = 1 - 1 / STARTS
STEP, CLIP = 0.45, 2.5


class SessionMean:
    """One value of all events of a session, when the next one begins."""

    def __init__(self) -> None:
        self.session = 0
        self.values: list[float] = []

    def learn(self, x: float, session: int) -> tuple[float, float] | None:
        """(mean, independent values it is worth) of the session that ended with this event."""
        done = None
        if session != self.session and self.values:
            k = len(self.values)
            done = sum(self.values) / k, k / (1 + 0.3 * (k - 1))
        if session != self.session:
            self.session, self.values = session, []
        if len(self.values) < 255:
            self.values.append(round(max(-256.0, min(x, 256.0)) * 256) / 256)
        return done


class _Bets:
    SHARES: tuple[float, ...] = ()

    def __init__(self) -> None:
        self.sessions, self.since, self.run, self.bets = SessionMean(), 0.0, 1.0, [0.0] * 3

    @property
    def evidence(self) -> float:
        return sum(b * s for b, s in zip(self.bets, self.SHARES, strict=True))

    @property
    def e_value(self) -> float:
        return self.evidence / STARTS

    def settle(self, factors: list[float], at: int) -> None:
        """R_k ← (keep · R_k + 1) · f_k; the change began when all together last began to win (Page)."""
        before = self.evidence
        new = sum(f * s for f, s in zip(factors, self.SHARES, strict=True))
        bets = [(KEEP * b + 1) * f for b, f in zip(self.bets, factors, strict=True)]
        after = sum(b * s for b, s in zip(bets, self.SHARES, strict=True))
        self.run *= (after - new) / (KEEP * before) if before else 1.0
        if self.run <= 1:
            self.run, self.since = 1.0, at
        self.run, self.bets = min(self.run, CAP), [min(b, CAP) for b in bets]


def cost(delta: float) -> float:
    """1 / E exp(delta · Z), Z standard normal and cut at ±CLIP, by the trapezoidal rule."""
    z = np.linspace(-CLIP, CLIP, 200_001)
    inside = np.trapezoid(np.exp(delta * z - z * z / 2), z) / math.sqrt(2 * math.pi)
    tail = 0.5 * math.erfc(CLIP / math.sqrt(2))
    return float(1 / (inside + tail * 2 * math.cosh(delta * CLIP)))


COSTS = [cost(STEP * k) for k in (1, 2, 3)]


class MeanRise(_Bets):
    """Bets on a rise of real values, whose level and scale are learnt from themselves."""

    SHARES = (1 / 3,) * 3

    def __init__(self) -> None:
        super().__init__()
        self.count = self.weight = self.mean = self.squares = 0.0

    def stand(self, record: Any) -> None:
        """Where a record stands."""
        self.count, self.weight, self.mean, self.squares, *rest = record["numbers"].tolist()
        self.since, self.run, *self.bets = rest

    def numbers(self) -> list[float]:
        """As a record has them."""
        return [self.count, self.weight, self.mean, self.squares, self.since, self.run, *self.bets]

    def learn(self, value: float, session: int, at: int) -> None:
        """An event of a session."""
        done = self.sessions.learn(value, session)
        if done is None:
            return
        x, w = done
        trust = 1.0 if self.count <= 50 else max(DOUBT / (DOUBT + self.evidence), 50 / self.count)
        off = x - self.mean
        if self.count >= 2 and self.squares > 0:
            nu = self.count - 1
            unit = math.sqrt(self.squares / nu * (1 / w + 1 / self.weight))
            u = off / unit
            z = math.copysign((8 * nu + 1) / (8 * nu + 3) * math.sqrt(nu * math.log1p(u * u / nu)), u)
            z = max(-CLIP, min(z, CLIP))
            self.settle([c * math.exp(STEP * k * z) for k, c in enumerate(COSTS, 1)], at)
            wide = 4 * unit * (1 + 20 / nu**2)
            off = max(-wide, min(off, wide))
        weight = self.weight + trust * w
        self.squares += self.weight * trust * w / weight * off * off
        self.mean += trust * w / weight * off
        self.weight, self.count = weight, self.count + trust


class RateChange(_Bets):
    """Bets on other odds of a share, which is learnt from the stream and begun at the fleet's."""

    SHARES = (0.3, 0.3, 0.06)

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate, self.ones, self.weight = rate, 0.0, 0.0

    def stand(self, record: Any) -> None:
        """Where a record stands."""
        self.ones, self.weight, self.since, self.run, *self.bets = record["numbers"].tolist()

    def numbers(self) -> list[float]:
        """As a record has them."""
        return [self.ones, self.weight, self.since, self.run, *self.bets]

    def learn(self, value: float, session: int, at: int) -> None:
        """An event of a session."""
        done = self.sessions.learn(value, session)
        if done is None:
            return
        x, w = done
        rises = 0.3 * self.bets[0] + 0.3 * self.bets[1]
        trust = 1.0 if self.weight <= 30 else max(DOUBT / (DOUBT + rises), 30 / self.weight)
        if self.weight >= 20:
            p = (10 * self.rate + self.ones) / (10 + self.weight)
            stakes = [w * (r - 1) / (1 + p * (r - 1)) for r in (3.0, 5.0, 0.4)]
            self.settle([1 + max(-0.9 / (1 - p), min(stake, 0.9 / p)) * (x - p) for stake in stakes], at)
        self.ones += trust * w * x
        self.weight += trust * w


def _along(off: Any, way: Any) -> float:
    length = float(np.linalg.norm(way))
    return float(off @ way) / length if length else 0.0


class MeanShift:
    """The mean of vectors lately (12) and usually (100), in some dimensions, each at its scale."""

    def __init__(self, heading: Any, scale: Any) -> None:
        self.heading, self.scale, self.seen = heading, np.asarray(scale, np.float64), 0
        self.lately, self.usual = np.zeros(len(heading)), np.zeros(len(heading))

    def score(self, vector: Any) -> float:
        """How far along the way from usual to lately; NaN at first."""
        if self.seen <= 12:
            return math.nan
        way = self.lately - self.usual
        return _along(vector[self.heading] * self.scale - self.usual, way)

    def learn(self, vector: Any) -> None:
        """Count a vector in."""
        self.seen = min(self.seen + 1, 100)
        x = vector[self.heading] * self.scale
        self.lately += max(1 / self.seen, 1 / 12) * (x - self.lately)
        self.usual += (x - self.usual) / self.seen


class PersonShift:
    """Where a person usually is, in some dimensions."""

    def __init__(self, chosen: Any) -> None:
        self.chosen, self.seen, self.usual = chosen, 0, np.zeros(len(chosen))

    def score(self, vector: Any, kept: Any, shares: Any) -> float:
        """How far along the way from usual to where what is kept (n, k) lies; NaN: too little is known."""
        if self.seen < 8 or sum(shares) < 2:
            return math.nan
        way = np.average(kept, axis=0, weights=shares)[self.chosen] - self.usual
        return _along(vector[self.chosen] - self.usual, way)

    def learn(self, vector: Any) -> None:
        """Count a vector in."""
        self.seen = min(self.seen + 1, 100)
        self.usual += (vector[self.chosen] - self.usual) / self.seen


def residual(vector: Any, posterior: Any, kept: list[tuple[Any, Any]], between: Any) -> Any:
    """A vector beside its people's places: means of what is `kept`, drawn to 0 by 1 / between."""
    left = np.array(vector, np.float64)
    for share, (weights, vectors) in zip(posterior, kept, strict=True):
        if share >= 1 / 64:
            mass = np.sum(weights) + 1 / np.asarray(between, np.float64)
            left -= share * (np.asarray(weights) @ np.asarray(vectors)) / mass
    return left


def evidence_of_shift(residuals: Any, weights: Any) -> float:
    """Log Bayes factor, to the power .3, that weighted residuals (n, k) share a shift N(0, ½) a dimension."""
    total, n = np.asarray(weights) @ np.asarray(residuals), float(np.sum(weights))
    return float(0.3 * sum(0.5 * (s * s * 0.5 / (1 + n * 0.5) - math.log(1 + n * 0.5)) for s in total))
