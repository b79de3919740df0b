"""The measurement of recognition: whom it judges, whether it counts right, and whether its page says what was counted."""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.quality import results
from bench.quality.bootstrap import differences, intervals
from bench.quality.corpora import corpora_behind
from bench.quality.hard_worlds import HARD, SIZES, write_hard
from bench.quality.judged import Columns, judge, pool, take
from bench.quality.measures import believed, measure, recognised, top1
from bench.quality.page import page, with_summary
from bench.quality.people import FACE, FAR, RECORDINGS, VOICE, Side, fit_packs, half_of, judged_files, write_half
from bench.quality.plots import det_plot, reliability_plot
from bench.quality.targets import behind, misses
from bench.quality.tools import tool
from bench.quality.trials import merged
from bench.quality.whole import rounded
from bench.quality.worlds import Trial, without_claims, world_of

DOCS = Path(__file__).parent.parent / "docs"
SIDES = [Side(split, half) for split in (0, 1) for half in (0, 1)]

each_side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)


# ---- who is judged


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A data folder of 20 voices and 17 faces, drawn at random, in the layout of the real one."""
    folder, rng = tmp_path / "people", np.random.default_rng(0)
    folder.mkdir()
    speaker, subject = np.repeat(np.arange(20), 3), np.repeat(np.arange(17), 3)
    channels = np.array(["clean", "tel8k_mulaw", FAR, "babble_5dB", "speed_0.900"])
    voice = rng.standard_normal((20, 1, 256)) + rng.standard_normal((5, 20, 3, 256))
    np.savez(
        folder / "voice_an4.npz",
        emb=voice.reshape(5, 60, 256), conditions=channels, speaker=speaker, utt=np.arange(60),
        raw_seconds=np.full(60, 3.0), vad_seconds=rng.uniform(1, 4, (5, 60)), sex=np.zeros(20),
    )  # fmt: skip
    face = rng.standard_normal((17, 1, 128)) + rng.standard_normal((3, 17, 3, 128))
    np.savez(
        folder / "face_orl.npz",
        emb=face.reshape(3, 51, 128), conditions=np.array(["clean", "dark_noise", "mask_lower"]),
        subject=subject, image=np.arange(51), det_score=np.ones((3, 51)),
    )  # fmt: skip
    np.savez(folder / "voice_librispeech.npz", emb=rng.standard_normal((12, 256)), speaker=np.repeat(np.arange(6), 2))
    for name in ("so762", "sc", "alnum"):
        few = rng.standard_normal((8, 1, 256)) + rng.standard_normal((4, 8, 3, 256))
        np.savez(
            folder / f"voice_{name}.npz", emb=few.reshape(4, 24, 256), conditions=channels[:4],
            speaker=np.repeat(np.arange(8), 3), vad_seconds=np.full((4, 24), 2.0),
        )  # fmt: skip
    pair = rng.standard_normal((9, 1, 128)) + rng.standard_normal((3, 9, 2, 128))
    np.savez(
        folder / "face_london.npz", emb=pair.reshape(3, 18, 128), conditions=np.array(["clean", "dark_noise", "mask_lower"]),
        subject=np.repeat(np.arange(9), 2),
    )  # fmt: skip
    return folder


@each_side
@pytest.mark.parametrize("count", [2, 20, 42, 43])
def test_everybody_is_in_one_half_and_nobody_in_both(side: Side, count: int) -> None:
    one, other = set(half_of(np.arange(count), side).tolist()), set(half_of(np.arange(count), side.other).tolist())
    assert one | other == set(range(count))
    assert one & other == set()
    assert abs(len(one) - len(other)) <= 1


def test_seeds_split_people_in_different_ways() -> None:
    assert len({tuple(half_of(np.arange(42), Side(split, 0)).tolist()) for split in range(5)}) == 5


@each_side
def test_a_folder_of_a_half_has_the_recordings_of_its_people_and_no_others(side: Side, people: Path, tmp_path: Path) -> None:
    half = write_half(people, tmp_path / "half", side)
    for file, person in (("voice_an4.npz", "speaker"), ("face_orl.npz", "subject")):
        with np.load(people / file) as everybody, np.load(half / file) as found:
            own = np.isin(everybody[person], half_of(everybody[person], side))
            assert found[person].tolist() == everybody[person][own].tolist()
            assert np.array_equal(found["emb"], everybody["emb"][:, own])
    assert (half / "voice_librispeech.npz").samefile(people / "voice_librispeech.npz")


def altered(people: Path, target: Path, side: Side) -> Path:
    """The folder with other recordings of the people of a side."""
    target.mkdir()
    for file, person in (("voice_an4.npz", "speaker"), ("face_orl.npz", "subject")):
        with np.load(people / file) as arrays:
            changed = dict(arrays)
        own = np.isin(changed[person], half_of(changed[person], side))
        changed["emb"][:, own] = np.random.default_rng(9).standard_normal(changed["emb"][:, own].shape)
        np.savez(target / file, **changed)
    for file in people.iterdir():
        if not (target / file.name).exists():
            (target / file.name).symlink_to(file)
    return target


def packs_of(folder: Path, out: Path, side: Side, unseen: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The packs that judge the people of a side."""
    packs = fit_packs(write_half(folder, out / "half", side.other), out, unseen)
    return {encoder: Path(pack).read_bytes() for encoder, pack in packs.items()}


