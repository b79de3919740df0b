"""One worker on a log in memory: what tests send, and what became of it."""

import json
from typing import Any

import pytest

from stream.brokers import Crash, Fault, Faults, MemoryBroker, MemoryLog
from stream.contract.policy import Policy
from stream.home.step import step_batch
from stream.runtime.worker.batch import StepFunction
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore

__all__ = ["AT_MS", "CALM", "POLICY", "answered", "at_work", "crashing", "join", "said", "see", "send"]

POLICY = Policy()
AT_MS = 1_763_690_000_000
CALM = WorkerLimits(dead_letters_min=10**9)


def send(log: MemoryLog, topic: str, minute: int, household: str = "h-1", partition: int = 0, **fields: Any) -> None:
    at = AT_MS + minute * 60_000
    common: dict[str, Any] = {"v": 1, "household_id": household}
    if topic == "recognitions":
        value = common | {"device_id": "kitchen", "observed_at": at, "activity": "music"} | fields
    else:
        value = common | {"given_at": at, "source": "app"} | fields
    log.append(topic, partition, at, household.encode(), json.dumps(value).encode())


def see(log: MemoryLog, event_id: str, minute: int = 0, household: str = "h-1", partition: int = 0) -> None:
    send(log, "recognitions", minute, household, partition, event_id=event_id)


def join(log: MemoryLog, person_id: str, minute: int = 0, household: str = "h-1") -> None:
    send(log, "feedback", minute, household, feedback_id=f"f-{person_id}", kind="join", person_id=person_id)


def at_work(log: MemoryLog, store: MemoryStore, *, limits: WorkerLimits = CALM, stepping: StepFunction = step_batch) -> Worker:
    """A worker that has its assignment and has recovered."""
    worker = Worker(MemoryBroker(log), store, POLICY, limits, stepping)
    worker.run_once()
    return worker


def said(log: MemoryLog, topic: str, partition: int = 0) -> list[dict[str, Any]]:
    return [json.loads(output.value or b"null") for output in log.outputs(topic, partition)]


def answered(log: MemoryLog) -> list[str]:
    return [identity["event_id"] for identity in said(log, "identities") if identity["revision"] == 0]


def crashing(log: MemoryLog, store: MemoryStore, fault: Fault, stepping: StepFunction = step_batch) -> None:
    """A worker takes the next batch and dies at that point of its publish; its session times out."""
    faults = Faults(0, {})
    broker = MemoryBroker(log, faults)
    worker = Worker(broker, store, POLICY, CALM, stepping)
    worker.run_once()
    faults.chances[fault] = 1.0
    with pytest.raises(Crash):
        worker.run_once()
    broker.close()
