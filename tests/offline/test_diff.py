"""Two runs side by side: what differs is counted, and planted changes are named by few replays."""

import random
from collections import Counter
from dataclasses import replace
from math import log2
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract.errors import Incomparable
from stream.contract.packs import load_pack, write_pack
from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.home import publish
from stream.offline.replay import manifest
from stream.offline.replay.replay import Replay, replay
from stream.offline.runs.again import Again, outcome_of_run
from stream.offline.runs.changes import changes_of, with_changes
from stream.offline.runs.difference import CompleteRun, difference_of, read_run
from stream.offline.runs.explain import Explanation, explain
from stream.offline.runs.order import mix, stretches
from stream.offline.runs.sources import Given
from stream.offline.simulation.records import neighbourhood
from tests.support.planted import a_run, batched, keys_that_can_change, policy_with
from tests.support.recorded import line_of, recorded, write_log

PLANTED = 43  # with packs, borders, the code and a library: fifty
NOTHING = Given()


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return [record for record in neighbourhood(homes=2, days=2, seed=3).records if record.key]


@pytest.fixture(scope="module")
def a(records: list[Record], tmp_path_factory: pytest.TempPathFactory) -> CompleteRun:
    return a_run(records, tmp_path_factory.mktemp("a") / "a")


def explained(a: CompleteRun, b: CompleteRun, given: Given = NOTHING) -> Explanation:
    difference = difference_of(a, b)
    assert difference.differs
    return explain(a, b, difference, given)


def few(found: Explanation) -> bool:
    """At most 2 log2(keys) replays a cause."""
    causes = len(found.causes) + len(found.places)
    return found.runs <= max(1, causes) * 2 * log2(found.keys)


def test_a_run_differs_from_itself_in_nothing(a: CompleteRun, records: list[Record], tmp_path: Path) -> None:
    difference = difference_of(a, a_run(records, tmp_path / "b"))
    assert difference.differs == 0
    assert sum(topic.same for topic in difference.topics) > 50


def test_planted_changes_of_a_policy_are_named_among_others_without_effect(
    a: CompleteRun, records: list[Record], tmp_path: Path
) -> None:
    homes = sorted({record.key.decode() for record in records if record.key})
    again, published = Again(a, homes, None, tmp_path), outcome_of_run(a, homes)
    works: dict[bool, list[tuple[str, ...]]] = {True: [], False: []}
    for key in keys_that_can_change():
        works[again.outcome(policy_with(key).model_dump(mode="json"), records) != published].append(key)
    assert len(works[True]) >= 20
    assert len(works[False]) >= 10
    rng = random.Random(1)
    for number in range(PLANTED):
        planted = [works[True][number % len(works[True])]]
        apart = [key for key in works[False] if key[0] != planted[0][0]]  # what a table's other keys do may hang on it
        alone = again.outcome(policy_with(*planted).model_dump(mode="json"), records)
        idle = [  # and some do something beside what was planted
            key for key in rng.sample(apart, rng.randint(0, 6))
            if again.outcome(policy_with(*planted, key).model_dump(mode="json"), records) == alone
        ]  # fmt: skip
        found = explained(a, a_run(records, tmp_path / f"b{number}", policy_with(*planted, *idle)))
        assert [change.path for change in found.causes] == planted, idle
        assert {change.path for change in found.idle} == {*idle}
        assert (found.programs, found.unexplained) == ([], "")
        assert few(found)


def test_an_encoder_that_is_listed_in_one_run_only_is_one_change(a: CompleteRun, records: list[Record], tmp_path: Path) -> None:
    settings = policy_with(("limits", "phones_max")).model_dump(mode="json")
    del settings["encoders"]["dlib-resnet-v1"]
    settings["encoders"]["resemblyzer-0.1.4"]["quality_min"] = {"snr_db": 3.0}
    b = a_run(records, tmp_path / "b", Policy.model_validate(settings))
    for one, other in ((a, b), (b, a)):
        changes = changes_of(one.manifest, other.manifest)
        assert with_changes(one.manifest.policy, other.manifest.policy, changes) == other.manifest.policy
        assert "encoders.dlib-resnet-v1" in [change.name for change in explained(one, other).causes]


def test_two_planted_changes_are_both_named(a: CompleteRun, records: list[Record], tmp_path: Path) -> None:
    idle = [("limits", "phones_max"), ("limits", "waiting_max"), ("alerting", "notable")]
    planted = [("publishing", "profile_events"), ("tiers", "personal")]
    found = explained(a, a_run(records, tmp_path / "b", policy_with(*planted, *idle)))
    assert {change.path for change in found.causes} == {*planted}
    assert few(found)


