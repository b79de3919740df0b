"""Synthetic people: voices, faces and days that vary as real ones do.

Law: nobody here was recorded; every vector is drawn from a seeded generator.

A person is drawn where the fleet packs say that people are: around their mean, along the directions in which people differ. From
moment to moment the vector varies along the directions in which one person does, and a little in all others; a microphone shifts
it. Two utterances of one person then have a cosine near 0.8, of two people near 0.6; two pictures of one person lie about 0.35
apart, of two people about 0.75, as with the real encoders.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from learners.recognition.projection import Metric
from stream.contract.packs import load_pack

__all__ = ["FACE", "MICROPHONES", "NAMES", "ROUTINES", "VOICE", "Body", "Habit", "Microphone", "Role", "Space", "draw_body"]

Numbers = npt.NDArray[np.float64]
Role = Literal["worker", "parent", "child", "teen", "elder", "student", "visitor"]

NAMES: Final = (
    "ada", "ben", "chloe", "david", "elif", "farid", "grace", "hugo", "ines", "jonas", "kenji", "leila", "mia", "noah",
    "olga", "pablo", "quinn", "rosa", "sami", "tara", "umar", "vera", "wanda", "xenia", "yusuf", "zoe",
    "amara", "bruno", "carla", "dmitri", "emma", "felix", "gita", "henry", "ivan", "june", "karim", "lucia", "milo", "nadia",
    "oscar", "priya", "remy", "sofia", "theo", "uma", "victor", "wim", "yara", "zain",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Space:
    """Where one encoder puts people: `mean` (d), directions between people and within one person (rows of length d, scaled)."""

    encoder: str
    mean: Numbers
    between: Numbers
    within: Numbers
    unit: bool  # vectors have length one

    def place(self, rng: np.random.Generator, near: Numbers | None = None, alike: float = 0.0) -> Numbers:
        """A person's own place; `alike` (0 to 1) is how much of it is shared with a relative's place `near`."""
        own = rng.standard_normal(len(self.between)) @ self.between
        return own if near is None else alike * near + math.sqrt(1 - alike**2) * own

    def mood(self, rng: np.random.Generator) -> Numbers:
        """How a person differs from themselves at one moment."""
        return rng.standard_normal(len(self.within)) @ self.within

    def present(self, rng: np.random.Generator, place: Numbers, noise: float, shift: Numbers | float = 0.0) -> Numbers:
        """One embedding of the person at `place`, with that much of a moment's mood, through a device that shifts it."""
        vector = self.mean + place + shift + noise * self.mood(rng)
        return vector / float(np.linalg.norm(vector)) if self.unit else vector


def _space(encoder: str, people: float, moments: float, elsewhere: float, *, metric: Metric) -> Space:
    """A space after its fleet pack.

    `people` and `moments` scale what the pack says of differences between people and within one; `elsewhere` (L2) is how far a
    moment strays in directions that the pack does not look at.
    """
    pack = load_pack(encoder, metric)
    back = np.linalg.pinv(pack.matrix.astype(np.float64)).T  # (k, d): one unit of each projected dimension
    other = np.random.default_rng(len(pack.mean)).standard_normal((len(pack.mean), len(pack.mean)))
    other -= other @ pack.matrix.T @ back
    other *= elsewhere / np.linalg.norm(other)
    between = people * np.sqrt(pack.between.astype(np.float64))[:, None] * back
    return Space(encoder, pack.mean.astype(np.float64), between, np.vstack([moments * back, other]), metric == "cosine")


VOICE: Final = _space("resemblyzer-0.1.4", 1.1, 0.8, 0.33, metric="cosine")
FACE: Final = _space("dlib-resnet-v1", 1.05, 0.5, 0.19, metric="euclidean")


class Microphone(NamedTuple):
    """What a microphone and its room do to every voice: a constant shift, and noise (1: a quiet kitchen)."""

    shift: Numbers
    noise: float


