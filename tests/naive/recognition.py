"""Who it was, slowly and plainly: the formulas of recognition and of claims in float64, with no thought of speed.

Law: a reference shares no code with what it is a reference of: numbers in lists, one sum after the other, from the
docstrings alone. Vectors, masses and shares are real numbers here; what a record rounds is rounded by whoever compares.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Calibration", "Gallery", "Habits", "Heard", "Levels", "Model", "Phones", "Tail", "claim_nats", "evidence_of_run",
    "expected_right", "log_odds", "prior", "softmax", "surprise", "threshold_moved", "weighed",
]  # fmt: skip

Vector = list[float]


# ---- fusion


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities proportional to exp(logits)."""
    most = max(logits)
    odds = [math.exp(x - most) for x in logits]
    return [x / sum(odds) for x in odds]


def log_odds(p: float) -> float:
    """Nats; infinite at 0 and 1."""
    if 0 < p < 1:
        return math.log(p) - math.log(1 - p)
    return math.inf if p >= 1 else -math.inf


# ---- the gallery


@dataclass
class Model:
    """What vectors are compared by: variances between people, and of a person's moves between channels."""

    between: Vector
    temperature: float
    noise: Vector  # by channel
    shift: list[Vector]  # by channel of what is known, by channel of the probe
    per_day: float
    most: float
    llr_max: float = 7.9


@dataclass
class Heard:
    """One recording: what it is, when (days), by which channel, how noisy, and whose (by person)."""

    vector: Vector
    day: float
    channel: int
    noise: float
    shares: Vector = field(default_factory=list)


@dataclass
class Tail:
    """The folded past of one person in one channel."""

    vector: Vector
    day: float
    channel: int
    mass: float

    def fold(self, vector: Vector, day: float, worth: float, mass_max: float) -> None:
        """Take in a recording that is worth so many; a full tail forgets as much as it takes in."""
        part = worth / (self.mass + worth)
        self.vector = [(1 - part) * mean + part * x for mean, x in zip(self.vector, vector, strict=True)]
        self.day = (1 - part) * self.day + part * day
        self.mass = min(self.mass + worth, mass_max)


@dataclass
class Levels:
    """Centre, scale and spread of people, of vectors of an encoder that nobody fitted."""

    centre: Vector
    scale: float
    between: float

    @classmethod
    def of(cls, rows: list[Heard], tails: list[list[Tail]], between: float) -> "Levels":
        """As far as recordings tell them; the scale and the spread as if four more had told 1 and `between`."""
        k = len(rows[0].vector)
        everything = [(1.0, row.vector) for row in rows] + [(tail.mass, tail.vector) for own in tails for tail in own]
        count = sum(mass for mass, _ in everything)
        centre = [sum(mass * x[i] for mass, x in everything) / count for i in range(k)]
        total = sum(mass * _mean_square(x, centre) for mass, x in everything)
        apart_within, freedom = 0.0, 0.0
        for person in range(len(tails)):
            mass = sum(row.shares[person] for row in rows)
            mean = [sum(row.shares[person] * row.vector[i] for row in rows) / max(mass, 1e-3) for i in range(k)]
            apart_within += sum(row.shares[person] * _mean_square(row.vector, mean) for row in rows)
            freedom += max(mass - 1, 0)
        within = (4 + apart_within) / (4 + freedom)
        apart = max(total / count / within - 1, 0.25)
        return cls(centre, 1 / math.sqrt(within), (4 * between + count * apart) / (4 + count))


def _mean_square(x: Vector, mean: Vector) -> float:
    return sum((a - b) ** 2 for a, b in zip(x, mean, strict=True)) / len(x)


