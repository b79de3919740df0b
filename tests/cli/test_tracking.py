"""`--mlflow`: a replay, a comparison and a tuning as runs in MLflow, in a database; and what cannot be kept, in a sentence."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from stream.contract.policy import Policy
from stream.contract.settings import load_policy
from stream.offline.simulation.sample import Sample, write_sample
from tests.cli.test_cli import plain, run
from tests.conftest import needs

# SQLAlchemy's, of what MLflow asks of it; and what it leaves open.
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "ResourceWarning")]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    write_sample(Sample(homes=8, days=6, seed=3), folder)
    (folder / "live.toml").write_text("")
    (folder / "bold.toml").write_text("[tiers]\npersonal = 0.91\n")
    (folder / "space.toml").write_text("[tiers]\nprivate = {low = 0.95, high = 0.999}\n")
    return folder


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    needs("mlflow", "mlflow")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path)  # where MLflow puts files of runs whose database is one
    return f"sqlite:///{tmp_path}/runs.db"


def kept(uri: str, experiment: str = "kithkin") -> dict[str, Any]:
    """Finished runs by their names."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    return {run.info.run_name: run for run in runs}


def written(uri: str, run: Any) -> dict[str, str]:
    """Files of a run by their names."""
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return {path.name: path.read_text("utf-8") for path in folder.iterdir()}


def test_a_replay_is_a_run_with_its_policy_figures_manifest_and_report(street: Path, uri: str, tmp_path: Path) -> None:
    run("replay", street / "log.jsonl", "--out", tmp_path / "answers", "--policy", street / "bold.toml", "--mlflow", uri)
    one = kept(uri)["answers"]
    assert one.data.params["tiers.personal"] == "0.91"
    assert one.data.params["policy_id"] == load_policy(street / "bold.toml").policy_id
    lines = (tmp_path / "answers" / "identities.jsonl").read_bytes().splitlines()
    assert one.data.metrics["outputs/identities"] == len(lines)
    assert 50 < one.data.metrics["feedback/top1"] <= 100
    found = written(uri, one)
    assert found["manifest.json"] == (tmp_path / "answers" / "manifest.json").read_text()
    assert "</html>" in found["report.html"]
    assert "personal = 0.91" in found["policy.toml"]


def test_of_a_comparison_each_policy_is_a_run_with_its_differences(street: Path, uri: str) -> None:
    policies = [street / "live.toml", street / "bold.toml"]
    told = run("compare", *policies, street / "log.jsonl", "--truth", street / "truth.jsonl", "--json", "--mlflow", uri)
    record = json.loads(told.splitlines()[-1])
    live, bold = kept(uri)["live"], kept(uri)["bold"]
    assert live.data.params["policy_id"] == Policy().policy_id
    assert live.data.metrics["truth/top1"] == record["levels"]["truth"]["live"]["top1"]["value"]
    difference = record["comparisons"][0]["differences"]["tier2_covered"]
    for end in ("value", "low", "high"):
        assert bold.data.metrics[f"truth/tier2_covered/difference/{end}"] == difference[end]
    assert not any("difference" in name for name in live.data.metrics)
    assert record["comparisons"][0]["sentence"] in bold.data.tags["mlflow.note.content"]
    assert json.loads(written(uri, bold)["comparison.json"]) == record


def test_the_winner_of_a_tuning_is_a_run_whether_it_is_confirmed_or_not(
    street: Path, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of my own")
    asked = ("--truth", street / "truth.jsonl", "--figure", "tier3_covered", "--trials", "2", "--jobs", "1", "--json")
    kept_in = ("--storage", tmp_path / "tune.db", "--mlflow", uri)
    told = run("tune", street / "space.toml", street / "log.jsonl", *asked, *kept_in, code=1)
    record = json.loads(told.splitlines()[-1])
    one = kept(uri, "of my own")["tune tier3_covered"]
    assert one.data.tags["kithkin.confirmed"] == "false"
    assert one.data.metrics["confirmed/winner"] == record["confirmed"]["winner"]
    assert float(one.data.params["tiers.private"]) == record["winner"]["settings"]["tiers.private"]


def test_where_nothing_can_be_kept_it_is_told_before_anything_is_done(street: Path, uri: str, tmp_path: Path) -> None:
    words = ("replay", street / "log.jsonl", "--out", tmp_path / "answers", "--mlflow")
    for wrong in ("http://127.0.0.1:1", "nothing://here"):
        told = plain(run(*words, wrong, code=2))
        assert wrong in told
        assert "one that takes runs" in told
    assert not (tmp_path / "answers").exists()


def test_without_mlflow_it_is_told_how_to_install_it(street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    told = plain(run("replay", street / "log.jsonl", "--out", tmp_path / "answers", "--mlflow", "runs", code=2))
    assert ".[mlflow]" in told
    assert not (tmp_path / "answers").exists()
