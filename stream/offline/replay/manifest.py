"""The manifest of a replay: what it was made of and what came out, so that two runs can be compared and one be made again.

Law: the same run gives the same manifest, however often it was stopped, on however many processes it ran; there is no clock in
it, and no path of this machine. While a run is not finished, there is none.
"""

import hashlib
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import llvmlite
import llvmlite.binding
import msgspec
import numba
import numpy as np

import stream
from learners.recognition.projection import Projection
from stream.brokers.digests import FileDigest, PartitionDigest
from stream.contract.credentials import private
from stream.contract.errors import Incomparable
from stream.contract.packs import arrays_of, is_path
from stream.contract.policy import Policy
from stream.contract.records import OUTPUT_TOPICS
from stream.home.state.at_rest import STATE_VERSION
from stream.home.step import STEP_VERSION

__all__ = [
    "AS_THEY_STAND", "BY_JOURNAL", "MANIFEST", "Batches", "File", "Inputs", "Made", "Manifest", "Pack", "Processor", "batches_of",
    "digest_of_pack", "logs_of", "describe_program", "manifest_of", "read_manifest", "write_manifest",
]  # fmt: skip

MANIFEST: Final = "manifest.json"
AS_THEY_STAND: Final = "as they stand in the log"
BY_JOURNAL: Final = "as the journal in the log has them"
_ROOT: Final = Path(stream.__file__).parent.parent
_ROOMS: Final = ("learners", "stream/home", "stream/fleet", "stream/contract", "stream/runtime", "stream/brokers")


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file by its name alone, its SHA-256 and its length in bytes."""

    name: str
    sha256: str
    bytes: int


class Inputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was read: the files; of their records how many, in which order (a digest), and by partition; the first states.

    `states` is a digest of the states that the run began with; empty: it began with none. `what_if`: how records were changed
    after they were read; empty: they were not.
    """

    logs: list[File]
    records: int
    order: str
    partitions: dict[str, dict[str, PartitionDigest]]
    states: str = ""
    what_if: str = ""


class Pack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pack of an encoder: its name, without a folder, and the SHA-256 of its numbers."""

    name: str
    sha256: str


class Processor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the kernels were compiled for: kind of machine, name of the processor, and its features that are on."""

    machine: str
    name: str
    features: str


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By what a run was made: versions of programs, digests of our own code by room, and the processor."""

    versions: dict[str, str]
    code: dict[str, str]
    processor: Processor


class Batches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How records were put into batches: at most so many, how they were ordered in one, how many there were, where they ended."""

    records_max: int
    ordering: str
    count: int
    borders: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it. `policy` is the whole policy; of a pack that has a file, its name. `outputs` are the files of the topics."""

    v: int
    inputs: Inputs
    policy_id: str
    policy: dict[str, Any]
    packs: dict[str, Pack]
    batches: Batches
    made: Made
    outputs: list[File]


def manifest_of(folder: Path, inputs: Inputs, policy: Policy, batches: Batches) -> Manifest:
    """The manifest of a run that ended."""
    outputs = _outputs_of(folder)
    return Manifest(1, inputs, policy.policy_id, _settings_of(policy), _packs_of(policy), batches, describe_program(), outputs)


def _settings_of(policy: Policy) -> dict[str, Any]:
    """The whole policy as JSON has it, without the folders that packs lie in."""
    settings = policy.model_dump(mode="json")
    for encoder in settings["encoders"].values():
        encoder["pack"] = _name_of(encoder["pack"])
    return settings


def _packs_of(policy: Policy) -> dict[str, Pack]:
    """The packs of a policy by their encoders."""
    found = {}
    for name, encoder in sorted(policy.encoders.items()):
        if encoder.pack:
            found[name] = Pack(_name_of(encoder.pack), digest_of_pack(policy.projection(name)))
    return found


def digest_of_pack(projection: Projection) -> str:
    """SHA-256 of the numbers of a pack."""
    digest = hashlib.sha256()
    for array in arrays_of(projection).values():
        digest.update(array.tobytes())
    return digest.hexdigest()


def describe_program() -> Made:
    """What makes runs in this process."""
    versions = {
        "kithkin": stream.__version__, "python": platform.python_version(), "numpy": np.__version__,
        "numba": numba.__version__, "llvmlite": llvmlite.__version__, "river": version("river"),
        "step": str(STEP_VERSION), "state": str(STATE_VERSION),
    }  # fmt: skip
    return Made(versions, {room: _code_of(room) for room in _ROOMS}, _processor())


def batches_of(folder: Path, records_max: int, ordering: str) -> Batches:
    """The batches that the journal in a directory tells.

    Its epochs, which count how often a worker began, are left out.
    """
    count, borders = 0, hashlib.sha256()
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder(order="sorted").encode
    with open(folder / "journal.jsonl", "rb") as file:
        for line in file:
            entry = decode(line)["value"]
            borders.update(encode([entry["partition"], entry["offsets_from"], entry["offsets_to"]]))
            count += 1
    return Batches(records_max, ordering, count, borders.hexdigest())


def _outputs_of(folder: Path) -> list[File]:
    """The files of the output topics. The journal is none of them: it counts how often the run was begun."""
    found = []
    for topic in OUTPUT_TOPICS:
        path = folder / f"{topic}.jsonl"
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        found.append(File(path.name, digest.hexdigest(), path.stat().st_size))
    return found


def logs_of(names: Iterable[str], digests: Iterable[FileDigest]) -> list[File]:
    """The files of a run; their order is of no meaning."""
    files = [File(Path(name).name, *digest) for name, digest in zip(names, digests, strict=True)]
    return sorted(files, key=lambda file: (file.name, file.sha256))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put it into the directory of its run, all at once."""
    draft = folder / f".{MANIFEST}.tmp"
    with open(draft, "wb", opener=private) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    draft.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> Manifest:
    """The manifest in the directory of a run.

    Raises
    ------
    Incomparable
        There is none, or none that this version reads.
    """
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        if not folder.is_dir():
            raise Incomparable(f"{folder} is no directory. Give one that `kithkin replay --out` wrote") from None
        why = "it is of no replay, or of one that was not finished, or of an earlier version"
        raise Incomparable(f"{folder} has no {MANIFEST}: {why}. Replay its log again, with --fresh") from None
    except (OSError, msgspec.DecodeError) as error:
        raise Incomparable(f"{folder / MANIFEST} cannot be read: {error}") from None


def _name_of(pack: str) -> str:
    return Path(pack).name if is_path(pack) else pack


@cache
def _code_of(room: str) -> str:
    """SHA-256 of the texts of a room, with their names."""
    digest = hashlib.sha256()
    for path in sorted((_ROOT / room).rglob("*.py")):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def _processor() -> Processor:
    features: Mapping[str, bool] = llvmlite.binding.get_host_cpu_features()
    on = sorted(name for name, has in features.items() if has)
    return Processor(platform.machine(), llvmlite.binding.get_host_cpu_name(), " ".join(on))
