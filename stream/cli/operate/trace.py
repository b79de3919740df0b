"""`kithkin trace`: where one event went.

Law: it reads topics, outside of any group, and changes nothing.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import client_logs_silenced, refuse_missing, wiring_in_force
from ..faults import faults_explained
from ..live.identities import moment_ms
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from stream.ops.trail import Arrival

__all__ = ["trace"]


def trace(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event_id of a recognition.")],
    household: Annotated[
        str | None, typer.Option("--household", metavar="H", help="Its home: then one partition alone is read, which is quicker.")
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help='It came since then: "90s", "10m", "3d" ago, or a date in UTC.')
    ] = "7d",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list with each arrival, for machines.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Tell where one event went: its partition and offset, the batch that took it, the policy, and what was published of it.

    An event that a sender sent twice is told twice; it was answered once. `kithkin why` tells why it was answered so.

    "in traces" is the attribute kithkin.batch of the batch's trace, where workers trace (docs/tracing.md) and it was kept.
    """
    with faults_explained():
        from stream.brokers.kafka.topics import require_client
        from stream.ops.recording.spans import Between
        from stream.ops.trail import follow

        now_s = time.time()
        between = Between(moment_ms(since, now_s), round(now_s * 1_000))
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        client_logs_silenced()
        with require_client(wired):
            from stream.brokers.kafka.kafka_python import open_reader
        refuse_missing(wired, ["recognitions", "journal"])
        if sys.stderr.isatty():
            typer.echo(f"Looking for {event_id}…", err=True)
        with closing(open_reader(wired)) as history:
            found = follow(history, event_id, household, between)
        if as_json:
            typer.echo(json.dumps([asdict(one) | {"batch": one.batch and one.batch.model_dump()} for one in found]))
        else:
            typer.echo("\n".join(line for arrival in found for line in _describe(arrival)))


def _describe(arrival: "Arrival") -> Iterator[str]:
    yield f"{arrival.event_id} of {arrival.household_id}"
    yield f"  {'arrived':<10}  {_clock(arrival.at)}  {arrival.place}"
    if arrival.batch is None or arrival.visible_at is None:
        yield f"  {'batch':<10}  none yet: no worker has taken it, or the journal no longer has it"
    else:
        entry, places = arrival.batch, arrival.batch.places
        yield f"  {'batch':<10}  {entry.count:,} records: {', '.join(places)}"
        yield f"  {'visible':<10}  {_clock(arrival.visible_at)}  {arrival.journal_place}, {_after(arrival)} after it arrived"
        yield f"  {'policy':<10}  {entry.policy_id}, by version {entry.step_version} of the core, claim {entry.epoch}"
        yield f'  {"in traces":<10}  kithkin.batch = "{places[0]}"'
    yield f"  {'outputs':<10}  {len(arrival.made) or 'none of its own'}"
    for made in arrival.made:
        by = "" if made.cause == arrival.place else f"  (by {made.cause})"
        yield f"    {made.place:<20}  {made.says}{by}"


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _after(arrival: "Arrival") -> str:
    waited_ms = (arrival.visible_at or arrival.at) - arrival.at
    return f"{waited_ms:,} ms" if waited_ms < 10_000 else f"{waited_ms / 1_000:,.0f} s"
