"""The fleet stage as a Faust app: an agent on `drift-signals`, one on `drift-commands`, a timer that decides, and web views.

Law: agents only hand over, and never raise; all effects are in one turn, one after the other, and an error of any ends the
process: the next one goes on from what was saved. A record is acknowledged some time after it was saved, by when a Redis that
writes to its disk once a second has it there; what was acknowledged all the same and is not in the state is read again first.

One process does the work of a fleet, since evidence is pooled over all homes; a second one takes over from the first. Faust's
tables, its exactly-once and its concurrency are not used (they have open bugs that lose records). It reads what was not
committed, too: an aborted signal comes again with the same id, and is the same.
"""

import asyncio
import logging
import math
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from stream.brokers.kafka.groups import committed_offsets, onlooker
from stream.brokers.kafka.producer import Announcer
from stream.brokers.kafka.security import kafka_python_security
from stream.brokers.kafka.topics import Names, address, partitions_of, records_of
from stream.contract.errors import ConfigError, RecoveryError, how_to_install
from stream.contract.policy import Policy
from stream.contract.ports import BrokerError
from stream.contract.records import Record
from stream.contract.settings import Wiring, store_of
from stream.stores import open_store

from ..supervision.exit_codes import exit_code_of
from ..supervision.supervisor import parent_pipe_of_this_process
from ..supervision.watchdog import Liveness, Watchdog, stop_on_signals
from ..telemetry.logging import log_to
from ..telemetry.registry import FLEET_METRICS, Sample, exposition
from .archive import Archive
from .guard import guard
from .processor import COMMANDS, SIGNALS, EventTimeWatermark, FleetProcessor, PartitionProgress
from .web import show

__all__ = ["FleetService", "fleet", "read_again"]

_LOG = logging.getLogger(__name__)
_TURN_S: Final = 0.25
_ACKNOWLEDGED_AFTER_S: Final = 5.0  # a Redis that writes to its disk every second has it there by then
_WAITING_MAX: Final = 2_000  # records between Faust and the processor
_AT_ONCE: Final = 500
_WAIT_S: Final = 0.2
_SICK_S: Final = 60.0  # without a turn


def fleet(wiring: Wiring, policy: Policy, log_level: str = "info") -> int:
    """Be the fleet stage until told to stop; the exit code. Errors are logged, not raised."""
    log_to(sys.stderr, "fleet", log_level)
    try:
        _faust()  # before anybody is asked to wait
        with ExitStack() as ends:
            liveness, parent = Liveness(opening=True), parent_pipe_of_this_process()
            Watchdog(liveness, wiring.stall_s, parent).start(ends.enter_context(stop_on_signals(liveness)))
            own = wiring.model_copy(update={"group": f"{wiring.prefix}{wiring.group}-fleet"})
            announcer = ends.enter_context(closing(Announcer(wiring, f"{wiring.group}-fleet")))
            store = ends.enter_context(closing(open_store(store_of(own), own)))
            processor = FleetProcessor(store, announcer, policy.alerting)
            read_again(own, processor)
            liveness.opening = False
            with tempfile.TemporaryDirectory() as folder:  # where Faust would keep tables
                asyncio.run(FleetService(own, processor, liveness).serve(Path(folder)))
    except (Exception, KeyboardInterrupt) as error:
        return exit_code_of(error, _LOG)
    _LOG.info("stopped as asked")
    return 0


