"""How a profile moved, as its publications show: where its prototypes stand, and what it says of its own health.

Law: only published profiles are compared, each with the one before and with the first of its person.
"""

import base64
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["drift"]

POINTS_MAX: Final = 60  # of one person's line: more than a pixel column each says nothing
Vector = npt.NDArray[np.float64]


def drift(person: str, published: Sequence[tuple[int, dict[str, Any] | None]]) -> dict[str, Any]:
    """The drift line of a person.

    Parameters
    ----------
    person
        Whose it is.
    published
        Time (ms) and value of each publication in order; None is a tombstone.

    Returns
    -------
    dict
        `points`: per publication the time `t`, its `drift`, `trust` and `events`, and per encoder `moved` and `away`: 1 − cosine
        to the publication before and to the first. `revisions`: how many publications there were, of which `with_vectors` had any
        vectors. `gone`: when a tombstone ended it, or None.
    """
    alive = [(at_ms, value) for at_ms, value in published if value is not None and value["encoders"]]
    step = max(1, -(-len(alive) // POINTS_MAX))
    first: dict[str, Vector] = {}
    last: dict[str, Vector] = {}
    points = []
    for at_ms, value in alive[::-1][::step][::-1]:  # always with the last
        moved, away = {}, {}
        for encoder, held in value["encoders"].items():
            now = _centre(held["prototypes"])
            moved[encoder] = _distance(now, last.get(encoder, now))
            away[encoder] = _distance(now, first.setdefault(encoder, now))
            last[encoder] = now
        health = {name: value["health"][name] for name in ("drift", "events", "trust")}
        points.append({"t": at_ms, "moved": moved, "away": away, **health})
    gone = published[-1][0] if published and published[-1][1] is None else None
    revisions = sum(value is not None for _, value in published)
    return {"person": person, "points": points, "revisions": revisions, "with_vectors": len(alive), "gone": gone}


def _centre(prototypes: Sequence[dict[str, Any]]) -> Vector:
    """The mean of a person's prototypes by weight, brought to length one."""
    vectors = [np.frombuffer(base64.b64decode(p["embedding"]), "<f2").astype(np.float64) for p in prototypes]
    total: Vector = np.sum([p["weight"] * v for p, v in zip(prototypes, vectors, strict=True)], axis=0)
    return total / float(np.linalg.norm(total))


def _distance(now: Vector, then: Vector) -> float:
    return round(max(0.0, 1.0 - float(now @ then)), 4)
