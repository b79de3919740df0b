"""Replay: the real worker on log files, into a directory.

Law: the same logs, policy and first states give the same outputs, however often the replay was stopped and begun again, and
however many processes its households are spread over.
A run whose states lie in a file goes on where it stood; one whose states were in memory begins again. (After a log that had a
fault was mended, lines of different partitions may stand in another order: a batch ended at the fault.) What somebody else put
there, in the directory or in the store, is never touched.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from stream.brokers.files import FILES, LogBroker, LogProgress
from stream.brokers.journal_order import JournalOrder
from stream.brokers.log_files import STDIN, LogReader, encode_line
from stream.contract.credentials import private
from stream.contract.errors import ConfigError, UnknownState
from stream.contract.packs import is_path
from stream.contract.policy import Policy
from stream.contract.ports import Broker, StateStore
from stream.contract.records import OUTPUT_TOPICS, Signal
from stream.contract.settings import Wiring
from stream.fleet.step import alerts_of
from stream.home.state.at_rest import decode_home
from stream.home.step import STEP_VERSION
from stream.runtime.fleet.processor import ALERTS, SIGNALS, encode_alert
from stream.runtime.worker.applying import Applier
from stream.runtime.worker.batch import as_arrived
from stream.runtime.worker.garbage import seldom_collected
from stream.runtime.worker.worker import Counts, Worker, WorkerLimits
from stream.stores import open_store

from ..what_if.what_if import NOTHING, WhatIf
from .applied import count_missing, in_applied_order, open_log, read_order_of
from .first_states import copy_states, refuse_unreadable, states_of
from .jobs.cluster import Cluster
from .jobs.messages import Setup
from .jobs.pool import JobPool
from .jobs.processes import JobProcesses
from .manifest import AS_THEY_STAND, BY_JOURNAL, MANIFEST, Inputs, batches_of, logs_of, manifest_of, write_manifest

__all__ = ["PACK_FILES", "PARQUET_FILES", "Replay", "Sofar", "Summary", "Weight", "replay", "write_alerts"]

_LOG = logging.getLogger(__name__)
_IN_MEMORY: Final = "memory:"
_FIRST_STATES: Final = "first states"  # this and the next, of a progress, are not compared when a run goes on
PACK_FILES: Final = "pack files"
PARQUET_FILES: Final = tuple(f"{topic}.parquet" for topic in OUTPUT_TOPICS)  # that `runs.frames` writes when it is asked to
_NEVER: Final = WorkerLimits().dead_letters_window + 1  # dead letters: more than are ever counted at once


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay, and where to.

    `logs` are paths or `-`; `origin` is a file of states to begin with, which is copied and never changed; `fresh` begins
    anew over what an earlier replay into `out` left there; `what_if` changes the records before the worker reads them.
    """

    logs: Sequence[str]
    out: Path
    policy: Policy
    wiring: Wiring
    origin: Path | None = None
    fresh: bool = False
    what_if: WhatIf = NOTHING

    @property
    def store(self) -> str:
        """Where the states lie: a file or memory, for a replay never touches what live workers own."""
        store = self.wiring.store or _IN_MEMORY
        if "://" in store:
            raise ConfigError("store", store, "the store of a replay", 'a path ending in ".db", or "memory:"')
        return store

    @property
    def lasting(self) -> bool:
        """Whether the states outlive the process, so that an interrupted run can go on."""
        return self.store != _IN_MEMORY

    @property
    def run(self) -> dict[str, str]:
        """What makes this run this run and no other: the same in all of it means that it may go on."""
        return {
            "logs": os.pathsep.join(log if log == STDIN else os.path.abspath(log) for log in self.logs),
            "policy": self.policy.policy_id,
            "store": os.path.abspath(self.store) if self.lasting else _IN_MEMORY,
            "from": os.path.abspath(self.origin) if self.origin else "",
            "version of step": str(STEP_VERSION),
            "what if": self.what_if.written,
        }


class Sofar(NamedTuple):
    """How far a replay is: records done by this command, and bytes read of the logs (`bytes_total` None: of unknown length)."""

    records: int
    bytes_read: int
    bytes_total: int | None


