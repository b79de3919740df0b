"""Traces of batches: what is in one, which are kept, and that tracing changes nothing else."""

import http.server
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry (the extra otel) is not installed.")

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from stream.brokers import MemoryBroker, MemoryLog
from stream.brokers.kafka.topics import reader
from stream.contract.errors import ConfigError
from stream.contract.ports import Batch, Broker, Offsets, StoreError, Transaction
from stream.contract.settings import TracingWiring, Wiring, load_wiring, toml_of
from stream.home.step import step_batch
from stream.ops.local_cluster.processes import Server, until
from stream.runtime.telemetry import tracing as module
from stream.runtime.telemetry.metering import Meter
from stream.runtime.telemetry.tracing import PARTS, TracedBroker, TracedStore, Tracing, open_tracing
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.conftest import Running
from tests.support.histories import history
from tests.support.one_worker import POLICY, at_work, see
from tests.support.publishing import Publishing

LIMITS = WorkerLimits(records_max=40, records_min=40, dead_letters_min=10**9)
PATIENCE_S = 90.0
SAMPLED, NOT_SAMPLED = "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-" + "c" * 32 + "-" + "d" * 16 + "-00"


class Followed:
    """A worker whose batches are traced into memory."""

    def __init__(self, log: MemoryLog, store: Any = None, broker: Broker | None = None, **settings: Any) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        wanted = TracingWiring(**{"share": 1.0, "slow_s": 3600} | settings)
        self.tracing = Tracing(provider.get_tracer("test"), wanted, {"messaging.system": "kafka"})
        self.store = MemoryStore() if store is None else store
        limits = replace(LIMITS, ordering=self.tracing.watch_order(LIMITS.ordering))
        ports = TracedBroker(broker or MemoryBroker(log), Meter(), self.tracing), TracedStore(self.store, Meter(), self.tracing)
        self.worker = Worker(*ports, POLICY, limits, self.tracing.watch_step(step_batch))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def batches(self) -> list[ReadableSpan]:
        return [span for span in self.spans if span.parent is None]

    def parts(self, batch: ReadableSpan) -> list[ReadableSpan]:
        return [span for span in self.spans if span.parent is not None and span.parent.span_id == batch.context.span_id]


def logged(partitions: int = 2, records: int = 300) -> MemoryLog:
    log = MemoryLog(partitions)
    for sent in history(5, partitions, records):
        log.append(*sent)
    log.sealed = True
    return log


