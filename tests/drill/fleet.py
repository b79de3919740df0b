"""The drill of the fleet stage: it and a subscriber are killed at random while signals come, and nobody can tell afterwards.

Law: the compacted `drift-alerts` ends equal to that of a run that nobody disturbed, and to what the core alone makes of the
same signals; every revision of an alert that was ever published has one form; and the subscriber has each exactly once.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final

from bench.fleet import Town, settled, told
from stream.brokers.kafka.topics import producer, reader
from stream.contract.policy import Alerting
from stream.contract.records import Command, Record, Signal
from stream.contract.settings import KafkaWiring, Wiring, store_of, toml_of
from stream.contract.units import HOUR_MS
from stream.fleet.state import Fleet
from stream.fleet.step import advance, grace_ms, obey, take
from stream.ops.local_cluster.kafka import Kafka
from stream.ops.local_cluster.processes import Server, until
from stream.ops.local_cluster.redis import Redis
from stream.ops.topics import create
from stream.runtime.fleet.processor import ALERTS, COMMANDS, SIGNALS, encode_alert
from stream.stores import open_store

__all__ = ["FleetDrill", "differences", "fleet_drill", "missed_or_doubled", "newest"]

ROOT: Final = Path(__file__).parent.parent.parent
POLICY: Final = Alerting()
PARTITIONS: Final = 4
STRUCK, CALM = "struck.", "calm."  # prefixes of topics
KILL_AFTER_S: Final = (1.0, 7.0)  # of its life: a start takes about three, so that some die before they have done anything
CHUNK_MS: Final = HOUR_MS // 2  # of event time, sent at once: less than the grace of a decision
PATIENCE_S: Final = 120.0


@dataclass(frozen=True)
class FleetDrill:
    """How hard to strike; `folder` is for data and logs."""

    folder: Path
    kills: int = 20
    homes: int = 400
    days: int = 40
    seed: int = 1

    @property
    def load_s(self) -> float:
        """How long signals come: until about the last kill."""
        return self.kills * sum(KILL_AFTER_S) / 2


@dataclass
class Site:
    """What runs, and how it ended."""

    drill: FleetDrill
    wiring: Wiring
    ends: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def start(self, name: str, prefix: str = STRUCK) -> Server:
        """One more process: the fleet stage, or the subscriber."""
        number = sum(self.ends.values())
        wiring, log = self.drill.folder / f"{prefix}toml", self.drill.folder / f"{number:03d}-{prefix}{name}.log"
        stage = ["-m", "stream.cli", "fleet", "--no-restart", "--wiring", str(wiring)]
        command = stage if name == "fleet" else ["-m", "tests.drill.subscriber", str(wiring), str(self.seen)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return Server(["/usr/bin/env", f"PYTHONPATH={path}", sys.executable, *command], log)

    @property
    def seen(self) -> Path:
        """What the subscriber wrote down."""
        return self.drill.folder / "seen.jsonl"

    def kill(self, name: str, server: Server) -> None:
        """With SIGKILL; one that had ended before is a complaint."""
        if not server.running:
            self.complaints.append(f"the {name} ended by itself with {server.exit_code}: {server.last_words}")
        server.kill()
        self.ends[f"{name} killed"] += 1

    def published(self, prefix: str) -> list[Record]:
        """All that lies in the topic of alerts, that of each alert in its order."""
        return list(reader(self.wiring.model_copy(update={"prefix": prefix}), [ALERTS]))


def fleet_drill(drill: FleetDrill) -> tuple[list[str], list[str]]:
    """Lines to tell, and complaints."""
    drill.folder.mkdir(parents=True, exist_ok=True)
    signals, began_s = list(load(drill)), time.monotonic()
    command, expected = by_the_core(signals)
    with ExitStack() as ends:
        kafka, redis = ends.enter_context(Kafka(drill.folder / "kafka")), ends.enter_context(Redis(drill.folder / "redis"))
        quick = KafkaWiring(session_timeout_s=1.5, transaction_timeout_s=6.0, retries_s=20.0)
        site = Site(drill, Wiring(broker=f"confluent://{kafka.bootstrap}", store=redis.url, group="drill", kafka=quick))
        for prefix in (STRUCK, CALM):
            wiring = site.wiring.model_copy(update={"prefix": prefix})
            (drill.folder / f"{prefix}toml").write_text(toml_of(wiring))
            create(wiring, PARTITIONS)
        struck = struck_run(site, signals, command, expected)
        calm = calm_run(site, signals, command, expected)
    states = Counter(json.loads(value)["state"] for _, value in {(record.key, record.value) for record in struck if record.value})
    again = len(struck) - sum(states.values())
    line = f"{len(signals):,} signals, {len(expected)} alerts, states {dict(states)}, {again} of them said again; "
    line += f"{dict(site.ends)}; {time.monotonic() - began_s:.0f} s"
    return [line], [*site.complaints, *differences(struck, calm, expected), *missed_or_doubled(site.seen, struck)]


def load(drill: FleetDrill) -> Iterator[Signal]:
    """What a town says, in the order of event time; at last that all is well, long enough after for the last decision."""
    town = Town(homes=drill.homes, days=drill.days, release_day=drill.days / 2, changed_alone=0.05, guilty=0.15, seed=drill.seed)
    signals = sorted(told(town, list(settled(town))), key=lambda signal: signal.observed_at)
    yield from signals
    window = POLICY.decision_hours * HOUR_MS
    end = signals[-1].observed_at // window * window + 2 * window - HOUR_MS
    for number in range(4 * PARTITIONS):
        last = f"last-{number}"
        yield signals[0].model_copy(update={"signal_id": last, "household_id": last, "log_e_value": -2.0, "observed_at": end})


def by_the_core(signals: Sequence[Signal]) -> tuple[Command, dict[bytes | None, bytes | None]]:
    """The newest state of each alert, after the last of which an operator acknowledged one; and that command."""
    fleet = Fleet()
    for signal in signals:
        take(fleet, signal)
    alerts = advance(fleet, fleet.stream_time - grace_ms(POLICY), POLICY)
    standing = min(case.alert.alert_id for case in fleet.cases.values() if case.standing)
    at = fleet.stream_time
    command = Command(v=1, command_id="c-1", alert_id=standing, kind="acknowledge", given_at=at, by="drill")
    alerts += obey(fleet, command)
    return command, newest([Record(ALERTS, 0, 0, 0, one.key, one.value) for one in map(encode_alert, alerts)])


def newest(records: Sequence[Record]) -> dict[bytes | None, bytes | None]:
    """What compaction leaves."""
    return {record.key: record.value for record in records}


def struck_run(
    site: Site, signals: Sequence[Signal], command: Command, expected: Mapping[bytes | None, bytes | None]
) -> list[Record]:
    """Kill while signals come, and once more after the command; then let it end in peace."""
    chance = random.Random(site.drill.seed)
    wiring = site.wiring.model_copy(update={"prefix": STRUCK})
    feeding = threading.Thread(target=feed, args=(wiring, signals, site.drill.load_s), daemon=True)
    stage, subscriber = site.start("fleet"), site.start("subscriber")
    feeding.start()
    for number in range(site.drill.kills):
        time.sleep(chance.uniform(*KILL_AFTER_S))
        site.kill("fleet", stage)
        stage = site.start("fleet")
        if number % 3 == 0:
            site.kill("subscriber", subscriber)
            subscriber = site.start("subscriber")
    feeding.join()
    if not until(lambda: is_taken(wiring, len(signals)), PATIENCE_S):
        site.complaints.append(f"the signals were not taken within {PATIENCE_S:.0f} s: {stage.last_words}")
    order(wiring, command)
    site.kill("fleet", stage)
    stage = site.start("fleet")
    if not until(lambda: newest(site.published(STRUCK)) == expected, PATIENCE_S):
        site.complaints.append(f"the end was not reached within {PATIENCE_S:.0f} s: {stage.last_words}")
    published = site.published(STRUCK)
    until(lambda: len(lines_of(site.seen)) >= len({(record.key, record.value) for record in published}), PATIENCE_S)
    for server in (stage, subscriber):
        server.stop(10)
    return published


def calm_run(
    site: Site, signals: Sequence[Signal], command: Command, expected: Mapping[bytes | None, bytes | None]
) -> list[Record]:
    """The same signals, all of which lie there already, and nobody strikes."""
    wiring = site.wiring.model_copy(update={"prefix": CALM})
    feed(wiring, signals, 0.0)
    stage = site.start("fleet", CALM)
    until(lambda: is_taken(wiring, len(signals)), PATIENCE_S)
    order(wiring, command)
    until(lambda: newest(site.published(CALM)) == expected, PATIENCE_S)
    stage.stop(10)
    return site.published(CALM)


def feed(wiring: Wiring, signals: Sequence[Signal], seconds: float) -> None:
    """Send them in the order of event time, evenly spread over so long."""
    began_s, sent = time.monotonic(), 0
    with producer(wiring) as sender:
        for _, chunk in groupby(signals, lambda signal: signal.observed_at // CHUNK_MS):
            for signal in chunk:
                value = signal.model_dump_json().encode()
                sender.send(Record(SIGNALS, 0, 0, signal.observed_at, signal.household_id.encode(), value))
                sent += 1
            sender.flush()  # or partitions would have them at other times
            time.sleep(max(0.0, began_s + seconds * sent / len(signals) - time.monotonic()))


def is_taken(wiring: Wiring, signals: int) -> bool:
    """Whether the fleet stage has saved what so many signals changed: a command is obeyed at the time that they make."""
    own = wiring.model_copy(update={"group": f"{wiring.prefix}{wiring.group}-fleet"})
    with closing(open_store(store_of(own), own)) as store:
        return sum(offset for place, offset in store.offsets(0).items() if place.startswith(SIGNALS)) >= signals


def order(wiring: Wiring, command: Command) -> None:
    """Send a command."""
    with producer(wiring) as sender:
        sender.send(Record(COMMANDS, 0, 0, command.given_at, command.alert_id.encode(), command.model_dump_json().encode()))


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def differences(
    struck: Sequence[Record], calm: Sequence[Record], expected: Mapping[bytes | None, bytes | None]
) -> Iterator[str]:
    """What an operator could tell the runs apart by."""
    for name, found in (("struck", newest(struck)), ("calm", newest(calm))):
        for key in sorted(k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k) and k):
            yield f"{name}: {key!r} ends as {found.get(key)!r} and not as {expected.get(key)!r}"
    forms: dict[tuple[str, int], set[bytes]] = {}
    for record in struck:
        told = json.loads(record.value or b"{}")
        forms.setdefault((told["alert_id"], told["revision"]), set()).add(record.value or b"")
    for state, values in forms.items():
        if len(values) > 1:
            yield f"struck: {state} was published in {len(values)} forms"


def missed_or_doubled(seen: Path, struck: Sequence[Record]) -> Iterator[str]:
    """What the subscriber has not, or has more than once."""
    had = Counter(lines_of(seen))
    told = {(alert["alert_id"], alert["revision"]) for record in struck if (alert := json.loads(record.value or b"{}"))}
    wanted = {f"{alert_id} {revision}" for alert_id, revision in told}
    yield from (f"the subscriber never had {state}" for state in sorted(wanted - had.keys()))
    yield from (f"the subscriber had {state} {times} times" for state, times in had.items() if times > 1)
