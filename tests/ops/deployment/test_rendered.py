"""`deploy/`: what is committed is what is rendered, and every file is as whoever reads it wants it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from typer.testing import CliRunner

from stream.cli import app
from stream.ops.deployment.dashboards import DASHBOARDS
from stream.ops.deployment.rendering import render_files
from stream.ops.deployment.rules import ALERTS, FLEET, RECORDED, SLO, WORKER, burn_rules, evidence_rules
from stream.ops.objectives.settings import Objectives
from stream.runtime.telemetry.registry import FLEET_METRICS, METRICS, SLO_METRICS
from tests.ops.deployment.tools import tool

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(DEPLOY.glob("kubernetes/*.yaml"))
OF_OTHERS = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
RULED = (*RECORDED, *evidence_rules(Objectives()))
OURS = {**METRICS, **FLEET_METRICS, **SLO_METRICS}
EXPOSED = {name + suffix for name, metric in OURS.items() for suffix in SUFFIXES[metric.kind]}


def read(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_is_committed_is_what_is_rendered(tmp_path: Path) -> None:
    """`kithkin ops render --out deploy` brings it up to date."""
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        assert CliRunner().invoke(app, ["ops", "render", "--out", str(out)]).exit_code == 0
    assert read(outs[0]) == read(outs[1]) == read(DEPLOY) == render_files()


def test_a_folder_that_cannot_be_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = CliRunner().invoke(app, ["ops", "render", "--out", str(tmp_path / "file")])
    assert (ended.exit_code, "a folder that can be written to" in ended.output) == (2, True)


# ---- Prometheus and Grafana


def expressions() -> Iterator[tuple[str, str]]:
    """What every rule and every panel asks, with its name."""
    yield from ((rule.record, rule.expr) for rule in RULED)
    yield from ((alert.alert, alert.expr) for alert in (*ALERTS, *burn_rules(Objectives())))
    for panel in (panel for dashboard in DASHBOARDS for panel in dashboard.panels):
        yield from ((panel.title, expr.replace("$__rate_interval", "1m")) for expr, _ in panel.queries)


def selectors(node: Any) -> Iterator[Any]:
    """The series that an expression names."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "vs"):
        inner = getattr(node, name, None)
        if inner is not None and not isinstance(inner, str):
            yield from selectors(inner)
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


def test_every_series_that_is_asked_for_is_exposed_with_the_labels_that_are_asked_for() -> None:
    labels = {n + s: {*m.labels, "le"} for n, m in OURS.items() for s in SUFFIXES[m.kind]}
    labels |= {rule.record: {name for one in RULED if one.record == rule.record for name in one.labels} for rule in RULED}
    for name, expr in expressions():
        found = list(selectors(promql_parser.parse(expr)))
        assert found, name
        for selector in found:
            assert selector.name in EXPOSED | OF_OTHERS | {rule.record for rule in RULED}, name
            matched = {matcher.name for matcher in selector.matchers.matchers}
            assert matched <= labels.get(selector.name, set()) | {"job", "instance"}, name
        grouped = {label for by in re.findall(r"by \(([^)]*)\)", expr) for label in re.split(r",\s*", by)}
        assert grouped <= {"le", "instance"} | {label for selector in found for label in labels.get(selector.name, ())}, name


def test_every_metric_of_ours_is_looked_at() -> None:
    asked = {selector.name for _, expr in expressions() for selector in selectors(promql_parser.parse(expr))}
    forgotten = {n for n, m in OURS.items() if not asked & {n + s for s in SUFFIXES[m.kind]}}
    assert forgotten <= {"kithkin_events", "kithkin_restarts"}  # which records and processes tell better


def test_prometheus_finds_nothing_wrong_with_its_files() -> None:
    tool("promtool", "check", "rules", *(str(DEPLOY / "prometheus" / name) for name in ("rules.yml", "slo.yml")))
    tool("promtool", "check", "config", str(DEPLOY / "prometheus/prometheus.yml"))
    jobs = {job["job_name"] for job in yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]}
    assert jobs == {WORKER, FLEET, SLO}


