"""How well a fit does on people it has not seen: cross-validation over people, and over corpora where there are several.

Law: nobody is judged by a pack that was fitted on any recording of theirs, and nobody is compared with people of another corpus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from learners.fit.fitting import check, fit, folds_of, is_enough
from learners.fit.recordings import Codes, Flags, Recordings
from learners.fit.trials import Trials, cllr, equal_error_rate, interval, min_cllr, plain_trials_of, present, trials_of

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
    corpora: dict[int, tuple[Row, ...]]  # by a fit on all other corpora; without those whose others are not enough for one

    @property
    def worse_than_plain(self) -> list[tuple[int | None, Row]]:
        """Where the encoder's own metric does better, and of which corpus left out (None: people left out)."""
        found: list[tuple[int | None, Row]] = [(None, row) for row in self.rows]
        found += [(corpus, row) for corpus, rows in self.corpora.items() for row in rows]
        return [(corpus, row) for corpus, row in found if row.eer > row.plain_eer]


class _Judged(NamedTuple):
    """What came of one fit: its trials, those of the metric alone, and of what channel recordings are and were taken to be."""

    trials: Trials
    plain: Trials
    told: Codes  # (2, n)


def judge(recordings: Recordings, watch: Callable[[int, int], None] = lambda done, of: None) -> Judgement:
    """Fit on all but one group of people, judge that group; each in turn, and each corpus. `watch` is told after each.

    Raises
    ------
    ValueError
        As `learners.fit.fitting.fit`, of PEOPLE_MIN people.
    """
    check(recordings, PEOPLE_MIN)
    folds, corpora = folds_of(recordings.people), np.unique(recordings.corpora)
    left = [c for c in corpora if len(corpora) > 1 and is_enough(recordings.only(recordings.corpora != c), recordings)]
    held = [np.isin(recordings.people, fold) for fold in folds] + [recordings.corpora == corpus for corpus in left]
    judged = []
    for number, chosen in enumerate(held):
        judged.append(_judge(recordings, chosen))
        watch(number + 1, len(held))
    told = np.concatenate([one.told for one in judged[: len(folds)]], axis=1)
    shares = {name: float((told[1, told[0] == c] == c).mean()) for c, name in enumerate(recordings.names)}
    shown = recordings.names[0], EVERY
    by_corpus = {int(c): _rows(recordings, [one], shown) for c, one in zip(left, judged[len(folds) :], strict=True)}
    return Judgement(len(folds), _rows(recordings, judged[: len(folds)]), shares if len(shares) > 1 else {}, by_corpus)


def _judge(recordings: Recordings, held: Flags) -> _Judged:
    """Those held out, by a fit on the others."""
    projection, judged = fit(recordings.only(~held)), recordings.only(held)
    corpora = judged.by_corpus()
    trials = Trials.join([trials_of(projection, corpus) for corpus in corpora])
    plain = Trials.join([plain_trials_of(corpus) for corpus in corpora])
    usual = judged.only(~judged.altered)
    _, channel = present(projection, usual.vectors)
    return _Judged(trials, plain, np.stack([usual.channels, channel]))


def _rows(recordings: Recordings, judged: Sequence[_Judged], only: Sequence[str] = ()) -> tuple[Row, ...]:
    """Of each kind of comparison; `only` of these kinds, where any are named."""
    trials, plain = Trials.join([one.trials for one in judged]), Trials.join([one.plain for one in judged])
    rows = []
    for size in np.unique(trials.size).tolist():
        kinds = {name: (trials.channel == c) & ~trials.altered for c, name in enumerate(recordings.names)}
        if recordings.altered.any():
            kinds[ALTERED] = trials.altered
        if len(kinds) > 1:
            kinds[EVERY] = np.ones(len(trials.llr), np.bool_)
        for name, kind in kinds.items():
            chosen = kind & (trials.size == size)
            if (name in only or not only) and len(np.unique(trials.mated[chosen])) == 2:  # both kinds of pairs
                rows.append(_row(size, name, trials.only(chosen), plain.only(chosen)))
    return tuple(rows)


def _row(size: int, probe: str, trials: Trials, plain: Trials) -> Row:
    mated, (low, high) = trials.mated, interval(trials)
    return Row(
        size, probe, int(mated.sum()), int((~mated).sum()), equal_error_rate(trials), low, high, equal_error_rate(plain),
        cllr(trials.llr, mated), min_cllr(trials.llr, mated),
    )  # fmt: skip
