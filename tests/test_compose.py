"""docker-compose.yml and the Dockerfile, as far as they can be held without Docker: their form, and the same settings at work."""

import json
import os
import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from redis import AuthenticationError
from redis import Redis as Client

from stream import __version__
from stream.brokers.kafka.topics import reader
from stream.contract.ports import BrokerError
from stream.contract.settings import KafkaWiring, Wiring
from stream.ops.local_cluster.java import Java, java_of_kafka
from stream.ops.local_cluster.processes import Server, free_ports, until
from stream.ops.local_cluster.redis import redis_program

ROOT = Path(__file__).parent.parent
PATIENCE_S = 120.0
WATCH = ("prometheus", "grafana")
LASTING = ("kafka", "redis", "worker", "fleet", "api", "slo", *WATCH)
IDENTITIES = 20
VARIABLE = re.compile(r"\$\{(?P<name>\w+):\?(?P<sentence>[^}]+)\}")
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def make(goal: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What `make` does about a goal in another folder."""
    command = ["make", "--file", str(ROOT / "Makefile"), f"PYTHON={sys.executable}", goal]
    return subprocess.run(command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Those that `make .env` made."""
    folder = tmp_path_factory.mktemp("env")
    assert make(".env", folder).returncode == 0
    return dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())


@pytest.fixture(scope="module")
def compose(passwords: dict[str, str]) -> dict[str, Any]:
    """What docker-compose.yml says with these passwords, when it is as the Compose specification wants it."""
    compose_spec = pytest.importorskip("compose_spec", reason="The package compose-spec, which reads it, is not installed.")
    text = (ROOT / "docker-compose.yml").read_text()
    compose_spec.PyCompose.from_yaml(text).to_spec()
    read = compose_spec.PyCompose.from_yaml(VARIABLE.sub(lambda match: passwords[match["name"]], text))
    told: dict[str, Any] = read.to_dict()
    return told


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", "")
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.partition(" ")
        yield name, rest.strip()


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, from its FROM on."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


# ---- the Compose file


