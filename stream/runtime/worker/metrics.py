"""What is known of a running worker: for Prometheus, for the heartbeats that `kithkin status` reads, and for the probes.

Law: the worker's thread writes, others read; a reader may see a number a moment old, and never makes the worker wait.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from stream import __version__
from stream.contract.reading import LEFT_OUT
from stream.contract.settings import Wiring
from stream.home.step import STEP_VERSION

from ..supervision.watchdog import Liveness
from ..telemetry.metering import Meter
from ..telemetry.registry import Sample
from .worker import Counts, Progress

__all__ = ["WorkerMetrics"]


class WorkerMetrics:
    """One worker's numbers.

    Parameters
    ----------
    wiring
        With a slot, which is the worker's name.
    policy_id
        Of the policy it runs.
    restarts
        By its supervisor, by reason.
    """

    def __init__(self, wiring: Wiring, policy_id: str, restarts: Mapping[str, int]) -> None:
        self.slot = wiring.slot or ""
        self._wiring, self._policy_id, self._restarts = wiring, policy_id, restarts
        self.liveness, self.meter, self.counts = Liveness(), Meter(), Counts()
        self.listen: str | None = None  # where its endpoints are
        self._partitions: frozenset[int] = frozenset()
        self._lag: Mapping[int, int] = {}
        self._rebalances = self._recoveries = 0  # when they were last looked at
        self._recovered: dict[str, Any] | None = None
        self._first_turn_s: float | None = None
        self._last_batch_s: float | None = None
        self._last_beat = (time.monotonic(), 0)  # when the last heartbeat was made, and how many events there were

    def note_turn(self, progress: Progress, counts: Counts, took_s: float) -> None:
        """The worker has done a turn, which took so long."""
        now_s, liveness = time.monotonic(), self.liveness
        taken_over = counts.rebalances > self._rebalances
        if taken_over:
            self._rebalances, self._partitions = counts.rebalances, progress.partitions
            batches, self._recoveries = counts.recoveries - self._recoveries, counts.recoveries
            self._recovered = {"batches": batches, "took_s": round(took_s, 3), "at": _clock()}
        if progress.records:
            self._last_batch_s = now_s
        self.meter.turn(took_s, progress.records, taken_over)
        self.counts = counts
        self._first_turn_s = self._first_turn_s or now_s
        liveness.turns, liveness.done = liveness.turns + 1, counts.batches + counts.recoveries

    def note_lag(self, lag: Mapping[int, int]) -> None:
        """So many records wait, by partition."""
        self._lag = dict(lag)
        self.liveness.lag = sum(lag.values())

    def sick(self) -> str | None:
        """Why it is not well; None when it is. It is about to end itself then."""
        still_s = self.liveness.still_s
        return f"no progress for {still_s:.0f} s" if still_s >= self._wiring.stall_s else None

    def unready(self) -> str | None:
        """Why it is not ready; None when it is. With more workers than partitions, one that idles is ready."""
        if self._first_turn_s is None:
            return "not yet a member of the group"
        idle = time.monotonic() - self._first_turn_s >= self._wiring.kafka.session_timeout_s  # the group had its time
        return None if self._rebalances or idle else "nothing is assigned yet"

    def samples(self) -> Iterator[Sample]:
        """All metrics."""
        counts, meter = self.counts, self.meter
        for name in ("batches", "records", "events", "rebalances", "recoveries", "resident_homes", "resident_bytes"):
            yield Sample(f"kithkin_{name}", getattr(counts, name))
        yield Sample("kithkin_homes_new", counts.households_new)
        yield Sample("kithkin_homes_loaded", counts.households_loaded)
        yield Sample("kithkin_quarantined_households", counts.quarantined)
        yield Sample("kithkin_misplaced_homes", counts.misplaced)
        counted = {
            "outputs": counts.outputs, "outcomes": counts.outcomes, "dead_letters": counts.dead_letters,
            "parts_left_out": dict.fromkeys(LEFT_OUT, 0) | counts.left_out,
        }  # fmt: skip
        for name, by in counted.items():
            yield from (Sample(f"kithkin_{name}", count, (label,)) for label, count in dict(by).items())
        yield from (Sample("kithkin_restarts", count, (reason,)) for reason, count in self._restarts.items())
        yield from (Sample("kithkin_lag", lag, (str(partition),)) for partition, lag in self._lag.items())
        yield Sample("kithkin_assigned_partitions", len(self._partitions))
        yield Sample("kithkin_since_progress_seconds", self.liveness.still_s)
        yield Sample("kithkin_latency_seconds", meter.latency)
        yield Sample("kithkin_batch_seconds", meter.batch)
        yield Sample("kithkin_takeover_seconds", meter.takeover)
        yield from (Sample("kithkin_part_seconds", histogram, (part,)) for part, histogram in meter.parts.items())
        yield Sample("kithkin_worker_info", 1, (self.slot, __version__, str(STEP_VERSION), self._policy_id))

    def heartbeat(self) -> dict[str, Any]:
        """What is written of itself; rates are over the time since the last heartbeat."""
        now_s, events = time.monotonic(), self.counts.events
        since_s, before = self._last_beat
        self._last_beat = now_s, events
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            "listen": self.listen,
            "partitions": sorted(self._partitions),
            "events_per_s": round((events - before) / max(now_s - since_s, 0.001), 1),
            "events": events,
            "lag": sum(self._lag.values()),
            "last_batch_s": None if self._last_batch_s is None else round(now_s - self._last_batch_s, 1),
            "last_recovery": self._recovered,
            "restarts": sum(self._restarts.values()),
            "quarantined": self.counts.quarantined,
            "misplaced": self.counts.misplaced,
            "stopping": self.liveness.stopping,
        }


def _clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
