"""The alerts of a replay: the fleet stage over the signals that it wrote.

Law: the file is a function of the signals beside it and of the policy; written anew, it is the same.
"""

from contextlib import closing
from pathlib import Path

from .fleet import alerts_of
from .fleet_desk import ALERTS, SIGNALS, encoded
from .logs import LogReader, encode_line
from .policy import Policy
from .records import Signal

__all__ = ["write_alerts"]


def write_alerts(out: Path, policy: Policy) -> int:
    """Write `drift-alerts.jsonl` into a directory that has the signals of a replay that ended; how many there are."""
    with closing(LogReader([str(out / f"{SIGNALS}.jsonl")], [SIGNALS])) as written:
        signals = [Signal.model_validate_json(record.value or b"") for record in written]
    alerts = [encode_line(encoded(alert), offset) for offset, alert in enumerate(alerts_of(signals, policy.alerting))]
    (out / f"{ALERTS}.jsonl").write_bytes(b"".join(alerts))
    return len(alerts)
