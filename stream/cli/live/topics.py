"""`kithkin topics`: makes the topics of the contract, looks at those that are there, or moves all to more partitions.

Law: what is there is never changed: more partitions are other topics.
"""

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import client_logs_silenced, refuse_misspelt, wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..interruption import until_interrupted
from ..options import BrokerUrl, Group, Prefix, StoreUrl, WiringFile

if TYPE_CHECKING:
    from stream.contract.ports import StateStore
    from stream.contract.settings import Wiring
    from stream.ops.growth import Plan, Step

__all__ = ["topics"]

_TOLD_EVERY_S: Final = 1.0

topics = typer.Typer(
    help="Make the topics in a cluster, check those that are there, or move a live system to more partitions.",
    epilog="Examples:\n\n"
    "  [cyan]kithkin topics create --partitions 24[/]   those that are missing; the others stay as they are\n\n"
    "  [cyan]kithkin topics check --prefix prod.[/]   exit code 1 when one is wrong\n\n"
    "  [cyan]kithkin topics grow --prefix prod. --to-prefix prod2. --partitions 96 --dry-run[/]   what a move would do",
    no_args_is_help=True,
)


@topics.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin topics create[/]\n\n"
    "  [cyan]kithkin topics create --partitions 48 --replication 3 --prefix prod. --broker confluent://kafka:9092[/]",
)
def create(
    partitions: Annotated[
        int, typer.Option(min=1, max=1000, help="Of every topic: more than there will ever be workers, for it cannot change.")
    ] = 12,
    replication: Annotated[
        int | None, typer.Option(min=1, max=9, help="Copies of every record; else 3, or as many as there are brokers.")
    ] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Make the topics that are missing.

    Those that are there stay as they are; if they have another number of partitions, it is refused and says what to do.
    """
    with faults_explained():
        from stream.ops import topics as makes

        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        for topic in makes.create(wired, partitions, replication):
            typer.echo(f"{'made     ' if topic.made else 'was there'}  {topic.name}, {topic.partitions} partitions")


@topics.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin topics check[/]\n\n"
    "  [cyan]kithkin topics check --json | jq '.\\[] | select(.state != \"ok\")'[/]",
)
def check(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for machines.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Check that the topics are as the contract wants them: exit code 1 when one is not.

    The same checks are among those of "kithkin doctor".
    """
    with faults_explained():
        from stream.ops.checks import topic_checks

        from .doctor import show

        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        if not show(topic_checks(wired), as_json):
            raise typer.Exit(EXIT_FAILED)


@topics.command(
    epilog="Examples:\n\n"
    "  [cyan]kithkin topics grow --prefix a. --to-prefix b. --partitions 96 --dry-run[/]   how much there is, what is amiss\n\n"
    "  [cyan]kithkin topics grow --prefix a. --to-prefix b. --partitions 96[/]   move; given again after a stop, it goes on\n\n"
    "  [cyan]kithkin topics grow --prefix a. --to-prefix b. --partitions 96 --follow[/]   and copy what still comes to a.",
)
def grow(
    to_prefix: Annotated[str, typer.Option("--to-prefix", metavar="PREFIX", help="Of the new topics, such as \"prod2.\".")],
    partitions: Annotated[int, typer.Option(min=1, max=1000, help="Of every new topic.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="When it is done, copy what still comes to the old topics, until Ctrl-C.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done; exit code 1 if something must be done first.")
    ] = False,
    replication: Annotated[
        int | None, typer.Option(min=1, max=9, help="Copies of every record; else 3, or as many as there are brokers.")
    ] = None,
    to_store: Annotated[
        str | None,
        typer.Option("--to-store", metavar="URL", help="Where states shall lie; else where they are. Of a FILE.db: another one."),
    ] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    prefix: Prefix = None,
    group: Group = None,
) -> None:
    """Move a live system to another number of partitions, under another prefix; nothing is lost, and nothing comes twice.

    1. Stop the workers. Senders go on: what they send waits.

    2. Give this command: homes, profiles and what waits are copied. Killed at any point and given again, it goes on.

    3. Start workers with the new prefix, then move the senders; give this command with --follow until the last has moved.

    Whoever reads identities, labels or signals reads the old topics to their end, then the new ones.
    """
    with faults_explained(), ExitStack() as ends:
        from stream.contract.errors import ConfigError
        from stream.ops import growth

        client_logs_silenced()
        where = {"broker": broker, "group": group}
        old = wiring_in_force(wiring, **where, store=store, prefix=prefix)
        new = wiring_in_force(wiring, **where, store=to_store or store, prefix=to_prefix)
        refuse_misspelt(old)
        refuse_misspelt(new)
        if old.prefix == new.prefix:
            raise ConfigError("to-prefix", to_prefix, "the old topics have it", "another prefix than theirs")
        stores = _open_store(old, ends), _open_store_to_fill(old, new, ends, dry_run)
        plan = growth.look(old, stores, to_prefix, partitions)
        if dry_run:
            _show(plan)
            raise typer.Exit(EXIT_FAILED if plan.hindrances else 0)
        _tell(growth.grow(old, stores, plan.growth, replication))
        typer.echo(_what_next(old.prefix, to_prefix))
        if follow:
            with until_interrupted() as stop:
                _tell_stragglers(growth.follow(old, plan.growth, stop))


def _open_store(wiring: "Wiring", ends: ExitStack) -> "StateStore":
    from stream.contract.settings import store_of
    from stream.stores import open_store

    return ends.enter_context(closing(open_store(store_of(wiring), wiring)))


def _open_store_to_fill(old: "Wiring", new: "Wiring", ends: ExitStack, dry_run: bool) -> "StateStore":
    """The store for the new prefix; a file that is not there yet is not made to look into it."""
    from pathlib import Path

    from stream.contract.errors import ConfigError
    from stream.contract.settings import store_of
    from stream.stores import MemoryStore

    url = store_of(new)
    if url.endswith(".db"):
        if url == store_of(old):
            right = "another file: in one, states of two prefixes would be mixed up"
            raise ConfigError("to-store", url, "the old states lie there", right)
        if dry_run and not Path(url).exists():
            return MemoryStore()
    return _open_store(new, ends)


def _show(plan: "Plan") -> None:
    growth = plan.growth
    stands = {"new": "Nothing was done yet", "begun": "It has begun and goes on", "done": "It is done; what came since follows"}
    typer.echo(f'From "{growth.from_prefix}", {growth.partitions_before} partitions,')
    typer.echo(f'to "{growth.to_prefix}", {growth.partitions} partitions. {stands[plan.state]}.')
    typer.echo(f"  homes    {plan.homes:,}")
    typer.echo(f"  records  {', '.join(f'{count:,} of {topic}' for topic, count in plan.waiting.items())} wait to be copied")
    for hindrance in plan.hindrances:
        typer.echo(f"First: {hindrance}.")
    typer.echo("Nothing was changed.")


def _tell(steps: "Iterable[Step]") -> None:
    """A line a step; of those that take long the first, one a second and the last."""
    text, said_s, unsaid = "", 0.0, None
    for step in steps:
        if unsaid is not None and step.text != text:
            typer.echo(_line(unsaid))
        if step.text != text or time.monotonic() - said_s >= _TOLD_EVERY_S:
            typer.echo(_line(step))
            text, said_s, unsaid = step.text, time.monotonic(), None
        else:
            unsaid = step
    if unsaid is not None:
        typer.echo(_line(unsaid))


def _line(step: "Step") -> str:
    of_all = "" if step.total is None else f" of {step.total:,}"
    return f"{step.done:,}{of_all} {step.text}" if step.done else step.text


def _tell_stragglers(copied: "Iterable[Counter[str]]") -> None:
    """A line a second at most, while something comes; the last tells of all."""
    total, said_s = Counter[str](), 0.0
    typer.echo("Copying what still comes to the old topics. Ctrl-C ends it.")
    for more in copied:
        total += more
        if time.monotonic() - said_s >= _TOLD_EVERY_S:
            typer.echo(f"{time.strftime('%H:%M:%S')}  {_counts(total)} copied: somebody still sends to the old topics")
            said_s = time.monotonic()
    typer.echo(f"{_counts(total)} copied since it was done." if total else "Nothing came to the old topics.")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} of {topic}" for topic, count in sorted(counts.items()))


def _what_next(old: str, new: str) -> str:
    return (
        f"Done. Now:\n"
        f"  1. start workers with the prefix {new} (kithkin worker --prefix {new}), and the fleet stage;\n"
        f"  2. move the senders to {new}recognitions and {new}feedback; until the last has moved, this command with --follow\n"
        f"     copies what comes to the old topics;\n"
        f"  3. let readers of {old}identities, {old}labels, {old}drift-signals and {old}dead-letters read to the end (nothing\n"
        f"     comes there any more) and go on with those of {new}; {new}profiles has all profiles;\n"
        f"  4. when nothing comes to the old topics any more, delete them and the states under {old}: docs/cluster.md has how."
    )