def test_causes_that_only_some_homes_show_are_found_although_few_are_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [("tiers", "personal"), ("limits", "phones_max"), ("publishing", "profile_events"), ("claims", "echo_nats")]
    a, b = a_run(recorded(), tmp_path / "a"), a_run(recorded(), tmp_path / "b", policy_with(*keys))
    whole = explained(a, b)
    assert len(difference_of(a, b).homes) == 3
    assert len(whole.causes) > 1
    monkeypatch.setattr("stream.offline.runs.explain._TRIED", 1)
    assert explained(a, b).causes == whole.causes


def test_of_alerts_the_causes_are_found_without_a_replay_for_each(tmp_path: Path) -> None:
    records = neighbourhood(homes=4, days=42, seed=1).records
    a = a_run(records, tmp_path / "a")
    keys = [("alerting", "false_discovery_rate"), ("alerting", "notable"), ("alerting", "members_listed")]
    b = a_run(records, tmp_path / "b", policy_with(*keys))
    found = explained(a, b)
    assert [change.path for change in found.causes] == keys[:1]
    assert (found.homes, found.runs) == (0, 0)
    c = a_run(records, tmp_path / "c", policy_with(*keys, ("publishing", "profile_events")))
    found = explained(a, c)
    assert {change.path for change in found.causes} == {keys[0], ("publishing", "profile_events")}
    assert few(found)
    assert found.unexplained == ""


