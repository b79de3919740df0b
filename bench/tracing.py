"""What tracing costs a worker: the same town with and without it, by turns, in one process.

    python -m bench.tracing [--events 20000] [--runs 5]

Every record has a trace context of its own. With the share of batches that is kept unless another is set, and with all of
them, which is the most that tracing can cost; spans go to a collector that takes them all, in memory. Of each the fastest run
counts, in CPU time of all threads. Exit code 1: the usual share costs more than 1 %.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stream.brokers import MemoryBroker, MemoryLog
from stream.brokers.log_files import LogReader
from stream.contract.policy import Policy
from stream.contract.ports import Batch
from stream.contract.records import Record
from stream.contract.settings import TracingWiring
from stream.home.step import step_batch
from stream.runtime.telemetry.metering import Meter, MeteredBroker, MeteredStore
from stream.runtime.telemetry.tracing import TracedBroker, TracedStore, Tracing
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore

from .town import write_town

__all__ = ["main", "measured"]

MOST = 0.01


class Sending(MemoryBroker):
    """Records come with a trace context each."""

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        batch = super().poll(records_max, timeout_s)
        contexts = [f"00-{r.offset + 1:032x}-{r.partition + 1:016x}-01" for r in batch.records]
        return replace(batch, traceparents=contexts)


def measured(records: Sequence[Record], share: float | None) -> tuple[float, int]:
    """CPU seconds of a worker that does all of it, and how many spans came of it; `share` None: without tracing."""
    log, meter, exporter = MemoryLog(1 + max(r.partition for r in records)), Meter(), InMemorySpanExporter()
    for r in records:
        log.append(r.topic, r.partition, r.timestamp, r.key, r.value)
    log.sealed = True
    limits, broker = WorkerLimits(dead_letters_min=10**9), Sending(log)
    began_s = time.process_time()
    if share is not None:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracing = Tracing(provider.get_tracer("bench"), TracingWiring(share=share, slow_s=3600), {})
        limits = replace(limits, ordering=tracing.watch_order(limits.ordering))
        ports = TracedBroker(broker, meter, tracing), TracedStore(MemoryStore(), meter, tracing)
        Worker(*ports, Policy(), limits, tracing.watch_step(step_batch)).run()
        provider.shutdown()
    else:
        Worker(MeteredBroker(broker, meter), MeteredStore(MemoryStore(), meter), Policy(), limits).run()
    return time.process_time() - began_s, len(exporter.get_finished_spans())


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.tracing", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("--events", type=int, default=20_000, help="recognitions of the town (default: %(default)s)")
    cli.add_argument("--runs", type=int, default=5, help="runs of each, of which the fastest counts (default: %(default)s)")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "town.jsonl"
        write_town(path, 200, args.events, 0)
        with closing(LogReader([str(path)])) as log:
            records = list(log)
    measured(records, None)  # what is compiled or found out once does not count
    usual = TracingWiring().share
    runs = [[measured(records, share) for share in (None, usual, 1.0)] for _ in range(args.runs)]
    plain_s, *traced_s = (min(run[way][0] for run in runs) for way in range(3))
    print(f"{len(records):,} records: {plain_s:.2f} s without")
    for share, took_s, (_, spans) in zip((usual, 1.0), traced_s, runs[0][1:], strict=True):
        print(f"  {share:.0%} of batches kept: {took_s:.2f} s, {spans:,} spans: {took_s / plain_s - 1:+.1%}")
    sys.exit(traced_s[0] / plain_s - 1 > MOST)


if __name__ == "__main__":
    main()