def _microphone(seed: int, length: float, noise: float) -> Microphone:
    """A microphone that shifts every voice by `length` times what a mood does on average, in a direction of its own."""
    mood = VOICE.mood(np.random.default_rng(seed))
    return Microphone(length * mood, noise)


MICROPHONES: Final = {
    "near": _microphone(11, 0.05, 1.0),
    "far": _microphone(12, 0.25, 1.1),
    "door": _microphone(13, 0.25, 1.2),
    "replacement": _microphone(14, 1.5, 1.1),
}  # the same in every home, as models from a factory are


class Habit(NamedTuple):
    """Something done on most days: what, at which hour (UTC), how punctually, how often against the other habits."""

    activity: str
    hour: float
    spread_h: float
    weight: float


ROUTINES: Final[dict[Role, tuple[Habit, ...]]] = {
    "worker": (Habit("news.play", 6.8, 0.4, 2), Habit("commute.ask", 7.4, 0.3, 2), Habit("timer.set", 18.6, 0.7, 2),
               Habit("music.play", 20.2, 1.3, 2), Habit("lights.off", 22.8, 0.5, 1)),
    "parent": (Habit("calendar.ask", 7.6, 0.6, 2), Habit("list.add", 11.0, 2.5, 3), Habit("recipe.read", 17.3, 0.7, 2),
               Habit("music.play", 14.5, 2.5, 1), Habit("lights.off", 21.9, 0.5, 1)),
    "child": (Habit("joke.tell", 16.2, 1.2, 2), Habit("game.play", 15.4, 1.0, 2), Habit("music.play", 17.6, 1.0, 1),
              Habit("story.play", 19.2, 0.4, 3)),
    "teen": (Habit("alarm.snooze", 7.2, 0.4, 1), Habit("homework.ask", 16.6, 1.0, 2), Habit("music.play", 20.8, 1.6, 3),
             Habit("game.play", 18.3, 1.2, 1)),
    "elder": (Habit("news.play", 6.2, 0.5, 2), Habit("medication.remind", 8.0, 0.2, 2), Habit("radio.play", 13.5, 2.0, 3),
              Habit("call.start", 16.8, 1.2, 2)),
    "student": (Habit("alarm.snooze", 9.1, 0.9, 2), Habit("timer.set", 13.0, 1.0, 1), Habit("food.order", 19.9, 0.9, 2),
                Habit("music.play", 22.1, 1.4, 3)),
    "visitor": (Habit("music.play", 20.4, 1.8, 2), Habit("joke.tell", 19.0, 2.0, 1), Habit("weather.ask", 15.5, 2.5, 1)),
}  # fmt: skip


@dataclass(slots=True)
class Body:
    """A person as the simulator knows them. The software never sees this, only what devices make of it."""

    name: str
    role: Role
    voice: Numbers
    face: Numbers
    habits: tuple[Habit, ...]
    phone: str | None
    voice_growth: Numbers | None = None  # what is added to the voice from the first day to the last
    face_growth: Numbers | None = None

    def voice_at(self, share: float) -> Numbers:
        """The voice's place when that share (0 to 1) of the simulated time has passed."""
        return self.voice if self.voice_growth is None else self.voice + share * self.voice_growth

    def face_at(self, share: float) -> Numbers:
        """The face's place when that share of the simulated time has passed."""
        return self.face if self.face_growth is None else self.face + share * self.face_growth


def draw_body(rng: np.random.Generator, name: str, role: Role, phone: str | None, relative: Body | None = None) -> Body:
    """A new person; relatives look and sound a little alike."""
    voice = VOICE.place(rng, None if relative is None else relative.voice, 0.6)
    face = FACE.place(rng, None if relative is None else relative.face, 0.6)
    habits = tuple(
        Habit(h.activity, float(h.hour + 0.5 * rng.standard_normal()), h.spread_h, float(h.weight * rng.gamma(4.0, 0.25)))
        for h in ROUTINES[role]
    )
    return Body(name, role, voice, face, habits, phone)
