"""The manifest of a replay: the same run gives the same one, and it says what the files are."""

import gzip
import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from stream.contract.errors import ConfigError, Incomparable
from stream.contract.packs import load_pack, write_pack
from stream.contract.policy import Policy
from stream.contract.records import OUTPUT_TOPICS
from stream.contract.settings import Wiring
from stream.offline.replay.manifest import MANIFEST, Manifest, describe_program, read_manifest
from stream.offline.replay.replay import Replay, Sofar, replay
from tests.support.recorded import recorded, recorded_lines, write_log

BATCH = 20


def a_replay(*logs: str, out: Path, store: Path | None = None, policy: Policy | None = None) -> Replay:
    return Replay(logs, out, policy or Policy(), Wiring(store=str(store or "memory:"), batch_records_max=BATCH))


def stopped_after(records: int, task: Replay) -> None:
    done = [0]

    def see(sofar: Sofar) -> None:
        done[0] = sofar.records

    assert not replay(task, lambda: done[0] >= records, see).finished


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", recorded_lines())


@pytest.fixture
def calm(log: str, tmp_path: Path) -> bytes:
    """The manifest of a run without incidents, whose states are in `calm.db`."""
    assert replay(a_replay(log, out=tmp_path / "calm", store=tmp_path / "calm.db")).finished
    return (tmp_path / "calm" / MANIFEST).read_bytes()


def test_it_says_what_was_read_and_what_was_written(calm: bytes, log: str, tmp_path: Path) -> None:
    manifest = read_manifest(tmp_path / "calm")
    raw = Path(log).read_bytes()
    assert [(f.name, f.sha256, f.bytes) for f in manifest.inputs.logs] == [
        ("log.jsonl", hashlib.sha256(raw).hexdigest(), len(raw))
    ]
    counts = Counter((record.topic, str(record.partition)) for record in recorded())
    spans = {(topic, p): span for topic, of in manifest.inputs.partitions.items() for p, span in of.items()}
    assert {place: span.records for place, span in spans.items()} == counts
    assert all((span.offset_from, span.offset_to) == (0, span.records) for span in spans.values())
    assert [file.name for file in manifest.outputs] == [f"{topic}.jsonl" for topic in OUTPUT_TOPICS]
    for file in manifest.outputs:
        written = (tmp_path / "calm" / file.name).read_bytes()
        assert (file.sha256, file.bytes) == (hashlib.sha256(written).hexdigest(), len(written))
    assert Policy.model_validate(manifest.policy).policy_id == manifest.policy_id == Policy().policy_id
    assert manifest.made == describe_program()
    assert set(manifest.packs) == set(Policy().encoders)
    assert (manifest.batches.records_max, manifest.inputs.records) == (BATCH, len(recorded()))


def test_it_is_the_same_after_stops_and_when_begun_anew(calm: bytes, log: str, tmp_path: Path) -> None:
    task = a_replay(log, out=tmp_path / "out", store=tmp_path / "out.db")
    for records in (1, 2 * BATCH):
        stopped_after(records, task)
        assert not (tmp_path / "out" / MANIFEST).exists()
    for one in (task, task, replace(task, fresh=True)):  # goes on, has nothing left to do, begins anew
        assert replay(one).finished
        assert (tmp_path / "out" / MANIFEST).read_bytes() == calm


def test_it_does_not_outlive_the_run_that_it_is_of(calm: bytes, log: str, tmp_path: Path) -> None:
    task = a_replay(log, out=tmp_path / "calm", store=tmp_path / "calm.db")
    stopped_after(BATCH, replace(task, fresh=True))
    with pytest.raises(Incomparable, match=r"calm has no manifest\.json: .* Replay its log again, with --fresh"):
        read_manifest(tmp_path / "calm")


def test_the_form_of_the_log_and_the_order_its_parts_are_named_in_change_the_names_alone(calm: bytes, tmp_path: Path) -> None:
    packed = tmp_path / "log.jsonl.gz"
    packed.write_bytes(gzip.compress(b"".join(recorded_lines())))
    replay(a_replay(str(packed), out=tmp_path / "packed"))
    halves = {"one": recorded_lines()[:70], "two": recorded_lines()[70:]}
    parts = [write_log(tmp_path / name, lines) for name, lines in halves.items()]
    for number, logs in enumerate((parts, parts[::-1])):
        replay(a_replay(*logs, out=tmp_path / f"parts{number}"))
    found = [read_manifest(tmp_path / name) for name in ("calm", "packed", "parts0", "parts1")]
    assert found[2] == found[3]
    without = [without_logs(manifest) for manifest in found]
    assert without[0] == without[1] == without[2]


def without_logs(manifest: Manifest) -> Manifest:
    return structs.replace(manifest, inputs=structs.replace(manifest.inputs, logs=[]))


def test_the_states_that_a_run_begins_with_are_told_by_their_content(calm: bytes, log: str, tmp_path: Path) -> None:
    task = replace(a_replay(log, out=tmp_path / "out", store=tmp_path / "out.db"), origin=tmp_path / "calm.db")
    replay(task)
    states = read_manifest(tmp_path / "out").inputs.states
    assert len(states) == 64
    assert read_manifest(tmp_path / "calm").inputs.states == ""
    stopped_after(BATCH, replace(task, fresh=True))
    (tmp_path / "calm.db").write_bytes((tmp_path / "out.db").read_bytes())  # another file in its place tells nothing of this run
    replay(task)
    assert read_manifest(tmp_path / "out").inputs.states == states


def test_no_place_of_this_machine_stands_in_it(log: str, tmp_path: Path) -> None:
    policy = Policy()
    encoder = policy.encoders["dlib-resnet-v1"]
    write_pack(tmp_path / "own.npz", load_pack(encoder.pack, encoder.metric), "a test")
    encoders = policy.encoders | {"dlib-resnet-v1": encoder.model_copy(update={"pack": str(tmp_path / "own.npz")})}
    replay(a_replay(log, out=tmp_path / "out", policy=Policy(encoders=encoders)))
    raw = (tmp_path / "out" / MANIFEST).read_bytes()
    assert str(tmp_path).encode() not in raw
    manifest = read_manifest(tmp_path / "out")
    assert manifest.packs["dlib-resnet-v1"].name == manifest.policy["encoders"]["dlib-resnet-v1"]["pack"] == "own.npz"


def test_a_manifest_that_no_replay_is_known_to_have_made_is_kept(log: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).write_text("mine")
    with pytest.raises(ConfigError, match=r"which has a manifest\.json that no replay is known to have made"):
        replay(replace(a_replay(log, out=tmp_path / "out"), fresh=True))
    assert (tmp_path / "out" / MANIFEST).read_text() == "mine"


def test_one_that_cannot_be_read_is_said_so(calm: bytes, tmp_path: Path) -> None:
    (tmp_path / "calm" / MANIFEST).write_text("{}")
    with pytest.raises(Incomparable, match=r"manifest\.json cannot be read: Object missing required field `v`"):
        read_manifest(tmp_path / "calm")
