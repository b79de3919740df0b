"""Tuning: what is found on some homes is confirmed on others or not picked, and stopped or not the same is tried."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.settings import load_policy, load_wiring
from stream.offline.compare.ground import Ground
from stream.offline.compare.intervals import Interval
from stream.offline.simulation.sample import Sample, write_sample
from stream.offline.tune.space import read_space
from stream.offline.tune.split import is_confirming
from stream.offline.tune.tuning import Confirmation, Outcome, Task, tune
from stream.offline.what_if.what_if import NOTHING

LOWER = "[tiers]\nprivate = {low = 0.95, high = 0.9999}\npurchase = 0.99995\n"


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("street")
    write_sample(Sample(homes=16, days=8, seed=3), folder)
    (folder / "strict.toml").write_text("[tiers]\nprivate = 0.9998\npurchase = 0.99995\n")
    (folder / "space.toml").write_text(LOWER)
    return folder


def a_task(street: Path, storage: Path, text: str = LOWER, **more: Any) -> Task:
    file = storage.with_suffix(".toml")
    file.write_text(text)
    live = load_policy(street / "strict.toml")
    ground = Ground([str(street / "log.jsonl")], load_wiring(None, store="memory:"), None, NOTHING)
    asked = {"figure": "tier3_covered", "truth": street / "truth.jsonl", "trials": 6} | more
    return Task(read_space(file, live), ground, storage=storage, **asked)


def tried(storage: Path) -> list[dict[str, Any]]:
    study = optuna.load_study(study_name="kithkin", storage=f"sqlite:///{storage}")
    finished = (trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE)
    return [dict(trial.params) | {"": trial.value} for trial in finished]


def test_a_setting_that_is_too_strict_is_found_and_confirmed(street: Path, tmp_path: Path) -> None:
    found = tune(a_task(street, tmp_path / "a.db"))
    assert found.is_confirmed
    assert found.winner is not None
    assert found.winner.tiers.private < 0.9998
    assert found.tuned is not None
    assert found.confirmed is not None
    assert found.confirmed.difference.low > 0
    assert found.lost == pytest.approx(found.tuned.difference.value - found.confirmed.difference.value)
    assert min(found.tuned.homes, found.confirmed.homes) > 1


def test_stopped_or_not_the_same_is_tried(street: Path, tmp_path: Path) -> None:
    whole = tune(a_task(street, tmp_path / "whole.db", jobs=1))
    rounds = 0

    def after_two() -> bool:
        nonlocal rounds
        rounds += 1
        return rounds > 2

    part = tune(a_task(street, tmp_path / "part.db", jobs=1), after_two)
    assert (part.finished, part.trials, part.is_confirmed) == (False, 2, False)
    study = optuna.load_study(study_name="kithkin", storage=f"sqlite:///{tmp_path / 'part.db'}")
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    unfinished = study.ask(a_task(street, tmp_path / "part.db").space.distributions)
    again = tune(a_task(street, tmp_path / "part.db", jobs=1))
    assert again.finished
    assert unfinished.params in [{key: value for key, value in one.items() if key} for one in tried(tmp_path / "part.db")]
    assert tried(tmp_path / "part.db")[:2] == tried(tmp_path / "whole.db")[:2]
    assert whole.trials == again.trials == 6


def test_what_changes_nothing_is_never_confirmed(street: Path, tmp_path: Path) -> None:
    found = tune(a_task(street, tmp_path / "b.db", "[alerting]\ncooldown_days = {low = 3, high = 9}\n", trials=3))
    assert found.tuned is not None
    assert found.tuned.difference.value == 0
    assert not found.is_confirmed


def test_what_breaks_a_budget_that_holds_is_no_winner(street: Path, tmp_path: Path) -> None:
    text = "[tiers]\npresent = {low = 0.001, high = 0.002}\n"
    found = tune(a_task(street, tmp_path / "c.db", text, figure="tier1_covered", trials=3))
    assert (found.finished, found.winner, found.is_confirmed) == (True, None, False)


@pytest.mark.parametrize(
    ("difference", "broken", "confirmed"),
    [
        (Interval(-0.1, -0.2, -0.01), (), True), (Interval(-0.1, -0.2, 0.01), (), False), (Interval(0.1, 0.01, 0.2), (), False),
        (Interval(-0.1, float("nan"), float("nan")), (), False), (Interval(-0.1, -0.2, -0.01), ("tier3_guests",), False),
    ],
)  # fmt: skip
def test_confirmed_is_what_leaves_out_nothing_on_the_better_side(
    difference: Interval, broken: tuple[str, ...], confirmed: bool
) -> None:
    one = Confirmation(9, 0.2, 0.1, difference)
    assert Outcome("cllr", "truth", 5, True, Policy(), {}, one, one, broken).is_confirmed is confirmed


def test_homes_are_parted_by_their_ids_alone() -> None:
    homes = [f"h-{n}" for n in range(2000)]
    confirming = {home for home in homes if is_confirming(home, 0.3, 1)}
    assert 0.27 < len(confirming) / len(homes) < 0.33
    assert {home for home in homes if is_confirming(home, 0.2, 1)} < confirming
    assert confirming != {home for home in homes if is_confirming(home, 0.3, 2)}


def test_a_storage_of_another_tuning_is_refused(street: Path, tmp_path: Path) -> None:
    tune(a_task(street, tmp_path / "d.db", trials=1))
    for more in ({"figure": "cllr"}, {"share": 0.3}, {"truth": None, "figure": "top1"}):
        with pytest.raises(ConfigError, match="a tuning with another"):
            tune(a_task(street, tmp_path / "d.db", trials=2, **more))
    (tmp_path / "e.db").write_text("no database, but lines that are long enough to be told from one" * 20)
    with pytest.raises(ConfigError, match="that kithkin tune made"):
        tune(a_task(street, tmp_path / "e.db", trials=1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[tiers]\nprivate = 0.99\n", "nothing is to be tried"), ("[tiers]\nprivte = {low = 0.9, high = 0.99}\n", "privte"),
        ("[tiers]\nprivate = {low = 0.9}\n", "it has low"), ("[tiers]\nprivate = {low = 0.9, high = 0.1}\n", "private"),
        ("[tiers]\nprivate = {low = 5, high = 6}\n", "private"),
        ("[tiers]\nprivat = 0.99\npurchase = {low = 0.999, high = 0.9999}\n", "privat"), ("[tiers\n", "TOML"),
        ("[tiers]\npin_minutes = {any = []}\n", "pin_minutes"),
    ],
)  # fmt: skip
def test_a_space_that_cannot_be_is_refused_by_its_setting(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_space(tmp_path / "space.toml", Policy())


def test_values_are_of_the_kinds_that_the_space_says(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(
        "[tiers]\npin_minutes = {low = 1, high = 9}\nprivate = {low = 0.99, high = 0.999, log = true}\n"
        '[encoders."a.b"]\nmodality = "voice"\nlength = 2\nmetric = {any = ["cosine", "euclidean"]}\n'
    )
    space = read_space(tmp_path / "space.toml", Policy())
    made = space.policy({"tiers.pin_minutes": 3, "tiers.private": 0.994, "encoders.a.b.metric": "cosine"})
    assert made is not None
    assert (made.tiers.pin_minutes, made.tiers.private, made.encoders["a.b"].metric) == (3, 0.994, "cosine")
    assert space.policy({"tiers.pin_minutes": 3, "tiers.private": 0.1, "encoders.a.b.metric": "cosine"}) is None


@pytest.fixture
def asked(street: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(*more: str) -> Any:
        words = ["tune", str(street / "space.toml"), str(street / "log.jsonl"), "--policy", str(street / "strict.toml")]
        return CliRunner().invoke(app, [*words, "--jobs", "1", "--storage", str(tmp_path / "s.db"), *more])

    return run


def test_the_command_writes_the_winner_only_when_it_is_confirmed(
    asked: Callable[..., Any], street: Path, tmp_path: Path
) -> None:
    out, truth = tmp_path / "tuned.toml", ("--truth", str(street / "truth.jsonl"))
    told = asked(*truth, "--figure", "tier3_covered", "--trials", "4", "--out", str(out))
    assert told.exit_code == 0, told.output
    assert "Confirmed: tier 3: coverage" in told.output
    assert load_policy(out).tiers.private < 0.9998
    again = asked(*truth, "--figure", "tier3_covered", "--trials", "4", "--json")
    assert json.loads(again.output)["winner"]["policy_id"] == load_policy(out).policy_id
    wrong = asked(*truth, "--figure", "alerts")
    assert (wrong.exit_code, "tier3_covered" in wrong.output) == (2, True)


def test_the_command_says_that_nothing_is_picked(asked: Callable[..., Any], street: Path, tmp_path: Path) -> None:
    out = tmp_path / "tuned.toml"
    told = asked("--truth", str(street / "truth.jsonl"), "--figure", "cllr", "--trials", "2", "--out", str(out))
    assert told.exit_code == 1, told.output
    assert told.output.startswith("Nothing is picked")
    assert not out.exists()
