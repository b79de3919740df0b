"""`kithkin consent`: what a person lets a client ask.

Law: it only sends records, as the home's app would; what came of them the home says.
"""

import json
import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..connection import refuse_missing, service_in_force, wiring_in_force
from ..faults import faults_explained
from ..options import BrokerUrl, Prefix, WiringFile
from .pin import Household, Person, ServiceFile

if TYPE_CHECKING:
    from stream.contract.settings import Wiring

__all__ = ["consent"]

consent = typer.Typer(
    help="Let a client ask about a person, or no longer; forbid a person what no tier then allows.",
    epilog="Examples:\n\n"
    "  [cyan]kithkin consent grant h-042 alice pharmacy --action pharmacy.refill[/]   prints what the client needs\n\n"
    "  [cyan]kithkin consent revoke h-042 alice pharmacy c-8Jx2[/]\n\n"
    "  [cyan]kithkin consent forbid h-042 bob --tier 4[/]   nothing that asks for tier 4 or 5; undone by `lift`",
    no_args_is_help=True,
)
Client = Annotated[str, typer.Argument(metavar="CLIENT", help="A client of the service.")]
_REVOKED: Final[dict[str, Any]] = {"kind": "revoke", "scopes": [], "actions": []}
_EXAMPLE = "Examples:\n\n  [cyan]kithkin consent "


@consent.command(epilog=f"{_EXAMPLE}grant h-042 alice pharmacy --action pharmacy.refill --days 90[/]")
def grant(
    household: Household,
    person: Person,
    client: Client,
    action: Annotated[list[str], typer.Option("--action", help="What it may ask for; several times for several.")],
    days: Annotated[int | None, typer.Option("--days", min=1, help="How long; else until it is revoked.")] = None,
    service: ServiceFile = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Let a client know a person and ask for actions; prints the consent's id and what the client calls the home."""
    with faults_explained():
        from stream.runtime.service.handles import Handles
        from stream.runtime.service.settings import load_service, secret_of

        handles = Handles(secret_of(load_service(service_in_force(service))))
        consent_id, told = f"c-{secrets.token_urlsafe(12)}", {"kind": "grant", "scopes": ["person"], "actions": action}
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        _send(wired, household, days, told | {"consent_id": consent_id, "person_id": person, "client_id": client})
        typer.echo(json.dumps({"consent_id": consent_id, "home": handles.home_of(client, household)}))


@consent.command(epilog=f"{_EXAMPLE}revoke h-042 alice pharmacy c-8Jx2[/]")
def revoke(
    household: Household,
    person: Person,
    client: Client,
    consent_id: Annotated[str, typer.Argument(metavar="CONSENT", help="The id that `grant` printed.")],
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Take a consent back: from then on the client knows nothing more of the person, by whatever id."""
    with faults_explained():
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        _send(wired, household, None, _REVOKED | {"consent_id": consent_id, "person_id": person, "client_id": client})
        typer.echo(f"{consent_id} is revoked.")


@consent.command(epilog=f"{_EXAMPLE}forbid h-042 bob --action door.unlock --tier 4[/]")
def forbid(
    household: Household,
    person: Person,
    action: Annotated[list[str] | None, typer.Option("--action", help="What they may not do; several times for several.")] = None,
    tier: Annotated[int | None, typer.Option("--tier", min=1, max=5, help="Nor what asks for this tier or more.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="How long; else until it is lifted.")] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Let a person, a child say, not do something, whichever client asks and however surely they are recognised; prints an id."""
    with faults_explained():
        consent_id = f"f-{secrets.token_urlsafe(12)}"
        told = {"kind": "forbid", "scopes": [], "actions": action or [], "tier": tier}
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        _send(wired, household, days, told | {"consent_id": consent_id, "person_id": person, "client_id": None})
        typer.echo(json.dumps({"consent_id": consent_id}))


@consent.command(epilog=f"{_EXAMPLE}lift h-042 bob f-8Jx2[/]")
def lift(
    household: Household,
    person: Person,
    consent_id: Annotated[str, typer.Argument(metavar="FORBID", help="The id that `forbid` printed.")],
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Let a person do again what was forbidden."""
    with faults_explained():
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        _send(wired, household, None, _REVOKED | {"consent_id": consent_id, "person_id": person, "client_id": None})
        typer.echo(f"{consent_id} is lifted.")


def _send(wired: "Wiring", household: str, days: int | None, fields: dict[str, Any]) -> None:
    """As of now; `days`: how long it stands."""
    from pydantic import ValidationError

    from stream.brokers.kafka.topics import producer
    from stream.contract.codec import invalid_of
    from stream.contract.errors import ConfigError
    from stream.contract.records import Record
    from stream.runtime.service.page.statements import consent_record

    now_ms = int(time.time() * 1_000)
    expires_at = None if days is None else now_ms + days * 86_400_000
    try:
        record = consent_record(household, now_ms, expires_at=expires_at, **fields)
    except ValidationError as error:
        told = invalid_of(Record("consents", 0, 0, now_ms, None, None), error).detail
        raise ConfigError("consent", "…", told, "ids as docs/records.md has them") from None
    refuse_missing(wired, ["consents"])
    with producer(wired) as sender:
        sender.send(record)
