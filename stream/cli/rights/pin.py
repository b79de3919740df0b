"""`kithkin pin`: PINs of people, as the verifier keeps them, and the key that it signs with.

Law: a PIN is typed at a prompt and shown nowhere; it never is an argument, which others on the machine could read.
"""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..connection import service_in_force
from ..faults import faults_explained

if TYPE_CHECKING:
    from stream.runtime.service.verifier import Verifier

__all__ = ["Household", "Person", "ServiceFile", "pin"]

pin = typer.Typer(
    help="Set and forget people's PINs, which can be a second factor.\n\n"
    "What is kept is a hash (argon2id) in the file that the service's settings name; a PIN is in no topic and no log.",
    epilog="Examples:\n\n"
    "  [cyan]kithkin pin key api-1.key[/]   a key for proofs, and what to write into the policy\n\n"
    "  [cyan]kithkin pin set h-042 alice[/]   asks for it twice\n\n"
    "  [cyan]kithkin pin unlock h-042 alice[/]   after three wrong tries",
    no_args_is_help=True,
)
ServiceFile = Annotated[
    Path | None,
    typer.Option("--service", metavar="FILE", help='Settings of the service (TOML); else ./service.toml, or of a running "up".'),
]
Household = Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The id of a household, such as h-042.")]
Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person_id of one of its members.")]


@pin.command("set", epilog="Examples:\n\n  [cyan]kithkin pin set h-042 alice --service service.toml[/]")
def set_pin(household: Household, person: Person, service: ServiceFile = None) -> None:
    """Ask for a person's PIN, twice, and keep its hash; tries that were wrong are forgotten."""
    with faults_explained(), closing(_verifier(service)) as verifier:
        verifier.set(household, person, typer.prompt("PIN", hide_input=True, confirmation_prompt=True))
        typer.echo(f"{person} of {household} has this PIN from now on.")


@pin.command(epilog="Examples:\n\n  [cyan]kithkin pin reset h-042 alice[/]")
def reset(household: Household, person: Person, service: ServiceFile = None) -> None:
    """Forget a person's PIN: until another is set, none is right."""
    with faults_explained(), closing(_verifier(service)) as verifier:
        verifier.reset(household, person)
        typer.echo(f"{person} of {household} has no PIN.")


@pin.command(epilog="Examples:\n\n  [cyan]kithkin pin unlock h-042 alice[/]")
def unlock(household: Household, person: Person, service: ServiceFile = None) -> None:
    """Let a person try again after three wrong PINs at a device: what the home's app does."""
    with faults_explained(), closing(_verifier(service)) as verifier:
        verifier.unlock(household, person)
        typer.echo(f"{person} of {household} may try again at every device.")


@pin.command(epilog="Examples:\n\n  [cyan]kithkin pin key api-1.key --kid api-1 >> policy.toml[/]")
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is to lie; not yet there.")],
    kid: Annotated[str, typer.Option("--kid", help="Its name in the policy.")] = "api-1",
    factor: Annotated[Literal["pin", "phone", "event"], typer.Option("--factor", help="What it may prove.")] = "pin",
) -> None:
    """Make a key that proofs are signed with; prints the lines of the policy by which workers check them."""
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.ops.service_folder import key_lines, make_key

        try:
            typer.echo(key_lines(kid, make_key(file), factor))
        except FileExistsError:
            right = "another name: proofs of that key would no longer be signed"
            raise ConfigError("FILE", str(file), "which is there", right) from None


def _verifier(service: Path | None) -> "Verifier":
    from stream.runtime.service.settings import load_service
    from stream.runtime.service.verifier import Verifier

    return Verifier(load_service(service_in_force(service)).verifier)
