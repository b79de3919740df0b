"""Packs as files: who made them, who reads them, what a policy makes of them, and the command that fits them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learners.recognition.projection import Projection
from stream.contract.errors import ConfigError
from stream.contract.packs import PACKS, arrays_of, load_pack, write_pack
from stream.contract.policy import Policy
from stream.contract.settings import load_policy
from stream.offline.fit import (
    Choice,
    fit_shipped,
    judge,
    load_recipe,
    read_recordings,
    shipped_recipe,
)
from stream.offline.fit.recipe import Recipe
from tests.cli.test_cli import plain, run
from tests.support.encoders import LENGTH, Encoder, recordings_of

SHIPPED = {"resemblyzer-0.1.4": "cosine", "dlib-resnet-v1": "euclidean"}
VOICE = "own-encoder-7"

each_shipped = pytest.mark.parametrize("encoder", SHIPPED)


def npz(path: Path, people: int = 12, takes: int = 4, channels: int = 2, **more: Any) -> Path:
    """Recordings in the layout of docs/packs.md."""
    recordings = recordings_of(Encoder.drawn(1, channels), 2, people, takes)
    person = np.array([f"p{p:02d}" for p in recordings.people[: people * takes]])
    shaped = recordings.vectors.reshape(channels, -1, LENGTH)
    arrays = {"emb": shaped, "conditions": np.array(recordings.names), "person": person} | more
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def recipe(**more: Any) -> Recipe:
    return Recipe.model_validate({"encoder": VOICE, "metric": "euclidean", "recordings": "r.npz"} | more)


# ---- the packs of the package


@each_shipped
def test_a_pack_of_the_package_has_its_card_and_its_recipe(encoder: str) -> None:
    projection, card = load_pack(encoder, SHIPPED[encoder]), (PACKS / f"{encoder}.md").read_text("utf-8")  # type: ignore[arg-type]
    told = " ".join(card.split())
    assert shipped_recipe(encoder).encoder == encoder
    assert f"multiplied by {projection.temperature:.3f}" in told
    assert f"in this encoder's {projection.length} numbers" in told
    for name, noise in zip(projection.channels.names, projection.channels.noise, strict=True):
        assert f"| {name} | {noise:.2f} |" in card
    assert {"## Sources", "## Limits", "## How well it tells people it has never seen"} <= set(card.splitlines())


@each_shipped
def test_a_pack_of_the_package_is_what_its_recipe_makes(encoder: str, shared: Path) -> None:
    made, kept = fit_shipped(encoder, shared / "data"), load_pack(encoder, SHIPPED[encoder])  # type: ignore[arg-type]
    ours, theirs = arrays_of(made), arrays_of(kept)
    for arrays in (ours, theirs):  # directions of nearly equal worth may be turned on another machine, distances may not
        arrays["matrix"] = arrays["matrix"].T @ arrays["matrix"]
        arrays["channel_mean"] = arrays["channel_mean"] @ arrays["channel_mean"].T
    for key, array in ours.items():
        if array.dtype.kind == "f":
            assert np.allclose(array, theirs[key], rtol=0.01, atol=0.01 * float(np.abs(array).max())), key
        else:
            assert array.tolist() == theirs[key].tolist()


@each_shipped
def test_whoever_is_left_out_leaves_no_trace(encoder: str, shared: Path, tmp_path: Path) -> None:
    recipe, data = shipped_recipe(encoder), shared / "data"
    changed = recipe.corpus[0].recordings
    with np.load(data / changed) as z:
        arrays = {name: z[name] for name in z.files}
    whose = arrays[recipe.person]
    left_out = np.unique(whose)[::2]
    arrays["emb"][:, np.isin(whose, left_out)] = arrays["emb"][:, ::-1][:, np.isin(whose, left_out)]
    np.savez(tmp_path / changed, **arrays)
    for file in filter(None, [*(corpus.recordings for corpus in recipe.corpus[1:]), recipe.cohort]):
        (tmp_path / file).symlink_to(data / file)
    names = {f"{Path(changed).stem}/{person}" for person in left_out}
    rest = [person for person in read_recordings(recipe, data).people if person not in names][::3]  # a fit of fewer is as good
    one, other = (fit_shipped(encoder, folder, rest) for folder in (data, tmp_path))
    assert [a.tobytes() for a in arrays_of(one).values()] == [a.tobytes() for a in arrays_of(other).values()]


# ---- files


def test_what_is_written_is_read_and_written_twice_is_the_same_bytes(tmp_path: Path) -> None:
    projection = load_pack("resemblyzer-0.1.4", "cosine")
    files = [tmp_path / "a.npz", tmp_path / "deeper" / "b.npz"]
    for file in files:
        write_pack(file, projection, "a test")
    assert files[0].read_bytes() == files[1].read_bytes()
    read = load_pack(str(files[0]), "cosine")
    assert [a.tobytes() for a in arrays_of(read).values()] == [a.tobytes() for a in arrays_of(projection).values()]


def test_a_pack_of_version_1_has_one_channel(tmp_path: Path) -> None:
    known = load_pack("resemblyzer-0.1.4", "cosine")
    np.savez(tmp_path / "old.npz", matrix=known.matrix, mean=known.mean, between=known.between, temperature=0.25, made="before")
    old = load_pack(str(tmp_path / "old.npz"), "cosine")
    assert (old.channels.names, old.channels.noise.tolist(), old.quality.name) == (("clean",), [1.0], "")
    assert old.project(np.ones(256, "f4"))[1] == 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"version": np.array(3)}, "it has version 3, and this software knows 2"),
        ({"metric": np.array("euclidean")}, "it was fitted for euclidean vectors"),
        ({"between": None}, "is no pack for cosine vectors"),
    ],
)
def test_a_file_that_is_no_pack_for_the_encoder_says_why(changes: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    arrays = arrays_of(load_pack("resemblyzer-0.1.4", "cosine")) | {"version": np.array(2)} | changes
    np.savez(tmp_path / "x.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match=sentence):
        load_pack(str(tmp_path / "x.npz"), "cosine")


@pytest.mark.parametrize(("name", "sentence"), [("nobody", "there are dlib-resnet-v1, res"), ("./nobody.npz", "cannot be read")])
def test_a_pack_that_is_not_there_is_told(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_pack(name, "cosine")


# ---- packs of a policy


def policy_with(folder: Path, pack: str, projection: Projection, told: str = "") -> Policy:
    """A policy in a folder, and a pack that it names from there."""
    write_pack(folder / pack, projection, "a test")
    file = folder / "policy.toml"
    file.write_text(f'[encoders.v]\nmodality = "voice"\nlength = 256\nmetric = "cosine"\npack = "{told or pack}"\n')
    return load_policy(file)


def test_a_policy_names_a_pack_from_where_it_lies_and_only_its_numbers_count(tmp_path: Path) -> None:
    voice = load_pack("resemblyzer-0.1.4", "cosine")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = policy_with(tmp_path / "a", "mine.npz", voice)
    same = policy_with(tmp_path / "b", "packs/other.npz", voice)
    shipped = Policy.model_validate({"encoders": {"v": one.encoders["v"].model_dump() | {"pack": "resemblyzer-0.1.4"}}})
    assert one.policy_id == same.policy_id == shipped.policy_id
    changed = [
        replace(voice, temperature=0.5), replace(voice, channels=replace(voice.channels, shift=voice.channels.shift * 2)),
        replace(voice, quality=replace(voice.quality, noise=voice.quality.noise + 1)),
    ]  # fmt: skip
    ids = {policy_with(tmp_path / "a", "mine.npz", other).policy_id for other in changed}
    assert len(ids | {one.policy_id}) == 4


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("gone.npz", "gone.npz cannot be read"),
        ("resemblyzer", "there is no pack 'resemblyzer'"),
        ("dlib-resnet-v1", "is no pack for cosine vectors"),
    ],
)
def test_a_policy_whose_pack_is_wrong_is_refused_at_once(told: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=sentence):
        policy_with(tmp_path, "there.npz", load_pack("resemblyzer-0.1.4", "cosine"), told)


def test_a_pack_of_another_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        '[encoders.v]\nmodality = "voice"\nlength = 128\nmetric = "cosine"\npack = "resemblyzer-0.1.4"\n'
    )
    with pytest.raises(ConfigError, match="of vectors of 256 numbers, not 128"):
        load_policy(tmp_path / "p.toml")


# ---- recordings


def test_conditions_become_channels_as_a_recipe_says(tmp_path: Path) -> None:
    npz(tmp_path / "r.npz", channels=4)
    each = read_recordings(recipe(), tmp_path).recordings
    assert each.names == ("clean", "far", "near", "noisy")
    some = read_recordings(recipe(channels={"clean": ["clean", "n*r"], "far": ["far"]}, altered=["noi*"]), tmp_path)
    assert (some.recordings.names, np.bincount(some.recordings.channels).tolist()) == (("clean", "far"), [144, 48])
    assert [(c.name, c.channel, c.recordings) for c in some.conditions] == [
        ("clean", "clean", 48), ("far", "far", 48), ("near", "clean", 48), ("noisy", None, 48),
    ]  # fmt: skip
    assert some.recordings.altered.sum() == 48


def test_a_table_of_recordings_has_their_channels_beside_them(tmp_path: Path) -> None:
    recordings = recordings_of(Encoder.drawn(1, 2), 2, 12, 3)
    channel, person = np.array(recordings.names)[recordings.channels], recordings.people
    np.savez(tmp_path / "r.npz", emb=recordings.vectors, person=person, channel=channel)
    read = read_recordings(recipe(), tmp_path).recordings
    assert np.array_equal(read.channels, recordings.channels)
    assert len(np.unique(read.takes)) == len(read.takes)


def test_only_who_is_chosen_is_read(tmp_path: Path) -> None:
    npz(tmp_path / "r.npz")
    read = read_recordings(recipe(), tmp_path, Choice(frozenset({"p01", "p02", "p03"}), frozenset({"p02"})))
    assert read.people == ("p01", "p03")
    assert len(read.recordings.vectors) == 2 * 4 * 2


@pytest.mark.parametrize(
    ("arrays", "fields", "sentence"),
    [
        ({"emb": None}, {}, "emb = 'missing' .* an array of numbers; the file has conditions, person"),
        ({"emb": np.ones(3)}, {}, r"emb = 'of shape \(3,\)' .* vectors"),
        ({"emb": np.full((2, 48, 5), np.nan)}, {}, "without NaN"),
        ({"conditions": None}, {}, "the names of the 2 conditions"),
        ({"person": np.arange(5)}, {}, "an array of the 48 recordings"),
        ({}, {"person": "speaker"}, "speaker = 'missing'"),
        ({}, {"channels": {"clean": ["clean"]}}, "with a channel for far"),
        ({}, {"channels": {"other": ["o*"], "clean": ["*"]}}, "with recordings of the first"),
        ({}, {"quality": {"seconds": "duration"}}, "duration = 'missing'"),
        ({}, {"cohort": "gone.npz"}, "gone.npz"),
        ({}, {"nobody": "gone.npy"}, "gone.npy"),
        ({}, {"recordings": "gone.npz"}, "a file that can be read"),
    ],
)
def test_a_wrong_file_is_told_by_the_array(arrays: dict[str, Any], fields: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    npz(tmp_path / "r.npz", **arrays)
    with pytest.raises(ConfigError, match=sentence):
        read_recordings(recipe(**fields), tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"words", b"\x93NUMPY"])
def test_a_file_of_another_kind_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r.npz").write_bytes(content)
    with pytest.raises(ConfigError, match="of arrays, without pickles"):
        read_recordings(recipe(), tmp_path)


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "r.npz", emb=np.array([{}, {}], object))
    with pytest.raises(ConfigError, match="without pickles"):
        read_recordings(recipe(), tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("encoder = ", "a TOML file"),
        ('encoder = "x"\nmetric = "cosine"', "recordings = None .* one file as `recordings`, or several as `corpus`"),
        ('encoder = "x"\nmetric = "l1"\nrecordings = "r"', "metric = 'l1' .* 'cosine' or 'euclidean'"),
        ('encoder = "x"\nmetric = "cosine"\nrecordings = "r"\nmice = 1', "mice = 1 .* one of encoder"),
    ],
)
def test_a_wrong_recipe_is_told(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_recipe(tmp_path / "r.toml")


# ---- the command


def test_fit_writes_a_pack_and_its_card(tmp_path: Path) -> None:
    told = run("fit", npz(tmp_path / "r.npz"), "--encoder", VOICE, "--metric", "euclidean", "--out", tmp_path / "mine.npz")
    assert {str(tmp_path / "mine.npz"), str(tmp_path / "mine.md")} <= set(told.splitlines())
    projection, card = load_pack(str(tmp_path / "mine.npz"), "euclidean"), (tmp_path / "mine.md").read_text("utf-8")
    assert projection.channels.names == ("clean", "far")
    assert "96 recordings of 12 people" in " ".join(card.split())
    assert len(re.findall(r"^\| one recording \|", card, re.MULTILINE)) == 3
    assert str(tmp_path) not in card
    (tmp_path / "policy.toml").write_text(told.partition("In a policy beside it:")[2], "utf-8")
    assert load_policy(tmp_path / "policy.toml").encoders[VOICE].length == projection.length


def test_fit_twice_is_the_same_to_the_byte_and_without_a_person_another(tmp_path: Path) -> None:
    npz(tmp_path / "r.npz")
    flags = ("--encoder", VOICE, "--metric", "euclidean", "--out")
    for name, more in (("a", ()), ("b", ()), ("c", ("--without", "p03,p04"))):
        run("fit", tmp_path / "r.npz", *flags, tmp_path / f"{name}.npz", *more)
    a, b, c = ((tmp_path / f"{name}.npz").read_bytes() for name in "abc")
    assert a == b != c
    (tmp_path / "rest").write_text("".join(f"p{i:02d}\n" for i in range(12) if i not in (3, 4)))
    run("fit", tmp_path / "r.npz", *flags, tmp_path / "d.npz", "--people", tmp_path / "rest")
    assert (tmp_path / "d.npz").read_bytes() == c


def test_several_files_are_corpora_each_judged_by_the_others(tmp_path: Path) -> None:
    files = [npz(tmp_path / f"{name}.npz") for name in ("here", "there", "elsewhere")]
    told = run("fit", *files, "--encoder", VOICE, "--metric", "euclidean", "--out", tmp_path / "p.npz")
    card = (tmp_path / "p.md").read_text("utf-8")
    assert "36 people" in plain(told)
    assert "### One corpus left out" in card
    assert all(f"| {name} | one recording | clean |" in card for name in ("here", "there", "elsewhere"))


def test_a_recipe_of_several_corpora_is_what_each_of_them_says(tmp_path: Path) -> None:
    npz(tmp_path / "one.npz")
    npz(tmp_path / "other.npz", person=None, who=np.array([f"q{i // 4}" for i in range(48)]))
    corpora = ({"recordings": "one.npz"}, {"recordings": "other.npz", "person": "who", "channels": {"clean": ["*"]}})
    found = read_recordings(Recipe.model_validate({"encoder": VOICE, "metric": "euclidean", "corpus": corpora}), tmp_path)
    one, other = found.recordings.by_corpus()
    assert found.corpora == ("one", "other")
    assert {name.split("/")[0] for name in found.people} == {"one", "other"}
    assert (set(one.channels.tolist()), set(other.channels.tolist())) == ({0, 1}, {0})
    assert not set(one.takes.tolist()) & set(other.takes.tolist())
    assert not set(one.people.tolist()) & set(other.people.tolist())


def test_where_the_encoders_own_metric_does_better_fit_says_so(tmp_path: Path) -> None:
    """Recordings that a fit can only spoil: few people, plain noise alike in all directions."""
    rng = np.random.default_rng(2)
    vectors = 1.2 * np.repeat(rng.standard_normal((8, LENGTH)), 2, axis=0) + rng.standard_normal((16, LENGTH))
    np.savez(tmp_path / "r.npz", emb=vectors, person=np.repeat(np.arange(8), 2))
    told = run("fit", tmp_path / "r.npz", "--encoder", VOICE, "--metric", "euclidean", "--out", tmp_path / "p.npz")
    card = (tmp_path / "p.md").read_text("utf-8")
    worse = [row.eer > row.plain_eer for row in judge(read_recordings(recipe(), tmp_path).recordings).rows]
    assert any(worse)
    assert "Worse than the encoder's own metric in" in plain(told)
    assert "**Worse than the encoder's own metric**" in card


def test_fit_of_a_recipe_writes_beside_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    npz(tmp_path / "data" / "r.npz")
    (tmp_path / "mine.toml").write_text(
        f'encoder = "{VOICE}"\nmetric = "euclidean"\nrecordings = "r.npz"\nsources = "A friend\'s attic."\n'
        '[channels]\nclean = ["*"]\n'
    )
    run("fit", tmp_path / "mine.toml", "--data", tmp_path / "data")
    assert load_pack(str(tmp_path / f"{VOICE}.npz"), "euclidean").channels.names == ("clean",)
    assert "A friend's attic." in (tmp_path / f"{VOICE}.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((), "encoder = None"),
        (("--encoder", VOICE), "metric = None"),
        (("--encoder", VOICE, "--metric", "cosine", "--people", "p01,nobody"), "people = 'nobody'"),
        (("--encoder", VOICE, "--metric", "cosine", "--people", "p01,p02,p03"), "of 3 people 3 have two recordings or more"),
        (("--encoder", VOICE, "--metric", "cosine", "--quality", "seconds"), "NAME=ARRAY"),
        (("--encoder", VOICE, "--metric", "cosine", "--out", "pack"), "ends in .npz"),
        (("--encoder", VOICE, "--metric", "cosine", "--without", ","), "nobody is named"),
        (("another.toml", "--encoder", VOICE, "--metric", "cosine"), "another.toml"),
        (("--log", "--encoder", VOICE, "--metric", "cosine", "--people", "p01"), "of a log everybody"),
        (("--log", "--encoder", VOICE, "--metric", "cosine"), "not a log of records, it looks like a zip archive"),
    ],
)
def test_fit_says_what_is_wrong_and_writes_nothing(flags: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    file = npz(tmp_path / "r.npz")
    assert sentence in plain(run("fit", file, *flags, code=2))
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]


def test_fit_says_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    flags = ("--encoder", VOICE, "--metric", "cosine", "--out", tmp_path / "file" / "pack.npz")
    assert "a file that can be written" in plain(run("fit", npz(tmp_path / "r.npz"), *flags, code=2))


def test_fit_does_not_write_over_its_recordings(tmp_path: Path) -> None:
    file = npz(tmp_path / "r.npz")
    before = file.read_bytes()
    told = run("fit", file, "--encoder", VOICE, "--metric", "cosine", "--out", file, code=2)
    assert "the recordings themselves" in plain(told)
    assert file.read_bytes() == before