def read_again(wiring: Wiring, processor: FleetProcessor) -> None:
    """Take what the group has acknowledged and the state does not have, because the store lost its latest writes.

    Raises
    ------
    RecoveryError
        It is no longer there.
    BrokerError
        The brokers do not answer.
    """
    names = Names(wiring.prefix)
    with onlooker(wiring, "read_uncommitted") as client, _explain_errors():
        from confluent_kafka import TopicPartition

        stands_at = committed_offsets(client, partitions_of(client, wiring, [SIGNALS, COMMANDS]), wiring.kafka.retries_s)
        saved = {place: processor.next_offset(names.ours(place[0]), place[1]) for place in stands_at}
        behind = {place: offset for place, offset in stands_at.items() if offset > saved[place]}
        client.assign([TopicPartition(*place, saved[place]) for place in behind])
        until_s = time.monotonic() + wiring.kafka.retries_s
        while behind and time.monotonic() < until_s:
            messages = client.consume(_AT_ONCE, _WAIT_S)
            for record in records_of([message for message in messages if not message.error()], names):
                processor.take(record)
                if record.offset + 1 >= behind.get((names.wire(record.topic), record.partition), math.inf):
                    del behind[names.wire(record.topic), record.partition]
    for (wire, partition), offset in behind.items():
        raise RecoveryError(
            f"the fleet's state stands at {saved[wire, partition]} of {wire}[{partition}], {offset} was acknowledged, and what "
            f"lies between cannot be read any more: restore a later copy of the store, or set the group {wiring.group} back to 0"
        )


@contextmanager
def _explain_errors() -> Iterator[None]:
    from confluent_kafka import KafkaException

    try:
        yield
    except KafkaException as error:
        raise BrokerError(f"looking where the fleet's group stands: {error.args[0].str()}") from error


class FleetService:
    """One run of the app: what Faust hands over, and the turns that work it off."""

    def __init__(self, wiring: Wiring, processor: FleetProcessor, liveness: Liveness) -> None:
        self._wiring, self._processor, self._liveness = wiring, processor, liveness
        self._names, self._watermark = Names(wiring.prefix), EventTimeWatermark(time.monotonic())
        self._inbox: asyncio.Queue[Any] = asyncio.Queue(_WAITING_MAX)
        self._saved: deque[tuple[float, list[Any]]] = deque()  # when, and events that are not acknowledged yet
        self._turned_s = time.monotonic()
        self._lag, self._archive = 0, Archive()
        self.app: Any = None

    async def serve(self, folder: Path) -> None:
        """Work until asked to stop. Raises what a turn raised."""
        self.app = _app(self._wiring, folder)
        for topic in (SIGNALS, COMMANDS):
            channel = self.app.topic(self._names.wire(topic), key_type=bytes, value_type=bytes, value_serializer="raw")
            self.app.agent(channel, name=topic, concurrency=1)(self._hand_over)
        if self._wiring.listen:
            self._show()
        await self.app.start()
        reading = self._archive.follow(self._wiring) if self._wiring.listen else nullcontext()
        try:
            with reading:
                while not self._liveness.stopping:
                    if self.app.crashed:
                        raise BrokerError(f"Faust gave up: {self.app.crash_reason!r}")
                    await self._turn()
                    await asyncio.sleep(_TURN_S)
        finally:
            await self.app.stop()

    async def _hand_over(self, stream: Any) -> None:
        async for event in stream.noack().events():
            await self._inbox.put(event)

    async def _turn(self) -> None:
        """Take what came, decide what is due, save, say, and acknowledge what was saved long enough ago."""
        events = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
        now_s = time.monotonic()
        for event in events:
            self._watermark.note_arrival(now_s)
            signal = self._processor.take(self._record(event.message))
            if signal is not None:
                self._watermark.note_signal(signal, event.message.partition)
        progress = await self._progress()
        self._lag = progress.lag
        self._processor.decide(self._watermark.advance(progress, self._processor.fleet.stream_time, now_s))
        await asyncio.to_thread(self._processor.settle)
        self._saved.append((now_s, events))
        while self._saved and self._saved[0][0] <= now_s - _ACKNOWLEDGED_AFTER_S:
            for event in self._saved.popleft()[1]:
                event.ack()
        self._turned_s = now_s
        self._liveness.turns += 1

    async def _progress(self) -> PartitionProgress:
        consumer, wire = self.app.consumer, self._names.wire(SIGNALS)
        places = [place for place in consumer.assignment() if place.topic == wire]
        ends = await consumer.highwaters(*places) if places else {}
        return PartitionProgress(
            {place.partition: await consumer.position(place) or 0 for place in places},
            {place.partition: ends[place] for place in places},
            {place.partition: self._processor.next_offset(SIGNALS, place.partition) for place in places},
        )

    def _record(self, message: Any) -> Record:
        at_ms = int(message.timestamp * 1_000)
        return Record(self._names.ours(message.topic), message.partition, message.offset, at_ms, message.key, message.value)

    def _show(self) -> None:
        """The web views."""
        show(self.app, self._processor, self._archive, exposition(self._samples, FLEET_METRICS), self._sick)

    def _sick(self) -> str | None:
        still_s = time.monotonic() - self._turned_s
        return f"no turn for {still_s:.0f} s" if still_s > _SICK_S else None

    def _samples(self) -> Iterator[Sample]:
        fleet = self._processor.fleet
        for what in ("taken", "duplicate", "late", "ahead", "clock", "enrolment", "unreadable"):
            yield Sample("kithkin_fleet_signals", fleet.counts.get(what, 0), (what,))
        yield Sample("kithkin_fleet_decisions", fleet.counts.get("decision", 0))
        yield Sample("kithkin_fleet_withheld", fleet.counts.get("withheld", 0))
        yield Sample("kithkin_fleet_lag", self._lag)
        yield Sample("kithkin_fleet_homes", len(fleet.homes))
        standing = [case.alert.severity for case in fleet.cases.values() if case.standing]
        for severity in ("low", "medium", "high"):
            yield Sample("kithkin_fleet_alerts_standing", standing.count(severity), (severity,))
        yield Sample("kithkin_fleet_decided_at_seconds", fleet.decided_at / 1_000)


