"""A real Prometheus that scrapes a real worker and a real fleet stage: no panel is empty, and every rule can be evaluated."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from stream.brokers.kafka.topics import producer
from stream.contract.records import Record
from stream.contract.settings import Wiring, toml_of
from stream.ops.deployment.dashboards import DASHBOARDS
from stream.ops.deployment.rules import FLEET, RECORDED, SLO, WORKER
from stream.ops.local_cluster.processes import Server, free_ports, until
from tests.conftest import Running
from tests.ops.deployment.tools import program
from tests.support.fleet_signals import signal
from tests.support.histories import history

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120.0
JOBS = (WORKER, FLEET, SLO)


@contextmanager
def running(command: list[str], log: Path) -> Iterator[Server]:
    server = Server(command, log)
    try:
        yield server
    finally:
        server.stop(10)


def prometheus(folder: Path, listen: str, targets: dict[str, str]) -> list[str]:
    """The command of a Prometheus with the rules of `deploy`, which looks every second at these."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy/prometheus" / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    data = f"--storage.tsdb.path={folder / 'prometheus'}"
    return [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", data, f"--web.listen-address={listen}"]


def asked(listen: str, path: str, **query: str) -> Any:
    try:
        with urlopen(f"http://{listen}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]
    except OSError:  # not yet there
        return {}


def test_no_panel_is_empty_and_every_rule_can_be_evaluated(
    kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    program("prometheus")
    prefix = topics(2)
    listen, *targets = (f"127.0.0.1:{port}" for port in free_ports(4))
    wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", store=redis_url, prefix=prefix, group=f"{prefix}g")
    (tmp_path / "wiring.toml").write_text(toml_of(wiring))

    def kithkin(command: str, address: str, *more: str) -> list[str]:
        flags = ["--wiring", str(tmp_path / "wiring.toml"), "--listen", address]
        return [sys.executable, "-m", "stream.cli", command, *flags, *more]

    def send(seed: int) -> None:
        with producer(wiring) as sender:
            for topic, partition, at, key, value in history(seed, 2, 200, poison=0.1):
                sender.send(Record(topic, partition, 0, at, key, value))
            for number in range(20):
                told = signal(f"h-{number}", -30.0, hours=8.0 * seed)
                sender.send(Record("drift-signals", 0, 0, 0, told.household_id.encode(), told.model_dump_json().encode()))

    panels = {
        f"{panel.title}: {expr}": expr.replace("$__rate_interval", "1m")
        for dashboard in DASHBOARDS for panel in dashboard.panels for expr, _ in panel.queries
    }  # fmt: skip
    wanted = panels | {rule.record: rule.record for rule in RECORDED}
    rounds = iter(range(1, 1_000))

    def empty() -> list[str]:
        send(next(rounds))
        return [name for name, expr in wanted.items() if not asked(listen, "query", query=expr).get("result")]

    with (
        running(kithkin("worker", targets[0], "--no-restart"), tmp_path / "worker.log") as worker,
        running(kithkin("fleet", targets[1], "--no-restart"), tmp_path / "fleet.log") as fleet,
        running(kithkin("slo", targets[2], "--every", "1"), tmp_path / "slo.log") as slo,
        running(prometheus(tmp_path, listen, dict(zip(JOBS, targets, strict=True))), tmp_path / "prometheus.log") as server,
    ):
        every = (worker, fleet, slo, server)
        full = until(lambda: not all(one.running for one in every) or not empty(), PATIENCE_S)
        assert full, "\n".join([str(empty()), *(one.last_words for one in every)])
        assert [one.last_words for one in every if not one.running] == []
        rules = [rule for group in asked(listen, "rules")["groups"] for rule in group["rules"]]
        assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] == "err"} == {}
        up = {series["metric"]["job"] for series in asked(listen, "query", query="up == 1")["result"]}
        assert up == {*JOBS}


def test_a_panel_that_asks_for_what_is_not_there_would_be_seen(tmp_path: Path) -> None:
    (listen,) = (f"127.0.0.1:{port}" for port in free_ports(1))
    command = prometheus(tmp_path, listen, dict.fromkeys(JOBS, "127.0.0.1:1"))
    with running(command, tmp_path / "prometheus.log") as server:
        assert until(lambda: not server.running or asked(listen, "query", query="up == 0").get("result"), PATIENCE_S)
        assert asked(listen, "query", query="sum(kithkin_lag)").get("result") == [], server.last_words
