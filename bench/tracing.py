"""What tracing costs a worker: what it does beside a batch, against what the batch takes, in CPU time of all threads.

    python -m bench.tracing [--events 20000] [--runs 20]

A worker does a town once, and what it asks of its ports is kept. The same calls are then made again on ports that do nothing,
with and without tracing, by turns: the difference is all that tracing does, and nothing that a busy machine does beside it is of
the same size. Every record has a trace context of its own, read from headers as a client gives them; spans are encoded as they
are sent. With the share of batches that is kept unless another is set, and with all of them, which is the most that it can cost.
Shares of what the worker took, with their 95 % interval over the runs. Exit code 1: the usual share may cost more than 1 %.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from scipy.stats import t as student

from stream.brokers import MemoryBroker, MemoryLog
from stream.brokers.kafka.topics import traceparents_of
from stream.brokers.log_files import LogReader
from stream.contract.policy import Policy
from stream.contract.ports import Batch, Offsets, Transaction
from stream.contract.records import Record
from stream.contract.settings import TracingWiring
from stream.home.step import step_batch
from stream.runtime.telemetry.metering import Meter, MeteredBroker, MeteredStore
from stream.runtime.telemetry.tracing import TracedBroker, TracedStore, Tracing
from stream.runtime.worker.batch import by_content
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore

from .town import write_town

__all__ = ["Calls", "cost_s", "main", "work"]

MOST: Final = 0.01
Call = tuple[str, tuple[Any, ...]]


class Calls:
    """What a worker asked of its ports, in order; as broker, store, ordering and step it does what they do, or nothing."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self.headers: list[list[list[tuple[str, bytes]]]] = []  # of each poll, each record's

    def note(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        """The same, noted."""

        def call(*args: Any) -> Any:
            self.made.append((name, args))
            return inner(*args)

        return call


class _Noting(MemoryBroker):
    """Notes what is polled, and what is published."""

    def __init__(self, log: MemoryLog, calls: Calls) -> None:
        super().__init__(log)
        self._calls = calls

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        batch = super().poll(records_max, timeout_s)
        self._calls.made.append(("poll", (batch,)))
        parents = [f"00-{r.offset + 1:032x}-{r.partition + 1:016x}-01".encode() for r in batch.records]
        self._calls.headers.append([[("traceparent", parent)] for parent in parents])
        return batch

    def publish(self, transaction: Transaction) -> None:
        self._calls.made.append(("publish", (transaction,)))
        super().publish(transaction)


class _NotingStore(MemoryStore):
    """Notes what is loaded and saved."""

    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self._calls = calls

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        self._calls.made.append(("load", (partition, households)))
        return super().load(partition, households)

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        self._calls.made.append(("save", (partition, epoch, offsets_from, offsets_to, dict.fromkeys(states, b""))))
        super().save(partition, epoch, offsets_from, offsets_to, states)


def work(records: Sequence[Record]) -> tuple[float, Calls]:
    """CPU seconds of a worker that does all of it, and what it asked of its ports."""
    log, meter, calls = MemoryLog(1 + max(r.partition for r in records)), Meter(), Calls()
    for r in records:
        log.append(r.topic, r.partition, r.timestamp, r.key, r.value)
    log.sealed = True
    limits = WorkerLimits(dead_letters_min=10**9, ordering=calls.note("order", by_content))
    ports = MeteredBroker(_Noting(log, calls), meter), MeteredStore(_NotingStore(calls), meter)
    began_s = time.process_time()
    Worker(*ports, Policy(), limits, calls.note("step", step_batch)).run()
    return time.process_time() - began_s, calls


class _Nothing:
    """Both ports, which do nothing; a poll gives what it gave."""

    def __init__(self) -> None:
        self.batch = Batch()

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        return self.batch

    def publish(self, transaction: Transaction) -> None:
        pass

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        return {}

    def save(self, *_: Any) -> None:
        pass


class _Encoding(SpanExporter):
    """Makes of spans what would be sent."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


def cost_s(calls: Calls, share: float | None) -> tuple[float, int]:
    """CPU seconds of the calls on ports that do nothing, and how many spans came of them; `share` None: without tracing."""
    nothing, meter, encoding = _Nothing(), Meter(), _Encoding()
    inner: Any = nothing
    broker, store = MeteredBroker(inner, meter), MeteredStore(inner, meter)
    order, step = (lambda records: records), (lambda homes, events, policy: None)
    provider = TracerProvider(shutdown_on_exit=False)
    headers = iter(calls.headers)
    began_s = time.process_time()
    if share is not None:
        provider.add_span_processor(BatchSpanProcessor(encoding))
        tracing = Tracing(provider.get_tracer("bench"), TracingWiring(share=share, slow_s=3600), {})
        broker, store = TracedBroker(inner, meter, tracing), TracedStore(inner, meter, tracing)
        order, step = tracing.watch_order(order), tracing.watch_step(step)  # type: ignore[assignment,arg-type]
    does = {"order": order, "step": step, "load": store.load, "save": store.save, "publish": broker.publish}
    for name, args in calls.made:
        if name == "poll":
            (batch,) = args
            parents = traceparents_of(next(headers)) if share is not None else ()
            nothing.batch = Batch(batch.records, batch.assigned, batch.revoked, batch.ended, batch.generation, parents)
            broker.poll(1, 0.0)
        else:
            does[name](*args)
    provider.shutdown()
    return time.process_time() - began_s, encoding.spans


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.tracing", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("--events", type=int, default=20_000, help="recognitions of the town (default: %(default)s)")
    cli.add_argument("--runs", type=int, default=20, help="of the calls, each with and without (default: %(default)s)")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "town.jsonl"
        write_town(path, 200, args.events, 0)
        with closing(LogReader([str(path)])) as log:
            records = list(log)
    work(records)  # what is compiled or found out once does not count
    worked_s, calls = min((work(records) for _ in range(3)), key=lambda found: found[0])
    batches = sum(name == "publish" for name, _ in calls.made)
    print(f"{len(records):,} records in {batches} batches: {worked_s:.2f} s of CPU without tracing")
    usual = TracingWiring().share
    most = 0.0
    for share in (1.0, usual):
        runs = [(cost_s(calls, share), cost_s(calls, None)) for _ in range(args.runs)]
        shares = [(traced - plain) / worked_s for (traced, _), (plain, _) in runs]
        half = float(student.ppf(0.975, args.runs - 1)) * stdev(shares) / args.runs**0.5
        spans, most = mean(found[0][1] for found in runs), mean(shares) + half
        each_us = 1e6 * mean(shares) * worked_s / batches
        told = f"{mean(shares):+.3%} [{mean(shares) - half:+.3%}, {most:+.3%}], {each_us:,.0f} us a batch"
        print(f"  {share:.0%} of batches kept, {spans:,.0f} spans a run: {told}")
    sys.exit(most > MOST)


if __name__ == "__main__":
    main()