def _faust() -> Any:
    """The library. Raises ConfigError when it is not there."""
    try:
        import cramjam  # noqa: F401  # without it Faust reads nothing that was compressed with lz4
        import faust
    except ImportError as error:
        raise ConfigError("fleet", error.name, "not installed", f"installed: {how_to_install('fleet')}") from error
    return faust


def _app(wiring: Wiring, folder: Path) -> Any:
    """A Faust app that consumes and shows, and makes no topics."""
    faust = _faust()
    security = kafka_python_security(wiring.kafka)
    credentials: Any = None
    if "sasl_mechanism" in security:
        credentials = faust.SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=security.get("ssl_context"),
        )
    elif "ssl_context" in security:
        credentials = faust.SSLCredentials(security["ssl_context"])
    session_s = wiring.kafka.session_timeout_s
    app = faust.App(
        wiring.group,
        broker=[f"kafka://{server}" for server in address(wiring)[1].split(",")],
        broker_credentials=credentials,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 5,
        broker_request_timeout=max(wiring.kafka.retries_s, 2 * session_s),
        consumer_auto_offset_reset="earliest",
        datadir=str(folder),
        store="memory://",
        stream_wait_empty=False,  # what is not acknowledged comes again
        topic_allow_declare=False,
        topic_disable_leader=True,
        **_web(wiring.listen),
    )
    if wiring.listen is not None:
        token = wiring.listen_token.get_secret_value() if wiring.listen_token else None
        app.web = guard(token, wiring.listen.rpartition(":")[0].strip("[]"))(app)
    return app


def _web(listen: str | None) -> dict[str, Any]:
    """Faust's settings of who may ask over HTTP; it knows no port 0, so a free one is looked for."""
    if listen is None:
        return {"web_enabled": False}
    host, _, told = listen.rpartition(":")
    port = int(told)
    if not port:
        with socket.create_server((host.strip("[]"), 0)) as probe:
            port = probe.getsockname()[1]
        _LOG.info("listening", extra={"listen": f"{host}:{port}"})
    return {"web_enabled": True, "web_bind": host.strip("[]"), "web_port": port}
