"""Commands about who may do what: they say what was decided and why."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.brokers.kafka.topics import reader
from stream.contract.settings import Wiring
from stream.stores import SqliteStore
from tests.cli.test_cli import plain, run
from tests.conftest import Running
from tests.support.worlds import Story


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, Path, str]:
    """A store with a home `h` in which anna spoke, a policy of two actions, and the time of that."""
    story = Story()
    event = story.see("anna")
    store, policy = tmp_path / "run.db", tmp_path / "policy.toml"
    with closing(SqliteStore(str(store))) as opened:
        opened.save(0, opened.claim(0).epoch, {}, {"recognitions": 1}, {"h": story.state})
    policy.write_text('[actions."pharmacy.refill"]\ntier = 5\n[actions."playlist.play"]\ntier = 2\n')
    at_s = story.answers(event)[0]["observed_at"] // 1_000
    return store, policy, str(at_s)


def decided(kept: tuple[Path, Path, str], action: str, *more: str, event: str = "e-13") -> str:
    store, policy, at_s = kept
    at = datetime.fromtimestamp(int(at_s) + 1, UTC).isoformat()
    return run("decide", "h", event, action, "--store", store, "--policy", policy, "--at", at, *more)


def test_decide_tells_what_is_allowed_and_until_when(kept: tuple[Path, Path, str]) -> None:
    told = plain(decided(kept, "playlist.play"))
    assert told.startswith("allow: playlist.play the answer is of tier 4, and 2 is asked for e-13")
    found = json.loads(decided(kept, "pharmacy.refill", "--json"))
    assert (found["outcome"], found["reason"], found["required"], found["had"]) == ("step_up", "second_factor", 5, 4)


def test_decide_denies_what_is_unknown_and_says_so(kept: tuple[Path, Path, str]) -> None:
    assert "deny: bank.rob the policy has no such action" in plain(decided(kept, "bank.rob"))
    assert "deny: playlist.play the home keeps no such event" in plain(decided(kept, "playlist.play", event="e-99"))


def test_decide_tells_what_the_home_forbids(kept: tuple[Path, Path, str], tmp_path: Path) -> None:
    story = Story()
    event = story.see("anna")
    story.play("consents", {
        "v": 1, "consent_id": "f-1", "household_id": "h", "person_id": "anna", "client_id": None, "kind": "forbid", "scopes": [],
        "actions": ["playlist.play"], "given_at": story.desk.now, "expires_at": None,
    })  # fmt: skip
    with closing(SqliteStore(str(tmp_path / "forbids.db"))) as opened:
        opened.save(0, opened.claim(0).epoch, {}, {"recognitions": 1}, {"h": story.state})
    told = plain(decided((tmp_path / "forbids.db", *kept[1:]), "playlist.play", event=event))
    assert told.startswith("deny: playlist.play the home forbids it to that person, whatever the tier")


def test_decide_names_a_home_that_is_like_an_unknown_one(kept: tuple[Path, Path, str]) -> None:
    assert "such as h" in plain(run("decide", "hh", "e-1", "x", "--store", kept[0], code=2))


def test_what_is_forbidden_is_sent_and_lifted_by_its_id(kafka: Running, topics: Callable[..., str]) -> None:
    wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=topics(1))
    cluster = "--broker", wiring.broker, "--prefix", wiring.prefix
    told = json.loads(run("consent", "forbid", "h", "bob", "--action", "door.unlock", "--tier", "4", "--days", "1", *cluster))
    run("consent", "lift", "h", "bob", told["consent_id"], *cluster)
    forbidden, lifted = (json.loads(record.value or b"") for record in reader(wiring, ["consents"]))
    common = {"v": 1, "consent_id": told["consent_id"], "household_id": "h", "person_id": "bob", "client_id": None, "scopes": []}
    given_at = forbidden["given_at"]
    assert forbidden == common | {
        "kind": "forbid", "actions": ["door.unlock"], "tier": 4, "given_at": given_at, "expires_at": given_at + 86_400_000,
    }  # fmt: skip
    assert lifted == common | {"kind": "revoke", "actions": [], "given_at": lifted["given_at"], "expires_at": None}
