"""A replay under a policy with a model of its own: the same bytes whoever runs it; compared, tuned and asked like any other."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from stream.brokers.files import FILES
from stream.contract.policy import OwnModel, Policy
from stream.contract.settings import load_policy, toml_of
from stream.offline.compare.shares import Plan, players_of
from stream.offline.replay.manifest import MANIFEST
from stream.offline.simulation.sample import Sample, write_sample
from stream.offline.tune.space import read_space
from tests.cli.test_cli import run

OWN = OwnModel(
    classifier="river.linear_model.LogisticRegression", features=("hour", "device", "activity", "phones"), prior_weight=0.1,
    parameters={"optimizer": {"class": "river.optim.SGD", "lr": 0.5}},
)  # fmt: skip
POLICY = Policy(own_model=OWN)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    write_sample(Sample(homes=4, days=9, seed=2), folder)
    (folder / "policy.toml").write_text(toml_of(POLICY))
    (folder / "plain.toml").write_text("")
    return folder


def replay(street: Path, out: Path, policy: str = "policy", jobs: int = 1, seed: int = 0) -> dict[str, bytes]:
    """What a process of its own writes, in which texts have other hashes."""
    command = [sys.executable, "-m", "stream.cli", "replay", str(street / "log.jsonl"), "--out", str(out)]
    command += ["--policy", str(street / f"{policy}.toml"), "--jobs", str(jobs)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": str(seed)})
    return {name: (out / name).read_bytes() for name in FILES}


def test_other_processes_and_several_of_them_write_the_same_bytes(street: Path, tmp_path: Path) -> None:
    one = replay(street, tmp_path / "one")
    assert replay(street, tmp_path / "two", jobs=2, seed=7) == one
    manifest = json.loads((tmp_path / "one" / MANIFEST).read_bytes())
    assert (manifest["policy_id"], manifest["made"]["versions"]["river"]) == (POLICY.policy_id, version("river"))
    assert Policy.model_validate(manifest["policy"]) == POLICY
    plain = replay(street, tmp_path / "plain", policy="plain")
    named = POLICY.policy_id.encode(), Policy().policy_id.encode()
    assert one["identities.jsonl"].replace(*named) != plain["identities.jsonl"], "it says something"


def test_it_is_compared_as_one_thing_and_a_wish_may_change_it(street: Path, tmp_path: Path) -> None:
    other = Policy(own_model=OWN.model_copy(update={"llr_max": 1.0}))
    assert players_of(Policy(), POLICY) == players_of(POLICY, other) == [("own_model",)]
    both = Plan(Policy(), Policy(own_model=OWN, tiers=Policy().tiers.model_copy(update={"pin_minutes": 6})))
    assert both.policy(frozenset({both.players.index(("own_model",))})) == POLICY
    replay(street, tmp_path / "answers")
    wish = run("why", "e-0060", tmp_path / "answers", "--household", "linden-01", "--policy", street / "policy.toml",
               "--if", "own_model.llr_max=0.5")  # fmt: skip
    assert "If own_model.llr_max=0.5" in wish


def test_two_runs_that_differ_by_it_are_explained_by_it(street: Path, tmp_path: Path) -> None:
    for out, policy in (("with", "policy"), ("without", "plain")):
        replay(street, tmp_path / out, policy)
    for runs in (("with", "without"), ("without", "with")):
        told = run("diff", *(tmp_path / name for name in runs), "--explain", code=1)
        assert "policy key own_model: " in told
        assert "LogisticRegression" in told


def test_its_settings_can_be_tuned_where_there_was_none(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(f'[own_model]\nclassifier = "{OWN.classifier}"\nllr_max = {{low = 0.5, high = 2.0}}\n')
    made = read_space(file, load_policy(None)).policy({"own_model.llr_max": 1.5})
    assert made is not None
    assert made.own_model == OwnModel(classifier=OWN.classifier, llr_max=1.5)
