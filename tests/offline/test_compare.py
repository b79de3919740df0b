"""Compare: figures are those of the evaluation, intervals hold what they say, and what is planted is found."""

import doctest
import importlib
import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.quality import measures
from stream.brokers.log_files import encode_record
from stream.contract.errors import ConfigError
from stream.contract.policy import Alerting, Policy, Tiers
from stream.contract.settings import Wiring, load_wiring
from stream.offline.compare.answered import Answered
from stream.offline.compare.columns import Answer, Array, Case, Columns, judge
from stream.offline.compare.comparison import Comparison, Task, compare
from stream.offline.compare.figures import FIGURES, figures_of, sums_of
from stream.offline.compare.ground import Ground
from stream.offline.compare.intervals import differences
from stream.offline.compare.propensity import weigh
from stream.offline.compare.questions import Questions, ask
from stream.offline.compare.sentences import caveats, headline
from stream.offline.compare.shares import Plan, players_of, shapley
from stream.offline.compare.side_by_side.processes import answer_all
from stream.offline.policies.agreement import core_of
from stream.offline.simulation.sample import Sample, write_sample
from stream.offline.what_if.what_if import NOTHING, parse_what_if
from tests.support.recorded import recorded, recorded_lines, write_log

HOMES, DAYS = 40, 10
OTHER = """
[priors]
guest_share = 0.45
guest_weight = 400.0
[learning]
forgetting_per_day = 0.6
[phones]
slope_per_db = 0.15
"""
UNFITTED = """
[encoders."resemblyzer-0.1.4"]
modality = "voice"
length = 256
metric = "cosine"
pack = ""
within = 0.2
[encoders."dlib-resnet-v1"]
modality = "face"
length = 128
metric = "euclidean"
pack = ""
within = 0.2
"""


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A street of 40 homes, with policies beside its log and truth."""
    folder = tmp_path_factory.mktemp("street")
    write_sample(Sample(HOMES, DAYS, 3), folder)
    for name, text in (("live", ""), ("other", OTHER), ("unfitted", UNFITTED), ("alike", "[alerting]\ncooldown_days = 5\n")):
        (folder / f"{name}.toml").write_text(text)
    return folder


def a_task(folder: Path, *policies: str, truth: bool = True, **more: Any) -> Task:
    ground = Ground([str(folder / "log.jsonl")], load_wiring(None, store="memory:"), None, more.pop("what_if", NOTHING))
    paths = [folder / f"{name}.toml" for name in policies]
    return Task(paths, ground, folder / "truth.jsonl" if truth else None, **more)


@pytest.fixture(scope="module")
def compared(street: Path) -> Comparison:
    return compare(a_task(street, "live", "other", "unfitted", "alike", shares=False))


@pytest.fixture(scope="module")
def kept(street: Path) -> dict[str, tuple[Columns, Columns]]:
    """By truth and by feedback: what the live policy and one without packs answered, judged."""
    from stream.contract.settings import load_policy
    from stream.offline.compare import comparison

    task = a_task(street, "live", "unfitted")
    questions = comparison.questions_of(task.ground, task.truth)
    policies = [load_policy(path) for path in task.policies]
    answered = answer_all([[policy] for policy in policies], task.ground, questions, 1).answered
    found = {}
    for one in comparison.judges(questions, answered):
        first, other = (one.columns(each) for each in answered)
        found[one.by] = first, other
    return found


# ---- figures


def test_figures_are_those_of_the_evaluation(kept: dict[str, tuple[Columns, Columns]]) -> None:
    for columns in kept["truth"]:
        sums = sums_of(columns, HOMES)
        figures = {name: float(value) for name, value in figures_of(sums, sums.total).items()}
        believed, (_, fnir) = measures.believed(columns), measures._open_set(columns)
        assert figures["top1"] == pytest.approx(measures.top1(columns))
        assert figures["fnir5"] == pytest.approx(fnir)
        assert figures["cllr"] == pytest.approx(believed["cllr_loss"] + believed["min_cllr"])
        assert figures["ece"] == pytest.approx(100 * believed["ece"])
        for tier in measures.TIERS:
            for name, value in measures.of_tier(columns, tier).items():
                assert figures[name] == pytest.approx(value)


def test_a_missing_answer_is_wrong_and_knows_nothing() -> None:
    cases = [Case(0, "ana", ["ana", "ben"], 1.0, None), Case(0, "guest", ["ana", "ben"], 1.0, None),
             Case(0, "ben", ["ana", "ben"], 1.0, Answer({"ana": 0.4, "ben": 0.4, "guest": 0.2}, None, 0))]  # fmt: skip
    columns = judge(cases)
    assert columns["right"].tolist() == [False, False, False]  # a tie is an error
    assert columns["score"].tolist() == [-math.inf, math.inf, 0.4]
    assert columns["p"][:2].tolist() == [[1 / 3, 1 / 3], [1 / 3, 1 / 3]]


def test_an_answer_weighs_as_much_as_that_many(kept: dict[str, tuple[Columns, Columns]]) -> None:
    columns = kept["truth"][0]
    doubled = {name: np.concatenate([value, value]) for name, value in columns.items()}
    weighed = columns | {"weight": 2 * columns["weight"]}
    first, second = sums_of(doubled, HOMES), sums_of(weighed, HOMES)
    one, two = figures_of(first, first.total), figures_of(second, second.total)
    for name in ("top1", "fnir5", "cllr"):
        assert float(one[name]) == pytest.approx(float(two[name]))


# ---- A = A


def drawn(pair: tuple[Columns, Columns], seed: int) -> tuple[Columns, Columns]:
    """Homes drawn anew, each with its two policies exchanged or not by a coin: neither side is better."""
    rng = np.random.default_rng(seed)
    homes, swapped = rng.integers(HOMES, size=HOMES), rng.random(HOMES) < 0.5
    rows = [np.flatnonzero(pair[0]["home"] == home) for home in homes]
    at, home = np.concatenate(rows), np.repeat(np.arange(HOMES), list(map(len, rows)))

    def sides(name: str) -> tuple[Array, Array]:
        here, there = pair[0][name][at], pair[1][name][at]
        turned = swapped[home].reshape(-1, *[1] * (here.ndim - 1))
        return np.where(turned, there, here), np.where(turned, here, there)

    both = {name: sides(name) for name in pair[0]} | {"home": (home, home)}
    return {name: side[0] for name, side in both.items()}, {name: side[1] for name, side in both.items()}


TIER_ERRORS = [name for name, figure in FIGURES.items() if name.startswith("tier") and figure.better < 0]


@pytest.mark.parametrize(("by", "least"), [("truth", 186), ("feedback", 180)])
def test_of_two_that_are_equal_the_interval_holds_nothing_in_nineteen_of_twenty(
    kept: dict[str, tuple[Columns, Columns]], by: str, least: int
) -> None:
    held = dict.fromkeys(["top1", "fnir5", "cllr", *TIER_ERRORS], 0)
    moved = 0
    for seed in range(200):
        here, there = drawn(kept[by], seed)
        found = differences(sums_of(here, HOMES), sums_of(there, HOMES))
        moved += found["top1"].value != 0
        for name in held:
            held[name] += found[name].holds_zero
    assert moved > 100  # they are equal on average, and not the same
    assert {name: count for name, count in held.items() if count < least} == {}


def test_no_share_differs_by_more_than_all_of_it(kept: dict[str, tuple[Columns, Columns]]) -> None:
    few = np.flatnonzero(kept["truth"][0]["home"] < 3)[:9]
    here, there = ({name: value[few] for name, value in side.items()} for side in kept["truth"])
    found = differences(sums_of(here, 3), sums_of(there, 3))
    shares = [one for name, one in found.items() if FIGURES[name].unit == "%" and not math.isnan(one.low)]
    assert shares
    assert all(-100 <= one.low <= one.value <= one.high <= 100 for one in shares)


# ---- what is planted is found


def test_a_policy_without_packs_is_found_worse_and_the_other_way_round_better(compared: Comparison, street: Path) -> None:
    by_truth = compared.bases[0]
    worse = by_truth.pairs[1]
    assert worse.differences["top1"].high < 0
    assert headline(worse, by_truth).startswith("unfitted is worse than live by ")
    assert worse.lost > worse.gained
    assert worse.worst[0].gained == min(home.gained for home in worse.worst) < 0
    back = compare(a_task(street, "unfitted", "live"))
    better = back.bases[0].pairs[0]
    assert headline(better, back.bases[0]).startswith("live is better than unfitted by ")
    assert better.differences["top1"].value == pytest.approx(-worse.differences["top1"].value)
    assert better.differences["top1"].low == pytest.approx(-worse.differences["top1"].high)


def test_policies_with_the_same_answers_share_one_run(compared: Comparison) -> None:
    assert compared.same == {"alike": "live"}
    same = compared.bases[0].pairs[2]
    assert set(same.differences["cllr"]) == {0.0}
    assert "answers as live does" in headline(same, compared.bases[0], same=True)
    alike = Policy(alerting=Alerting(cooldown_days=5))
    assert core_of(alike) == core_of(Policy()) == Policy().policy_id != alike.policy_id
    assert core_of(Policy(tiers=Tiers(personal=0.94))) != core_of(Policy())


def test_it_says_on_whose_answers_feedback_was_given(compared: Comparison) -> None:
    told = " ".join(caveats(compared))
    assert "Feedback was given on what live answered" in told
    assert [basis.by for basis in compared.bases] == ["truth", "feedback"]
    assert compared.bases[1].propensity is not None
    assert compared.bases[1].propensity.estimated


# ---- shares


def test_shares_add_up_to_the_difference(tmp_path: Path) -> None:
    write_sample(Sample(6, 5, 1), tmp_path)
    (tmp_path / "live.toml").write_text("")
    (tmp_path / "other.toml").write_text(OTHER)
    found = compare(a_task(tmp_path, "live", "other", shares=True))
    for basis in found.bases:
        pair = basis.pairs[0]
        assert pair.exact
        for name, shares in pair.shares.items():
            assert [player for player, _ in shares] == [
                ("phones.slope_per_db",), ("learning.forgetting_per_day",), ("priors.guest_share",), ("priors.guest_weight",),
            ]  # fmt: skip
            assert sum(one.value for _, one in shares) == pytest.approx(pair.differences[name].value, nan_ok=True)


def test_drawn_orders_add_up_as_well_and_with_reverses_pairs_of_settings_are_exact() -> None:
    rng = np.random.default_rng(0)
    own, together = rng.normal(size=7), rng.normal(size=(7, 7)) / 4

    def value(some: frozenset[int]) -> float:
        chosen = sorted(some)
        return float(own[chosen].sum() + together[np.ix_(chosen, chosen)].sum())

    exact = shapley(7, value)
    drawn_orders = [rng.permutation(7).tolist() for _ in range(3)]
    orders = [order for one in drawn_orders for order in (one, one[::-1])]
    near = shapley(7, value, orders)
    assert sum(exact) == pytest.approx(value(frozenset(range(7))))
    assert sum(near) == pytest.approx(sum(exact))
    assert near == pytest.approx(exact, abs=1e-9)


def test_settings_that_make_no_sense_apart_are_set_together() -> None:
    strict = Policy(tiers=Tiers(present=0.96, personal=0.97, private=0.997))
    assert players_of(Policy(), strict) == [("tiers.present", "tiers.personal", "tiers.private")]
    plan = Plan(Policy(), strict)
    assert [plan.policy(some).policy_id for some in plan.sets] == [Policy().policy_id, strict.policy_id]


def test_of_many_settings_few_policies_are_run() -> None:
    other = Policy.model_validate({
        "phones": {"slope_per_db": 0.06, "trust": 0.8, "learning_rate": 0.2},
        "priors": {"guest_share": 0.3, "honesty": {"app": 0.8, "voice": 0.8, "pin": 0.95, "annotator": 0.98}},
        "learning": {"forgetting_per_day": 0.06, "habits_half_life_days": 20.0},
    })  # fmt: skip
    plan = Plan(Policy(), other)
    assert len(plan.players) == 7
    assert not plan.exact
    assert len(plan.sets) <= 32
    assert {plan.policy(some).policy_id for some in plan.sets} >= {Policy().policy_id, other.policy_id}


# ---- feedback at its own time


@cache
def asked() -> Questions:
    return ask(recorded(), NOTHING, {})


def answered_by(folder: Path, policy: Policy) -> Answered:
    log = write_log(folder / "log.jsonl", recorded_lines())
    return answer_all([[policy]], Ground([log], Wiring(store="memory:"), None, NOTHING), asked(), 1).answered[0]


def test_a_claim_judges_the_answer_that_stood_before_it_came(tmp_path: Path) -> None:
    from stream.offline.replay.replay import Replay, replay

    answered = answered_by(tmp_path, Policy())
    replay(Replay([str(tmp_path / "log.jsonl")], tmp_path / "run", Policy(), Wiring(store="memory:")))
    place = {record.position: number for number, record in enumerate(recorded())}
    published = [json.loads(line)["value"] for line in (tmp_path / "run" / "identities.jsonl").read_bytes().splitlines()]
    first: dict[tuple[str, str], int] = {}
    for number, record in enumerate(recorded()):
        said = json.loads(record.value or b"") if record.topic == "feedback" else {}
        if said.get("kind") in ("confirm", "reject", "correct"):
            first.setdefault((said["household_id"], said["event_id"]), number)
    rows = {row: key for key, row in asked().rows.items()}
    assert len(asked().verdicts) > 10
    for row in asked().verdicts:
        before = [
            one for one in published
            if (one["household_id"], one["event_id"]) == rows[row]
            and next(n for p, n in place.items() if p == tuple(one["cause"].values())) < first[rows[row]]
        ]  # fmt: skip
        told = answered.told.get(row)
        assert (told and told.posterior) == (before[-1]["posterior"] if before else None)


def test_feedback_that_a_what_if_loses_still_judges() -> None:
    lost = ask(recorded(), parse_what_if(None, 1.0, (), (), 0), {})
    assert {row: verdict.standing.kind for row, verdict in lost.verdicts.items()} == {
        row: verdict.standing.kind for row, verdict in asked().verdicts.items()
    }
    assert lost.counts["claims lost"]


def test_claims_on_doubtful_answers_weigh_less_where_those_are_spoken_of_more() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1.0, 4000)
    right = rng.random(4000) < confidence
    spoken = [row for row in range(4000) if rng.random() < (0.3 if confidence[row] < 0.7 else 0.05)]
    found = weigh(confidence, np.zeros(4000, bool), spoken)
    weights = np.array([found.weights[row] for row in spoken])
    hits = right[spoken]
    assert found.estimated
    assert weights.mean() == pytest.approx(1)
    assert found.worth < len(spoken)
    assert abs((weights * hits).sum() / weights.sum() - right.mean()) < 0.5 * abs(hits.mean() - right.mean())


def test_few_claims_all_weigh_alike() -> None:
    assert weigh(np.full(50, 0.9), np.zeros(50, bool), range(20)).weights == dict.fromkeys(range(20), 1.0)


TOLD = ("compare.intervals", "compare.sentences", "compare.shares", "policies.paths", "what_if.changes", "what_if.what_if")


@pytest.mark.parametrize("name", TOLD)
def test_what_a_docstring_shows_is_so(name: str) -> None:
    module = importlib.import_module(f"stream.offline.{name}")
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


# ---- faults


@pytest.mark.parametrize(
    ("policies", "told"), [(("live",), "two policy files or more"), (("live", "missing"), "cannot be: it should be a file")]
)
def test_policies_that_cannot_be_compared_are_told(street: Path, policies: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        compare(a_task(street, *policies))


def test_truth_that_does_not_fit_is_told(street: Path, tmp_path: Path) -> None:
    task = a_task(street, "live", "other")
    for text, told in (("", "an empty file"), ('{"event_id":1}\n', "line 1"),
                       ('{"household_id":"x","event_id":"y","person_id":"z"}\n', "whose events are not in the log")):  # fmt: skip
        (tmp_path / "truth.jsonl").write_text(text)
        with pytest.raises(ConfigError, match=told):
            compare(replace(task, truth=tmp_path / "truth.jsonl"))


def test_a_log_without_anything_to_judge_by_is_told(tmp_path: Path) -> None:
    claims = ("confirm", "reject", "correct")
    kept = [r for r in recorded() if r.topic == "recognitions" or json.loads(r.value or b"")["kind"] not in claims]
    (tmp_path / "log.jsonl").write_bytes(b"".join(map(encode_record, kept)))
    for name, text in (("live", ""), ("other", OTHER)):
        (tmp_path / f"{name}.toml").write_text(text)
    with pytest.raises(ConfigError, match="without any claim to judge by"):
        compare(a_task(tmp_path, "live", "other", truth=False))