def test_alertmanager_finds_nothing_wrong_and_silences_alerts_that_there_are() -> None:
    tool("amtool", "check-config", str(DEPLOY / "alertmanager/alertmanager.yml"))
    told = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    named = set(re.findall(r"Kithkin\w+", told))
    assert named <= {alert.alert for alert in ALERTS}
    assert 'severity="page"' in told


def test_panels_of_a_dashboard_do_not_lie_over_each_other() -> None:
    for path in DEPLOY.glob("grafana/dashboards/*.json"):
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, panel["title"]
            assert at["x"] + at["w"] <= 24
            taken |= cells


# ---- Kubernetes and systemd


def resources() -> dict[tuple[str, str], dict[str, Any]]:
    documents = (document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text()))
    return {(document["kind"], document.get("metadata", {}).get("name", "")): document for document in documents}


@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_every_manifest_is_as_kubernetes_wants_it(version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="The package kubernetes-validate, with its schemas, is missing.")
    for (kind, _), resource in resources().items():
        if kind not in ("Kustomization", "ScaledObject", "TriggerAuthentication"):
            validate.validate(resource, version, strict=True)


def test_what_kustomize_applies_is_there() -> None:
    told = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())
    assert sorted([*told["resources"], "kustomization.yaml"]) == [path.name for path in MANIFESTS]


def test_a_worker_is_named_by_its_ordinal_and_asked_how_it_is() -> None:
    worker = resources()["StatefulSet", "kithkin-worker"]["spec"]["template"]["spec"]["containers"][0]
    assert worker["args"][worker["args"].index("--slot") + 1] == "$(POD)"
    (pod,) = (variable for variable in worker["env"] if variable["name"] == "POD")
    assert pod["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"  # the set's name and the ordinal
    probes = {name: worker[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for (kind, _), resource in resources().items():
        if kind in ("StatefulSet", "Deployment"):
            pod_spec = resource["spec"]["template"]["spec"]
            assert pod_spec["securityContext"]["runAsNonRoot"]
            assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in pod_spec["containers"])


def test_labels_that_are_selected_are_given() -> None:
    found = resources()
    run = [resource for (kind, _), resource in found.items() if kind in ("StatefulSet", "Deployment")]
    pods = [resource["spec"]["template"]["metadata"]["labels"] for resource in run]
    for (kind, name), resource in found.items():
        spec = resource.get("spec", {})
        wanted = spec.get("selector") or spec.get("podSelector")
        if kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            wanted = wanted.get("matchLabels", wanted)
            assert any(wanted.items() <= labels.items() for labels in pods), (kind, name)


def test_it_scales_by_lag_slowly_down_and_never_to_none() -> None:
    scaled = resources()["ScaledObject", "kithkin-worker"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "kithkin-worker"
    assert scaled["minReplicaCount"] >= 1
    assert "idleReplicaCount" not in scaled
    (down,) = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["policies"]
    assert (down["type"], down["value"]) == ("Pods", 1)
    assert {trigger["metadata"]["topic"] for trigger in scaled["triggers"]} == {"recognitions"}


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("systemd/*.service")), ids=lambda path: path.name)
def test_a_unit_runs_a_command_that_there_is_and_gives_up_where_no_restart_heals(path: Path) -> None:
    from tests.test_docs import what_is_wrong

    told = path.read_text()
    (command,) = re.findall(r"^ExecStart=/opt/kithkin/bin/(.*)$", told, re.MULTILINE)
    assert what_is_wrong(command.split()) is None
    assert ("--no-restart" in command) == (path.stem != "kithkin-slo")  # which starts nothing, so that it restarts nothing
    assert "RestartPreventExitStatus=2 5" in told