class Weight(NamedTuple):
    """What the states at the end hold: households, people who belong to them now, and bytes at rest."""

    households: int
    people: int
    state_bytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay came to. `records_before` were done by an earlier command that was interrupted."""

    counts: Counts
    records_before: int
    seconds: float
    finished: bool
    weight: Weight


def replay(
    task: Replay,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[Sofar], None] = lambda _: None,
    jobs: JobProcesses | Cluster | None = None,
) -> Summary:
    """Run the worker over the logs until they end or `stop()` says so, which is asked between batches.

    Parameters
    ----------
    task
        What, and where to.
    stop, watch
        Asked and told between batches.
    jobs
        Processes that the households are spread over, or a cluster; None: this one does all.

    Raises
    ------
    ConfigError
        A setting that cannot be, a directory or store of another run: nothing was changed.
    InvalidLog
        A file is no log, or not to its end. All that was whole before is answered, and the run goes on once the file is mended.
    JobLost
        One of the processes ended. What was committed is safe.
    BrokerError, StoreError, RecoveryError
        From the ports and the worker.
    """
    with ExitStack() as ends:
        order = read_order_of(task.logs, task.what_if, task.wiring.prefix, _LOG.warning)
        log = ends.enter_context(closing(open_log(task.logs, order, task.wiring.prefix, _LOG.warning, digested=True)))
        progress = _begin_or_go_on(task)
        broker = ends.enter_context(closing(_broker(task, log, order, progress)))
        for name in (MANIFEST, *PARQUET_FILES):  # of what stood here before
            (task.out / name).unlink(missing_ok=True)
        store = ends.enter_context(closing(_open_states(task, progress)))
        worker = _worker(task, broker, store, jobs)
        began_s = time.perf_counter()
        finished = False
        with seldom_collected():
            while not finished and not stop():
                finished = worker.run_once().ended
                watch(Sofar(worker.counts.records, log.bytes_read, log.bytes_total))
        seconds = time.perf_counter() - began_s
        summary = Summary(worker.counts, progress.records, seconds, finished, _weigh(store, task.policy))
        inputs = _inputs(task, log, order, broker, progress) if finished else None
    if inputs is not None:
        if alerts := write_alerts(task.out, task.policy):  # the fleet stage, once all signals are there
            summary.counts.outputs["drift-alerts"] = alerts
        batches = batches_of(task.out, task.wiring.batch_records_max, AS_THEY_STAND if order is None else BY_JOURNAL)
        write_manifest(task.out, manifest_of(task.out, inputs, task.policy, batches))
    return summary


def _broker(task: Replay, log: LogReader, order: JournalOrder | None, progress: LogProgress) -> LogBroker:
    records = task.what_if.apply(in_applied_order(log, order))
    return LogBroker(records, task.out, progress, count_missing(order))


def _inputs(task: Replay, log: LogReader, order: JournalOrder | None, broker: LogBroker, progress: LogProgress) -> Inputs:
    """What a run that ended has read, all of it: also what an earlier command did was read again by this one."""
    read, arrived = broker.digests, broker.digests if order is None else order.arrived
    by_topic = {topic: {str(p): span for p, span in spans.items()} for topic, spans in arrived.partitions().items()}
    files, states = logs_of(task.logs, log.digests()), progress.run.get(_FIRST_STATES, "")
    return Inputs(files, read.records, read.order, by_topic, states, task.what_if.written)


def _worker(task: Replay, broker: Broker, store: StateStore, jobs: JobProcesses | Cluster | None) -> Worker:
    """The worker, which applies batches here or by jobs; those share the memory there is for homes."""
    limits = _limits(task.wiring)
    if jobs is None:
        return Worker(broker, store, task.policy, limits)
    if isinstance(jobs, Cluster):
        pool: Applier = jobs.pool(store, Setup(task.policy, limits.resident_bytes_max // len(jobs.workers)))
    else:
        pool = JobPool(jobs, store, Setup(task.policy, limits.resident_bytes_max // len(jobs.ends)))
    return Worker.with_applier(pool, broker, store, task.policy, limits)


def _limits(wiring: Wiring) -> WorkerLimits:
    """A file is not drained: its dead letters can be replayed, so that no share of them is a reason to stop."""
    return WorkerLimits(
        records_max=wiring.batch_records_max,
        records_min=wiring.batch_records_max,  # always as many: who goes on after a stop makes the same batches
        resident_bytes_max=wiring.resident_bytes_max,
        dead_letters_min=_NEVER,
        ordering=as_arrived,
    )


def _begin_or_go_on(task: Replay) -> LogProgress:
    """Where the run in the directory stands, or a progress without records to begin with."""
    found = LogProgress.read(task.out)
    store = Path(task.store)
    _refuse_strange(task, found)
    if not task.fresh:
        _refuse_other(task, found)
        if found and found.records and task.lasting:
            if not store.exists():
                right = f"the file of states that {task.out} was made with; or add --fresh to begin anew"
                raise ConfigError("store", str(store), "which does not exist", right)
            return found
    ours = found is not None and found.run["store"] == task.run["store"]
    if task.lasting and store.exists() and not ours:
        right = f"a new file; to begin with a copy of those states, add --from {store}"
        raise ConfigError("store", str(store), "which holds states already", right)
    packs = {name: encoder.pack for name, encoder in task.policy.encoders.items() if is_path(encoder.pack)}
    return LogProgress(run=task.run | {PACK_FILES: json.dumps(packs)})


def _refuse_strange(task: Replay, found: LogProgress | None) -> None:
    """Stop where something else stands, also with --fresh: only a replay's own mark says that what is there may be emptied."""
    names = [file for file in (*FILES, MANIFEST, *PARQUET_FILES) if os.path.lexists(task.out / file)]
    linked = [name for name in names if (task.out / name).is_symlink()]
    right = "another directory"
    if found is None and names:
        raise ConfigError("out", str(task.out), f"which has a {names[0]} that no replay is known to have made", right)
    if linked:
        raise ConfigError("out", str(task.out), f"where {linked[0]} is a link, through which nothing is written", right)


