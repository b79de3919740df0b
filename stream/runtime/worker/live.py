"""A live worker: one process that works until it is told to stop, and how it is watched meanwhile.

Law: it ends in one of few ways, each with an exit code of its own, and every one leaves outputs and states as the next
worker needs them. It decides nothing of what it says about people: that is the worker's, and the core's.

    0 asked to stop    1 failed    2 the operator's fault    3 stalled    4 fenced    5 beyond repair by a restart
    6 a server is away
"""

import logging
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Final

from stream.brokers import open_broker
from stream.brokers.kafka.slots import Slot
from stream.contract.policy import Policy
from stream.contract.ports import Broker, StoreError
from stream.contract.records import Unlisted
from stream.contract.settings import Wiring, store_of
from stream.home.step import step_batch
from stream.ops.checks import refuse_failed, run_checks
from stream.ops.encoders import explain_unlisted
from stream.stores import open_store
from stream.stores.redis.heartbeats import Heartbeats, open_heartbeats

from ..supervision.exit_codes import exit_code_of
from ..supervision.supervisor import parent_pipe_of_this_process
from ..supervision.watchdog import Watchdog, stop_on_signals
from ..telemetry.endpoints import Endpoints
from ..telemetry.logging import log_to
from ..telemetry.metering import MeteredBroker, MeteredStore
from ..telemetry.registry import exposition
from ..telemetry.tracing import TracedBroker, TracedStore, open_tracing
from .garbage import seldom_collected
from .metrics import WorkerMetrics
from .worker import Worker, WorkerLimits

__all__ = ["live", "work"]

_LOG = logging.getLogger(__name__)
_LAG_EVERY_S: Final = 1.0
_HEARTBEAT_EVERY_S: Final = 2.0
_LINE_EVERY_S: Final = 60.0
_QUIET_RECORDS: Final = 500  # of one poll when nothing waits
_HEARTBEAT_TTL_S: Final = 10.0  # so that one or two may be lost before the worker is missed


def live(wiring: Wiring, policy: Policy, log_level: str = "info") -> int:
    """Be a worker until told to stop; the exit code. Errors are logged, not raised."""
    metrics: WorkerMetrics | None = None
    with ExitStack() as ends:
        try:
            slot = Slot(wiring)
            ends.callback(slot.release)
            log_to(sys.stderr, slot.name, log_level)
            parent = parent_pipe_of_this_process()
            wiring = wiring.model_copy(update={"slot": slot.name})
            metrics = WorkerMetrics(wiring, policy.policy_id, parent.restarts if parent else {})
            metrics.liveness.opening = True
            Watchdog(metrics.liveness, wiring.stall_s, parent).start(ends.enter_context(stop_on_signals(metrics.liveness)))
            _serve(wiring, policy, metrics)
        except (Exception, KeyboardInterrupt) as error:
            return exit_code_of(error, _LOG)
        finally:
            _tell_unlisted(metrics, policy)
    _LOG.info("stopped as asked")
    return 0


def _tell_unlisted(metrics: WorkerMetrics | None, policy: Policy) -> None:
    """As the last thing before the end: what to add to the policy, where encoders that it does not list were named."""
    counts = metrics.counts if metrics else None
    if counts and (explained := explain_unlisted(counts.unlisted, counts.recognitions, policy)):
        _LOG.warning(explained)


def work(worker: Worker, broker: Broker, metrics: WorkerMetrics) -> None:
    """Turn after turn until asked to stop, noting how it goes. Raises as `Worker.run_once`."""
    looked_s, line_s, events = -_LAG_EVERY_S, time.perf_counter(), worker.counts.events
    told: set[Unlisted] = set()
    while not metrics.liveness.stopping:
        began_s = time.perf_counter()
        progress = worker.run_once()
        now_s = time.perf_counter()
        for unlisted in worker.counts.unlisted.keys() - told:
            told.add(unlisted)
            _LOG.warning("a %s encoder that the policy does not list, %r of %d numbers: its vectors are left out", *unlisted)
        metrics.note_turn(progress, worker.counts, now_s - began_s)
        if now_s - looked_s >= _LAG_EVERY_S:
            looked_s = now_s
            metrics.note_lag(broker.lag())
        if now_s - line_s >= _LINE_EVERY_S:
            done, line_s, events = worker.counts.events - events, now_s, worker.counts.events
            _LOG.info("at work", extra={"events": done, "lag": metrics.liveness.lag})
        if progress.ended:
            return
    worker.finish()


def _serve(wiring: Wiring, policy: Policy, metrics: WorkerMetrics) -> None:
    """Open everything, work, and close everything again."""
    with ExitStack() as ends:
        tracing = ends.enter_context(open_tracing(wiring, policy.policy_id))
        if wiring.listen:
            registry = exposition(metrics.samples)
            endpoints = ends.enter_context(closing(Endpoints(wiring.listen, registry, metrics.sick, metrics.unready)))
            metrics.listen = f"{wiring.listen.rpartition(':')[0]}:{endpoints.port}"
            _LOG.info("listening", extra={"listen": metrics.listen})
        _refuse_what_cannot_work(wiring, policy)
        store = ends.enter_context(closing(open_store(store_of(wiring), wiring)))
        broker = ends.enter_context(closing(open_broker(wiring)))
        heartbeats = open_heartbeats(store_of(wiring), wiring)
        if heartbeats is not None:
            ends.enter_context(_beat(ends.enter_context(closing(heartbeats)), metrics))
        limits = WorkerLimits(
            records_max=wiring.batch_records_max,
            records_min=_QUIET_RECORDS,
            poll_timeout_s=wiring.poll_timeout_s,
            resident_bytes_max=wiring.resident_bytes_max,
            dead_letters_share_max=wiring.dead_letters_share_max,
            accept_new_topics=wiring.accept_new_topics,
        )
        ends.enter_context(seldom_collected())
        metered = MeteredBroker(broker, metrics.meter)
        if tracing is None:
            worker = Worker(metered, MeteredStore(store, metrics.meter), policy, limits)
        else:
            limits = replace(limits, ordering=tracing.watch_order(limits.ordering))
            metered = TracedBroker(broker, metrics.meter, tracing)
            worker = Worker(metered, TracedStore(store, metrics.meter, tracing), policy, limits, tracing.watch_step(step_batch))
        metrics.counts = worker.counts
        worker.publish_beside(ends.enter_context(ThreadPoolExecutor(1, "publishing")))
        metrics.liveness.opening = False
        work(worker, metered, metrics)


def _refuse_what_cannot_work(wiring: Wiring, policy: Policy) -> None:
    """The start-up checks, before anything is consumed. Raises ConfigError with all that is wrong, or BrokerError."""
    checks = run_checks(wiring, presence=policy.presence.publish)
    for check in checks:
        if check.state == "warning":
            _LOG.warning("%s: %s; better: %s", check.name, check.found, check.right)
    refuse_failed(checks)


@contextmanager
def _beat(heartbeats: Heartbeats, metrics: WorkerMetrics) -> Iterator[None]:
    """Write a heartbeat every few seconds, from a thread of its own: a Redis that hangs delays nothing."""
    over = Event()

    def put() -> None:
        lost = False
        while not over.wait(_HEARTBEAT_EVERY_S):
            try:
                heartbeats.put(metrics.slot, metrics.heartbeat(), _HEARTBEAT_TTL_S)
                lost = False
            except StoreError as error:
                if not lost:
                    _LOG.warning("no heartbeat could be written", exc_info=error)
                lost = True

    Thread(target=put, name="heartbeats", daemon=True).start()
    try:
        yield
    finally:
        over.set()
