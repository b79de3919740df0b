"""What a worker tells of itself: every metric by its name, probes that answer, and log lines that name nobody."""

import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stream.brokers import MemoryBroker, MemoryLog
from stream.contract.errors import ConfigError, RecoveryError
from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.home import statements
from stream.home.state.household import Household
from stream.home.step import step_batch
from stream.ops.local_cluster.processes import until
from stream.runtime.telemetry.endpoints import Endpoints
from stream.runtime.telemetry.logging import JsonLines, ReadableLines
from stream.runtime.telemetry.metering import MeteredBroker, MeteredStore
from stream.runtime.telemetry.registry import METRICS, Histogram, exposition
from stream.runtime.worker import live
from stream.runtime.worker.live import work
from stream.runtime.worker.metrics import WorkerMetrics
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.histories import history
from tests.support.simulator import FRAGILE

RECORDS = 300
AT_MS = 1_763_690_000_000
WIRING = Wiring(slot="s-1")
CALM = WorkerLimits(records_max=50, dead_letters_min=10**9)


@pytest.fixture
def metrics() -> WorkerMetrics:
    """Of a worker that has done all there was."""
    log = MemoryLog(2)
    for sent in history(5, 2, RECORDS):
        log.append(*sent)
    log.sealed = True
    metrics = WorkerMetrics(WIRING, "p-1", {"killed": 2})
    broker = MeteredBroker(MemoryBroker(log), metrics.meter)
    work(Worker(broker, MeteredStore(MemoryStore(), metrics.meter), Policy(), CALM, step_batch), broker, metrics)
    return metrics


@pytest.fixture
def listening(metrics: WorkerMetrics) -> Iterator[str]:
    with closing(Endpoints("127.0.0.1:0", exposition(metrics.samples), metrics.sick, metrics.unready)) as endpoints:
        yield f"http://127.0.0.1:{endpoints.port}"


