"""One trace a batch, by OpenTelemetry: what was polled, decoded, loaded, applied, published and saved, and how long each took.

Law: a traced port does what the port does. Spans are made when a batch has ended, and only of one that is kept: one that
failed, had dead letters or was slow always, of the others a share. So of what nobody will look at only a clock is read. A span
names positions (topic, partition, offset) and never a person or a household.

Two things are seen beside the ports: a batch's part is ordered when work on a partition begins, and it is stepped when its
homes are there. So `decode` ends where states are asked for, and `load` where the step begins.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stream import __version__
from stream.contract.errors import ConfigError, how_to_install
from stream.contract.ports import Batch, Broker, Offsets, StateStore, Transaction
from stream.contract.records import Event, Journal, Record
from stream.contract.settings import TracingWiring, Wiring
from stream.home.step import STEP_VERSION

from .logging import error_text
from .metering import Meter, MeteredBroker, MeteredStore

if TYPE_CHECKING:
    from opentelemetry.trace import Link, Tracer

    from ..worker.batch import Ordering, StepFunction

__all__ = ["PARTS", "TracedBroker", "TracedStore", "Tracing", "open_tracing"]

PARTS: Final = ("poll", "decode", "load", "apply", "publish", "save")  # spans of a batch, each partition's where it is one's
_LINKS_MAX: Final = 128  # as many as the SDK keeps
_EXPORT_S: Final = 3.0  # for one request of the exporter: the end of a worker may wait for it
_NS: Final = 1e9

Attributes = Mapping[str, str | int | Sequence[str]]


class _Part(NamedTuple):
    """A stretch of a batch; times in ns since the Unix epoch."""

    name: str
    began_ns: int
    ended_ns: int
    attributes: Attributes
    error: BaseException | None = None


@dataclass(slots=True, eq=False)
class _BatchTrace:
    """What was seen of a batch so far."""

    polled_ns: int
    traceparents: Sequence[str]
    parts: list[_Part] = field(default_factory=list)
    journal: Sequence[Journal] = ()
    dead_letters: int = 0
    unsaved: set[int] = field(default_factory=set)


class Tracing:
    """Follows the batches of one worker, and writes those that are to be kept.

    Parameters
    ----------
    tracer
        Of the OpenTelemetry API.
    settings
        Which are kept.
    attributes
        Of every trace.
    """

    def __init__(self, tracer: "Tracer", settings: TracingWiring, attributes: Attributes) -> None:
        self._tracer, self._settings, self._attributes = tracer, settings, attributes
        self._polled: _BatchTrace | None = None  # in this turn
        self._begun = deque[_BatchTrace]()  # and not yet published
        self._visible = deque[_BatchTrace]()  # and not yet saved; added to in the thread that publishes
        self._partition, self._mark_ns = 0, 0
        self._doing, self._loaded = "", 0

    def note_poll(self, batch: Batch, began_ns: int) -> None:
        """A poll ended. With an assignment, what was polled before and is not published comes again to whoever has it."""
        now_ns = time.time_ns()
        if batch.assigned or batch.revoked:
            self._begun.clear()
        self._polled = _BatchTrace(now_ns, batch.traceparents) if batch.records else None
        if self._polled is not None:
            self._polled.parts.append(_Part("poll", began_ns, now_ns, {"kithkin.records": len(batch.records)}))

    def watch_order(self, order: "Ordering") -> "Ordering":
        """The same; called when work on a partition's records begins."""

        def watch(records: Sequence[Record]) -> Sequence[Record]:
            batch = self._polled
            if batch is not None and records:
                if not self._begun or self._begun[-1] is not batch:
                    self._begun.append(batch)
                self._partition, self._doing, self._mark_ns = records[0].partition, "decode", time.time_ns()
            return order(records)

        return watch

    def note_load(self, homes: int) -> None:
        """States are asked for."""
        if self._polled is not None and self._doing == "decode":
            self._end_part()
            self._doing, self._loaded = "load", homes

    def watch_step(self, step: "StepFunction") -> "StepFunction":
        """The same, as the part `apply`."""

        def step_and_note(homes: Mapping[str, Any], events: Sequence[Event], policy: Any) -> Any:
            batch = self._polled
            if batch is None:
                return step(homes, events, policy)
            self._end_part()
            told = {"kithkin.partition": self._partition, "kithkin.homes": len(homes), "kithkin.events": len(events)}
            with self._part(batch, "apply", told):
                return step(homes, events, policy)

        return step_and_note

    @contextmanager
    def span_publish(self, transaction: Transaction) -> Iterator[None]:
        """Around making a batch visible."""
        batch = self._begun[0] if self._begun and transaction.journal else None
        if batch is None:
            yield
            return
        batch.journal = transaction.journal
        batch.dead_letters = sum(output.topic == "dead-letters" for output in transaction.outputs)
        batch.unsaved = {entry.partition for entry in transaction.journal}
        with self._part(batch, "publish", {"kithkin.outputs": len(transaction.outputs)}):
            yield
        self._visible.append(batch)
        with suppress(ValueError):  # an assignment came meanwhile
            self._begun.remove(batch)

    @contextmanager
    def span_save(self, partition: int, states: int) -> Iterator[None]:
        """Around saving a partition's states; the last one's end is that of the batch."""
        batch = self._visible[0] if self._visible and partition in self._visible[0].unsaved else None
        if batch is None:
            yield
            return
        with self._part(batch, "save", {"kithkin.partition": partition, "kithkin.states": states}):
            yield
        batch.unsaved.discard(partition)
        if not batch.unsaved:
            self._visible.remove(batch)
            self._end(batch, None)

    def fail(self, error: BaseException) -> None:
        """The worker ends by an error: so do the batches in hand."""
        for batch in (*self._visible, *self._begun):
            self._end(batch, error)

    def _end_part(self) -> None:
        """What was being done on this partition's records has ended."""
        if self._polled is not None and self._doing:
            told: dict[str, str | int] = {"kithkin.partition": self._partition}
            told |= {"kithkin.homes": self._loaded} if self._doing == "load" else {}
            now_ns = time.time_ns()
            self._polled.parts.append(_Part(self._doing, self._mark_ns, now_ns, told))
            self._doing, self._mark_ns = "", now_ns

    @contextmanager
    def _part(self, batch: _BatchTrace, name: str, attributes: Attributes) -> Iterator[None]:
        began_ns, error = time.time_ns(), None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            batch.parts.append(_Part(name, began_ns, time.time_ns(), attributes, error))

    def _end(self, batch: _BatchTrace, error: BaseException | None) -> None:
        took_s = (time.time_ns() - batch.polled_ns) / _NS
        if error is not None:
            why = "failed"
        elif batch.dead_letters:
            why = "dead letters"
        elif took_s > self._settings.slow_s:
            why = "slow"
        elif random() < self._settings.share:
            why = "share"
        else:
            return
        self._write(batch, {"kithkin.kept": why, "kithkin.dead_letters": batch.dead_letters}, error)

    def _write(self, batch: _BatchTrace, told: Attributes, error: BaseException | None) -> None:
        """Make the spans, with the times that they had."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        places = [place for entry in batch.journal for place in entry.places]
        count = sum(entry.count for entry in batch.journal)
        counted: Attributes = {"messaging.batch.message_count": count, "kithkin.batch": places}
        root = self._tracer.start_span(
            "batch", Context(), SpanKind.CONSUMER, {**self._attributes, **counted, **told}, _links(batch.traceparents),
            start_time=batch.parts[0].began_ns,
        )  # fmt: skip
        inside = set_span_in_context(root)
        for part in batch.parts:
            span = self._tracer.start_span(part.name, inside, attributes=part.attributes, start_time=part.began_ns)
            if part.error is not None:
                span.set_status(Status(StatusCode.ERROR, error_text(part.error)))
            span.end(part.ended_ns)
        if error is not None:
            root.set_status(Status(StatusCode.ERROR, error_text(error)))
        root.end(max(part.ended_ns for part in batch.parts))


def _links(traceparents: Sequence[str]) -> "list[Link]":
    """To what senders traced themselves; what they did not sample is nowhere to be found."""
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    links: list[Link] = []
    read = TraceContextTextMapPropagator().extract
    for traceparent in traceparents:
        told = get_current_span(read({"traceparent": traceparent}, Context())).get_span_context()
        if told.is_valid and told.trace_flags.sampled:
            links.append(Link(told))
            if len(links) == _LINKS_MAX:
                break
    return links


class TracedBroker(MeteredBroker):
    """A metered broker whose polls and publishes are parts of traces."""

    def __init__(self, broker: Broker, meter: Meter, tracing: Tracing) -> None:
        super().__init__(broker, meter)
        self._tracing = tracing

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        began_ns = time.time_ns()
        batch = super().poll(records_max, timeout_s)
        self._tracing.note_poll(batch, began_ns)
        return batch

    def publish(self, transaction: Transaction) -> None:
        with self._tracing.span_publish(transaction):
            super().publish(transaction)


class TracedStore(MeteredStore):
    """A metered store whose loads and saves are parts of traces."""

    def __init__(self, store: StateStore, meter: Meter, tracing: Tracing) -> None:
        super().__init__(store, meter)
        self._tracing = tracing

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        self._tracing.note_load(len(households))
        return super().load(partition, households)

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        with self._tracing.span_save(partition, len(states)):
            super().save(partition, epoch, offsets_from, offsets_to, states)


@contextmanager
def open_tracing(wiring: Wiring, policy_id: str) -> Iterator[Tracing | None]:
    """Traces of a worker for as long as it works; None: the wiring wants none. What is in hand at an error has failed by it.

    Raises
    ------
    ConfigError
        OpenTelemetry is not installed.
    """
    if wiring.tracing.endpoint is None:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    except ImportError as error:
        raise ConfigError("tracing.endpoint", error.name, "not installed", f"installed: {how_to_install('otel')}") from error
    named = {"service.name": "kithkin-worker", "service.version": __version__, "service.instance.id": wiring.slot or wiring.group}
    provider = TracerProvider(ALWAYS_ON, Resource.create(named), shutdown_on_exit=False)  # what is kept was chosen before
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(wiring.tracing.endpoint, timeout=_EXPORT_S)))
    attributes: Attributes = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": wiring.group,
        "kithkin.policy_id": policy_id,
        "kithkin.step_version": STEP_VERSION,
    }
    tracing = Tracing(provider.get_tracer("kithkin", __version__), wiring.tracing, attributes)
    try:
        yield tracing
    except BaseException as error:
        tracing.fail(error)
        raise
    finally:
        with suppress(Exception):  # whatever it is, we are leaving
            provider.shutdown()
