"""`kithkin why`: why an event was answered as it was.

Law: it looks and changes nothing; what an audience may not see is in neither text nor JSON.
"""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ..faults import faults_explained
from ..options import AsJson, PolicyFile

if TYPE_CHECKING:
    from stream.contract.policy import Policy
    from stream.offline.why.audience import Why

__all__ = ["why"]


class Audience(StrEnum):
    """As `stream.offline.why.audience` has it, which is loaded when it is needed."""

    PERSON = "person"
    SUPPORT = "support"
    ENGINEER = "engineer"


def why(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The event_id of a recognition that was answered.")],
    logs: Annotated[
        list[str],
        typer.Argument(metavar="LOG...", help="Log files from their beginning, as for a replay; or the --out DIR of one."),
    ],
    household: Annotated[
        str | None, typer.Option("--household", metavar="ID", help="Its home, where several have an event of that id.")
    ] = None,
    wish: Annotated[
        str | None,
        typer.Option(
            "--if",
            metavar="CHANGES",
            help="What would have been: drop=voice|face|phone|activity, or a setting of the policy, KEY=VALUE; or several.",
        ),
    ] = None,
    audience: Annotated[
        Audience, typer.Option("--for", help="Who reads it: a person sees nothing of others, an engineer everything.")
    ] = Audience.SUPPORT,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell why an event was answered as it was: what spoke for whom, in nats, and what kept it from the next tier.

    Nats are natural logarithms of odds: +0.7 doubles them, -0.7 halves them, 0 says nothing. They add up to how sure it was.

    The home's records are run again, and so is whatever would have been: without the phone as if the device had not listened,
    under another policy as if it had always held.

    Later answers are told with the record that caused them, and with what was said of the event.
    """
    with faults_explained():
        from stream.contract.settings import load_policy

        told = _explain((event_id, household, logs), load_policy(policy), wish, audience)
        if as_json:
            typer.echo(json.dumps(asdict(told), indent=2, allow_nan=False))
        else:
            from stream.offline.why.texts import lines_of

            typer.echo("\n".join(lines_of(told)))


def _explain(asked: tuple[str, str | None, list[str]], policy: "Policy", wish: str | None, audience: Audience) -> "Why":
    from stream.contract.errors import ConfigError
    from stream.offline.why import audience as audiences
    from stream.offline.why.explanation import explain
    from stream.offline.why.history import find_home, logs_of, play, records_of
    from stream.offline.why.otherwise import otherwise, parse_wish, without_each

    event_id, household, names = asked
    wished = None if wish is None else parse_wish(wish)
    logs = logs_of(names, policy)
    home = household or find_home(logs, event_id, policy)
    records = records_of(logs, home)
    history = play(records, home, event_id, policy)
    if history.moment is None:
        right = "a recognition that was answered; `kithkin check` tells why one is not"
        raise ConfigError("EVENT_ID", event_id, f"which was not answered in {home}", right)
    explanation = explain(history, policy, anybody=audience == Audience.PERSON)
    told = audiences.Why(
        explanation,
        without_each(history, policy, explanation.subject),
        otherwise(history, records, policy, wished, explanation.subject) if wished else None,
    )
    return audiences.redact_for(told, audiences.Audience(audience))
