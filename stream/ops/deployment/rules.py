"""Prometheus: what is recorded, and what somebody is woken for.

Law: every alert has a runbook of its name, says what it means to who looks after homes, and stands until its cause is gone. A
`page` is for now, whatever the hour; a `ticket` is for the next working day.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from ..objectives.evidence import ALARMS as ALARMS_OF_BUDGETS
from ..objectives.evidence import BETS, Alarm, stands_minutes
from ..objectives.settings import Objectives

__all__ = [
    "ALERTS", "FLEET", "RECORDED", "SLO", "WORKER", "AlertingRule", "RecordingRule", "burn_rules", "evidence_rules", "rules_of",
    "runbook_of",
]  # fmt: skip

WORKER: Final = "kithkin-worker"  # names of jobs, as prometheus.yml gives them
FLEET: Final = "kithkin-fleet"
SLO: Final = "kithkin-slo"


class RecordingRule(NamedTuple):
    """A series that is computed once for all who look at it, and its labels."""

    record: str
    expr: str
    labels: Mapping[str, str] = {}


class AlertingRule(NamedTuple):
    """An alert: when it fires, after how long, how urgent it is, and what it says."""

    alert: str
    expr: str
    after: str  # a duration of Prometheus
    severity: Literal["page", "ticket"]
    summary: str
    meaning: str


RECORDED: Final = (
    RecordingRule("kithkin:lag:sum", "sum(kithkin_lag)"),
    RecordingRule("kithkin:records:rate5m", "sum(rate(kithkin_records_total[5m]))"),
    RecordingRule(
        "kithkin:latency_seconds:p50_5m", "histogram_quantile(0.5, sum by (le) (rate(kithkin_latency_seconds_bucket[5m])))"
    ),
    RecordingRule(
        "kithkin:latency_seconds:p99_5m", "histogram_quantile(0.99, sum by (le) (rate(kithkin_latency_seconds_bucket[5m])))"
    ),
    RecordingRule(
        "kithkin:dead_letters:share15m",
        "sum(rate(kithkin_dead_letters_total[15m])) / sum(rate(kithkin_records_total[15m]))",
    ),
    RecordingRule("kithkin:assigned_partitions:sum", "sum(kithkin_assigned_partitions)"),
)

ALERTS: Final = (
    AlertingRule(
        "KithkinWorkerDown", f'up{{job="{WORKER}"}} == 0', "3m", "page",
        "Worker {{ $labels.instance }} does not answer.",
        "Its partitions go to other workers, if there are any; else their homes get no answers.",
    ),
    AlertingRule(
        "KithkinNoWorker", f'absent(up{{job="{WORKER}"}})', "5m", "page",
        "Prometheus knows of no worker at all.",
        "Either none runs, and nobody is recognised, or their discovery is broken.",
    ),
    AlertingRule(
        "KithkinWorkerStalled", "max by (instance) (kithkin_since_progress_seconds) > 60", "0m", "page",
        "Worker {{ $labels.instance }} has records to read and finished no batch for {{ $value | humanizeDuration }}.",
        "After stall_s (two minutes) it ends itself and is started again; its homes wait meanwhile.",
    ),
    AlertingRule(
        "KithkinWorkerRestarts", f'changes(process_start_time_seconds{{job="{WORKER}"}}[30m]) > 2', "0m", "ticket",
        "Worker {{ $labels.instance }} was started again {{ $value }} times in half an hour.",
        "Nothing is lost, but its homes wait each time.",
    ),
    AlertingRule(
        "KithkinLag", "kithkin:lag:sum / kithkin:records:rate5m > 600 and kithkin:records:rate5m > 0", "15m", "page",
        "At today's pace what waits takes {{ $value | humanizeDuration }} to be done.",
        "Answers come so much later than events: more is sent than is done, or the workers are slower than they were.",
    ),
    AlertingRule(
        "KithkinPartitionsUnowned",
        "kithkin:assigned_partitions:sum < max_over_time(kithkin:assigned_partitions:sum[6h])", "10m", "page",
        "Fewer partitions have a worker than had one earlier today: {{ $value }} do.",
        "Homes of the others get no answers.",
    ),
    AlertingRule(
        "KithkinNothingComes",
        "sum(increase(kithkin_records_total[1h])) == 0 and sum(increase(kithkin_records_total[1h] offset 1d)) > 100",
        "30m", "ticket",
        "No record came for an hour; at this time yesterday some did.",
        "The workers are well, but whoever sends is cut off.",
    ),
    AlertingRule(
        "KithkinRebalancing", "sum(increase(kithkin_rebalances_total[30m])) > 20", "0m", "ticket",
        "Partitions changed hands {{ $value | humanize }} times in half an hour.",
        "Workers come and go: at each change homes wait for some seconds.",
    ),
    AlertingRule(
        "KithkinDeadLetters", "kithkin:dead_letters:share15m > 0.05", "15m", "ticket",
        "{{ $value | humanizePercentage }} of what comes cannot be used.",
        "A sender changed its records, or sends what is no record; from half on workers end.",
    ),
    AlertingRule(
        "KithkinUnlistedEncoder", 'sum(increase(kithkin_parts_left_out_total{reason="encoder"}[1h])) > 0', "10m", "ticket",
        "Vectors of an encoder that the policy does not list are left out.",
        "Those events are answered without that voice or face.",
    ),
    AlertingRule(
        "KithkinQuarantine", "sum(kithkin_quarantined_households) > 0", "0m", "ticket",
        "{{ $value }} households are left out because the core failed on them.",
        "A defect of ours: they get no answers until it is mended.",
    ),
    AlertingRule(
        "KithkinMisplacedHomes", "sum(kithkin_misplaced_homes) > 0", "15m", "ticket",
        "{{ $value }} homes have records in another partition than their key's.",
        "A sender uses another partitioner: such homes are known in two halves.",
    ),
    AlertingRule(
        "KithkinMixedPolicies", "count(count by (policy_id) (kithkin_worker_info)) > 1", "30m", "ticket",
        "Workers run {{ $value }} policies at once.",
        "Homes are answered by one policy or another, whoever has their partition.",
    ),
    AlertingRule(
        "KithkinFleetDown", f'up{{job="{FLEET}"}} == 0', "5m", "ticket",
        "The fleet stage does not answer.",
        "Homes go on; no alert of drift opens or closes, and the next one to start goes on from there.",
    ),
    AlertingRule(
        "KithkinFleetBehind", "max(kithkin_fleet_lag) > 10000", "30m", "ticket",
        "{{ $value }} signals of drift wait.",
        "Alerts come late.",
    ),
    AlertingRule(
        "KithkinFleetUnreadable", 'sum(increase(kithkin_fleet_signals_total{outcome="unreadable"}[1h])) > 0', "0m", "ticket",
        "A signal or a command to the fleet stage could not be read.",
        "A worker of another version, or who sends commands by hand, writes what is none.",
    ),
    AlertingRule(
        "KithkinGraveAlert", 'sum(kithkin_fleet_alerts_standing{severity="high"}) > 0', "0m", "ticket",
        "{{ $value }} alerts of drift of high severity stand.",
        "Many homes changed together, or one can no longer be processed.",
    ),
    AlertingRule(
        "KithkinAlertsWithheld", "sum(increase(kithkin_fleet_withheld_total[1d])) > 0", "0m", "ticket",
        "{{ $value | humanize }} alerts of homes were not opened today, for those homes had their share of the month.",
        "A home changes again and again, or something is wrong with how it is watched.",
    ),
    AlertingRule(
        "KithkinSloDown", f'up{{job="{SLO}"}} == 0 or time() - kithkin_slo_looked_at_seconds > 3600', "15m", "ticket",
        "Nobody looks whether answers are right.",
        "Homes go on; that error budgets of being right burn would not be seen.",
    ),
)  # fmt: skip


_LATE: Final = 'sum(rate(kithkin_latency_seconds_count[1m])) - sum(rate(kithkin_latency_seconds_bucket{{le="{seconds}"}}[1m]))'
_BAD: Final = {  # bad events and all of the latest minute
    "freshness": (_LATE, "sum(rate(kithkin_latency_seconds_count[1m]))"),
    "losslessness": (
        'sum(rate(kithkin_dead_letters_total{{reason="quarantined"}}[1m])) or vector(0)', "sum(rate(kithkin_records_total[1m]))",
    ),
}  # fmt: skip
_SHARE, _WEALTH, _EVIDENCE = "kithkin:slo_bad:share1m", "kithkin:slo_wealth", "kithkin:slo_evidence"


def evidence_rules(objectives: Objectives) -> list[RecordingRule]:
    """Evidence that error budgets burn too fast, by the minute (`objectives.evidence`): of what Prometheus can count."""
    rules = []
    for name, (bad, events) in _BAD.items():
        own, told = getattr(objectives, name), {"objective": name}
        share = f"clamp_max(({bad.format(seconds=objectives.freshness.seconds)}) / ({events} > 0), 1)"
        rules.append(RecordingRule(_SHARE, share, told))
        for alarm in ALARMS_OF_BUDGETS:
            whose = told | {"severity": alarm.severity}
            rules += [_wealth(whose, stake, alarm, alarm.share_allowed(own)) for stake in BETS]
            rules.append(RecordingRule(_EVIDENCE, f"avg({_WEALTH}{_selector(whose)})", whose))
    return rules


def _wealth(whose: Mapping[str, str], stake: float, alarm: Alarm, allowed: float) -> RecordingRule:
    """One bet: its own value of the minute before is what it stakes, unless an alarm was raised then."""
    labels = {**whose, "bet": f"{stake:g}"}
    raised = f"{_EVIDENCE}{_selector(whose)} >= {alarm.threshold:.0f}"
    before = f"(sum({_WEALTH}{_selector(labels)}) unless on() ({raised}))"
    share = f"sum({_SHARE}{_selector({'objective': whose['objective']})})"
    expr = f"(({before} or vector(0)) + 1) * ({1 - stake:.6g} + {stake / allowed:.6g} * {share}) or {before}"
    return RecordingRule(_WEALTH, expr, labels)


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


_TOLD: Final = {  # what burns, and what that says; of the tiers all together, for they have one runbook
    "freshness": "Answers come too late",
    "losslessness": "Records of homes in quarantine get no answers",
    "personal|private|purchase": "Answers of a tier ({{ $labels.objective }}) are wrong too often",
    "calibration": "What is said to be likely does not come true as often",
    "quiet": "Alerts open of too many homes",
}


def burn_rules(objectives: Objectives) -> list[AlertingRule]:
    """Alerts on error budgets that burn too fast: by the evidence of `evidence_rules`, else by what `kithkin slo` found."""
    rules = []
    for names in _TOLD:
        for alarm in ALARMS_OF_BUDGETS:
            if names in _BAD:
                whose = _selector({"objective": names, "severity": alarm.severity})
                expr = f"max_over_time({_EVIDENCE}{whose}[{stands_minutes()}m]) >= {alarm.threshold:.0f}"
            else:
                expr = f'max by (objective) (kithkin_slo_calls{{objective=~"{names}",severity="{alarm.severity}"}}) > 0'
            rules.append(_burn_alert(names, alarm.severity, expr))
    return rules


def _burn_alert(names: str, severity: Literal["page", "ticket"], expr: str) -> AlertingRule:
    what = "Tier" if "|" in names else names.capitalize()
    pace = "within days" if severity == "page" else "before the window ends"
    alert = f"Kithkin{what}Burns{'Fast' if severity == 'page' else 'Slowly'}"
    summary = f"{_TOLD[names]}: the error budget is spent {pace}."
    return AlertingRule(alert, expr, "0m", severity, summary, "`kithkin slo` tells what is left.")


def runbook_of(alert: str) -> str:
    """The name of an alert's page.

    >>> runbook_of("KithkinWorkerDown")
    'worker-down.md'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "-", alert.removeprefix("Kithkin")).lower() + ".md"


def rules_of(
    recorded: Iterable[RecordingRule], alerts: Iterable[AlertingRule], name: str, runbooks: str, interval: str | None = None
) -> str:
    """A file of rules, as Prometheus reads it; `runbooks` stands before each page's name; no `interval`: Prometheus's."""
    lines = ["groups:", f"  - name: {name}", *([f"    interval: {interval}"] if interval else []), "    rules:"]
    for rule in recorded:
        lines += [f"      - record: {rule.record}", f"        expr: {_quote(rule.expr)}"]
        if rule.labels:
            lines += ["        labels:", *(f"          {label}: '{value}'" for label, value in rule.labels.items())]
    for alert in alerts:
        lines += [
            f"      - alert: {alert.alert}",
            f"        expr: {_quote(alert.expr)}",
            f"        for: {alert.after}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_quote(alert.summary)}",
            f"          description: {_quote(alert.meaning)}",
            f"          runbook_url: {_quote(runbooks + runbook_of(alert.alert))}",
        ]
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """A YAML string in single quotes, in which nothing but the quote itself is special."""
    return "'" + text.replace("'", "''") + "'"
