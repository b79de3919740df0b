"""The demo: ends without a terminal, shows the same run with one, and leaves a report."""

import re
from pathlib import Path

import pytest
from rich.console import Console, ConsoleDimensions

from stream.contract.errors import ConfigError
from stream.contract.ports import Encoded
from stream.contract.records import Cause, Correct, Identity, Record, Signal
from stream.contract.units import DAY_MS
from stream.offline.demo.demo import Demo, demo
from stream.offline.demo.scoreboard import Scoreboard
from stream.offline.demo.view import picture, plain_line
from stream.offline.report.run import Run, read
from stream.offline.simulation.behaviour import BEGIN_MS

NOON_MS = BEGIN_MS + DAY_MS + DAY_MS // 2


def answer(event_id: str, posterior: dict[str, float], tier: int = 0, revision: int = 0) -> Encoded:
    best = max(posterior, key=posterior.__getitem__)
    value = Identity(
        event_id=event_id, household_id="h", observed_at=NOON_MS, revision=revision, posterior=posterior, tier=tier,
        person_id=best if tier >= 2 else None, modalities=[], policy_id="p",
        cause=Cause(topic="feedback" if revision else "recognitions", partition=0, offset=0),
    )  # fmt: skip
    return Encoded("identities", 0, NOON_MS, b"h", value.model_dump_json().encode())


def noticing() -> Scoreboard:
    """A scoreboard that saw a home alarm, and do something about it."""
    board = Scoreboard({}, BEGIN_MS, DAY_MS)
    for adapted in (None, "its offset is measured anew"):
        value = Signal(
            signal_id="s", household_id="h", person_id=None, device_id="kitchen", encoder=None, attributes={}, kind="device",
            log_e_value=7.0, observed_at=NOON_MS, evidence={"device": 0.97}, adapted=adapted,
            cause=Cause(topic="recognitions", partition=0, offset=0),
        )  # fmt: skip
        board.saw(read(Run(outputs=[Encoded("drift-signals", 0, NOON_MS, b"h", value.model_dump_json().encode())])))
    return board


def corrected() -> Scoreboard:
    """A scoreboard that saw one right answer, and one wrong that was corrected afterwards."""
    board = Scoreboard({("h", "e-1"): "ada", ("h", "e-2"): "ada"}, BEGIN_MS + DAY_MS, DAY_MS)
    board.saw(read(Run(outputs=[answer("e-1", {"ada": 0.9, "guest": 0.1}), answer("e-2", {"bob": 0.96, "ada": 0.04}, tier=2)])))
    said = Correct(
        v=1, feedback_id="f", household_id="h", given_at=NOON_MS, source="app", kind="correct", event_id="e-2", person_id="ada"
    )
    heard = Record("feedback", 0, 0, NOON_MS, b"h", said.model_dump_json().encode())
    board.saw(read(Run([heard], [answer("e-2", {"ada": 0.8, "bob": 0.2}, revision=1)])))
    return board


def test_a_demo_says_before_it_simulates_that_its_report_would_be_a_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="a directory"):
        demo(Demo(homes=3, days=8, seed=5, out=tmp_path))
    assert capsys.readouterr().out == ""


def test_a_demo_without_a_terminal_ends_and_leaves_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = demo(Demo(homes=3, days=8, seed=5, out=tmp_path / "report.html"))
    printed = capsys.readouterr().out
    assert page == tmp_path / "report.html"
    assert str(page) in printed.replace("\n", "")
    assert "day   7 of 8" in printed
    assert re.search(r"const run = \{.*\"homes\":\[\{", page.read_text())


def test_the_same_demo_gives_the_same_bytes_with_a_terminal_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = demo(Demo(homes=2, days=1, seed=5, out=tmp_path / "plain.html", live=False))
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    live = demo(Demo(homes=2, days=1, seed=5, out=tmp_path / "live.html"))
    assert live.read_bytes() == plain.read_bytes()


def test_a_demo_that_cannot_be_simulated_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be simulated"):
        demo(Demo(homes=0, days=5, seed=0, out=tmp_path / "report.html", live=False))
    assert not list(tmp_path.iterdir())


def test_the_scoreboard_judges_first_answers_only() -> None:
    board = corrected()
    assert (board.answers, board.revised, board.said, board.named_wrongly) == (2, 1, 1, 1)
    assert (board.right["h"], board.judged["h"], board.share_right) == (1, 2, 0.5)
    assert dict(board.right_by_day) == {0: 1}


def test_a_remark_tells_what_became_of_it() -> None:
    [remark] = corrected().remarks
    assert (remark.source, remark.words, remark.outcome) == ("app", "e-2 was ada", "bob → ada 96% → 80%")


def test_a_change_is_counted_once_and_told_with_what_was_done() -> None:
    board = noticing()
    assert (board.changes, list(board.news)) == (1, ["h: something changed: the kitchen device"])
    assert [(remark.words, remark.outcome) for remark in board.remarks] == [
        ("changed: the kitchen device", "alarm"),
        ("the kitchen device: its offset is measured anew", "adapted"),
    ]


@pytest.mark.parametrize("size", [ConsoleDimensions(60, 15), ConsoleDimensions(80, 24), ConsoleDimensions(200, 60)])
def test_the_picture_fits_the_terminal(size: ConsoleDimensions) -> None:
    console = Console(width=size.width, height=size.height, force_terminal=True)
    with console.capture() as shown:
        console.print(picture(corrected(), NOON_MS, BEGIN_MS + 3 * DAY_MS, size))
    assert shown.get().count("\n") <= size.height
    assert "50.0%" in shown.get()


def test_a_picture_before_anything_happened_can_be_drawn() -> None:
    console = Console(width=100, height=30)
    with console.capture() as shown:
        console.print(picture(Scoreboard({}, BEGIN_MS, DAY_MS), BEGIN_MS, BEGIN_MS + DAY_MS, console.size))
    assert "day 0 of 1" in shown.get()


def test_a_plain_line_fits_eighty_columns() -> None:
    assert len(plain_line(corrected(), 45, 45)) <= 80
