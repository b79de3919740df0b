"""`kithkin pin`: PINs of people, as the verifier keeps them, and the key that it signs with.

Law: a PIN is typed at a prompt and shown nowhere; it never is an argument, which others on the machine could read.
"""

import os
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..faults import faults_explained

if TYPE_CHECKING:
    from stream.runtime.service.verifier import Verifier

__all__ = ["SERVICE", "Household", "Person", "ServiceFile", "pin"]

pin = typer.Typer(
    help="Set and forget people's PINs, which can be a second factor.\n\n"
    "What is kept is a hash (argon2id) in the file that the service's settings name; a PIN is in no topic and no log.",
    epilog="Examples:\n\n"
    "  [cyan]kithkin pin key api-1.key[/]   a key for proofs, and what to write into the policy\n\n"
    "  [cyan]kithkin pin set h-042 alice[/]   asks for it twice\n\n"
    "  [cyan]kithkin pin unlock h-042 alice[/]   after three wrong tries",
    no_args_is_help=True,
)
ServiceFile = Annotated[Path, typer.Option("--service", metavar="FILE", help="Settings of the service (TOML).")]
Household = Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The id of a household, such as h-042.")]
Person = Annotated[str, typer.Argument(metavar="PERSON", help="The person_id of one of its members.")]
SERVICE = Path("service.toml")


@pin.command("set", epilog="Examples:\n\n  [cyan]kithkin pin set h-042 alice --service service.toml[/]")
def set_pin(household: Household, person: Person, service: ServiceFile = SERVICE) -> None:
    """Ask for a person's PIN, twice, and keep its hash; tries that were wrong are forgotten."""
    with faults_explained(), closing(_verifier(service)) as verifier:
        verifier.set(household, person, typer.prompt("PIN", hide_input=True, confirmation_prompt=True))
        typer.echo(f"{person} of {household} has this PIN from now on.")


@pin.command(epilog="Examples:\n\n  [cyan]kithkin pin reset h-042 alice[/]")
def reset(household: Household, person: Person, service: ServiceFile = SERVICE) -> None:
    """Forget a person's PIN: until another is set, none is right."""
    with faults_explained(), closing(_verifier(service)) as verifier:
        verifier.reset(household, person)
        typer.echo(f"{person} of {household} has no PIN.")


@pin.command(epilog="Examples:\n\n  [cyan]kithkin pin unlock h-042 alice[/]")
def unlock(household: Household, person: Person, service: ServiceFile = SERVICE) -> None:
    """Let a person try again after three wrong PINs at a device: what the home's app does."""
    with faults_explained(), closing(_verifier(service)) as verifier:
        verifier.unlock(household, person)
        typer.echo(f"{person} of {household} may try again at every device.")


@pin.command(epilog="Examples:\n\n  [cyan]kithkin pin key api-1.key --kid api-1 >> policy.toml[/]")
def key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key is to lie; not yet there.")],
    kid: Annotated[str, typer.Option("--kid", help="Its name in the policy.")] = "api-1",
) -> None:
    """Make a key that proofs are signed with; prints the lines of the policy by which workers check them."""
    with faults_explained():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        from stream.contract.errors import ConfigError
        from stream.contract.rights.signature import text_of_public_key

        private = Ed25519PrivateKey.generate()
        try:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
                written.write(b64encode(private.private_bytes_raw()))
        except FileExistsError:
            right = "another name: proofs of that key would no longer be signed"
            raise ConfigError("FILE", str(file), "which is there", right) from None
        typer.echo(f'[proofs.keys."{kid}"]\npublic_key = "{text_of_public_key(private)}"')


def _verifier(service: Path) -> "Verifier":
    from stream.runtime.service.settings import load_service
    from stream.runtime.service.verifier import Verifier

    return Verifier(load_service(service).verifier)
