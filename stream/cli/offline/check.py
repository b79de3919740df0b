"""`kithkin check`: what is wrong with records, before they are sent.

Law: it says what a worker would say, and sends nothing. Exit code 0: all is as it should be; 1: something is not.
"""

import difflib
import json
import textwrap
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..faults import EXIT_FAILED, faults_explained
from ..options import PolicyFile

if TYPE_CHECKING:
    from stream.brokers.log_files import LogReader
    from stream.contract.policy import Policy
    from stream.offline.senders.check import Check, Finding, Tally

__all__ = ["check"]

_LOOK_EVERY: Final = 500  # lines
_WHAT: Final = {"dead letter": "dead letters", "left out": "parts left out", "no record": "no records"}


def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines, packed or not; -: standard input.")],
    topic: Annotated[
        str | None,
        typer.Option("--topic", help="Of values alone, such as feedback; else it is guessed from the fields of each."),
    ] = None,
    policy: PolicyFile = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Show so many findings; 0: all. All are counted.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="All findings as JSON Lines, and a summary as the last one.")] = False,
) -> None:
    """Check records line by line, as a worker would read them; exit code 1 when something is wrong.

    A line is a record's value alone, as your program sends it, or a record of a log, as "kithkin replay" reads it.

    dead letter: it cannot be used at all. left out: it is answered without the part that is named.

    Nothing is sent and no state is read, so it knows neither who lives in a home nor what came before.

    Of values alone the record's key is not seen, which must be the household_id.
    """
    with faults_explained():
        from stream.brokers.log_files import STDIN, LogReader
        from stream.contract.records import MODELS
        from stream.contract.settings import load_policy
        from stream.offline.senders.check import Check

        _refuse_unknown(topic)
        with closing(LogReader([file], list(MODELS), prefix=None)) as log:
            rules = load_policy(policy)
            checked = Check(log, rules, topic)
            if as_json:
                _print_json(checked)
            else:
                at_once = file == STDIN  # it may never end
                findings = _limit(checked.findings(), limit) if at_once else _gather(checked, log, limit)
                for finding in findings:
                    _print(finding)
                _print_summary(checked.tally, limit, rules)
    if checked.tally.wrong or not checked.tally.records:
        raise typer.Exit(EXIT_FAILED)


def _refuse_unknown(topic: str | None) -> None:
    from stream.contract.errors import ConfigError
    from stream.offline.senders.schemas import TOPICS

    sent = [name for name, told in TOPICS.items() if told.comes_in]
    if topic is not None and topic not in sent:
        near = difflib.get_close_matches(topic, sent, n=1)
        raise ConfigError("topic", topic, "--topic", near[0] if near else f"one of {', '.join(sent)}")


def _limit(findings: "Iterator[Finding | None]", limit: int) -> "Iterator[Finding]":
    """The first so many, and the rest only counted."""
    found = (finding for finding in findings if finding is not None)
    yield from islice(found, limit or None)
    for _ in found:
        pass


def _gather(checked: "Check", log: "LogReader", limit: int) -> "list[Finding]":
    """The same, while a bar on a terminal tells how far it is."""
    from rich.console import Console

    from ..progress import show_progress

    def progress() -> "Iterator[Finding | None]":
        for number, finding in enumerate(checked.findings()):
            if number % _LOOK_EVERY == 0:
                watch(checked.tally.records.total(), log.bytes_read, log.bytes_total)
            yield finding

    with show_progress(Console(stderr=True), "records") as watch:
        return list(_limit(progress(), limit))


def _print(finding: "Finding") -> None:
    where = f"line {finding.line}" + (f" ({finding.topic})" if finding.topic else "")
    typer.secho(f"{where}: {finding.what}: {', '.join(finding.reasons)}", bold=True)
    width = min(get_terminal_size().columns, 120)
    typer.echo(textwrap.fill(finding.detail, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))


def _print_summary(tally: "Tally", limit: int, policy: "Policy") -> None:
    from stream.ops.encoders import explain_unlisted

    records, wrong = tally.records.total(), tally.wrong.total()
    if limit and wrong > limit:
        typer.echo(f"… and {wrong - limit:,} more; --limit 0 shows all")
    if wrong:
        typer.echo()
    by_topic = ", ".join(f"{topic} {count:,}" for topic, count in tally.records.items())
    typer.echo(f"{_many(records, 'record')} in {_many(tally.lines, 'line')}" + (f": {by_topic}" if by_topic else ""))
    for what, count in tally.wrong.most_common():
        typer.echo(f"  {_WHAT[what]} {count:,}: {_reasons_of(tally, what)}")
    if records and not wrong:
        typer.echo("  all are as they should be")
    if tally.bare:
        typer.echo("  not seen of values alone: the record's key, which must be the household_id")
    if told := explain_unlisted(tally.unlisted, tally.records["recognitions"], policy):
        typer.echo(f"\n{told}")


def _reasons_of(tally: "Tally", what: str) -> str:
    return ", ".join(f"{reason} {count:,}" for (own, reason), count in tally.reasons.most_common() if own == what)


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _print_json(checked: "Check") -> None:
    for finding in checked.findings():
        if finding is not None:
            typer.echo(json.dumps(finding._asdict(), ensure_ascii=False))
    tally = checked.tally
    reasons: dict[str, Any] = {what: {} for what in tally.wrong}
    for (what, reason), count in tally.reasons.items():
        reasons[what][reason] = count
    told = {"lines": tally.lines, "records": dict(tally.records), "wrong": dict(tally.wrong), "reasons": reasons}
    typer.echo(json.dumps({"summary": told}))
