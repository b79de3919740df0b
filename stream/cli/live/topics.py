"""`kithkin topics`: makes the topics of the contract, or looks at those that are there.

Law: what is there is never changed.
"""

from typing import Annotated

import typer

from ..connection import wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..options import BrokerUrl, Prefix, WiringFile

__all__ = ["topics"]

topics = typer.Typer(
    help="Make the topics in a cluster, or check those that are there.",
    epilog="Examples:\n\n"
    "  [cyan]kithkin topics create --partitions 24[/]   those that are missing; the others stay as they are\n\n"
    "  [cyan]kithkin topics check --prefix prod.[/]   exit code 1 when one is wrong",
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