def ask(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


# ---- metrics


def test_every_metric_that_is_named_is_exposed_and_no_other(listening: str) -> None:
    families = {family.name: family for family in text_string_to_metric_families(ask(f"{listening}/metrics")[1])}
    assert {name for name in families if name.startswith("kithkin")} == set(METRICS)
    for name, metric in METRICS.items():
        assert (families[name].type, families[name].documentation) == (metric.kind, metric.means)
        assert families[name].samples, f"{name} has no value"
        for sample in families[name].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
    assert "process_resident_memory_bytes" in families


def test_metrics_come_in_the_newer_form_to_who_asks_for_it(listening: str) -> None:
    told = ask(f"{listening}/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
    assert told.endswith("# EOF\n")
    assert 'kithkin_restarts_total{reason="killed"} 2.0' in told


def test_metrics_say_what_was_done(metrics: WorkerMetrics) -> None:
    values = {(sample.name, *sample.labels): sample.value for sample in metrics.samples()}
    counts = metrics.counts
    assert counts.records >= RECORDS
    assert values["kithkin_records",] == counts.records
    assert values["kithkin_outcomes", "answered"] == counts.outcomes["answered"] > 0
    assert values["kithkin_lag", "0"] + values["kithkin_lag", "1"] == counts.records, "all waited when it looked first"
    assert metrics.meter.latency.count == counts.records
    assert metrics.meter.batch.count == counts.batches
    assert all(part.count == counts.batches for part in metrics.meter.parts.values())
    assert metrics.meter.takeover.count == counts.rebalances == 1


def test_the_parts_of_a_batch_add_up_to_it(metrics: WorkerMetrics) -> None:
    parts = sum(part.sum_s for name, part in metrics.meter.parts.items() if name != "poll")
    assert parts == pytest.approx(metrics.meter.batch.sum_s)
    assert all(part.sum_s > 0 for part in metrics.meter.parts.values())


def test_latency_is_from_a_record_s_timestamp_to_its_commit_and_never_below_0() -> None:
    log, metrics, now_ms = MemoryLog(1), WorkerMetrics(WIRING, "p-1", {}), time.time_ns() // 1_000_000
    for age_s in (50, -1_000):
        log.append("feedback", 0, now_ms - age_s * 1_000, None, b"rubbish")
    log.sealed = True
    broker = MeteredBroker(MemoryBroker(log), metrics.meter)
    work(Worker(broker, MemoryStore(), Policy(), CALM, step_batch), broker, metrics)
    assert metrics.meter.latency.count == 2
    assert 50 <= metrics.meter.latency.sum_s < 100


def test_the_rate_of_a_note_is_of_the_time_since_the_last_one(metrics: WorkerMetrics) -> None:
    first, second = metrics.heartbeat(), metrics.heartbeat()
    assert first["events"] == second["events"] == metrics.counts.events
    assert first["events_per_s"] > second["events_per_s"] == 0


@given(st.lists(st.floats(0, 1e5)))
def test_a_histogram_counts_each_value_up_to_each_bound(values: list[float]) -> None:
    histogram = Histogram()
    histogram.observe(values)
    for bound, count in histogram.buckets():
        assert count == sum(value <= float(bound) for value in values)
    assert histogram.count == len(values)
    assert histogram.sum_s == pytest.approx(sum(values))


# ---- probes


def test_a_worker_that_works_is_healthy_and_ready(listening: str) -> None:
    assert (ask(f"{listening}/healthz"), ask(f"{listening}/readyz")) == ((200, "ok\n"), (200, "ok\n"))
    assert ask(f"{listening}/")[0] == 404


def test_a_worker_without_progress_is_not_healthy(metrics: WorkerMetrics, listening: str) -> None:
    metrics.liveness.still_s = WIRING.stall_s
    assert ask(f"{listening}/healthz") == (503, "no progress for 120 s\n")


def test_a_worker_with_nothing_to_do_is_ready_once_the_group_had_time_to_assign() -> None:
    log = MemoryLog(1)
    log.sealed = True
    wiring = Wiring.model_validate({"slot": "s-1", "kafka": {"session_timeout_s": 1}})
    idle, busy = (WorkerMetrics(wiring, "p-1", {}) for _ in range(2))
    assert idle.unready() == "not yet a member of the group"
    brokers = [MemoryBroker(log), MemoryBroker(log)]
    for broker, metrics in zip(brokers, (idle, busy), strict=True):
        work(Worker(broker, MemoryStore(), Policy()), broker, metrics)
    assert (busy.unready(), idle.unready()) == (None, "nothing is assigned yet")
    assert until(lambda: idle.unready() is None, 10)


def test_who_cannot_listen_is_told_so(listening: str, metrics: WorkerMetrics) -> None:
    taken = listening.removeprefix("http://")
    for listen in (taken, "127.0.0.1:99999", "no.such.host.invalid:9100"):
        with pytest.raises(ConfigError, match="an address of this machine with a free port"):
            Endpoints(listen, exposition(metrics.samples), metrics.sick, metrics.unready)


# ---- log lines

SECRET_HOUSEHOLD, SECRET_PERSON = "h-SECRETHOUSE", "SECRETNAME"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a worker in this process logs."""
    ours, stream = logging.getLogger("stream"), io.StringIO()
    handler, level = logging.StreamHandler(stream), ours.level
    handler.setFormatter(JsonLines("s-1"))
    ours.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    yield stream
    ours.removeHandler(handler)
    ours.setLevel(level)


def test_a_quarantined_household_is_logged_by_place_and_by_no_name(logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(household: Household, *_: Any) -> Any:
        raise KeyError(f"{SECRET_PERSON} of {household.household_id}")

    monkeypatch.setattr(statements, "state", failing)
    log = MemoryLog(1)
    value = {"v": 1, "household_id": SECRET_HOUSEHOLD, "feedback_id": "f", "given_at": AT_MS, "source": "app", "kind": "join"}
    log.append("feedback", 0, AT_MS, SECRET_HOUSEHOLD.encode(), json.dumps(value | {"person_id": SECRET_PERSON}).encode())
    log.sealed = True
    metrics, broker = WorkerMetrics(WIRING, "p-1", {}), MemoryBroker(log)
    work(Worker(broker, MemoryStore(), Policy(), CALM), broker, metrics)
    assert metrics.counts.quarantined == 1
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    (line,) = (line for line in lines if line["level"] == "error")
    assert line["message"] == "a household is quarantined: the core failed at feedback[0]@0"
    assert (line["worker"], line["partition"], line["error"]) == ("s-1", 0, "KeyError")
    assert line["place"][-1].endswith(" failing")
    assert "SECRET" not in logged.getvalue()


def test_a_whole_life_with_failures_and_rubbish_names_nobody(logged: io.StringIO) -> None:
    log = MemoryLog(2)
    for topic, partition, at, key, value in history(5, 2, RECORDS, poison=0.1):
        log.append(topic, partition, at, key, value)
    log.sealed = True
    metrics, broker = WorkerMetrics(WIRING, "p-1", {}), MemoryBroker(log)
    work(Worker(broker, MemoryStore(), Policy(), CALM, FRAGILE.step_batch), broker, metrics)
    told = logged.getvalue()
    assert metrics.counts.quarantined
    assert "quarantined" in told
    ids = {
        str(value[name])
        for partition in (0, 1)
        for output in log.outputs("identities", partition)
        for value in [json.loads(output.value or b"{}")]
        for name in ("event_id", "household_id", "person_id")
        if value[name] is not None
    }
    assert ids
    assert [name for name in ids if f'"{name}"' in told or f" {name}" in told] == []


def test_a_worker_says_a_line_a_minute(logged: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_LINE_EVERY_S", 0.0)
    log = MemoryLog(1)
    for sent in history(5, 1, RECORDS):
        log.append(*sent)
    log.sealed = True
    metrics, broker = WorkerMetrics(WIRING, "p-1", {}), MemoryBroker(log)
    work(Worker(broker, MemoryStore(), Policy(), CALM), broker, metrics)
    lines = [line for line in map(json.loads, logged.getvalue().splitlines()) if line["message"] == "at work"]
    assert sum(line["events"] for line in lines) == metrics.counts.events
    assert "lag" in lines[0]


def test_of_an_error_only_our_own_words_are_told() -> None:
    def line(error: BaseException) -> dict[str, Any]:
        record = logging.makeLogRecord({"msg": "it ends", "levelname": "ERROR", "exc_info": (type(error), error, None)})
        return dict(json.loads(JsonLines("s-1").format(record)))

    assert line(RecoveryError("partition 3 is behind"))["error"] == "RecoveryError: partition 3 is behind"
    assert line(ValueError(SECRET_PERSON))["error"] == "ValueError"
    ours = RecoveryError("partition 3 is behind")
    ours.__cause__ = LookupError(SECRET_PERSON)
    assert line(ours)["error"] == "RecoveryError: partition 3 is behind; because of LookupError"


def test_a_line_for_eyes_says_the_same_in_words() -> None:
    record = logging.makeLogRecord({"msg": "taken over", "levelname": "INFO", "partition": 3, "created": 1_763_690_000.5})
    assert ReadableLines("s-1").format(record) == "01:53:20 info    s-1: taken over  partition=3"


def test_a_whole_process_speaks_in_lines_and_even_a_defect_of_ours_names_nobody() -> None:
    code = "import logging, sys, warnings; from stream.runtime.telemetry.logging import log_to; log_to(sys.stderr, 's-1'); "
    code += "logging.getLogger('stream.runtime.worker.worker').info('ours'); logging.getLogger('kafka').info('of a library'); "
    code += "logging.getLogger('kafka').warning('of a library, and worth it'); warnings.warn('old'); "
    code += f"raise ValueError('{SECRET_PERSON}')"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in process.stderr.splitlines()]
    assert process.returncode == 1
    assert [line["level"] for line in lines] == ["info", "warning", "warning", "critical"]
    assert {line["worker"] for line in lines} == {"s-1"}
    assert (lines[-1]["message"], lines[-1]["error"]) == ("a defect of ours", "ValueError")
    assert "SECRET" not in process.stderr


def test_a_password_in_a_url_is_not_repeated() -> None:
    told = str(ConfigError("store", "redis://kithkin:SEC@RET@host:6379/x", "the wiring", "redis://HOST:PORT/DB"))
    assert "SEC" not in told
    assert "RET" not in told
    assert "redis://…@host:6379/x" in told
