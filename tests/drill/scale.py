"""What a second worker brings: a full log, done by one worker and then by two.

Law: the clock runs from the moment at which workers that have their partitions are let go, to the last batch.
"""

import os
import signal
import time
from dataclasses import replace
from typing import Final, NamedTuple

from stream.contract.settings import KafkaWiring
from stream.ops.local_cluster.processes import until

from .costs import busy_s, cpu_s
from .site import CREW, Scene, Site, opened

__all__ = ["scale"]

_RATIO: Final = 1.6
_OF_WHAT_IS_LEFT: Final = 0.85
_PATIENCE_S: Final = 240.0


class _Run(NamedTuple):
    """Events a second; microseconds of CPU an event; and how many cores nobody else used meanwhile."""

    events_per_s: float
    worker_us: float
    kafka_us: float
    redis_us: float
    cores: float

    @property
    def allowed_per_s(self) -> float:
        """Events a second if all of those cores had been used."""
        return self.cores * 1e6 / (self.worker_us + self.kafka_us + self.redis_us)


def scale(scene: Scene, events: int) -> tuple[list[str], list[str]]:
    """Lines to be printed, and complaints."""
    runs = []
    for workers in (1, 2):
        with opened(_patient(scene, workers)) as site:
            runs.append(_measured(site, workers, events))
    one, two = runs
    ratio, allowed = two.events_per_s / one.events_per_s, two.allowed_per_s / one.events_per_s
    lines = [
        f"{workers} worker{'s'[: workers > 1]}: {run.events_per_s:,.0f} events/s; CPU an event: worker {run.worker_us:.0f} µs, "
        f"Kafka {run.kafka_us:.0f} µs, Redis {run.redis_us:.0f} µs; others left {run.cores:.2f} of {_cores()} cores"
        for workers, run in enumerate(runs, 1)
    ]
    lines.append(f"two workers do {ratio:.2f} times what one does; the cores that others left allow {allowed:.2f}")
    enough = ratio >= min(_RATIO, _OF_WHAT_IS_LEFT * allowed)
    return lines, [] if enough else [f"two workers do only {ratio:.2f} times what one does"]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _patient(scene: Scene, workers: int) -> Scene:
    """Without gates, which would cost CPU, and with sessions that outlast the filling of the log."""
    more = {"batch_records_max": 1_000, "kafka": KafkaWiring(session_timeout_s=60.0)}
    return replace(scene, folder=scene.folder / f"workers-{workers}", gated=False, more=more)


def _measured(site: Site, workers: int, events: int) -> _Run:
    for slot in CREW[:workers]:
        site.crew.hire(slot)
    _warm(site, workers)
    pids = site.crew.pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    site.feeder.fill(events)
    ours = (pids, site.kafka.pids, site.redis.pids)
    before, busy_before_s, began_s = [cpu_s(part) for part in ours], busy_s(), time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert site.caught_up(_PATIENCE_S), f"{site.progress.lag} records wait"
    took_s = site.progress.latest_s - began_s
    spent = [cpu_s(part) - had for part, had in zip(ours, before, strict=True)]
    others_s = max(0.0, busy_s() - busy_before_s - sum(spent))
    return _Run(events / took_s, *(1e6 * seconds / events for seconds in spent), _cores() - others_s / took_s)


def _warm(site: Site, workers: int) -> None:
    """Let a little flow until every worker has its share and every partition has begun."""
    with site.feeder.flowing():
        assert until(lambda: min(site.progress.done.values()) > 0 and site.evidence.busy() == workers, _PATIENCE_S), "no share"
    assert site.caught_up(), "the warming up is not done"
