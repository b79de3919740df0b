"""`kithkin decide`: whether an answer allows an action, and why.

Law: it looks and changes nothing.
"""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import policy_in_force, wiring_in_force
from ..faults import faults_explained
from ..live.identities import moment_ms
from ..options import AsJson, AsOf, Group, PolicyFile, Prefix, StoreUrl, WiringFile
from ..stored_home import find_home

if TYPE_CHECKING:
    from stream.home.rights.decision import Answered, Decision

__all__ = ["decide"]

_WHY: Final = {
    "sure": "the answer is of tier {had}, and {required} is asked for",
    "not_sure": "the answer is of tier {had}, and {required} is asked for: `kithkin why` tells what it lacked",
    "not_recognised": "nobody is named at tier {had}, and {required} is asked for",
    "second_factor": "tier 4 was reached, and a second factor of that person makes it 5",
    "forbidden": "the home forbids it to that person, whatever the tier",
    "too_old": "the recognition is older than the action's max_age_s: let them say it again",
    "unknown_action": "the policy has no such action: [actions.\"…\"] tier = 1 to 5",
    "unknown_event": "the home keeps no such event: it is not answered yet, or long past",
}


def decide(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The id of a household, such as h-042.")],
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event_id of a recognition that was answered.")],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="An action of the policy, such as pharmacy.refill.")],
    store: StoreUrl = None,
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    prefix: Prefix = None,
    group: Group = None,
    at: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether an answer allows an action (allow, step_up or deny), and why.

    It reads the states that workers save, or those of a replay (--store FILE.db), and changes nothing.

    Actions stand in the policy, with the least tier of an answer and how old it may be. An unknown one is denied, and so is
    what the home forbids to who was named.
    """
    with faults_explained():
        from stream.contract.settings import load_policy
        from stream.home.rights.consents import forbids_of
        from stream.home.rights.decision import answers_of
        from stream.home.rights.decision import decide as decided

        rules = load_policy(policy_in_force(policy, wiring, store))
        wired = wiring_in_force(wiring, store=store, prefix=prefix, group=group)
        now_ms = moment_ms("0s" if at is None else at, time.time(), "at")
        home = find_home(wired, household).decode(rules)
        answers = answers_of(home)
        decision = decided(answers.get(event), action, rules, now_ms, forbids_of(home, now_ms))
        if as_json:
            typer.echo(json.dumps({"household_id": household, "event_id": event, "action": action, **asdict(decision)}))
        else:
            _print(decision, answers.get(event), action)


def _print(decision: "Decision", answer: "Answered | None", action: str) -> None:
    typer.echo(f"{decision.outcome}: {action}")
    typer.echo(f"  {_WHY[decision.reason].format(had=decision.had, required=decision.required)}")
    if answer is not None:
        named, at = answer.person_id or "nobody", _time(answer.observed_at)
        typer.echo(f"  {answer.event_id} on {answer.device_id} at {at}, revision {answer.revision}: {named}")
    if decision.expires_at is not None:
        typer.echo(f"  until {_time(decision.expires_at)}")


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