@each_side
def test_nothing_of_a_judged_person_goes_into_the_packs_that_judge_them(side: Side, people: Path, tmp_path: Path) -> None:
    packs = packs_of(people, tmp_path / "a", side)
    assert packs.keys() == {VOICE, FACE}
    assert packs_of(altered(people, tmp_path / "others", side), tmp_path / "b", side) == packs
    fitted_on = packs_of(altered(people, tmp_path / "own", side.other), tmp_path / "c", side)
    assert all(fitted_on[encoder] != pack for encoder, pack in packs.items())


def test_nothing_of_a_judged_corpus_goes_into_strangers_packs(people: Path, tmp_path: Path) -> None:
    side = Side(0, 0)
    packs = packs_of(people, tmp_path / "a", side, judged_files(side))
    others = altered(people, tmp_path / "others", side.other)
    assert packs_of(others, tmp_path / "b", side, judged_files(side)) == packs


def test_a_channel_is_left_out_for_a_pack_that_does_not_know_it(people: Path, tmp_path: Path) -> None:
    with np.load(write_half(people, tmp_path / "half", Side(0, 0), without=FAR) / "voice_an4.npz") as found:
        assert found["conditions"].tolist() == ["clean", "tel8k_mulaw", "babble_5dB", "speed_0.900"]
        assert len(found["emb"]) == len(found["vad_seconds"]) == 4
    with np.load(tmp_path / "half" / "voice_so762.npz") as whole:
        assert (whole["conditions"].tolist(), len(np.unique(whole["speaker"]))) == (["clean", "tel8k_mulaw", "babble_5dB"], 8)


def test_what_a_corpus_tells_of_each_recording_is_as_long_as_it_has_recordings(shared: Path) -> None:
    for file, (person, axes) in RECORDINGS.items():
        with np.load(shared / "data" / file) as arrays:
            told = {name: array.shape[axes[name]] for name, array in arrays.items() if name in axes}
            assert set(told.values()) == {len(arrays[person])}, file


@pytest.mark.parametrize("scenario", HARD)
def test_a_hard_world_is_of_the_people_of_its_folder(shared: Path, tmp_path: Path, scenario: str) -> None:
    args = argparse.Namespace(seed=1, households=2, voices="so762")
    write_hard(scenario, shared / "data", tmp_path / "one", args)
    write_hard(scenario, shared / "data", tmp_path / "other", args)
    assert (tmp_path / "one" / "log.jsonl").read_bytes() == (tmp_path / "other" / "log.jsonl").read_bytes()
    truth = [json.loads(line) for line in (tmp_path / "one" / "truth.jsonl").read_text().splitlines()]
    assert scenario != "kin" or all(event["hard"] for event in truth)
    heard = {event["voice_condition"] for event in truth if event["phase"] and event["voice_condition"]}
    assert len(heard) == {"noisy": 4, "storm": 2, "kin": 1, "rooms": 2, "one": 1, "eight": 1}[scenario]
    if scenario in SIZES:
        told = json.loads((tmp_path / "one" / "world.json").read_text())
        homes = [{name for name in home["people"] if name.startswith("p")} for home in told["households"].values()]
        assert [len(members) for members in homes] == [SIZES[scenario]] * 2


# ---- whether it counts right


