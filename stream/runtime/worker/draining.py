"""Whether a topic is being drained into the dead letters: then the fault is more likely a deploy's than the senders'.

Law: a deploy that fails, fails most homes. So records of no home count neither way (a sensor that sends to the wrong topic), and
however many a few homes send, they do not stop the others. What was counted survives a restart, or each start would drain some
more; it is forgotten when another version, core or policy starts, for that one is to be judged anew.
"""

import json
from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from stream import __version__
from stream.contract.errors import TooManyDeadLetters
from stream.home.step import STEP_VERSION

__all__ = ["LATEST", "DrainLimits", "LatestRecords"]

LATEST: Final = "!latest-records"  # its name in the store; no household id has a "!"


class DrainLimits(NamedTuple):
    """Among so many latest records, so many dead letters at least, and a larger share of records and of homes than this."""

    window: int
    dead_min: int
    share_max: float


Noted = tuple[int, str, str | None]  # a record of a home: its partition, whose it is, why it is a dead letter (None: it is none)


class LatestRecords:
    """The latest records of homes, of all partitions that a worker has.

    Parameters
    ----------
    limits
        When it is too much.
    policy_id
        Of the policy by which records are judged now.

    Attributes
    ----------
    noted
        The worker adds to it what it is about to publish.
    kept
        Partitions beside whose states something of this stands, or is to stand.
    """

    def __init__(self, limits: DrainLimits, policy_id: str) -> None:
        self._limits, self._judged_by = limits, f"{__version__} {STEP_VERSION} {policy_id}"
        self.noted: deque[Noted] = deque(maxlen=limits.window)
        self.kept: set[int] = set()

    def judge(self, batch: Sequence[Noted]) -> None:
        """To be asked when dead letters are among a batch. Raises TooManyDeadLetters; then it is not to be published."""
        if self._limits.dead_min > self._limits.window:  # they never count
            return
        self.kept.update(partition for partition, _, reason in batch if reason)
        dead, latest = [noted for noted in self.noted if noted[-1]], len(self.noted)
        homes, failed = (len({noted[:2] for noted in some}) for some in (self.noted, dead))
        share = self._limits.share_max
        if len(dead) < self._limits.dead_min or len(dead) <= share * latest or failed <= share * homes:
            return
        reasons = dict(Counter(reason for *_, reason in batch if reason))
        raise TooManyDeadLetters(
            f"{len(dead)} of the latest {latest} records, of {failed} of {homes} homes, could not be used. Not published: the "
            f"last batch, with {reasons}. `kithkin dead-letters list` shows those before it. Look at what was deployed last, "
            "mend it and start again. Or go on all the same: KITHKIN_DEAD_LETTERS_SHARE_MAX=1 kithkin worker (or kithkin up; or "
            "dead_letters_share_max = 1 in the wiring). `kithkin dead-letters resend` sends again what was left out"
        )

    def encode(self, partition: int) -> bytes:
        """What is to stand beside the states of a partition that is `kept`; without dead letters nothing of note.

        Homes are numbers there: ids of people's homes are kept in their states alone.
        """
        noted = [one for one in self.noted if one[0] == partition]
        if not any(reason for *_, reason in noted):
            self.kept.discard(partition)
            noted = []
        numbers = {home: number for number, home in enumerate(dict.fromkeys(home for _, home, _ in noted))}
        latest = [[numbers[home], reason] for _, home, reason in noted]
        return json.dumps({"v": 1, "judged_by": self._judged_by, "latest": latest}, separators=(",", ":")).encode()

    def restore(self, partition: int, raw: bytes | None) -> None:
        """Count again what stood beside the states of a partition that was assigned now."""
        self.forget(partition)
        stored = json.loads(raw) if raw else {}
        if stored.get("latest"):
            self.kept.add(partition)
        if stored.get("judged_by") == self._judged_by:
            self.noted.extend((partition, f"#{home}", reason) for home, reason in stored["latest"])

    def forget(self, partition: int) -> None:
        """Another worker has it now."""
        self.kept.discard(partition)
        self.noted = deque((one for one in self.noted if one[0] != partition), self._limits.window)
