"""Which of many e-values are worth an alert, so that few of those alerts are false.

Law: of what `e_bh` picks, the expected share without a change is at most `rate`, however the e-values depend on one another,
as long as each has a mean of at most 1 where nothing changed.

Theory: e-BH after Wang and Ramdas (2022): of n hypotheses the k greatest are picked, for the greatest k of which the least
is at least n / (rate · k). What does not speak counts in n with an e-value of 0.

That a group changed together is weighed against what happens everywhere: a share π of homes changes for reasons of its own.
If a share ε of the group did, an e-value e is worth (1 − ε + ε e) / (1 − π + π e), and the group the product of that over
its homes. So a group is not suspected for a few homes, however strong their evidence: none is worth more than ε / π. Homes that
hear the same noise (a street, a shared wall) tell the same thing several times. Where at most m of a group's homes depend on
each other, the m-th root of the product has a mean of at most 1 all the same (Hölder's inequality).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["SHARES", "e_bh", "log_e_value_of_group"]

SHARES: Final = (0.05, 0.2, 0.8)  # of a group's homes: what may have changed together
_LOG_MAX: Final = 700.0  # nats: what exp() still holds


def e_bh(log_e_values: Sequence[float], rate: float, hypotheses: int = 0) -> list[int]:
    """Positions of the e-values that are picked, the greatest first; of equal ones the earlier.

    Parameters
    ----------
    log_e_values
        In nats.
    rate
        The false discovery rate, within 0 to 1.
    hypotheses
        How many there are in all, where those that do not speak are left out of the list.

    Examples
    --------
    >>> e_bh([2.0, 9.0, 1.0, 5.0], rate=0.1)
    [1, 3]
    >>> e_bh([2.0, 9.0, 1.0, 5.0], rate=0.1, hypotheses=10_000)
    []
    """
    values = np.asarray(log_e_values, np.float64)
    order = np.argsort(-values, kind="stable")
    needed = np.log(max(hypotheses, len(values), 1) / rate) - np.log(np.arange(1, len(values) + 1))
    enough = np.flatnonzero(values[order] >= needed)
    return [int(i) for i in order[: enough[-1] + 1]] if len(enough) else []


def log_e_value_of_group(log_e_values: Sequence[float], background: float, dependent: int = 1) -> float:
    """Nats of evidence that a group's homes changed together, rather than each for itself as homes everywhere do.

    Parameters
    ----------
    log_e_values
        Of every home of the group; minus infinity for one that is silent.
    background
        The share of homes that change for reasons of their own.
    dependent
        How many of the homes may depend on each other.

    Examples
    --------
    >>> from math import inf
    >>> one, many = [20.0] + [-inf] * 99, [4.0] * 60 + [-inf] * 40
    >>> log_e_value_of_group(one, background=0.02) < 0 < log_e_value_of_group(many, background=0.02)
    True
    """
    e = np.exp(np.minimum(np.asarray(log_e_values, np.float64), _LOG_MAX))
    alone = _log_likelihoods(e, background).sum()
    together = [float(_log_likelihoods(e, share).sum() - alone) / dependent for share in SHARES]
    greatest = max(together)
    return greatest + float(np.log(np.mean(np.exp(np.asarray(together) - greatest))))


def _log_likelihoods(e: npt.NDArray[np.float64], share: float) -> npt.NDArray[np.float64]:
    """Of homes of which that share changed, against none."""
    return np.log1p(share * (e - 1))
