"""`kithkin dead-letters`: what could not be used, why, and sending it again.

Law: `list` and `show` change nothing; `resend` sends each letter once, however often it is asked.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..options import BrokerUrl, Group, Prefix, WiringFile
from .identities import moment_ms

if TYPE_CHECKING:
    from stream.contract.records import Position
    from stream.contract.settings import Wiring
    from stream.ops.dead_letters import Letter, Only

__all__ = ["dead_letters"]

dead_letters = typer.Typer(
    help="See what could not be used and why, and send it again once the reason is gone.\n\n"
    "A record that cannot be used is answered by nobody: it stands in the topic dead-letters, for 30 days, with its bytes and a "
    "reason. Its senders' faults they must mend; what a deploy did wrong (quarantined, encoder, version) is mended by the next "
    "one, and then the records are sent again.",
    epilog="Examples:\n\n"
    "  [cyan]kithkin dead-letters list[/]   which there are, what each reason means, and what to do\n\n"
    "  [cyan]kithkin dead-letters show 'recognitions\\[3]@812'[/]   one of them, whole\n\n"
    "  [cyan]kithkin dead-letters resend --reason quarantined --dry-run[/]   what would be sent\n\n"
    "  [cyan]kithkin dead-letters resend --reason quarantined[/]   in the order they came, each once",
    no_args_is_help=True,
)

Reasons = Annotated[list[str] | None, typer.Option("--reason", metavar="REASON", help="Only with this reason; may be repeated.")]
Household = Annotated[str | None, typer.Option("--household", metavar="H", help="Only those whose key is this household.")]
Since = Annotated[str | None, typer.Option("--since", metavar="WHEN", help='Came since then: "10m", "3d" ago, or a date in UTC.')]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Came before then.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a letter, with its bytes in base64.")]


@dead_letters.command(
    "list",
    epilog="Examples:\n\n"
    "  [cyan]kithkin dead-letters list --since 1d[/]\n\n"
    "  [cyan]kithkin dead-letters list --reason field --household h-042[/]\n\n"
    "  [cyan]kithkin dead-letters list --json | jq -r .reason | sort | uniq -c[/]",
)
def list_letters(
    reason: Reasons = None,
    household: Household = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """List dead letters, oldest first by partition: when, where, whose key, why, and whether they were sent again."""
    with faults_explained():
        from stream.ops.dead_letters import letters

        found, unreadable = letters(_load_wiring(wiring, broker, prefix), _only(reason, household, since, until))
        for letter in found:
            typer.echo(json.dumps(letter.as_json()) if as_json else _line(letter))
        if not as_json:
            _sum_up(found)
        if unreadable:
            typer.echo(f"{unreadable} records of the topic are no dead letters and were passed over.", err=True)


@dead_letters.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin dead-letters show 'recognitions\\[3]@812'[/]   a place as list gives it\n\n"
    "  [cyan]kithkin dead-letters show recognitions/3/812[/]   the same",
)
def show(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="Topic, partition and offset, as list gives them.")],
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Show one dead letter: why it is one, its key, and its value as it came."""
    with faults_explained():
        from stream.ops.dead_letters import Only, letters

        wanted = _place(place)
        found, _ = letters(_load_wiring(wiring, broker, prefix), Only(place=wanted))
        if not found:
            typer.secho(f"kithkin: no dead letter of {wanted} is kept", fg="red", err=True)
            raise typer.Exit(EXIT_FAILED)
        typer.echo(_whole(found[0]))


