"""The command line: it teaches on every level, and says by its exit code whose fault something was."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from stream import __version__
from stream.brokers.files import FILES, LogProgress
from stream.cli import app
from stream.contract.policy import Policy
from stream.contract.records import MODELS
from stream.offline.replay.manifest import MANIFEST
from stream.ops.local_cluster.processes import until
from tests.support.recorded import recorded_lines, write_log

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
BATCH = 20
PATIENCE_S = 120.0


def run(*arguments: str | Path, code: int = 0) -> str:
    """What a command prints, both streams together, when it ends with this code."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result.output


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def plain(text: str) -> str:
    """Without colours and frames, on one line."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", recorded_lines())


def test_without_a_command_it_tells_what_there_is() -> None:
    told = plain(run(code=2))
    assert all(command in told for command in COMMANDS)
    assert "Start here" in told


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    told = plain(run(command, "--help"))
    assert f"Examples: kithkin {command}" in told
    assert told == plain(run(command, "-h"))


def test_help_is_there_before_anything_heavy_is_imported(root: Path) -> None:
    told = "import sys; from stream.cli import app; app(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", told], cwd=root, check=True, capture_output=True, text=True).stdout
    imported = set(re.findall(r"'(\w+)'", printed.splitlines()[-1]))
    assert imported & {"typer", "numpy", "pydantic", "river", "msgspec"} == {"typer"}


def test_the_version_is_the_package_s() -> None:
    assert run("--version") == f"kithkin {__version__}\n"


def test_replay_writes_its_files_and_says_what_it_came_to(log: str, tmp_path: Path) -> None:
    told = run("replay", log, "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, MANIFEST}
    answers = sum(line["value"]["revision"] == 0 for line in lines_of(tmp_path / "out" / "identities.jsonl"))
    assert f"{len(recorded_lines())} records now" in plain(told)
    assert f"{answers} recognitions answered" in plain(told)
    assert "bytes a person at rest" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "none.jsonl", "--out", "out"], "none.jsonl: cannot be opened"),
        (["replay", "{log}", "--out", "out", "--policy", "none.toml"], "policy = 'none.toml' (No such file or directory)"),
        (["replay", "{log}", "--out", "out", "--store", "states.txt"], 'a SQLite file ending in ".db"'),
        (["replay", "{log}", "--out", "{log}"], "it should be a directory of a replay"),
        (["replay", "{log}"], "Missing option '--out'"),
        (["schema", "identites"], "it should be identities"),
        (["policy", "--policy", "{log}"], "it should be a TOML file"),
        (["demo", "--homes", "0"], "Invalid value for '--homes'"),
        (["reply"], "No such command 'reply'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_message_and_exit_code_2(
    arguments: list[str], said: str, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = run(*(argument.format(log=log) for argument in arguments), code=2)
    assert said in plain(told)
    assert "Traceback" not in told


def test_a_mistake_once_mended_needs_no_further_flag(log: str, tmp_path: Path) -> None:
    run("replay", log, "--out", tmp_path / "out", "--store", "states.txt", code=2)
    run("replay", log, "--out", tmp_path / "out", "--store", tmp_path / "states.db")


def test_what_fails_is_one_message_and_exit_code_1(log: str, tmp_path: Path) -> None:
    told = run("replay", log, "--out", tmp_path / "out", "--store", tmp_path / "no-such-folder" / "states.db", code=1)
    assert "states.db: unable to open database file" in told
    assert "Traceback" not in told


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same replay without an interruption."""
    folder = tmp_path_factory.mktemp("calm")
    run("replay", write_log(folder / "log.jsonl", recorded_lines()), "--out", folder / "calm")
    return folder / "calm"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_an_interrupted_replay_of_standard_input_goes_on(how: signal.Signals, calm: Path, root: Path, tmp_path: Path) -> None:
    lines = recorded_lines()
    command = [sys.executable, "-c", "from stream.cli import main; main()", "replay", "-", "--store", str(tmp_path / "run.db")]
    command += ["--out", str(tmp_path / "run")]
    environment = {**os.environ, "KITHKIN_BATCH_RECORDS_MAX": str(BATCH)}
    with subprocess.Popen(command, cwd=root, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as replay:
        assert replay.stdin is not None
        assert replay.stderr is not None
        replay.stdin.write(b"".join(lines[: BATCH + 1]))
        replay.stdin.flush()

        def has_ended_or_begun() -> bool:
            made = LogProgress.read(tmp_path / "run")
            return replay.poll() is not None or bool(made and made.records)

        assert until(has_ended_or_begun, PATIENCE_S)
        assert replay.poll() is None, replay.stderr.read()
        replay.send_signal(how)
        with suppress(BrokenPipeError):  # it has read what it wanted
            replay.stdin.write(b"".join(lines[BATCH + 1 :]))
        with suppress(BrokenPipeError):
            replay.stdin.close()
        told = replay.stderr.read().decode()
    if how == signal.SIGKILL:
        assert replay.returncode == -how
    else:
        assert (replay.returncode, "Interrupted after" in told, "to go on from there" in told) == (130, True, True)
    subprocess.run(command, cwd=root, env=environment, input=b"".join(lines), check=True, capture_output=True)

    for file in ("identities.jsonl", "profiles.jsonl", "labels.jsonl"):
        assert by_partition(tmp_path / "run" / file) == by_partition(calm / file)


def by_partition(path: Path) -> list[bytes]:
    """Lines by partition and offset: how partitions take turns depends on the size of batches, which differs here."""
    return sorted(path.read_bytes().splitlines(), key=lambda line: [(r := json.loads(line))["partition"], r["offset"]])


def test_the_policy_printed_is_the_policy_read(tmp_path: Path) -> None:
    printed = run("policy")
    assert f"# policy_id {Policy().policy_id}\n" in printed
    assert Policy.model_validate(tomllib.loads(printed)) == Policy()
    (tmp_path / "policy.toml").write_text(printed)
    assert run("policy", "--policy", tmp_path / "policy.toml") == printed


def test_schema_prints_every_record_of_the_contract() -> None:
    printed = json.loads(run("schema"))
    assert list(printed) == list(MODELS)
    assert [json.loads(run("schema", topic)) for topic in MODELS] == list(printed.values())


def test_what_goes_in_and_what_comes_out_is_as_the_schemas_say(log: str, tmp_path: Path) -> None:
    run("replay", log, "--out", tmp_path / "out")
    jsonschema = pytest.importorskip("jsonschema", reason="The package jsonschema, which checks the schemas, is not installed.")
    checks = {topic: jsonschema.Draft202012Validator(schema) for topic, schema in json.loads(run("schema")).items()}
    seen = set()
    for path in (Path(log), *(tmp_path / "out").glob("*.jsonl")):
        for line in lines_of(path):
            if line["value"] is not None:
                checks[line["topic"]].validate(line["value"])
                seen.add(line["topic"])
    assert seen >= {"recognitions", "feedback", "identities", "profiles", "labels", "journal"}
