"""Whether a topic is being drained into the dead letters: then the fault is more likely a deploy's than the senders'.

Law: a deploy that fails, fails most homes. So records of no home count neither way (a sensor that sends to the wrong topic), and
however many a few homes send, they do not stop the others. What was counted survives a restart, or each start would drain some
more; it is forgotten when another version, core or policy starts, for that one is to be judged anew.
"""

import json
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from stream import __version__
from stream.contract.errors import TooManyDeadLetters
from stream.home.step import STEP_VERSION

from .applying import Results

__all__ = ["LATEST", "DrainLimits", "LatestRecords"]

LATEST: Final = "!latest-records"  # its name in the store; no household id has a "!"


class DrainLimits(NamedTuple):
    """Among so many latest records, so many dead letters at least, and a larger share of records and of homes than this."""

    window: int
    dead_min: int
    share_max: float


class _Noted(NamedTuple):
    """One record of a home. After a restart homes are known as numbers alone: ids of people's homes are kept in their states."""

    partition: int
    home: str
    dead: bool


class LatestRecords:
    """The latest records of homes, of all partitions that a worker has.

    Parameters
    ----------
    limits
        When it is too much.
    policy_id
        Of the policy by which records are judged now.
    """

    def __init__(self, limits: DrainLimits, policy_id: str) -> None:
        self._limits, self._judged_by = limits, f"{__version__} {STEP_VERSION} {policy_id}"
        self._latest: deque[_Noted] = deque(maxlen=limits.window)
        self._kept: set[int] = set()  # partitions beside whose states something stands

    def note(self, results: Results) -> None:
        """Count a batch, before anything of it is visible. Raises TooManyDeadLetters; the batch is not to be published then."""
        reasons: Counter[str] = Counter()
        for partition, one in results.items():
            for settled in one.settled:
                if settled.household:
                    self._latest.append(_Noted(partition, settled.household, settled.reason is not None))
                    reasons.update([settled.reason] if settled.reason else [])
        if reasons:
            self._refuse(reasons)

    def _refuse(self, reasons: Mapping[str, int]) -> None:
        dead, latest = [noted for noted in self._latest if noted.dead], len(self._latest)
        homes, failed = ({(n.partition, n.home) for n in noted} for noted in (self._latest, dead))
        share = self._limits.share_max
        if len(dead) < self._limits.dead_min or len(dead) <= share * latest or len(failed) <= share * len(homes):
            return
        raise TooManyDeadLetters(
            f"{len(dead)} of the latest {latest} records, of {len(failed)} of {len(homes)} homes, could not be used. Not "
            f"published: the last batch, with {dict(reasons)}. `kithkin dead-letters list` shows those before it. Look at what was "
            "deployed last, mend it and start again. Or go on all the same: KITHKIN_DEAD_LETTERS_SHARE_MAX=1 kithkin worker (or "
            "kithkin up; or dead_letters_share_max = 1 in the wiring). `kithkin dead-letters resend` sends again what was left out"
        )

    def changed(self, partition: int) -> bytes | None:
        """What is to be saved beside the states of a batch; None: as it was."""
        if self._limits.dead_min > self._limits.window:  # they never count
            return None
        noted = [one for one in self._latest if one.partition == partition]
        if not any(one.dead for one in noted):
            noted = []
        if not noted and partition not in self._kept:
            return None
        (self._kept.add if noted else self._kept.discard)(partition)
        numbers = {home: number for number, home in enumerate(dict.fromkeys(one.home for one in noted))}
        latest = [[numbers[one.home], int(one.dead)] for one in noted]
        return json.dumps({"v": 1, "judged_by": self._judged_by, "latest": latest}, separators=(",", ":")).encode()

    def restore(self, partition: int, raw: bytes | None) -> None:
        """Count again what was saved beside the states of a partition that was assigned now."""
        self.forget(partition)
        stored = json.loads(raw) if raw else {}
        if stored.get("latest"):
            self._kept.add(partition)
        if stored.get("judged_by") == self._judged_by:
            self._latest.extend(_Noted(partition, f"#{home}", bool(dead)) for home, dead in stored["latest"])

    def forget(self, partition: int) -> None:
        """Another worker has it now."""
        self._kept.discard(partition)
        self._latest = deque((one for one in self._latest if one.partition != partition), self._limits.window)
