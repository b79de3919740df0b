"""Every alert, by promtool: fired by what it is for, and by nothing that another one is for."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from stream.ops.deployment.rules import ALERTS, burn_rules, runbook_of
from stream.ops.objectives.settings import Objectives
from tests.ops.deployment.tools import tool

ROOT = Path(__file__).parents[3]
RULES = [ROOT / "deploy" / "prometheus" / name for name in ("rules.yml", "slo.yml")]
EVERY = (*ALERTS, *burn_rules(Objectives()))
WELL = {  # one worker and the fleet stage, in promtool's words: a value, what is added each minute, and how often
    'up{job="kithkin-worker",instance="w"}': "1+0x180",
    'up{job="kithkin-fleet",instance="f"}': "1+0x180",
    'process_start_time_seconds{job="kithkin-worker",instance="w"}': "1000+0x180",
    'kithkin_since_progress_seconds{instance="w"}': "0+0x180",
    'kithkin_lag{instance="w",partition="0"}': "20+0x180",
    'kithkin_records_total{instance="w"}': "0+6000x180",
    'kithkin_dead_letters_total{instance="w",reason="json"}': "0+60x180",
    'kithkin_parts_left_out_total{instance="w",reason="encoder"}': "7+0x180",
    'kithkin_parts_left_out_total{instance="w",reason="quality"}': "0+9x180",
    'kithkin_assigned_partitions{instance="w"}': "12+0x180",
    'kithkin_latency_seconds_count{instance="w"}': "0+6000x180",
    'kithkin_latency_seconds_bucket{instance="w",le="5.0"}': "0+5999x180",
    'kithkin_rebalances_total{instance="w"}': "3+0x180",
    'kithkin_quarantined_households{instance="w"}': "0+0x180",
    'kithkin_misplaced_homes{instance="w"}': "0+0x180",
    'kithkin_worker_info{instance="w",policy_id="p"}': "1+0x180",
    'kithkin_fleet_lag{instance="f"}': "0+0x180",
    'kithkin_fleet_signals_total{instance="f",outcome="unreadable"}': "2+0x180",
    'kithkin_fleet_signals_total{instance="f",outcome="taken"}': "0+5x180",
    'kithkin_fleet_alerts_standing{instance="f",severity="high"}': "0+0x180",
    'kithkin_fleet_alerts_standing{instance="f",severity="medium"}': "3+0x180",
    'kithkin_fleet_withheld_total{instance="f"}': "4+0x180",
    'up{job="kithkin-slo",instance="s"}': "1+0x180",
    'kithkin_slo_looked_at_seconds{instance="s"}': "0+60x180",
    **{
        f'kithkin_slo_calls{{instance="s",objective="{objective}",severity="{severity}"}}': "0+0x180"
        for objective in Objectives.model_fields for severity in ("page", "ticket")
    },
}


class Fault(NamedTuple):
    """What becomes of some series after two hours (in minutes; `step`: so many), and the alert that it fires within another."""

    alert: str
    becomes: dict[str, str]
    also: tuple[str, ...] = ()
    step: float = 1



FAULTS = [
    Fault("KithkinWorkerDown", {"up{job=\"kithkin-worker\",instance=\"w\"}": "1+0x119 0+0x60"}),
    Fault("KithkinNoWorker", {"up{job=\"kithkin-worker\",instance=\"w\"}": "1+0x119 stale"}),
    Fault("KithkinWorkerStalled", {"kithkin_since_progress_seconds{instance=\"w\"}": "0+0x175 61+60x60"}),
    Fault("KithkinWorkerRestarts",
          {'process_start_time_seconds{job="kithkin-worker",instance="w"}': "1000+0x159 2000+10x4 3000+0x60"}),
    Fault("KithkinLag", {'kithkin_lag{instance="w",partition="0"}': "20+0x119 100000+1000x60"}),
    Fault("KithkinPartitionsUnowned", {'kithkin_assigned_partitions{instance="w"}': "12+0x119 8+0x60"}),
    Fault("KithkinNothingComes", {'kithkin_records_total{instance="w"}': "0+6000x150 900000+0x30",
                                  'kithkin_dead_letters_total{instance="w",reason="json"}': "0+60x150 9000+0x30",
                                  'kithkin_slo_looked_at_seconds{instance="s"}': "0+600x180"}, step=10),
    Fault("KithkinRebalancing", {'kithkin_rebalances_total{instance="w"}': "3+0x119 3+1x60"}),
    Fault("KithkinDeadLetters", {'kithkin_dead_letters_total{instance="w",reason="json"}': "0+60x119 7200+3000x60"}),
    Fault("KithkinUnlistedEncoder", {'kithkin_parts_left_out_total{instance="w",reason="encoder"}': "7+0x119 7+1x60"}),
    Fault("KithkinQuarantine", {'kithkin_quarantined_households{instance="w"}': "0+0x119 1+0x60"}),
    Fault("KithkinMisplacedHomes", {'kithkin_misplaced_homes{instance="w"}': "0+0x119 4+0x60"}),
    Fault("KithkinMixedPolicies", {'kithkin_worker_info{instance="x",policy_id="q"}': "_x119 1+0x60"}),
    Fault("KithkinFleetDown", {"up{job=\"kithkin-fleet\",instance=\"f\"}": "1+0x119 0+0x60"}),
    Fault("KithkinFleetBehind", {'kithkin_fleet_lag{instance="f"}': "0+0x119 20000+0x60"}),
    Fault("KithkinFleetUnreadable", {'kithkin_fleet_signals_total{instance="f",outcome="unreadable"}': "2+0x149 3+0x60"}),
    Fault("KithkinGraveAlert", {'kithkin_fleet_alerts_standing{instance="f",severity="high"}': "0+0x119 1+0x60"}),
    Fault("KithkinAlertsWithheld", {'kithkin_fleet_withheld_total{instance="f"}': "4+0x119 5+0x60"}),
    Fault("KithkinSloDown", {'kithkin_slo_looked_at_seconds{instance="s"}': "0+60x99 6000+0x80"}),
    Fault("KithkinFreshnessBurnsFast", {'kithkin_latency_seconds_bucket{instance="w",le="5.0"}': "0+5999x119 719880+3000x60"},
          also=("KithkinFreshnessBurnsSlowly",), step=0.5),
    Fault("KithkinFreshnessBurnsSlowly", {'kithkin_latency_seconds_bucket{instance="w",le="5.0"}': "0+5880x180"}, step=0.5),
    Fault("KithkinLosslessnessBurnsFast", {'kithkin_dead_letters_total{instance="w",reason="quarantined"}': "0+0x119 0+60x60"},
          also=("KithkinLosslessnessBurnsSlowly",), step=0.5),
    Fault("KithkinLosslessnessBurnsSlowly", {'kithkin_dead_letters_total{instance="w",reason="quarantined"}': "0+1x180"},
          step=0.5),
    *(
        Fault(f"Kithkin{what}Burns{pace}",
              {f'kithkin_slo_calls{{instance="s",objective="{of}",severity="{severity}"}}': "0+0x119 1+0x60"})
        for what, of in (("Tier", "private"), ("Calibration", "calibration"), ("Quiet", "quiet"))
        for pace, severity in (("Fast", "page"), ("Slowly", "ticket"))
    ),
]  # fmt: skip


def test_every_alert_has_a_fault_and_a_runbook() -> None:
    assert [fault.alert for fault in FAULTS] == [alert.alert for alert in EVERY]
    assert [a.alert for a in EVERY if not (ROOT / "docs" / "runbooks" / runbook_of(a.alert)).is_file()] == []


def played(fault: Fault) -> dict[str, Any]:
    """A test of promtool: at the end the fault's alert fires, and no other."""
    return {
        "interval": f"{60 * fault.step:.0f}s",
        "input_series": [{"series": name, "values": values} for name, values in {**WELL, **fault.becomes}.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                "eval_time": f"{177 * 60 * fault.step:.0f}s",
                "exp_samples": [{"labels": "{}", "value": int(name in (fault.alert, *fault.also))}],
            }
            for name in (alert.alert for alert in EVERY)
        ],
    }


@pytest.mark.parametrize("fault", [Fault("", {}), *FAULTS], ids=lambda fault: fault.alert or "all is well")
def test_a_fault_fires_its_alert_and_no_other(fault: Fault, tmp_path: Path) -> None:
    every = f"{max(1, fault.step):.0f}m"
    told = {"rule_files": [str(path) for path in RULES], "evaluation_interval": every, "tests": [played(fault)]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(told))
    tool("promtool", "test", "rules", str(tmp_path / "test.yml"))


def test_what_an_alert_says_names_only_labels_and_values_that_it_has() -> None:
    for alert in EVERY:
        for label in re.findall(r"\$labels\.(\w+)", alert.summary + alert.meaning):
            assert f"by ({label})" in alert.expr or alert.expr.startswith(("up{", "changes(")), alert.alert