def _refuse_other(task: Replay, found: LogProgress | None) -> None:
    """Stop unless the directory is free or holds this very run."""
    right = "another directory, or this one with --fresh to begin anew"
    if found is not None and found.records:
        for key, value in task.run.items():
            if found.run.get(key, "") != value:  # an earlier version did not write all
                why = f"which holds a run with other {key}: {found.run.get(key) or 'none'} and not {value or 'none'}"
                raise ConfigError("out", str(task.out), why, right)


def _open_states(task: Replay, progress: LogProgress) -> StateStore:
    """The store to go on with; or to begin with, and then it is emptied, being known as ours, and given the first states."""
    if task.lasting and not progress.records:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{task.store}{suffix}").unlink(missing_ok=True)
    store = open_store(task.store)
    if task.origin and not progress.records:
        progress.run[_FIRST_STATES] = _copy_states(task.origin, store, task.policy)
    return store


def _copy_states(origin: Path, store: StateStore, policy: Policy) -> str:
    """Fill an empty store with the states of a file, as if nothing had been read yet; a digest of them.

    A save must move the offsets, so they go to a topic of no stream and back.
    """
    moved, digest = {"copied": 1}, hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder, closing(open_store(copy_states(origin, Path(folder)))) as source:
        refuse_unreadable(origin, source, policy)
        for partition in sorted(source.partitions()):
            epoch, _ = store.claim(partition)
            states = source.load(partition, sorted(source.households(partition)))
            for household in sorted(states):
                digest.update(b"%d %b %d\n" % (partition, household.encode(), len(states[household])) + states[household])
            store.save(partition, epoch, {}, moved, states)
            store.save(partition, epoch, moved, {}, {})
    return digest.hexdigest()


def _weigh(store: StateStore, policy: Policy) -> Weight:
    households = people = state_bytes = 0
    for _, _, raw in states_of(store):
        households += 1
        state_bytes += len(raw)
        with suppress(UnknownState):  # of a damaged home, whose records became dead letters
            people += len(decode_home(raw, policy).members)
    return Weight(households, people, state_bytes)


def write_alerts(out: Path, policy: Policy) -> int:
    """Write `drift-alerts.jsonl` into a directory that has the signals of a replay that ended; how many there are."""
    with closing(LogReader([str(out / f"{SIGNALS}.jsonl")], [SIGNALS])) as written:
        signals = [Signal.model_validate_json(record.value or b"") for record in written]
    alerts = [encode_line(encode_alert(alert), offset) for offset, alert in enumerate(alerts_of(signals, policy.alerting))]
    with open(out / f"{ALERTS}.jsonl", "wb", opener=private) as file:
        file.write(b"".join(alerts))
    return len(alerts)