@dataclass
class Gallery:
    """What is kept of people's recordings: two-covariance PLDA with forgetting and channels."""

    model: Model
    rows: list[Heard]
    tails: list[list[Tail]]  # by person

    def weight(self, noise: float, age: float) -> float:
        """Of a whole recording seen so many days from the probe: 1 / (n + min(q |t|, q_max))."""
        return 1 / (noise + min(self.model.per_day * abs(age), self.model.most))

    def told_of(self, person: int, probe: Heard, without: int = -1) -> list[tuple[int, float, Vector]]:
        """(channel, weight, vector) of all that tells of a person; of a row less than .002 tells nothing."""
        noise = self.model.noise
        found = [(t.channel, t.mass * self.weight(noise[t.channel], t.day - probe.day), t.vector) for t in self.tails[person]]
        for i, row in enumerate(self.rows):
            weight = row.shares[person] * self.weight(row.noise, row.day - probe.day)
            if i != without and weight > 0.002:
                found.append((row.channel, weight, row.vector))
        return found

    def known(self, told: list[tuple[int, float, Vector]], channel: int) -> tuple[Vector, float]:
        """Weighted sum and mass for a probe of a channel: of each channel, M together counts 1 / (1 / M + d)."""
        total, mass = [0.0] * len(self.model.between), 0.0
        for of in range(len(self.model.noise)):
            own = [(weight, vector) for c, weight, vector in told if c == of]
            found = sum(weight for weight, _ in own)
            if found > 0:
                part = 1 / (1 / found + self.model.shift[of][channel])
                mass += part
                for k in range(len(total)):
                    total[k] += part / found * sum(weight * vector[k] for weight, vector in own)
        return total, mass

    def llr(self, probe: Heard, total: Vector, mass: float) -> float:
        """N(x; m, 1 / precision + n) against N(x; 0, between + n), tempered."""
        if mass <= 1e-3:
            return 0.0
        nats = 0.0
        for x, between, t in zip(probe.vector, self.model.between, total, strict=True):
            precision = 1 / between + mass
            own, anybody = 1 / precision + probe.noise, between + probe.noise
            nats += _log_normal(x - t / precision, own) - _log_normal(x, anybody)
        return max(-self.model.llr_max, min(self.model.temperature * nats, self.model.llr_max))

    def compare(self, probe: Heard, without: int = -1) -> list[float]:
        """Nats of each person."""
        people = range(len(self.tails))
        return [self.llr(probe, *self.known(self.told_of(p, probe, without), probe.channel)) for p in people]

    def compare_rows(self, probe: Heard, without: int = -1) -> list[float]:
        """Nats of whoever made each one recording; 0 of the probe itself, and of what people own to three quarters."""
        found = []
        for i, row in enumerate(self.rows):
            told = [(row.channel, self.weight(row.noise, row.day - probe.day), row.vector)]
            strangers = i != without and sum(row.shares) < 0.75
            found.append(self.llr(probe, *self.known(told, probe.channel)) if strangers else 0.0)
        return found

    def expect(self, probe: Heard, shares: Vector) -> tuple[Vector, float]:
        """Where people with these shares would put the probe, and how surely: a mean counts by mass / (mass + 1)."""
        mean, sure = [0.0] * len(self.model.between), 0.0
        for person, share in enumerate(shares):
            total, mass = self.known(self.told_of(person, probe), probe.channel)
            if share > 0 and mass > 1e-3:
                part = share * mass / (mass + 1)
                sure += part
                mean = [m + part * t / mass for m, t in zip(mean, total, strict=True)]
        return ([m / sure for m in mean] if sure > 0 else mean), sure


def _log_normal(off: float, variance: float) -> float:
    return -0.5 * (off * off / variance + math.log(2 * math.pi * variance))


# ---- calibration


class Calibration:
    """Logistic regression on ratios by sensor, by gradient descent from weight 1 and offset 0."""

    RATE = 0.03

    def __init__(self) -> None:
        self.weights, self.offset, self.learnt = [1.0, 1.0], 0.0, 0

    def learn(self, ratios: Sequence[float], right: bool, weight: float) -> None:
        """One step."""
        z = self.offset + sum(w * x for w, x in zip(self.weights, ratios, strict=True))
        error = weight * (1 / (1 + math.exp(-z)) - right)
        self.weights = [w - self.RATE * error * x for w, x in zip(self.weights, ratios, strict=True)]
        self.offset, self.learnt = self.offset - self.RATE * error, self.learnt + 1

    def llr(self, ratios: Sequence[float]) -> float:
        """What is believed of that: weights of .6 to 1.4, an offset of at most .7."""
        if not self.learnt or not any(ratios):
            return sum(ratios)
        bounded = [max(0.6, min(w, 1.4)) for w in self.weights]
        return max(-0.7, min(self.offset, 0.7)) + sum(w * x for w, x in zip(bounded, ratios, strict=True))


# ---- habits


