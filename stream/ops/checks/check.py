"""One line of what was looked at: how it is, and what would be right.

Law: a check that failed, or that warns, says what would be right.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "State", "judge"]

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what would be right where it is not.

    `passes`: it failed, but may be right when asked a little later, because a server is away or still starts.
    """

    name: str
    state: State
    found: str
    right: str = ""
    passes: bool = False


def judge(name: str, found: str, *, failed: str = "", warning: str = "") -> Check:
    """A check by what would be right: `failed` and `warning` say it, and are empty where nothing is amiss.

    >>> judge("clocks", "7 s apart", warning="less than 2 s").state
    'warning'
    """
    return Check(name, "failed" if failed else "warning" if warning else "ok", found, failed or warning)
