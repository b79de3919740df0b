"""`kithkin alerts show`, `ack`, `resolve` and `silence`: one alert, looked at and answered.

Law: an answer is a record on `drift-commands`, and done is what the fleet stage has published of it: until then the command says
that it is not done.
"""

import getpass
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..live.alerts import clock, line_of, state_of
from ..live.identities import moment_ms
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from stream.contract.records import Alert
    from stream.contract.settings import Wiring

__all__ = ["ack", "resolve", "show", "silence"]

_ANSWER_S: Final = 15.0  # the fleet stage takes a second or two
_BAR: Final = 24  # characters
_RUNBOOKS: Final = "docs/runbooks/"

Id = Annotated[str, typer.Argument(metavar="ID", help="Of the alert, or the beginning of it.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; else your user's name.")]


def show(
    alert_id: Id,
    as_json: Annotated[bool, typer.Option("--json", help="Every state of it as JSON, one a line.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Show all of one alert: who, what, since when, the evidence, what to do, and what became of it so far."""
    with faults_explained():
        states = _states(wiring_in_force(wiring, broker=broker, prefix=prefix), alert_id)
        for line in (state.model_dump_json() for state in states) if as_json else _describe(states):
            typer.echo(line)


def ack(
    alert_id: Id,
    by: By = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Say that somebody has an alert in hand: it says no more until it ends."""
    with faults_explained():
        _answer(wiring_in_force(wiring, broker=broker, prefix=prefix), alert_id, "acknowledge", {"by": by})


def resolve(
    alert_id: Id,
    by: By = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Say that an alert was dealt with: it ends, and its cause does not open again for some days (cooldown_days)."""
    with faults_explained():
        _answer(wiring_in_force(wiring, broker=broker, prefix=prefix), alert_id, "resolve", {"by": by})


def silence(
    alert_id: Id,
    how_long: Annotated[str, typer.Option("--for", metavar="DURATION", help='"12h", "3d".')] = "1d",
    by: By = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Hear no more of an alert for a while: no updates, and if it ends it does not open again until then."""
    with faults_explained():
        now_s = time.time()
        until_ms = round(2 * now_s * 1_000) - moment_ms(how_long, now_s, "for")
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        _answer(wired, alert_id, "silence", {"by": by, "until": until_ms})


def _states(wiring: "Wiring", alert_id: str) -> "list[Alert]":
    """Every state that is kept of an alert, the latest last. Raises ConfigError where there is none, or several fit."""
    from stream.contract.errors import ConfigError
    from stream.runtime.fleet.subscribe import subscribe

    refuse_missing(wiring, ["drift-alerts"])
    with closing(subscribe(wiring)) as told:
        found = [alert for alert in told if alert.alert_id.startswith(alert_id)]
    ids = sorted({alert.alert_id for alert in found})
    if alert_id in ids:
        ids = [alert_id]
    if len(ids) != 1:
        right = f"the id of one: {', '.join(ids[:5])}" if ids else "the id of an alert that `kithkin alerts` tells"
        raise ConfigError("alert", alert_id, "ID", right)
    return [alert for alert in found if alert.alert_id == ids[0]]


def _answer(wiring: "Wiring", alert_id: str, kind: Literal["acknowledge", "resolve", "silence"], more: dict[str, object]) -> None:
    """Write the command, and wait for what comes of it."""
    from stream.brokers.kafka.topics import producer
    from stream.contract.errors import ConfigError
    from stream.contract.records import Command, Record
    from stream.runtime.fleet.subscribe import subscribe

    before = _states(wiring, alert_id)[-1]
    if before.state in ("resolved", "expired"):
        raise ConfigError("alert", before.alert_id, f"{before.state} on {clock(before.updated_at)}", "one that stands")
    if kind == "acknowledge" and before.acknowledged_by is not None:
        typer.echo(f"{before.acknowledged_by} has {before.alert_id} in hand already.")
        return
    now_ms, more["by"] = round(time.time() * 1_000), more["by"] or getpass.getuser()
    named = {"v": 1, "command_id": f"c-{uuid.uuid4().hex}", "alert_id": before.alert_id, "kind": kind, "given_at": now_ms}
    command = Command.model_validate(named | more)
    with producer(wiring) as sender:
        key, value = before.alert_id.encode(), command.model_dump_json(exclude_none=True).encode()
        sender.send(Record("drift-commands", 0, 0, now_ms, key, value))
    end_s = time.monotonic() + _ANSWER_S
    seen = {before.alert_id: before.revision}
    with closing(subscribe(wiring, seen=seen, stop=lambda: time.monotonic() > end_s)) as told:
        done = next((alert for alert in told if alert.alert_id == before.alert_id), None)
    if done is None:
        typer.echo("It was said, and the fleet stage has not done it yet: does `kithkin fleet` run?", err=True)
        raise typer.Exit(EXIT_FAILED)
    typer.echo(line_of(done))


def _describe(states: "list[Alert]") -> Iterator[str]:
    """An alert for eyes, 100 columns wide at most but for its members."""
    from stream.fleet.texts import runbook_of

    alert = states[-1]
    yield f"{alert.alert_id}  {state_of(alert)}, {alert.severity}"
    yield f"  {alert.summary}"
    yield f"  {alert.suggested_action}"
    yield ""
    about = {"home": alert.household_id, "person": alert.person_id, "device": alert.device_id}
    about |= {"since": clock(alert.opened_at), "in hand of": alert.acknowledged_by}
    about |= {"silent until": clock(alert.silenced_until) if alert.silenced_until else None}
    about |= {"homes": ", ".join(alert.members) if alert.household_id is None else None}
    about |= {"what to do": _RUNBOOKS + runbook_of(alert.cause_kind)}
    yield from (f"  {name:<12}  {value}" for name, value in about.items() if value)
    yield from _evidence(alert.evidence)
    yield ""
    yield "  history (UTC)"
    yield from (f"    {clock(state.updated_at)}  {state.state:<8}  {state.change or state.summary}" for state in states)


def _evidence(evidence: dict[str, object]) -> Iterator[str]:
    """What is believed as bars, the rest as it is."""
    beliefs = evidence.get("beliefs")
    if isinstance(beliefs, dict) and beliefs:
        yield ""
        yield "  what changed, it believes"
        for kind, share in sorted(beliefs.items(), key=lambda told: -told[1]):
            yield f"    {kind:<14}  {'█' * max(1, round(_BAR * share)):<{_BAR}}  {share:4.0%}"
    nats = evidence.get("log_e_value")
    if isinstance(nats, (int, float)):
        yield f"  {'evidence':<12}  {nats:,.1f} nats{_odds(nats)}"
    rest = {name: value for name, value in evidence.items() if name not in ("beliefs", "log_e_value", "signal_id") and value}
    yield from (f"  {name.replace('_', ' '):<12}  {_words(value)}" for name, value in rest.items())


def _odds(nats: float) -> str:
    """How many times likelier what was seen is, if something changed."""
    return f": {10 ** (nats / 2.302585):,.0f} times likelier than if nothing had changed" if 0 < nats < 30 else ""


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
