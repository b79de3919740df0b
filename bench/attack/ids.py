"""Two clients that try to match the people of many homes by all the ids that they were given.

Law: a client has of each person its id of the home and of the person, of some decisions and challenges besides; what is asked is
whether any likeness of two clients' ids is greater for the same person than for others.
"""

import secrets
from base64 import urlsafe_b64decode
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from stream.runtime.service.handles import Handles, Person

__all__ = ["match_clients"]

PEOPLE: Final = 3  # of a home
SERVICES: Final = 12  # each with a secret of its own: over one alone chance is .005 as well
Bytes = npt.NDArray[np.uint8]


def match_clients(homes: int, seed: int) -> dict[str, float]:
    """The mean AUC over services by way of matching: .5 is chance; one below counts as much as one above."""
    rng = np.random.default_rng(seed)
    found = [_match(homes, rng) for _ in range(SERVICES)]
    means = {way: float(np.mean([one[way] for one in found])) for way in found[0]}
    return {way: max(auc, 1 - auc) for way, auc in means.items()}


def _match(homes: int, rng: np.random.Generator) -> dict[str, float]:
    handles = Handles(secrets.token_bytes(32))
    names = [f"h-{number:05}" for number in range(homes)]
    numbers = rng.integers(1, 2**48, (2, homes * PEOPLE))  # each client's own consents
    people = [name for name in names for _ in range(PEOPLE)]
    sides = []
    for client, own in zip(("pharmacy", "music"), numbers, strict=True):
        home = _table([handles.home_of(client, name) for name in people])
        sub = _table([handles.sub(client, Person(name, int(n))) for name, n in zip(people, own, strict=True)])
        more = rng.integers(0, 256, (len(people), 32), dtype=np.uint8)  # ids of decisions and challenges are by chance
        sides.append(np.hstack([home, sub, more]))
    one, other = sides
    mismatched = np.roll(other, PEOPLE * int(rng.integers(1, homes)), axis=0)
    ways = {"bytes alike": _bytes_alike, "bits alike": _bits_alike, "common beginning": _beginning, "order": _order}
    told = {name: _auc(way(one, other), way(one, mismatched)) for name, way in ways.items()}
    return told | {"learnt from half of them": _learnt(one, other, mismatched)}


def _table(ids: list[str]) -> Bytes:
    return np.array([np.frombuffer(urlsafe_b64decode(one + "=" * (-len(one) % 4)), np.uint8) for one in ids])


def _bytes_alike(one: Bytes, other: Bytes) -> Any:
    return (one == other).sum(1)


def _bits_alike(one: Bytes, other: Bytes) -> Any:
    return -np.unpackbits(one ^ other, axis=1).sum(1, dtype=np.int64)


def _beginning(one: Bytes, other: Bytes) -> Any:
    return (np.unpackbits(one ^ other, axis=1) != 0).argmax(1)


def _order(one: Bytes, other: Bytes) -> Any:
    """How near they stand when each client sorts its ids."""
    ranks = [np.argsort(np.lexsort(table.T[::-1])) for table in (one, other)]
    return -np.abs(ranks[0] - ranks[1])


def _learnt(one: Bytes, other: Bytes, mismatched: Bytes) -> float:
    """A logistic regression on the bits that differ, tried on the people it was not fitted on."""
    from sklearn.linear_model import LogisticRegression

    pairs = [np.unpackbits(one ^ its, axis=1).astype(np.float32) for its in (other, mismatched)]
    half = len(one) // 2
    fitted = LogisticRegression(C=0.01, max_iter=200).fit(np.vstack([pair[:half] for pair in pairs]), np.repeat([1, 0], half))
    return _auc(*(fitted.decision_function(pair[half:]) for pair in pairs))


def _auc(same: Any, others: Any) -> float:
    """How often the same are more alike than others, ties by half."""
    ranks = rankdata(np.concatenate([same, others]))
    auc = (ranks[: len(same)].sum() - len(same) * (len(same) + 1) / 2) / (len(same) * len(others))
    return float(auc)
