"""A run as data frames: every record is a row, its fields are typed columns, and nothing of it is lost."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import MODELS, OUTPUT_TOPICS
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.runs.frames import Frame, Run, write_parquet
from stream.offline.runs.tables import schema_of
from tests.support.recorded import recorded_lines, write_log

TABLES = {
    "identities": "identities", "profiles": "profiles", "labels": "labels", "presence": "presence",
    "drift-signals": "signals", "drift-alerts": "alerts",
    "dead-letters": "dead_letters",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("frames")
    log = write_log(place / "log.jsonl", recorded_lines())
    replay(Replay([log], place / "run", Policy(), Wiring()))
    return place / "run"


@pytest.fixture
def run(folder: Path) -> Run:
    return Run(folder)


def lines(folder: Path, topic: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{topic}.jsonl").read_bytes().splitlines()]



@pytest.mark.parametrize("topic", OUTPUT_TOPICS)
def test_every_record_is_a_row_and_every_field_a_column(run: Run, topic: str) -> None:
    frame: Frame = getattr(run, TABLES[topic])
    assert set(frame.columns) == (set(MODELS[topic].model_fields) - {"v"}) | {"published_at", "tombstone"}
    assert len(frame) == len(lines(run.folder, topic))
    assert frame.to_arrow().schema == schema_of(topic)


@pytest.mark.parametrize("topic", OUTPUT_TOPICS)
def test_all_three_libraries_see_the_same_rows(run: Run, topic: str) -> None:
    frame: Frame = getattr(run, TABLES[topic])
    assert len(frame.to_pandas()) == frame.to_polars().height == polars.DataFrame(frame).height == len(frame)


def test_an_identity_is_what_was_published(run: Run) -> None:
    table = run.identities.to_pandas()
    for row, line in zip(table.to_dict("records"), lines(run.folder, "identities"), strict=True):
        value = line["value"]
        assert row["posterior"] == value["posterior"]
        assert row["observed_at"].timestamp() * 1000 == pytest.approx(value["observed_at"])
        assert row["published_at"].timestamp() * 1000 == pytest.approx(line["timestamp"])
        assert (row["event_id"], row["revision"], row["tier"]) == (value["event_id"], value["revision"], value["tier"])
        assert row["cause"] == value["cause"]
    assert table["observed_at"].dt.tz is not None


def test_the_long_form_has_each_probability_once_and_they_add_up(run: Run) -> None:
    long = run.posteriors.to_polars()
    assert long.height == sum(len(line["value"]["posterior"]) for line in lines(run.folder, "identities"))
    sums = long.group_by("household_id", "event_id", "revision").agg(polars.col("probability").sum())
    assert sums.height == len(run.identities)
    assert np.allclose(sums["probability"].to_numpy(), 1, atol=1e-4)


def test_a_vector_is_numbers_and_a_tombstone_tells_whose(run: Run) -> None:
    told = zip(run.profiles.to_arrow().to_pylist(maps_as_pydicts="strict"), lines(run.folder, "profiles"), strict=True)
    vectors = 0
    for row, line in told:
        assert (row["household_id"], row["person_id"]) == tuple(line["key"].split("/"))
        assert row["tombstone"] == (line["value"] is None)
        for encoder, held in (row["encoders"] or {}).items():
            for one, written in zip(held["prototypes"], line["value"]["encoders"][encoder]["prototypes"], strict=True):
                assert np.array_equal(np.float16(one["embedding"]), np.frombuffer(base64.b64decode(written["embedding"]), "<f2"))
                vectors += 1
    assert vectors


def test_a_table_is_read_once_and_the_files_stay_as_they_are(run: Run) -> None:
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    assert run.identities is run.identities
    assert run.manifest["inputs"]["records"] > 0
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before


def test_of_a_topic_on_which_nothing_was_published_the_columns_stand(tmp_path: Path) -> None:
    (tmp_path / "identities.jsonl").touch()
    empty = Run(tmp_path)
    assert len(empty.identities) == len(empty.posteriors) == len(empty.alerts) == 0
    assert empty.alerts.to_arrow().schema == schema_of("drift-alerts")


def test_parquet_files_hold_the_same_tables(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for topic in OUTPUT_TOPICS:
        (copy / f"{topic}.jsonl").write_bytes((folder / f"{topic}.jsonl").read_bytes())
    for topic, path in zip(OUTPUT_TOPICS, write_parquet(copy), strict=True):
        assert pq.read_table(path).equals(getattr(Run(folder), TABLES[topic]).to_arrow())
        assert path.stat().st_mode & 0o077 == 0


def test_a_replay_writes_parquet_when_it_is_asked_to_and_one_that_begins_anew_takes_it_away(tmp_path: Path) -> None:
    log, out = write_log(tmp_path / "log.jsonl", recorded_lines()), tmp_path / "run"
    told = CliRunner().invoke(app, ["replay", log, "--out", str(out), "--parquet"])
    assert told.exit_code == 0, told.output
    assert pq.read_table(out / "identities.parquet").num_rows == len(Run(out).identities) > 0
    assert CliRunner().invoke(app, ["replay", log, "--out", str(out), "--fresh"]).exit_code == 0
    assert list(out.glob("*.parquet")) == []


def test_a_parquet_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    log, out = write_log(tmp_path / "log.jsonl", recorded_lines()), tmp_path / "run"
    out.mkdir()
    (out / "labels.parquet").write_bytes(b"theirs")
    with pytest.raises(ConfigError, match=r"labels\.parquet that no replay"):
        replay(Replay([log], out, Policy(), Wiring(), fresh=True))
    assert (out / "labels.parquet").read_bytes() == b"theirs"


def test_what_is_no_run_is_told_and_so_is_a_library_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no identities"):
        Run(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"kithkin\[frames\]"):
        Run(tmp_path)


def test_the_notebook_runs_to_its_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(root))
    book = nbformat.read(root / "examples" / "backtest.ipynb", as_version=4)
    NotebookClient(book, timeout=250, kernel_name="python3").execute()
    tables = [cell.outputs for cell in book.cells if cell.cell_type == "code"]
    assert all(tables)