def columns(*homes: str) -> Columns:
    """Judged events, a word a home: `m` a member recognised, `x` one mistaken for another, `g` a guest; two members a home.

    The first half of a home's events is of phase 1, the rest of phase 2.
    """
    letters = np.array(list("".join(homes)))
    home = np.repeat(np.arange(len(homes)), [len(word) for word in homes])
    phase = np.concatenate([1 + (np.arange(len(word)) >= len(word) / 2) for word in homes])
    guest, right = letters == "g", letters == "m"
    p = np.where(guest[:, None], [0.05, 0.05], [0.9, 0.06])
    none = np.zeros(len(letters), bool)
    return {
        "home": home, "phase": phase, "hard": home == 0, "guest": guest, "right": right, "hit": right | guest,
        "modalities": np.full(len(letters), "voice"), "score": p.max(1), "confidence": np.full(len(letters), 0.9),
        "p": np.c_[p, np.full(len(letters), np.nan)], "target": np.c_[right, letters == "x", none],
        "tier": np.where(guest, 0, 2), "named": ~guest, "named_right": right, "label": np.where(right, 1, -1),
        "attack": none, "attack_top": none, "attack_named": none, "victim": none,
    }  # fmt: skip


def test_figures_are_counted_over_all_homes_of_all_worlds() -> None:
    pooled = pool([columns("mmmm", "mxmxgg"), columns("xx")])
    assert pooled["home"].tolist() == [0] * 4 + [1] * 6 + [2] * 2
    found = measure(pooled)
    assert found["top1"] == pytest.approx(60)
    assert found["last_top1"] == pytest.approx(50)
    assert found["worst_tenth"] == 0
    assert found["tier2_members"] == pytest.approx(40)
    assert found["tier2_guests"] == 0
    assert (found["labels_right"], found["labels_covered"]) == (100, 50)
    assert found["ece"] == pytest.approx((8 * 0.1 + 4 * 0.9) / 12)


def test_a_margin_is_of_the_same_events() -> None:
    ours, static = columns("mmmx", "mmmm"), columns("mxmx", "mmxx")
    assert results.margins(ours, static) == {
        "overall": 37.5, "hard homes": 25.0, "other homes": 50.0, "phase 1": 25.0, "phase 2": 50.0,
    }  # fmt: skip


def test_an_interval_draws_whole_homes() -> None:
    seen: list[float] = []

    def watched(c: Columns) -> dict[str, float]:
        seen.append(top1(c))
        return {"top1": seen[-1]}

    assert intervals(columns("mmmm", "xxxx"), watched, 60)["top1"] == (50, 0, 100)
    assert set(seen) == {0, 50, 100}


def test_two_recognisers_are_compared_on_the_same_draws_of_homes() -> None:
    ours, other = columns("mmmm", "xxxx", "mmgg"), columns("xxmm", "xxxx", "mmgg")
    assert differences(ours, ours, recognised, 20)["top1"] == (0, 0, 0)
    value, low, high = differences(ours, other, lambda c: {"top1": top1(c)}, 60)["top1"]
    assert (value, low) == (pytest.approx(20), 0)
    assert high > 20


def test_what_cannot_be_measured_is_null_in_json() -> None:
    found = recognised(take(columns("mmgg"), np.array([0, 1])))
    assert math.isnan(found["ieer"])
    assert rounded({"a": (found["ieer"], 1.234567)}) == {"a": [None, 1.23457]}


