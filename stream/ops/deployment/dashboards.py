"""Grafana: a dashboard of the workers, and one of the fleet stage and its alerts.

Law: a panel is a question with its answer in one unit; what stands first is what is looked at first in a night.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

__all__ = ["DASHBOARDS", "Dashboard", "Panel", "dashboard_json"]

_WIDTH: Final = 24  # columns of Grafana's grid
_WINDOW: Final = "$__rate_interval"


class Panel(NamedTuple):
    """One question: its title, what is asked of Prometheus with the legend of each answer, and in which unit."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    tells: str = ""
    columns: int = 8


class Dashboard(NamedTuple):
    """A page of panels."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    def ask(q: str) -> str:
        return f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket[{_WINDOW}])))"

    return (ask("0.5"), "half within"), (ask("0.99"), "99 % within")


_WORKER: Final = Dashboard("kithkin-worker", "kithkin: workers", (
    Panel("Records waiting", (("sum(kithkin_lag)", "waiting"),), kind="stat", columns=6,
          tells="Of recognitions and feedback; more for long means that answers come late."),
    Panel("Partitions with a worker", (("sum(kithkin_assigned_partitions)", "partitions"),), kind="stat", columns=6,
          tells="As many as the topics have, else homes get no answers."),
    Panel("Workers", (("count(kithkin_worker_info)", "workers"),), kind="stat", columns=6),
    Panel("Households in quarantine", (("sum(kithkin_quarantined_households)", "households"),), kind="stat", columns=6,
          tells="The core failed on them: a defect of ours."),
    Panel("Records done", ((f"sum by (instance) (rate(kithkin_records_total[{_WINDOW}]))", "{{instance}}"),), "reqps"),
    Panel("From a record to its answer", _quantiles("kithkin_latency_seconds"), "s",
          tells="From the record's timestamp to the commit of what came of it."),
    Panel("Waiting, by partition", (("sum by (partition) (kithkin_lag)", "{{partition}}"),)),
    Panel("What became of events", ((f"sum by (outcome) (rate(kithkin_outcomes_total[{_WINDOW}]))", "{{outcome}}"),), "reqps"),
    Panel("What could not be used", (
        (f"sum by (reason) (rate(kithkin_dead_letters_total[{_WINDOW}]))", "dead letter: {{reason}}"),
        (f"sum by (reason) (rate(kithkin_parts_left_out_total[{_WINDOW}]))", "left out: {{reason}}"),
    ), "reqps"),
    Panel("Published", ((f"sum by (topic) (rate(kithkin_outputs_total[{_WINDOW}]))", "{{topic}}"),), "reqps"),
    Panel("A batch", _quantiles("kithkin_batch_seconds"), "s"),
    Panel("Where a batch's time goes", (
        (f"sum by (part) (rate(kithkin_part_seconds_sum[{_WINDOW}]))", "{{part}}"),
    ), "s", tells="Seconds spent a second; poll includes the wait for records."),
    Panel("Records a batch",
          ((f"sum(rate(kithkin_records_total[{_WINDOW}])) / sum(rate(kithkin_batches_total[{_WINDOW}]))", "records"),)),
    Panel("Homes in memory", (("sum by (instance) (kithkin_resident_homes)", "{{instance}}"),)),
    Panel("What homes weigh at rest", (("sum by (instance) (kithkin_resident_bytes)", "{{instance}}"),), "bytes"),
    Panel("Homes begun and loaded", (
        (f"sum(rate(kithkin_homes_new_total[{_WINDOW}]))", "begun"),
        (f"sum(rate(kithkin_homes_loaded_total[{_WINDOW}]))", "loaded"),
    ), "reqps"),
    Panel("Changes of hands", (
        (f"sum(increase(kithkin_rebalances_total[{_WINDOW}]))", "rebalances"),
        (f"sum(increase(kithkin_recoveries_total[{_WINDOW}]))", "batches applied again"),
    )),
    Panel("A takeover", _quantiles("kithkin_takeover_seconds"), "s"),
    Panel("Without progress", (("max by (instance) (kithkin_since_progress_seconds)", "{{instance}}"),), "s"),
    Panel("Memory", (('process_resident_memory_bytes{job=~"kithkin-.*"}', "{{instance}}"),), "bytes"),
    Panel("Processors", ((f'rate(process_cpu_seconds_total{{job=~"kithkin-.*"}}[{_WINDOW}])', "{{instance}}"),)),
))  # fmt: skip

_FLEET: Final = Dashboard("kithkin-fleet", "kithkin: fleet and alerts", (
    Panel("Alerts that stand", (("sum by (severity) (kithkin_fleet_alerts_standing)", "{{severity}}"),), kind="stat", columns=12,
          tells="Of drift in homes; `kithkin alerts` tells them."),
    Panel("Homes that spoke lately", (("max(kithkin_fleet_homes)", "homes"),), kind="stat", columns=6),
    Panel("Signals waiting", (("max(kithkin_fleet_lag)", "signals"),), kind="stat", columns=6),
    Panel("Alerts that stand, over time", (("sum by (severity) (kithkin_fleet_alerts_standing)", "{{severity}}"),), columns=12),
    Panel("Signals, by what became of them",
          ((f"sum by (outcome) (rate(kithkin_fleet_signals_total[{_WINDOW}]))", "{{outcome}}"),), "reqps", columns=12),
    Panel("Decisions", ((f"sum(increase(kithkin_fleet_decisions_total[{_WINDOW}]))", "decisions"),)),
    Panel("Alerts held back", ((f"sum(increase(kithkin_fleet_withheld_total[{_WINDOW}]))", "alerts"),),
          tells="Their homes had their share of the month."),
    Panel("Event time behind the clock", (("time() - max(kithkin_fleet_decided_at_seconds)", "behind"),), "s",
          tells="Of the latest decision; a few hours are usual, for decisions are six hours apart."),
    Panel("Error budgets left", (("min by (objective) (kithkin_slo_left)", "{{objective}}"),), "percentunit", columns=12,
          tells="Of being right, in time, complete and quiet; `kithkin slo` tells the rest."),
    Panel("Somebody is called", (("max by (objective, severity) (kithkin_slo_calls)", "{{objective}}: {{severity}}"),),
          columns=12, tells="1 while an error budget burns too fast."),
))  # fmt: skip

DASHBOARDS: Final = (_WORKER, _FLEET)


def dashboard_json(dashboard: Dashboard) -> str:
    """As Grafana imports it."""
    panels: list[dict[str, Any]] = []
    x = y = 0
    for number, panel in enumerate(dashboard.panels, 1):
        height = 4 if panel.kind == "stat" else 8
        if x + panel.columns > _WIDTH:
            x, y = 0, y + int(panels[-1]["gridPos"]["h"])
        panels.append(_panel_json(panel, number, {"x": x, "y": y, "w": panel.columns, "h": height}))
        x += panel.columns
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    told = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["kithkin"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _panel_json(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.tells,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": _targets(panel.queries, source),
    }


def _targets(queries: Sequence[tuple[str, str]], source: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"refId": chr(ord("A") + number), "datasource": source, "expr": expr, "legendFormat": legend}
        for number, (expr, legend) in enumerate(queries)
    ]
