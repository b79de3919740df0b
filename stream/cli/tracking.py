"""Runs in MLflow: what a command tried, what came of it, and what it wrote, beside the runs of other models.

Law: whether they can be kept is known before the work begins, and what a command prints does not depend on it.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from stream.contract.policy import Policy

__all__ = ["Tracked", "Tracker", "numbers_of", "settings_of"]

EXPERIMENT: Final = "kithkin"
_AT_ONCE: Final = 100  # parameters, and metrics, that MLflow takes in one request
_QUIET: Final = {  # unless somebody sets it otherwise: nothing is sent to its makers, and a dead server is soon given up
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_LOGGING_LEVEL": "WARNING",
}  # fmt: skip


class Tracked(NamedTuple):
    """One run: its name, settings, figures and tags; texts and files by the names they are kept under."""

    name: str
    settings: Mapping[str, Any]
    figures: Mapping[str, float]
    tags: Mapping[str, str]
    texts: Mapping[str, str] = {}
    files: Sequence[Path] = ()


class Tracker:
    """Keeps runs in the experiment `kithkin`, or the one that MLFLOW_EXPERIMENT_NAME says.

    Parameters
    ----------
    uri
        Of a tracking server or a database, as MLflow takes it.

    Raises
    ------
    ConfigError
        MLflow is not installed, or nothing can be kept there.
    """

    def __init__(self, uri: str) -> None:
        from stream.contract.errors import ConfigError, first_line, how_to_install

        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise ConfigError("mlflow", uri, "for MLflow, which is not installed", how_to_install("mlflow")) from None
        self._uri, name = uri, os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        try:
            self._client = MlflowClient(uri)
            found = self._client.get_experiment_by_name(name)
            self._experiment = found.experiment_id if found else self._client.create_experiment(name)
        except Exception as error:  # of many stores, each with its own
            right = "one that takes runs: http://HOST:5000, or sqlite:///runs.db"
            raise ConfigError("mlflow", uri, first_line(error), right) from error

    def keep(self, runs: Sequence[Tracked]) -> None:
        """Keep finished runs. Raises ConfigError where one cannot be kept."""
        from stream.contract.errors import ConfigError, first_line

        try:
            for run in runs:
                self._keep(run)
        except Exception as error:
            why = f"where the run could not be kept: {first_line(error)}"
            raise ConfigError("mlflow", self._uri, why, "one that takes runs") from error

    def _keep(self, run: Tracked) -> None:
        from mlflow.entities import Metric, Param, RunTag

        now_ms = int(time.time() * 1_000)
        run_id = self._client.create_run(self._experiment, run_name=run.name).info.run_id
        params = [Param(name, str(value)) for name, value in run.settings.items()]
        metrics = [Metric(name, float(value), now_ms, 0) for name, value in run.figures.items()]
        for at in range(0, max(len(params), len(metrics), 1), _AT_ONCE):
            self._client.log_batch(run_id, metrics[at : at + _AT_ONCE], params[at : at + _AT_ONCE])
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in run.tags.items()])
        with tempfile.TemporaryDirectory(prefix="kithkin-") as folder:
            for name, text in run.texts.items():
                path = Path(folder) / name
                path.write_text(text, "utf-8")
                self._client.log_artifact(run_id, str(path))
            for path in run.files:
                self._client.log_artifact(run_id, str(path))
        self._client.set_terminated(run_id)


def settings_of(policy: "Policy") -> dict[str, Any]:
    """Every setting of a policy by its dotted name, and its id."""
    from stream.offline.policies.paths import leaves

    return {"policy_id": policy.policy_id} | {".".join(path): value for path, value in leaves(policy).items()}


def numbers_of(record: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """The numbers of a record of records, by their names with slashes between."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            found |= numbers_of(value, f"{before}{name}/")
        elif isinstance(value, int | float):
            found[f"{before}{name}"] = float(value)
    return found