@pytest.fixture
def world(shared: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a world of a few homes of one half of the real people, as it is measured."""
    return lambda scenario: world_of(Trial(scenario, 0, 1, 4), tmp_path)


@pytest.mark.parametrize("scenario", ["missing", "poison"])
def test_figures_of_one_world_are_those_of_the_scorer(world: Callable[[str], Path], scenario: str) -> None:
    folder = world(scenario)
    found, scored = measure(judge(folder, folder / "static")), tool("score").evaluate(folder, folder / "static")
    overall, tiers = scored["groups"]["overall"], scored["tiers"]
    expected = {
        "top1": overall["top1"], "last_top1": scored["last_phase_top1"], "worst_tenth": overall["top1_worst_tenth"],
        "ieer": overall["ieer"], "fnir5": overall["fnir_at_fpir_5"], "min_cllr": overall["min_cllr"], "ece": overall["ece"],
        "cllr_loss": overall["cllr"] - overall["min_cllr"], "tier1_guests": 100 * tiers[1]["guest_error"],
        "tier1_covered": 100 * tiers[1]["coverage"],
    }  # fmt: skip
    for tier in (2, 3, 4):
        parts = {"guests": "guest_error", "members": "member_error", "covered": "coverage"}
        expected |= {f"tier{tier}_{what}": 100 * tiers[tier][key] for what, key in parts.items()}
    if scenario == "poison":
        attack = scored["attack"]["last_phase"]
        expected |= {"attack_top": 100 * attack["named"], "attack_tier2": 100 * attack["tier_2"]}
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_world_is_of_the_judged_half_alone(shared: Path, world: Callable[[str], Path]) -> None:
    told = json.loads((world("missing") / "world.json").read_text())
    lived = [person for home in told["households"].values() for person in home["people"].values()]
    for file, key, kind in (("voice_an4.npz", "speaker", "speaker"), ("face_orl.npz", "subject", "face")):
        with np.load(shared / "data" / file) as arrays:
            assert {person[kind] for person in lived} <= set(half_of(arrays[key], Side(0, 1)).tolist())


def test_a_silent_attacker_says_nothing(world: Callable[[str], Path], tmp_path: Path) -> None:
    folder = world("poison")
    quiet = without_claims(folder, tmp_path / "quiet.jsonl")
    score = tool("score")
    attacks = {t["event_id"] for t in score.lines(folder / "truth.jsonl") if t.get("claimed")}
    left, whole = ([r["value"] for r in score.lines(path)] for path in (quiet, folder / "log.jsonl"))
    assert [v for v in left if v.get("event_id") in attacks and "kind" in v] == []
    assert len(left) == len(whole) - len([v for v in whole if v.get("event_id") in attacks and "kind" in v]) < len(whole)


def test_values_of_the_policy_are_laid_over_it() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}}, {"d": 5}) == {"a": {"b": 4, "c": 2}, "d": 5}


# ---- the page


@pytest.fixture
def measured() -> dict[str, Any]:
    """The results of the whole run that docs/quality.md tells."""
    return dict(json.loads((DOCS / "quality" / "results.json").read_text("utf-8")))


def test_the_page_and_its_plots_say_what_was_measured(measured: dict[str, Any], golden: Callable[[Path, bytes], None]) -> None:
    golden(DOCS / "quality.md", page(measured).encode())
    readme = DOCS.parent / "README.md"
    golden(readme, with_summary(readme.read_text("utf-8"), measured["worlds"]).encode())
    golden(DOCS / "quality" / "det.svg", det_plot(measured["worlds"]).encode())
    golden(DOCS / "quality" / "reliability.svg", reliability_plot(measured["worlds"]).encode())


def test_the_page_has_every_scenario_that_is_behind_before_anything_else(measured: dict[str, Any]) -> None:
    first = page(measured).split("\n## ")[1]
    assert first.startswith("Where it is behind")
    assert all(f"| `{miss.where}` | {miss.what} | {miss.target} |" in first for miss in behind(measured))


def test_a_figure_is_behind_its_target_on_the_wrong_side_only(measured: dict[str, Any]) -> None:
    figures = {"last_top1": 94.0, "ieer": 6.0, "cllr_loss": 0.03, "tier2_guests": 5.0}
    assert misses("ageing", figures) == []
    lower, higher = ({name: value + by for name, value in figures.items()} for by in (-0.01, 0.01))
    assert misses("ageing", lower) == ["last_top1"]
    assert sorted(misses("ageing", higher)) == ["cllr_loss", "ieer", "tier2_guests"]
    ageing = measured["worlds"]["ageing"]
    ageing["margins"]["phase 1"] = -0.6
    assert ("ageing", "top-1 over static, phase 1") in {(miss.where, miss.what) for miss in behind(measured)}


def test_a_corpus_is_held_against_static_as_the_main_worlds_are(measured: dict[str, Any]) -> None:
    corpora = measured["corpora"]
    assert not any("static" in miss.what for miss in corpora_behind(corpora))
    strangers = corpora["so762/strangers"]
    strangers["guests"]["margins"]["phase 2"], strangers["kin"]["single"]["margin"] = -0.6, -0.7
    strangers["storm"]["ours"]["worst_tenth"][0] = strangers["storm"]["static"]["worst_tenth"]
    found = {(miss.where, miss.what) for miss in corpora_behind(corpora) if "static" in miss.what + miss.target}
    assert found == {
        ("guests, so762/strangers", "top-1 over static, phase 2"),
        ("kin, so762/strangers", "top-1 over static, worst single world"),
        ("storm, so762/strangers", "worst tenth of homes %"),
    }  # fmt: skip


def test_calibration_is_perfect_where_probabilities_are_what_happens() -> None:
    certain = columns("mmmm", "mmmm")
    certain["p"] = np.tile([1.0, 0.0, np.nan], (8, 1))
    certain["confidence"] = np.ones(8)
    assert believed(certain)["cllr_loss"] == pytest.approx(0, abs=1e-4)
    assert believed(certain)["ece"] == 0