@pytest.mark.parametrize("encoder", ["resemblyzer-0.1.4", "dlib-resnet-v1"])
def test_a_planted_pack_is_named(encoder: str, a: CompleteRun, records: list[Record], tmp_path: Path) -> None:
    policy = policy_with(("limits", "phones_max"))
    own = policy.encoders[encoder]
    pack = load_pack(own.pack, own.metric)
    write_pack(tmp_path / "own.npz", replace(pack, between=pack.between * np.float32(0.7)), "a test")
    settings = policy.model_dump(mode="json")
    settings["encoders"][encoder]["pack"] = str(tmp_path / "own.npz")
    b = a_run(records, tmp_path / "b", Policy.model_validate(settings))
    found = explained(a, b)
    assert [(change.kind, change.name) for change in found.causes] == [("pack", encoder)]
    assert found.causes[0].b.startswith("own.npz (")
    assert few(found)
    (tmp_path / "own.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(Incomparable, match=r"the pack own\.npz of the encoder .* is not found\. Give its file by --pack"):
        explained(a, b)
    assert explained(a, b, Given(packs=[tmp_path / "moved.npz"])).causes == found.causes


@pytest.mark.parametrize("border", range(3))
def test_a_planted_border_of_a_batch_is_named_with_its_place(border: int, records: list[Record], tmp_path: Path) -> None:
    even = [(12, 3)] * 4
    moved = [*even]
    moved[border], moved[border + 1] = (12, 0), (12, 6)
    a = a_run(batched(records, even), tmp_path / "a")
    b = a_run(batched(records, moved), tmp_path / "b", policy_with(("limits", "phones_max")))
    found = explained(a, b)
    assert [change.kind for change in found.causes] == ["order"]
    assert found.places
    late = {f"feedback[{r.partition}]@{r.offset}" for r in [r for r in records if r.topic == "feedback"][: 3 * border + 3]}
    assert all(any(one in place for one in late) for place in found.places)
    assert few(found)


def test_a_flipped_constant_of_the_code_is_named_by_elimination(
    a: CompleteRun, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as flipped:
        ours = manifest._code_of
        flipped.setattr(manifest, "_code_of", lambda room: "0" * 64 if room == "stream/home" else ours(room))
        flipped.setattr(publish, "_SUPPORT", [names[::-1] for names in publish._SUPPORT])
        code = a_run(records, tmp_path / "code")
        both = a_run(records, tmp_path / "both", policy_with(("tiers", "personal"), ("limits", "phones_max")))
    found = explained(a, code)
    assert (found.causes, found.programs) == ([], ["code of kithkin in stream/home"])
    found = explained(a, both)
    assert [change.name for change in found.causes] == ["tiers.personal"]
    assert found.programs == ["code of kithkin in stream/home"]
    assert [change.name for change in explained(code, both).causes] == ["tiers.personal"]


def test_another_version_of_a_library_is_named_only_where_it_accounts_for_something(
    a: CompleteRun, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr(np, "__version__", "3.0.0")
        same = a_run(records, tmp_path / "same", policy_with(("tiers", "personal")))
        other.setattr(publish, "_SUPPORT", [names[::-1] for names in publish._SUPPORT])
        rounded = a_run(records, tmp_path / "rounded")
    assert explained(a, same).programs == []
    found = explained(a, rounded)
    assert (found.causes, found.programs) == ([], [f"numpy {np.__version__} → 3.0.0"])


def test_what_nothing_accounts_for_is_said(
    a: CompleteRun, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as unseen:
        unseen.setattr(publish, "_SUPPORT", [names[::-1] for names in publish._SUPPORT])
        b = a_run(records, tmp_path / "b")
    found = explained(a, b)
    assert (found.causes, found.programs) == ([], [])
    assert found.unexplained.endswith("b cannot be made again by the same programs, so nothing that manifests tell explains it")


# ---- two orders


@given(st.permutations(range(12)), st.data())
def test_of_each_stretch_either_order_can_be_taken(turns: list[int], data: st.DataObject) -> None:
    topics = ["recognitions" if turn % 3 else "feedback" for turn in range(12)]
    first, second = (_interleaved([topics[i] for i in order]) for order in (range(12), turns))
    some = stretches(first, second)
    assert mix(first, second, []) == first
    assert mix(first, second, some) == second
    chosen = data.draw(st.sets(st.sampled_from(some))) if some else set()
    for topic in {*topics}:
        offsets = [record.offset for record in mix(first, second, chosen) if record.topic == topic]
        assert offsets == list(range(topics.count(topic)))


def _interleaved(topics: list[str]) -> list[Record]:
    offsets = Counter[str]()
    found = []
    for topic in topics:
        found.append(Record(topic, 0, offsets[topic], 0, b"h", b"{}"))
        offsets[topic] += 1
    return found


# ---- what cannot be compared, or not explained


def test_runs_of_other_records_cannot_be_compared(a: CompleteRun, records: list[Record], tmp_path: Path) -> None:
    fewer = a_run(records[:-1], tmp_path / "fewer")
    told = r"were not made of the same records: of \w+ in partition \d they read \d+ of offsets 0"
    with pytest.raises(Incomparable, match=told):
        difference_of(a, fewer)
    late = a_run([*records[:-1], replace(records[-1], timestamp=records[-1].timestamp + 1)], tmp_path / "late")
    with pytest.raises(Incomparable, match=r"with other contents\. Replay the same log"):
        difference_of(a, late)


def test_a_run_whose_files_were_changed_cannot_be_compared(records: list[Record], tmp_path: Path) -> None:
    b = a_run(records, tmp_path / "b")
    with (b.folder / "labels.jsonl").open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(Incomparable, match=r"labels\.jsonl is not what its manifest says: it was changed since"):
        read_run(b.folder)
    (b.folder / "labels.jsonl").unlink()
    with pytest.raises(Incomparable, match=r"labels\.jsonl cannot be read"):
        read_run(b.folder)


def test_a_log_that_was_moved_is_asked_for_and_one_that_is_another_refused(
    a: CompleteRun, records: list[Record], tmp_path: Path
) -> None:
    b = a_run(records, tmp_path / "b", policy_with(("tiers", "personal")))
    own = a_run(records, tmp_path / "own")
    log = tmp_path / "own.jsonl"
    log.rename(tmp_path / "moved.jsonl")
    with pytest.raises(Incomparable, match=r"own\.jsonl, of which .* was made, is not found\. Give its files by --logs"):
        explained(own, b)
    moved = Given(logs=[str(tmp_path / "moved.jsonl")])
    assert [change.name for change in explained(own, b, moved).causes] == ["tiers.personal"]
    a_run(records[:-1], tmp_path / "fewer")
    with pytest.raises(Incomparable, match=r"was not made of .*fewer\.jsonl: records, or their order, are others"):
        explained(own, b, Given(logs=[str(tmp_path / "fewer.jsonl")]))


def test_runs_from_states_are_explained_from_those_states(records: list[Record], tmp_path: Path) -> None:
    half = len(records) // 2
    log = write_log(tmp_path / "first.jsonl", tuple(map(line_of, records[:half])))
    for seed in "xy":
        policy = policy_with(("priors", "guest_share")) if seed == "y" else Policy()
        replay(Replay([log], tmp_path / seed, policy, Wiring(store=str(tmp_path / f"{seed}.db"))))
    rest = write_log(tmp_path / "rest.jsonl", tuple(map(line_of, records[half:])))
    runs = []
    for name, origin, policy in [("a", "x", Policy()), ("b", "x", policy_with(("tiers", "personal"))), ("c", "y", Policy())]:
        replay(Replay([rest], tmp_path / name, policy, Wiring(store="memory:"), tmp_path / f"{origin}.db"))
        runs.append(read_run(tmp_path / name))
    assert [change.name for change in explained(runs[0], runs[1]).causes] == ["tiers.personal"]
    with pytest.raises(Incomparable, match="began with other states"):
        difference_of(runs[0], runs[2])
    with pytest.raises(Incomparable, match="Give its states by --from"):
        explained(runs[0], runs[1], Given(states=tmp_path / "y.db"))
