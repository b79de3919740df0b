"""`kithkin presence`: who of a household is at home.

Law: it looks and changes nothing.
"""

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import policy_in_force, wiring_in_force
from ..faults import faults_explained
from ..live.identities import moment_ms
from ..options import AsJson, AsOf, Group, PolicyFile, Prefix, StoreUrl, WiringFile
from ..stored_home import find_home

if TYPE_CHECKING:
    from stream.home.presence import Present

__all__ = ["presence"]


def presence(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The id of a household, such as h-042.")],
    store: StoreUrl = None,
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    prefix: Prefix = None,
    group: Group = None,
    at: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Tell who of a household is at home, how surely, and where they were last.

    It reads the states that workers save, or those of a replay (--store FILE.db), and changes nothing.

    It is known where the policy has `presence.publish = true`. What was seen fades with time, as docs/presence.md tells.
    """
    with faults_explained():
        from stream.contract.settings import load_policy
        from stream.home.presence import presences_of

        rules = load_policy(policy_in_force(policy, wiring, store))
        wired = wiring_in_force(wiring, store=store, prefix=prefix, group=group)
        now_ms = moment_ms("0s" if at is None else at, time.time(), "at")
        found = presences_of(find_home(wired, household).decode(rules), rules)
        if as_json:
            told = [{**one._asdict(), "home_now": round(one.home_at(now_ms), 6)} for one in found]
            typer.echo(json.dumps({"household_id": household, "at": now_ms, "people": told}))
        elif not found:
            right = "the workers' policy needs [presence] publish = true"
            typer.echo(f"Nothing is known of who is at home in {household}: {right}.")
        else:
            for one in sorted(found, key=lambda one: -one.home_at(now_ms)):
                typer.echo(_line(one, now_ms))


def _line(one: "Present", now_ms: int) -> str:
    since = datetime.fromtimestamp(one.since / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    where = f", last at {one.device_id}" if one.present and one.device_id else ""
    return f"{one.person_id:<16} {one.home_at(now_ms):>4.0%}  {'at home' if one.present else 'away':<8} since {since}{where}"