def test_what_lasts_is_watched_limited_and_started_again(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in LASTING:
        assert services[name]["restart"] == "unless-stopped"
        assert "healthcheck" in services[name] or services[name]["image"] == "kithkin"  # which its Dockerfile has
    assert all(service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"} for service in services.values())


def test_every_port_is_open_to_this_machine_alone(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert len(ports) == len(LASTING)


def test_data_lie_in_named_volumes_where_the_images_keep_them(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert compose["services"]["redis"]["volumes"] == ["redis:/data"]
    assert "prometheus:/prometheus" in compose["services"]["prometheus"]["volumes"]
    assert set(compose["volumes"]) == {"kafka", "redis", "service", "policy", "prometheus"}


def test_workers_have_the_policy_but_not_the_secrets_of_the_api(compose: dict[str, Any]) -> None:
    mounts = {name: [mount.split(":") for mount in compose["services"][name]["volumes"]] for name in ("service", "api", "worker")}
    assert [volume for volume, *_ in mounts["worker"]] == ["policy"]
    assert [mode for name in ("worker", "api") for volume, _, *mode in mounts[name] if volume == "policy"] == [["ro"], ["ro"]]
    folders = {folder for mounted in mounts.values() for _, folder, *_ in mounted}
    made = next(rest for name, rest in stages()[0] if name == "RUN" and rest.startswith("install "))
    assert folders == set(made.split()[-2:])
    owner, group = dict(stages()[-1])["USER"].split(":")
    assert f"--owner={owner} --group={group} --mode=700" in made
    assert ("COPY", "--from=build --chown=10001:10001 /var/lib/kithkin /var/lib/kithkin") in stages()[-1]


def test_who_watches_reads_what_was_rendered_and_finds_the_jobs_of_the_rules(compose: dict[str, Any]) -> None:
    folders = [mount.split(":")[0] for name in WATCH for mount in compose["services"][name]["volumes"] if mount.startswith("./")]
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
    scraped = re.findall(r"names: \[(\w+)\].*port: (\d+)", (ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert scraped == [("worker", "8080"), ("fleet", "8080"), ("slo", "8080")]
    assert all({port["target"] for port in compose["services"][name]["ports"]} == {8080} for name, _ in scraped)


def test_it_starts_in_order_and_the_load_only_when_asked_for(compose: dict[str, Any]) -> None:
    services = compose["services"]

    def awaited(service: dict[str, Any]) -> dict[str, str]:
        return {on: how["condition"] for on, how in service.get("depends_on", {}).items()}

    waits = {name: awaited(service) for name, service in services.items()}
    assert waits["topics"] == {"kafka": "service_healthy"}
    assert waits["fleet"] == {"topics": "service_completed_successfully", "redis": "service_healthy"}
    assert waits["worker"] == waits["api"] == waits["fleet"] | {"service": "service_completed_successfully"}
    assert waits["load"] == {"topics": "service_completed_successfully"}
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert profiles == {"load": ["load"], "slo": ["watch"], "prometheus": ["watch"], "grafana": ["watch"]}


def test_our_containers_may_do_nothing_but_run(compose: dict[str, Any]) -> None:
    ours = [service for service in compose["services"].values() if service["image"] == "kithkin"]
    assert len(ours) == 7
    for service in ours:
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])


def test_the_passwords_are_made_once_and_their_owner_alone_can_read_them(tmp_path: Path) -> None:
    for _ in range(2):
        assert make(".env", tmp_path).returncode == 0
        made = (tmp_path / ".env").read_text()
        assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert made == (tmp_path / ".env").read_text()
    values = [line.partition("=")[2] for line in made.splitlines()]
    assert min(map(len, values)) >= 32
    assert len(set(values)) == 2
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert ignored(".env")


def test_without_a_password_nothing_starts_and_a_sentence_says_what_makes_it(passwords: dict[str, str]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = list(VARIABLE.finditer(text))
    assert {match["name"] for match in asked} == set(passwords)
    assert {match["sentence"] for match in asked} == {"`make .env` makes it"}
    assert len(asked) == text.count("${")


def test_no_password_is_an_argument_and_no_door_of_kafka_is_open(compose: dict[str, Any], passwords: dict[str, str]) -> None:
    arguments = [str(service.get(name)) for service in compose["services"].values() for name in ("command", "healthcheck")]
    assert not [told for told in arguments for password in passwords.values() if password in told]
    settings = compose["services"]["kafka"]["environment"]
    protocols = dict(pair.split(":") for pair in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    unguarded = {name for name, protocol in protocols.items() if protocol != "SASL_PLAINTEXT"}
    assert [place for place in settings["KAFKA_LISTENERS"].split(",") if place.partition(":")[0] in unguarded] == [
        "CONTROLLER://localhost:19093"  # of its container
    ]


def test_images_are_pinned_by_digest() -> None:
    images = re.findall(r"image: (\S+)", (ROOT / "docker-compose.yml").read_text())
    assert [image for image in images if image != "kithkin" and not DIGEST.search(image)] == []
    (argument,) = (rest for name, rest in instructions() if name == "ARG")
    assert DIGEST.search(argument)
    assert {rest.split()[0] for name, rest in instructions() if name == "FROM"} == {"${PYTHON}"}


@pytest.mark.parametrize(("digest", "code"), [(None, 0), ("sha256:" + "0" * 64, 2)])
def test_whether_tags_have_moved_on_is_asked_of_docker(tmp_path: Path, digest: str | None, code: int) -> None:
    """`make` ends with 2 for whatever its goal ends with."""
    for name in ("docker-compose.yml", "Dockerfile"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    pinned = "$(grep -rhoE \"${4%:*}(:[^@]+)?@sha256:[0-9a-f]+\" docker-compose.yml Dockerfile | cut -d@ -f2)"
    (tmp_path / "docker").write_text(f'#!/bin/sh\necho "{digest or pinned}"\n')
    (tmp_path / "docker").chmod(0o755)
    told = make("digests", tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert told.returncode == code, told.stderr
    assert re.findall(r"^\S+ is", told.stdout, re.MULTILINE) == [
        "apache/kafka:4.1.0 is", "redis:7.4-alpine is", "prom/prometheus:v3.5.0 is", "grafana/grafana:12.1.1 is",
        "python:3.13-slim is",
    ]  # fmt: skip


# ---- the same settings, without Docker


class Here:
    """The services of the Compose file as processes: the same settings, with addresses and folders of this test's own."""

    def __init__(self, compose: dict[str, Any], folder: Path) -> None:
        self.services, self.folder = compose["services"], folder
        names = ["kafka:19092", ":19092", ":9092", ":19093", "redis:6379", "0.0.0.0:8080", "0.0.0.0:8095"]
        inside, outside, controller, redis, web, self.api_port = free_ports(6)
        ports = [inside, inside, outside, controller, redis, web, self.api_port]
        self.redis_port, self.web_port = redis, web
        self._places = {name: f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
        for service in self.services.values():
            for config in service.get("configs", []):
                path = folder / config["source"]
                path.write_text(compose["configs"][config["source"]]["content"])
                self._places[config["target"]] = str(path)
        self._places |= {"@localhost": "@", "//localhost": "//"}
        self._places |= {"OUTSIDE://127.0.0.1": "OUTSIDE://", "/var/lib/kafka/data": str(folder / "kafka")}
        self._places |= {f"/var/lib/kithkin/{name}": str(folder / name) for name in ("service", "policy")}
        (folder / "policy").mkdir(0o700)  # which Docker makes

    def placed(self, value: str) -> str:
        """A setting with the addresses and folders of this test."""
        pattern = "|".join(map(re.escape, sorted(self._places, key=len, reverse=True)))
        return re.sub(pattern, lambda match: self._places[match[0]], value)

    def kafka(self, java: Java) -> Server:
        """As the image does it: settings from the environment, a formatted folder, the server."""
        properties = {}
        for name, value in self.services["kafka"]["environment"].items():
            key = name.removeprefix("KAFKA_").lower().replace("_", ".").replace("...", "-").replace("..", "_")
            properties[key] = self.placed(value)
        settings = self.folder / "server.properties"
        settings.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        form = java.command("kafka.tools.StorageTool", "format", "--cluster-id", "kithkin-compose-test01", "-c", str(settings))
        subprocess.run(form, check=True, capture_output=True)
        return Server(java.command("kafka.Kafka", str(settings)), self.folder / "kafka.log")

    def redis(self) -> Server:
        program, *flags = map(self.placed, self.services["redis"]["command"])
        assert program == "redis-server"
        own = ["--bind", "127.0.0.1", "--port", str(self.redis_port), "--dir", str(self.folder)]
        return Server([redis_program(), *flags, *own], self.folder / "redis.log")

    def kafka_is_healthy(self) -> bool:
        """The service's own check, with its address and its file, by another client than the image's."""
        _, _, *flags = self.services["kafka"]["healthcheck"]["test"]
        given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
        read = dict(line.split("=", 1) for line in Path(self.placed(given["command-config"])).read_text().splitlines())
        words = dict(re.findall(r'(\w+)="([^"]+)"', read.pop("sasl.jaas.config")))
        known = {**read, **{f"sasl.{name}": word for name, word in words.items()}}
        server = self.placed(given["bootstrap-server"].replace("localhost:", "kafka:"))
        client: dict[str, str | int | float | bool] = {"bootstrap.servers": server, "log_level": 0, **known}
        return bool(AdminClient(client).list_topics(timeout=10).brokers)

    def environment(self, service: str) -> dict[str, str]:
        image = dict(shlex.split(rest)[0].split("=", 1) for name, rest in stages()[-1] if name == "ENV" if "KITHKIN_" in rest)
        told = {**image, **self.services[service].get("environment", {})}
        return {**os.environ, **{name: self.placed(value) for name, value in told.items()}}

    def api_is_healthy(self) -> bool:
        """The service's own check, spoken to the API of this test."""
        _, python, *words = self.services["api"]["healthcheck"]["test"]
        assert python == "python"
        words = [word.replace(":8095", f":{self.api_port}") for word in words]
        return self._ended([sys.executable, *words], dict(os.environ)).returncode == 0

    def command(self, service: str) -> list[str]:
        return [sys.executable, "-m", "stream.cli", *map(self.placed, self.services[service]["command"])]

    def run(self, service: str) -> subprocess.CompletedProcess[str]:
        return self._ended(self.command(service), self.environment(service))

    def healthy(self) -> bool:
        """The image's HEALTHCHECK, spoken to the worker of this test."""
        (check,) = (rest for name, rest in stages()[-1] if name == "HEALTHCHECK")
        command = [part.replace(":8080", f":{self.web_port}") for part in json.loads(check.partition("CMD ")[2])]
        assert command[0] == "python"
        return self._ended([sys.executable, *command[1:]], dict(os.environ)).returncode == 0

    def doctor(self) -> subprocess.CompletedProcess[str]:
        return self._ended([sys.executable, "-m", "stream.cli", "doctor", "--json"], self.environment("worker"))

    @contextmanager
    def running(self, service: str) -> Iterator[Server]:
        environment = [f"{name}={value}" for name, value in self.environment(service).items() if name.startswith("KITHKIN_")]
        server = Server(["/usr/bin/env", *environment, *self.command(service)], self.folder / f"{service}.log")
        try:
            yield server
        finally:
            server.stop(10)

    def _ended(self, command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


@pytest.mark.usefixtures("kafka")  # which fetches what Kafka is made of
def test_with_these_settings_identities_flow(compose: dict[str, Any], tmp_path: Path) -> None:
    here = Here(compose, tmp_path)
    with ExitStack() as ends:
        java = java_of_kafka(lambda _: None)
        kafka, redis = here.kafka(java), here.redis()
        ends.callback(kafka.stop, 10)
        ends.callback(redis.stop, 10)
        assert until(lambda: here.run("topics").returncode == 0, PATIENCE_S), kafka.last_words

        assert here.run("service").returncode == 0
        worker = ends.enter_context(here.running("worker"))
        assert until(lambda: not worker.running or here.healthy(), PATIENCE_S), worker.last_words
        amiss = {check["name"]: check["state"] for check in json.loads(here.doctor().stdout) if check["state"] != "ok"}
        assert amiss == {"replication": "warning"}

        api = ends.enter_context(here.running("api"))
        assert until(lambda: not api.running or here.api_is_healthy(), PATIENCE_S), api.last_words
        ends.enter_context(here.running("load"))
        assert here.kafka_is_healthy()
        broker, password = (here.environment("worker")[f"KITHKIN_{name}"] for name in ("BROKER", "KAFKA__PASSWORD"))
        known = KafkaWiring(security="sasl_plaintext", mechanism="PLAIN", username="kithkin", password=SecretStr(password))
        wiring = Wiring(broker=broker, kafka=known)
        assert until(lambda: len(list(reader(wiring, ["identities"]))) >= IDENTITIES, PATIENCE_S), worker.last_words
        worker.stop(10)
        assert worker.exit_code == 0, worker.last_words

        with pytest.raises(BrokerError):
            list(reader(Wiring(broker=broker, kafka=KafkaWiring(retries_s=5)), ["identities"]))
        with Client(port=here.redis_port) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


# ---- the image


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a file from the builder: the last line that fits it, or a folder of it, decides."""
    parts = Path(path).parts
    above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    kept = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if pattern and not pattern.startswith("#"):
            names = [Path(part).name for part in above] if pattern.startswith("**/") else above
            if any(fnmatch(name, pattern.removeprefix("**/")) for name in names):
                kept = line.startswith("!")
    return not kept


def test_the_builder_gets_what_is_copied_and_no_more() -> None:
    copied = [source for name, rest in stages()[0] if name == "COPY" for source in rest.split()[:-1]]
    assert [source for source in copied if not (ROOT / source).exists() or ignored(source)] == []
    assert ignored("stream/ops/local_cluster/__pycache__/java.pyc")
    offered = {path.name for path in ROOT.iterdir() if not ignored(path.name)}
    assert offered == set(copied)


def test_everything_is_installed_from_hashes() -> None:
    steps = [step for name, rest in stages()[0] if name == "RUN" for step in rest.split("&&")]
    installs = [step for step in steps if re.search(r"pip (install|sync)|uv build", step)]
    assert len(installs) == 4
    assert [step for step in installs if "--require-hashes" not in step and "--no-deps dist/" not in step] == []


def test_the_image_runs_kithkin_as_nobody_in_particular() -> None:
    last = dict(stages()[-1])
    assert last["ENTRYPOINT"] == '["kithkin"]'
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert not {"curl", "wget"} & set(shlex.split(last["HEALTHCHECK"]))
    assert "RUN" not in last  # nothing is installed beside what was built
    assert all(f"org.opencontainers.image.{label}=" in last["LABEL"] for label in ("title", "description", "licenses"))


def test_the_steps_that_install_it_do_install_it(tmp_path: Path) -> None:
    """As the builder runs them, with folders of this test's own. What is compiled ahead and whose it is, is left out."""
    source, target = tmp_path / "src", tmp_path / "opt"
    for name, rest in stages()[0]:
        if name == "COPY":
            *sources, place = rest.split()
            for one in sources:
                copied = source / place if place != "./" else source / one
                copied.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-r", str(ROOT / one), str(copied)], check=True)
    venv.create(tmp_path / "tools", with_pip=True)
    path = {"PATH": f"{tmp_path / 'tools' / 'bin'}:{os.environ['PATH']}"}
    for name, rest in stages()[0]:
        if name == "RUN" and "compileall" not in rest:
            step = rest.replace("/opt/kithkin", str(target))
            told = {"capture_output": True, "text": True, "check": False}
            ran = subprocess.run(step, shell=True, cwd=source, env={**os.environ, **path}, **told)
            assert ran.returncode == 0, (step, ran.stderr)

    def says(*command: str, **more: str) -> str:
        environment = {**os.environ, **more}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert says(f"{target}/bin/kithkin", "--version") == f"kithkin {__version__}"
    used = "import confluent_kafka, crc32c, kafka, numba, prometheus_client, redis; from stream.runtime.worker import live; "
    used += "print(live.__file__)"
    python, interpreted = f"{target}/bin/python", {"NUMBA_DISABLE_JIT": "1"}  # to compile all kernels takes half a minute
    assert Path(says(python, "-c", used, **interpreted)).is_relative_to(target)
    compiled = "from stream.home import profiles; print(*profiles.restore.nopython_signatures)"
    assert says(python, "-c", compiled), "a kernel of those is compiled where it was installed"