def told(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


@pytest.mark.parametrize("beside", [None, True, False], ids=["in turn", "published at once", "published late"])
def test_each_batch_is_one_trace_of_all_that_was_done_for_it(beside: bool | None) -> None:
    log = logged()
    followed = Followed(log)
    if beside is not None:
        followed.worker.publish_beside(Publishing(lambda: beside))
    followed.worker.run()
    entries = [entry for partition in range(2) for entry in log.journal(partition)]
    assert len(followed.batches) == followed.worker.counts.batches > 3
    assert sorted(place for batch in followed.batches for place in told(batch)["kithkin.batch"]) == sorted(
        place for entry in entries for place in entry.places
    )
    assert sum(told(batch)["messaging.batch.message_count"] for batch in followed.batches) == followed.worker.counts.records
    for batch in followed.batches:
        parts = followed.parts(batch)
        count = Counter(part.name for part in parts)
        ours = len({place.partition("[")[2].partition("]")[0] for place in told(batch)["kithkin.batch"]})
        once = {"poll": 1, "publish": 1, "decode": ours, "apply": ours, "save": ours}
        assert {name: count[name] for name in once} == once
        assert count["load"] <= ours
        assert set(count) <= set(PARTS)
        for part in parts:
            assert batch.start_time <= part.start_time <= part.end_time <= batch.end_time  # type: ignore[operator]


def test_tracing_changes_neither_outputs_nor_states() -> None:
    plain, log = logged(), logged()
    worker = Worker(MemoryBroker(plain), store := MemoryStore(), POLICY, LIMITS)
    worker.run()
    followed = Followed(log)
    followed.worker.run()
    for topic in ("identities", "labels", "profiles", "dead-letters"):
        assert [log.outputs(topic, p) for p in range(2)] == [plain.outputs(topic, p) for p in range(2)]
    for partition in range(2):
        homes = list(store.households(partition))
        assert followed.store.load(partition, homes) == store.load(partition, homes)


def test_a_trace_names_nobody() -> None:
    log = logged()
    followed = Followed(log)
    followed.worker.run()
    homes = {home for partition in range(2) for home in followed.store.households(partition) if not home.startswith("!")}
    text = " ".join(span.to_json() for span in followed.spans)
    assert homes
    assert [home for home in homes if f'"{home}"' in text] == []


# ---- which are kept


def followed_turn(log: MemoryLog, **settings: Any) -> Followed:
    followed = Followed(log, **settings)
    followed.worker.run_once()
    followed.worker.run_once()
    return followed


def test_of_what_went_well_a_share_is_kept() -> None:
    log = MemoryLog(1)
    see(log, "e-1")
    assert followed_turn(log, share=0.0).spans == []
    log = MemoryLog(1)
    see(log, "e-1")
    (batch,) = followed_turn(log, share=1.0).batches
    assert told(batch)["kithkin.kept"] == "share"


def test_what_was_slow_is_kept_always() -> None:
    log = MemoryLog(1)
    see(log, "e-1")
    (batch,) = followed_turn(log, share=0.0, slow_s=1e-9).batches
    assert told(batch)["kithkin.kept"] == "slow"


def test_what_had_dead_letters_is_kept_always() -> None:
    log = MemoryLog(1)
    see(log, "e-1")
    log.append("recognitions", 0, 0, b"h-1", b"rubbish")
    (batch,) = followed_turn(log, share=0.0).batches
    assert (told(batch)["kithkin.kept"], told(batch)["kithkin.dead_letters"]) == ("dead letters", 1)


class Full(MemoryStore):
    """Takes nothing more."""

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        if offsets_to.get("recognitions"):
            raise StoreError("the store is full")
        super().save(partition, epoch, offsets_from, offsets_to, states)


class Refusing(MemoryBroker):
    """Publishes nothing."""

    def publish(self, transaction: Transaction) -> None:
        raise StoreError("refused")


@pytest.mark.parametrize("where", ["save", "publish", "apply"])
def test_what_failed_is_kept_always_with_where_and_why(where: str) -> None:
    log = MemoryLog(1)
    see(log, "e-1")
    broker = Refusing(log) if where == "publish" else None
    followed = Followed(log, Full() if where == "save" else None, broker, share=0.0)
    if where == "apply":

        def fail(*_: Any) -> Any:
            raise MemoryError("no more")

        followed.worker._applier._step._step = followed.tracing.watch_step(fail)  # type: ignore[attr-defined]
    followed.worker.run_once()
    with pytest.raises((StoreError, MemoryError)) as raised:
        followed.worker.run_once()
    followed.tracing.fail(raised.value)
    (batch,) = followed.batches
    assert (told(batch)["kithkin.kept"], batch.status.is_ok) == ("failed", False)
    failed = [part.name for part in followed.parts(batch) if not part.status.is_ok]
    assert failed == [where]
    assert ("the store is full" in str(batch.status.description)) == (where == "save")
    assert "no more" not in str(batch.status.description)  # words of others may name somebody


def test_what_another_member_gets_anew_is_no_trace_of_ours() -> None:
    log = logged()
    followed = Followed(log)
    for _ in range(3):
        followed.worker.run_once()
    other = at_work(log, followed.store)
    for _ in range(200):
        followed.worker.run_once()
        other.run_once()
    places = [place for batch in followed.batches for place in told(batch)["kithkin.batch"]]
    assert len(followed.batches) == followed.worker.counts.batches
    assert len(places) == len(set(places))


def test_only_what_senders_sampled_is_linked_and_of_that_no_more_than_the_sdk_keeps() -> None:
    many = ["00-" + f"{number:032x}" + "-" + "b" * 16 + "-01" for number in range(1, 300)]

    class Sent(MemoryBroker):
        def poll(self, records_max: int, timeout_s: float) -> Batch:
            batch = super().poll(records_max, timeout_s)
            return replace(batch, traceparents=[NOT_SAMPLED, "rubbish", SAMPLED, *many]) if batch.records else batch

    log = MemoryLog(1)
    see(log, "e-1")
    followed = followed_turn(log, broker=Sent(log))
    (batch,) = followed.batches
    assert len(batch.links) == 128
    assert (f"{batch.links[0].context.trace_id:032x}", f"{batch.links[0].context.span_id:016x}") == ("a" * 32, "b" * 16)


# ---- what it costs, and where it goes


def test_it_reads_a_clock_a_few_times_a_batch_however_many_records_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch of a thousand records, which takes a tenth of a second, a few microseconds."""
    log, readings = logged(1, 400), list[int]()
    followed = Followed(log, share=0.0)
    clock = time.time_ns
    monkeypatch.setattr(module.time, "time_ns", lambda: readings.append(clock()) or readings[-1])
    followed.worker.run()
    batches = followed.worker.counts.batches
    idle = 4 * 20  # polls that brought nothing
    assert len(readings) <= 12 * batches + idle


def test_without_the_setting_nothing_of_opentelemetry_is_imported() -> None:
    """Redis's client imports metrics of it where they are installed, and nothing of what traces."""
    ours = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.propagate")
    code = f"import sys, stream.runtime.worker.live; print([name for name in sys.modules if name.startswith({ours})])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    with open_tracing(Wiring(), "p") as found:
        assert found is None


def test_a_missing_extra_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    wired = Wiring(tracing=TracingWiring(endpoint="http://127.0.0.1:4318/v1/traces"))
    with pytest.raises(ConfigError, match=r"pip install '\.\[otel\]'"), open_tracing(wired, "p"):
        pass


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://here/v1/traces", "http://here:99999/", "http://here:x/", "http://"])
def test_an_endpoint_that_cannot_be_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KITHKIN_TRACING__ENDPOINT", url)
    with pytest.raises(ConfigError, match=r"a URL such as http://127\.0\.0\.1:4318/v1/traces"):
        load_wiring(None)


@contextmanager
def collector() -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """A receiver of OTLP over HTTP; what it got."""
    got: list[ExportTraceServiceRequest] = []

    class Take(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Take) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/traces", lambda: [r for one in got for r in one.resource_spans]
        finally:
            server.shutdown()
            serving.join()


def work(log: MemoryLog, wired: Wiring) -> None:
    """As a live worker does it, on a store that takes nothing."""
    with open_tracing(wired, "policy-1") as tracing:
        assert tracing is not None
        limits = replace(LIMITS, ordering=tracing.watch_order(LIMITS.ordering))
        ports = TracedBroker(MemoryBroker(log), Meter(), tracing), TracedStore(Full(), Meter(), tracing)
        Worker(*ports, POLICY, limits, tracing.watch_step(step_batch)).run()


def test_what_is_kept_reaches_a_collector_when_the_worker_ends_also_by_an_error() -> None:
    log = MemoryLog(1)
    see(log, "e-1")
    with collector() as (url, received):
        wired = Wiring(slot="w-1", tracing=TracingWiring(endpoint=url, share=0.0))
        with pytest.raises(StoreError):
            work(log, wired)
        (resource,) = received()
    attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert (attributes["service.name"], attributes["service.instance.id"]) == ("kithkin-worker", "w-1")
    spans = [span for scope in resource.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {"batch", "poll", "decode", "load", "apply", "publish", "save"}
    (batch,) = [span for span in spans if span.name == "batch"]
    assert {pair.key: pair.value.string_value for pair in batch.attributes}["kithkin.policy_id"] == "policy-1"


def test_a_live_worker_traces_what_it_does_and_ends_when_asked(
    kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    prefix = topics(2)
    wired = Wiring(broker=f"confluent://{kafka.bootstrap}", store=redis_url, prefix=prefix, group=f"{prefix}g")
    client = Producer({"bootstrap.servers": kafka.bootstrap})
    for topic, partition, _, key, raw in history(5, 2, 60):
        client.produce(prefix + topic, raw, key, partition, headers=[("traceparent", SAMPLED.encode())])
    assert client.flush(PATIENCE_S) == 0
    with collector() as (url, received):
        settings = wired.model_copy(update={"tracing": TracingWiring(endpoint=url, share=1.0)})
        (tmp_path / "wiring.toml").write_text(toml_of(settings))
        command = [sys.executable, "-m", "stream.cli", "worker", "--no-restart", "--wiring", str(tmp_path / "wiring.toml")]
        worker = Server(command, tmp_path / "log")
        there = until(lambda: not worker.running or len(list(reader(wired, ["journal"]))) >= 2, PATIENCE_S)
        worker.stop(20)
        spans = [span for resource in received() for scope in resource.scope_spans for span in scope.spans]
    assert there, worker.last_words
    batches = [span for span in spans if span.name == "batch"]
    assert {part.name for part in spans} == {"batch", *PARTS}
    assert any(link.trace_id.hex() == "a" * 32 for batch in batches for link in batch.links), worker.last_words
