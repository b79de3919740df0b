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
from contextlib import ExitStack, closing, contextmanager
from threading import Event, Thread
from typing import Final

from stream.brokers import open_broker
from stream.brokers.kafka.slots import Slot
from stream.contract.errors import ConfigError, RecoveryError, TooManyDeadLetters
from stream.contract.policy import Policy
from stream.contract.ports import Broker, BrokerError, Fenced, StoreError
from stream.contract.settings import Wiring, store_of
from stream.ops.checks import refuse_failed, run_checks
from stream.stores import open_store
from stream.stores.redis.heartbeats import Board, open_board

from ..supervision.supervisor import (
    EXIT_BEYOND_REPAIR,
    EXIT_FAILED,
    EXIT_FENCED,
    EXIT_OPERATOR,
    EXIT_SERVER_AWAY,
    leash_of_this_process,
)
from ..supervision.watchdog import Watchdog, stopped_by_signals
from ..telemetry.endpoints import Endpoints
from ..telemetry.logging import log_to
from ..telemetry.metering import MeteredBroker, MeteredStore
from ..telemetry.registry import exposition
from .garbage import seldom_collected
from .metrics import Vitals
from .worker import Worker, WorkerLimits

__all__ = ["live", "work"]

_LOG = logging.getLogger(__name__)
_LAG_EVERY_S: Final = 1.0
_NOTE_EVERY_S: Final = 2.0
_NOTE_TTL_S: Final = 10.0  # so that one or two notes may be lost before the worker is missed
_EXIT_CODES: Final = {
    (Fenced,): EXIT_FENCED,
    (RecoveryError, TooManyDeadLetters): EXIT_BEYOND_REPAIR,
    (BrokerError, StoreError): EXIT_SERVER_AWAY,
}


def live(wiring: Wiring, policy: Policy, log_level: str = "info") -> int:
    """Be a worker until told to stop; the exit code. Errors are logged, not raised."""
    with ExitStack() as ends:
        try:
            slot = Slot(wiring)
            ends.callback(slot.release)
            log_to(sys.stderr, slot.name, log_level)
            leash = leash_of_this_process()
            wiring = wiring.model_copy(update={"slot": slot.name})
            vitals = Vitals(wiring, policy.policy_id, leash.restarts if leash else {})
            Watchdog(vitals.heart, wiring.stall_s, leash).start(ends.enter_context(stopped_by_signals(vitals.heart)))
            _serve(wiring, policy, vitals)
        except (Exception, KeyboardInterrupt) as error:
            return _exit_code(error)
    _LOG.info("stopped as asked")
    return 0


def work(worker: Worker, broker: Broker, vitals: Vitals) -> None:
    """Turn after turn until asked to stop, noting how it goes. Raises as `Worker.run_once`."""
    looked_s = -_LAG_EVERY_S
    while not vitals.heart.stopping:
        began_s = time.perf_counter()
        progress = worker.run_once()
        now_s = time.perf_counter()
        vitals.turned(progress, worker.counts, now_s - began_s)
        if now_s - looked_s >= _LAG_EVERY_S:
            looked_s = now_s
            vitals.lagging(broker.lag())
        if progress.ended:
            return


def _serve(wiring: Wiring, policy: Policy, vitals: Vitals) -> None:
    """Open everything, work, and close everything again."""
    with ExitStack() as ends:
        if wiring.listen:
            registry = exposition(vitals.samples)
            endpoints = ends.enter_context(closing(Endpoints(wiring.listen, registry, vitals.sick, vitals.unready)))
            vitals.listen = f"{wiring.listen.rpartition(':')[0]}:{endpoints.port}"
            _LOG.info("listening", extra={"listen": vitals.listen})
        _refuse_what_cannot_work(wiring)
        store = ends.enter_context(closing(open_store(store_of(wiring), wiring)))
        broker = ends.enter_context(closing(open_broker(wiring)))
        board = open_board(store_of(wiring), wiring)
        if board is not None:
            ends.enter_context(_noted(ends.enter_context(closing(board)), vitals))
        limits = WorkerLimits(
            records_max=wiring.batch_records_max,
            poll_timeout_s=wiring.poll_timeout_s,
            resident_bytes_max=wiring.resident_bytes_max,
            dead_letters_share_max=wiring.dead_letters_share_max,
        )
        metered = MeteredBroker(broker, vitals.meter)
        ends.enter_context(seldom_collected())
        work(Worker(metered, MeteredStore(store, vitals.meter), policy, limits), metered, vitals)


def _refuse_what_cannot_work(wiring: Wiring) -> None:
    """The start-up checks, before anything is consumed. Raises ConfigError with all that is wrong, or BrokerError."""
    checks = run_checks(wiring)
    for check in checks:
        if check.state == "warning":
            _LOG.warning("%s: %s; better: %s", check.name, check.found, check.right)
    refuse_failed(checks)


@contextmanager
def _noted(board: Board, vitals: Vitals) -> Iterator[None]:
    """Put a note on the board every few seconds, from a thread of its own: a board that hangs delays nothing."""
    over = Event()

    def put() -> None:
        lost = False
        while not over.wait(_NOTE_EVERY_S):
            try:
                board.put(vitals.slot, vitals.note(), _NOTE_TTL_S)
                lost = False
            except StoreError as error:
                if not lost:
                    _LOG.warning("no note could be put on the board", exc_info=error)
                lost = True

    Thread(target=put, name="board", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _exit_code(error: BaseException) -> int:
    """Log how it ended, and say it as a number."""
    if isinstance(error, ConfigError):
        _LOG.critical(str(error))
        return EXIT_OPERATOR
    _LOG.critical("the worker ends", exc_info=error)
    return next((code for kinds, code in _EXIT_CODES.items() if isinstance(error, kinds)), EXIT_FAILED)
