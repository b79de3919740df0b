"""A model of the policy's own: refused when the policy is read, with what would be right, where a replay would not be one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stream.contract.errors import ConfigError
from stream.contract.policy import OwnModel, Policy
from stream.contract.settings import load_policy, toml_of
from tests.cli.test_cli import run

OURS = "tests.support.own_models"
RIVERS = "river.linear_model.LogisticRegression"


def a_policy(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(f"[own_model]\n{text}\n")
    return path


@pytest.mark.parametrize(
    ("text", "key", "right"),
    [
        ('classifier = "rivr.linear_model.LogisticRegression"', "classifier", "an import path .*No module named 'rivr'"),
        ('classifier = "LogisticRegression"', "classifier", "an import path such as river.linear_model.LogisticRegression"),
        ('classifier = "river.linear_model.LogisticRegresion"', "classifier", "by that name; LogisticRegression is the nea"),
        ('classifier = "river.linear_model.LinearRegression"', "parameters", "LinearRegression has no predict_proba_one"),
        (f'classifier = "{OURS}.Keyless"', "parameters", "Keyless has no learn_one"),
        (f'classifier = "{OURS}.Drawing"', "parameters", "given with seed = a whole number, for Drawing draws by chance"),
        ('classifier = "river.forest.ARFClassifier"', "parameters", "seed = a whole number, for ARFClassifier draws by chance"),
        (f'classifier = "{OURS}.Fickle"', "parameters", "Fickle learnt something else the second time"),
        (f'classifier = "{OURS}.Changed"', "parameters", "Changed learnt something else the second time"),
        (f'classifier = "{OURS}.Wild"', "parameters", "probabilities from 0 to 1; Wild gave 2.5"),
        (f'classifier = "{RIVERS}"\nparameters = {{L2 = 1}}', "parameters", "which takes optimizer, .* and no L2"),
        (f'classifier = "{OURS}.Teachable"\nparameters = {{start = "x"}}', "parameters", "Teachable can be made with: can't"),
        (f'classifier = "{RIVERS}"\nparameters = {{optimizer = {{class = "river.optim.SDG"}}}}', "parameters", "SGD is the nea"),
        (f'classifier = "{RIVERS}"\nfeatures = ["hour", "shoes"]', "features.1", "'hour', 'weekday', .* or 'phones'"),
        (f'classifier = "{RIVERS}"\nfeatures = []', "features", ""),
        (f'classifier = "{RIVERS}"\nllr_max = 5.0', "llr_max", "less than or equal to 4"),
        (f'classifier = "{RIVERS}"\nprior = 5.0', "prior", "own_model.prior_weight, the nearest known key"),
        ("llr_max = 1.0", "classifier", "given, for it has no default"),
    ],
)  # fmt: skip
def test_what_would_make_no_replay_is_refused_with_what_would_be_right(text: str, key: str, right: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"^own_model\.{key} = .*cannot be: it should be .*{right}"):
        load_policy(a_policy(tmp_path, text))


def test_a_command_ends_with_the_sentence_before_it_reads_anything(tmp_path: Path) -> None:
    policy = a_policy(tmp_path, 'classifier = "river.forest.ARFClassifier"')
    told = run("replay", tmp_path / "none.jsonl", "--out", tmp_path / "out", "--policy", policy, code=2)
    assert "should be given with seed = a whole number, for ARFClassifier draws by chance" in " ".join(told.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("classifier", "told"),
    [
        (RIVERS, {"parameters": {"optimizer": {"class": "river.optim.SGD", "lr": 0.3}}, "standardised": True}),
        ("river.forest.ARFClassifier", {"parameters": {"seed": 7}}),
        ("river.neighbors.KNNClassifier", {"features": ("device", "phones")}),
        (f"{OURS}.Teachable", {}),
    ],
    ids=lambda told: told if isinstance(told, str) else "",
)
def test_what_learns_the_same_twice_is_taken_and_read_back_as_it_was_written(
    classifier: str, told: dict[str, Any], tmp_path: Path
) -> None:
    policy = Policy(own_model=OwnModel(classifier=classifier, **told))
    path = tmp_path / "policy.toml"
    path.write_text(toml_of(policy))
    assert load_policy(path) == policy
    assert load_policy(path).policy_id == policy.policy_id


def test_the_table_is_in_the_policys_id_and_a_policy_without_it_is_the_one_it_was() -> None:
    models = [
        OwnModel(classifier=RIVERS),
        OwnModel(classifier=RIVERS, parameters={"l2": 0.01}),
        OwnModel(classifier=RIVERS, features=("hour",)),
        OwnModel(classifier=RIVERS, llr_max=1.0),
    ]
    assert len({Policy(own_model=own).policy_id for own in (*models, None)}) == 5
    assert Policy().policy_id == "e0ea38f8a0a3c7f8", "the same with models or without: another is a changed output"


def test_river_is_loaded_only_where_a_policy_names_something_of_it() -> None:
    told = (
        "import sys, stream.home.step\nfrom stream.contract.policy import OwnModel, Policy\n"
        "Policy(); print('river' in sys.modules)\n"
        f"OwnModel(classifier='{RIVERS}'); print('river' in sys.modules, 'learners.estimators' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
