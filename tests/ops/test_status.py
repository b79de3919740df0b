"""What `kithkin status` shows: whole on a terminal of 80 columns, and one sentence where nobody answers."""

import subprocess
import sys
from contextvars import copy_context
from pathlib import Path

import pytest
from rich.console import Console

import stream.brokers.kafka.topics as kafka_topics
from stream.cli import connection, main
from stream.cli.connection import note_begin, refuse_missing
from stream.cli.faults import EXIT_FAILED
from stream.contract.settings import Wiring
from stream.ops.status import Status, picture, readable

RECOVERY = {"at": "2026-03-01T12:34:56.000Z", "batches": 1234, "took_s": 123.4}
NOTE = {
    "host": "kithkin-worker-7.eu-central", "pid": 1234567, "version": "10.11.12", "partitions": [*range(0, 64, 2)],
    "events_per_s": 12345.6, "last_batch_s": 1234.5, "last_recovery": RECOVERY, "restarts": 1234, "stopping": True,
}  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut(width: int) -> None:
    status = Status({"kithkin-worker-7": readable(NOTE)}, dict.fromkeys(range(64), 1_234_567))
    console = Console(width=width)
    with console.capture() as shown:
        console.print(picture(status))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in shown.get()
    words = "".join("".join(lines).split())
    assert sum(word in words for word in ("12,346", "39,506,144", "1,234", "123.4", "62")) == 5, shown.get()


@pytest.mark.parametrize("scheme", ["confluent", "kafka"])
@pytest.mark.parametrize("command", [["status"], ["alerts"], ["identities"]], ids=" ".join)
def test_where_nobody_answers_one_sentence_says_so_soon(scheme: str, command: list[str], root: Path) -> None:
    told = [sys.executable, "-m", "stream.cli", *command, "--broker", f"{scheme}://127.0.0.1:1"]
    ended = subprocess.run(told, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == EXIT_FAILED
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert "127.0.0.1:1 does not answer" in ended.stderr


@pytest.mark.parametrize("spent_s", [0.0, 1.0, 3.0, 60.0])
def test_what_a_command_spent_on_beginning_is_not_waited_for_once_more(spent_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a sentence comes within 5 s of its begin on a busy machine too."""
    asked: list[float] = []
    now_s = 1_000.0
    monkeypatch.setattr(connection.time, "monotonic", lambda: now_s)
    monkeypatch.setattr(kafka_topics, "partitions_of", lambda admin, wiring, topics, timeout_s: asked.append(timeout_s))

    def run() -> None:
        nonlocal now_s
        note_begin()
        now_s += spent_s
        refuse_missing(Wiring(broker="confluent://127.0.0.1:1"), ["recognitions"])

    copy_context().run(run)
    assert asked == [max(0.5, min(3.0, 3.5 - spent_s))]
    assert spent_s > 3.0 or spent_s + asked[0] <= 3.5


def test_the_process_of_a_command_notes_its_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    module = sys.modules[main.__module__]
    monkeypatch.setattr(module, "note_begin", lambda: order.append("begin"))
    monkeypatch.setattr(module, "app", lambda: order.append("command"))
    main()
    assert order == ["begin", "command"]
