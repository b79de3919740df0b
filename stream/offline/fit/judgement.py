"""How well a fit does on people it has not seen: cross-validation over people.

Law: nobody is judged by a pack that was fitted on any recording of theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from learners.fit.fitting import check, fit, folds_of
from learners.fit.recordings import Recordings
from learners.fit.trials import Trials, cllr, equal_error_rate, interval, min_cllr, plain_trials_of, presented, trials_of

__all__ = ["PEOPLE_MIN", "Judgement", "Row", "judge"]

PEOPLE_MIN: Final = 8  # so that those who are left when some are held out are enough for a fit
ALTERED: Final = "altered"
EVERY: Final = "all together"


class Row(NamedTuple):
    """One kind of comparison: by how many recordings somebody is known, what comes, and how well it is told."""

    size: int
    probe: str
    mated: int
    non_mated: int
    eer: float
    eer_low: float
    eer_high: float
    plain_eer: float  # of the metric alone, without a pack
    cllr: float
    min_cllr: float


@dataclass(frozen=True)
class Judgement:
    """Of a whole cross-validation."""

    folds: int
    rows: tuple[Row, ...]
    channels_right: dict[str, float]  # share of recordings whose channel is told rightly, by channel; none with one channel


def judge(recordings: Recordings, watch: Callable[[int, int], None] = lambda done, of: None) -> Judgement:
    """Fit on all but one group of people, judge that group, for each in turn; `watch` is told after each.

    Raises
    ------
    ValueError
        As `learners.fit.fitting.fit`, of PEOPLE_MIN people.
    """
    check(recordings, PEOPLE_MIN)
    folds = folds_of(recordings.people)
    found, plain, right = [], [], []
    for number, fold in enumerate(folds):
        held = np.isin(recordings.people, fold)
        projection, judged = fit(recordings.only(~held)), recordings.only(held)
        found.append(trials_of(projection, judged))
        plain.append(plain_trials_of(judged))
        _, channel = presented(projection, judged.vectors)
        right.append(np.stack([judged.channels, channel == judged.channels, judged.altered]))
        watch(number + 1, len(folds))
    trials, without = Trials.joined(found), Trials.joined(plain)
    told = np.concatenate(right, axis=1)
    told = told[:2, told[2] == 0]
    shares = {name: float(told[1, told[0] == c].mean()) for c, name in enumerate(recordings.names)}
    return Judgement(len(folds), _rows(recordings, trials, without), shares if len(shares) > 1 else {})


def _rows(recordings: Recordings, trials: Trials, plain: Trials) -> tuple[Row, ...]:
    rows = []
    for size in np.unique(trials.size).tolist():
        kinds = {name: (trials.channel == c) & ~trials.altered for c, name in enumerate(recordings.names)}
        if recordings.altered.any():
            kinds[ALTERED] = trials.altered
        if len(kinds) > 1:
            kinds[EVERY] = np.ones(len(trials.llr), np.bool_)
        for name, kind in kinds.items():
            chosen = kind & (trials.size == size)
            if len(np.unique(trials.mated[chosen])) == 2:  # both kinds of pairs
                rows.append(_row(size, name, trials.only(chosen), plain.only(chosen)))
    return tuple(rows)


def _row(size: int, probe: str, trials: Trials, plain: Trials) -> Row:
    mated, (low, high) = trials.mated, interval(trials)
    return Row(
        size, probe, int(mated.sum()), int((~mated).sum()), equal_error_rate(trials), low, high, equal_error_rate(plain),
        cllr(trials.llr, mated), min_cllr(trials.llr, mated),
    )  # fmt: skip