class Habits:
    """Every event, and counts made of all of them when they are asked for."""

    def __init__(self, half_life_days: float) -> None:
        self.half_life_days = half_life_days
        self.events: list[tuple[float, str, dict[str, object], float]] = []  # day, who, values by feature, share

    def learn(self, day: float, who: str, values: Mapping[str, object], share: float) -> None:
        """An event, or (negative) one that is taken back."""
        self.events.append((day, who, dict(values), share))

    def count(self, feature: str, who: str | None = None, value: object = None) -> float:
        """Faded events: of one person or all, with one value or any."""
        last, found = max((day for day, *_ in self.events), default=0.0), 0.0
        for day, own, values, share in self.events:
            if who in (None, own) and (value is None or values[feature] == value):
                found += share * 0.5 ** ((last - day) / self.half_life_days)
        return found

    def llr(self, who: str, asked: Mapping[str, object]) -> float:
        """One person against everybody: the square root of a product over features, at most one nat."""
        ratio = 1.0
        for feature, value in asked.items():
            values = {values[feature] for *_, values, _ in self.events}
            there = [v for v in values if self.count(feature, value=v) > 1e-9]
            if value in there:
                everybody = (self.count(feature, value=value) + 1) / (self.count(feature) + len(there) + 1)
                own = (self.count(feature, who, value) + 8 * everybody) / (self.count(feature, who) + 8)
                ratio *= own / everybody
        return max(-1.0, min(0.5 * math.log(ratio), 1.0))


# ---- presence, phones


def prior(guest: float, people: Sequence[float | None], share: float, weights: tuple[float, float]) -> list[float]:
    """Probabilities of guest and people from events counted (None: does not belong); `weights`: guest's, a person's."""
    of_guests, of_person = weights
    there = [of_person + n for n in people if n is not None]
    if not there:
        return [1.0] + [0.0] * len(people)
    p = (share * of_guests + guest) / (of_guests + guest + sum(n for n in people if n is not None))
    return [p, *(0.0 if n is None else (1 - p) * (of_person + n) / sum(there) for n in people)]


class Phones:
    """What phones tell, and how far one is trusted."""

    SPEAKS = 0.3

    def __init__(self, trust: float) -> None:
        self.prior, self.log_odds = log_odds(trust), 0.0

    @property
    def trust(self) -> float:
        """Probability that it goes with its owner."""
        return 1 / (1 + math.exp(-self.prior - self.log_odds))

    def llr(self, nats: float) -> float:
        """Of an observation that is worth so many nats, if the phone goes with its owner."""
        return math.log(self.trust * math.exp(nats) + (1 - self.trust) * 1)

    def learn(self, nats: float, owner: float, rate: float) -> None:
        """By how well either explains what was heard."""
        goes = owner * math.exp(nats) + (1 - owner)
        lies_about = self.SPEAKS * math.exp(nats) + (1 - self.SPEAKS)
        self.log_odds = max(-5.0, min(self.log_odds + rate * math.log(goes / lies_about), 2.0))


# ---- claims


def claim_nats(places: int, honest: float, says_no: bool) -> float:
    """Log of how much likelier a claim is if it is so than if it was some other one."""
    other = 1 - honest if says_no or places < 2 else (1 - honest) / (places - 1)
    return max(0.0, math.log(honest / other))


def weighed(shares: Sequence[float], named: int, factor: float) -> list[float]:
    """Shares with the odds of one multiplied."""
    joint = [share * (factor if place == named else 1) for place, share in enumerate(shares)]
    return [x / sum(joint) for x in joint]


def expected_right(posterior: Sequence[float], named: int, honest: float, says_no: bool) -> float:
    """Probability that a claim is right, by Bayes, from what sensors say and how often its source is."""
    others = max(1, len(posterior) - 1)
    joint = []
    for who, p in enumerate(posterior):
        if says_no:
            joint.append(p * (1 - honest if who == named else honest))
        else:
            joint.append(p * (honest if who == named else (1 - honest) / others))
    agreeing = sum(x for who, x in enumerate(joint) if (who == named) != says_no)
    return agreeing / sum(joint)


def surprise(posterior: Sequence[float], named: int, says_no: bool) -> float:
    """A bet of half of what there is, that a claim contradicts the sensors by more than a true one and a fifth."""
    contradicted = posterior[named] if says_no else sum(p for who, p in enumerate(posterior) if who != named)
    usual = sum(p * (1 - p) for p in posterior) + 1 - sum(posterior)
    return 1 + 0.5 * (contradicted - usual - 0.2) / (usual + 0.2)


def evidence_of_run(factors: Sequence[float]) -> float:
    """Over all beginnings of a run of false claims, the product of what was won since."""
    return sum(math.prod(factors[first:]) for first in range(len(factors)))


# ---- thresholds


def threshold_moved(caution: float, wrong: float, share: float, aim: float, rate: float) -> float:
    """Caution after an event, before its bounds: an error raises it by its rate, the aim of its class lowers it."""
    return caution + rate * wrong - rate * aim * share