@dead_letters.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin dead-letters resend --reason quarantined[/]   after a mended version was deployed\n\n"
    "  [cyan]kithkin dead-letters resend --reason encoder --since 2d[/]   after the policy got the encoder\n\n"
    "  [cyan]kithkin dead-letters resend --all --dry-run[/]   what would be sent of everything",
)
def resend(
    reason: Reasons = None,
    household: Household = None,
    since: Since = None,
    until: Until = None,
    everything: Annotated[bool, typer.Option("--all", help="All that there are; needed where nothing else chooses.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
    group: Group = None,
) -> None:
    """Send dead letters to the topics they came from, in the order they came, each once.

    What was sent is marked in the same transaction: given again, this sends only what is new.

    A record that still cannot be used becomes a dead letter once more, at its new place.
    """
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.ops.dead_letters import letters
        from stream.ops.dead_letters import resend as send_again

        if not (reason or household or since or until or everything):
            right = "--reason, --household, --since or --until, to say which; or --all"
            raise ConfigError("resend", None, "nothing chooses what to send", right)
        wired, only = _load_wiring(wiring, broker, prefix, group), _only(reason, household, since, until)
        if dry_run:
            fresh = [letter for letter in letters(wired, only).found if not letter.resent]
            typer.echo("\n".join([*map(_line, fresh), f"{len(fresh)} would be sent."]))
            return
        sent, before, cut = send_again(wired, only)
        typer.echo(f"{sent} sent, {before} had been sent before{f', {cut} are cut and cannot be sent' if cut else ''}.")


@dead_letters.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin dead-letters erase[/]   of all homes and people that were erased; to be run once a day\n\n"
    "  [cyan]kithkin dead-letters erase --household h-042[/]   of this home, whatever was published of it",
)
def erase(
    household: Annotated[
        str | None, typer.Option("--household", metavar="H", help="This one too, and all of its letters.")
    ] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
    group: Group = None,
) -> None:
    """Take out of the topic what came of homes before they, or somebody in them, were erased.

    Dead letters hold records as they came: ids and embeddings. Who was erased is known from drift-signals, kept for 7 days.

    Kafka deletes only what is oldest, so what is to stay is published once more, and then all before goes.
    """
    with faults_explained():
        from stream.ops.dead_letters import erase as take_out

        gone, stay = take_out(_load_wiring(wiring, broker, prefix, group), household)
        typer.echo(f"{gone} dead letters are gone, {stay} stay.")


def _load_wiring(wiring: Path | None, broker: str | None, prefix: str | None, group: str | None = None) -> "Wiring":
    wired = wiring_in_force(wiring, broker=broker, prefix=prefix, group=group)
    refuse_missing(wired, ["dead-letters"])
    return wired


def _only(reasons: Sequence[str] | None, household: str | None, since: str | None, until: str | None) -> "Only":
    """Raises ConfigError when a time is none."""
    from stream.ops.dead_letters import Only

    now_s = time.time()
    chosen = Only(frozenset(reasons or ()), household)
    begin = chosen.since_ms if since is None else moment_ms(since, now_s)
    end = chosen.until_ms if until is None else moment_ms(until, now_s)
    return replace(chosen, since_ms=begin, until_ms=end)


def _place(told: str) -> "Position":
    from stream.contract.errors import ConfigError
    from stream.contract.records import Position

    found = re.fullmatch(r"([\w.-]+?)(?:\[(\d+)\]@|/(\d+)[/@])(\d+)", told)
    if found is None:
        raise ConfigError("PLACE", told, "the letter to show", 'topic, partition and offset, such as "recognitions[3]@812"')
    return Position(found[1], int(found[2] or found[3]), int(found[4]))


def _line(letter: "Letter") -> str:
    key = "no key" if letter.key is None else _printable(letter.household)
    again = "  (sent again)" if letter.resent else ""
    return f"{_clock(letter.timestamp)}  {letter.place!s:<24}  {key:<14}  {letter.reason:<11}  {_printable(letter.detail)}{again}"


def _sum_up(found: "Sequence[Letter]") -> None:
    """How many of each reason, and what to do."""
    from stream.ops.dead_letters import REASONS

    open_ones = Counter(letter.reason for letter in found if not letter.resent)
    again = len(found) - open_ones.total()
    typer.echo(f"\n{len(found)} dead letters, {again} of them sent again." if found else "No dead letters.")
    for reason, count in open_ones.most_common():
        typer.echo(f"{count:>7}  {reason:<11}  {REASONS.get(reason, 'of another version of kithkin')}")


def _whole(letter: "Letter") -> str:
    kept = "" if letter.is_whole else f", of which the first {len(letter.value or b'')} were kept"
    lines = [
        f"place     {letter.place}", f"time      {_clock(letter.timestamp)}", f"reason    {letter.reason}",
        f"detail    {_printable(letter.detail)}", f"key       {'none' if letter.key is None else _printable(letter.household)}",
        f"again     {'sent again' if letter.resent else 'not sent again'}",
        f"value     {letter.value_bytes} bytes{kept}",
    ]  # fmt: skip
    if letter.value is None:
        return "\n".join(lines)
    try:
        value = json.dumps(json.loads(letter.value), indent=1)
    except ValueError:
        value = repr(letter.value)[2:-1]
    return "\n".join([*lines, value])


def _printable(text: str) -> str:
    """On one line, and nothing that would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "·" for c in text)


def _clock(at_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{at_ms:>19}"
