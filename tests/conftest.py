"""What all tests share: how Hypothesis searches, where the evaluation's data and tools are, and how golden files are compared."""

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, settings

from stream.contract.settings import Wiring
from stream.ops.local_cluster.kafka import Kafka
from stream.ops.local_cluster.processes import NotHere
from stream.ops.local_cluster.redis import Redis
from stream.ops.topics import create
from tests.support.one_cluster import Run, kafka_of, redis_of

# As in `stream`, for tests that import NumPy before it: one thread, else small matrices are slow and last bits may differ.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# Of `jsonschema`: a second to compile the grammars of a format that is in none of our schemas, in every process of tests.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

ROOT = Path(__file__).parent.parent

# Bytecode is kept, apart from the sources, also where the environment says otherwise: tests start some hundred processes, each of
# which would read all of its libraries anew.
sys.pycache_prefix, sys.dont_write_bytecode = str(ROOT / "build" / "bytecode"), False
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# No deadline: a slow example is not a wrong one. In CI the same examples every time, elsewhere new ones.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the evaluation's tools and data: `../shared`, or KITHKIN_SHARED."""
    folder = Path(os.environ.get("KITHKIN_SHARED", ROOT.parent / "shared"))
    if not (folder / "tools" / "world.py").is_file():
        pytest.skip(f"The evaluation's tools and data are not here: {folder} has no tools/world.py.")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; review them as a diff")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, bytes], None]:
    """Compares bytes with a golden file, or writes it (`--update-golden`)."""

    def compare(path: Path, expected: bytes) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(expected)
        standing = path.read_bytes() if path.is_file() else None
        assert standing == expected, f"{path.relative_to(ROOT)} differs; if the code is right: --update-golden, and read the diff"

    return compare


RUN = pytest.StashKey[Run]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[RUN] = Run()


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, for `-n auto`
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: tests of real servers wait for half of their time."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run"] = str(node.config.stash[RUN].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        config.stash[RUN].end()


@pytest.fixture(scope="session")
def run_folder(request: pytest.FixtureRequest) -> Path:
    """The folder that all processes of this run of tests share."""
    told = getattr(request.config, "workerinput", None)
    return Path(told["run"]) if told else request.config.stash[RUN].folder


@contextmanager
def to_be_had() -> Iterator[None]:
    """Where no cluster can be had, a test that needs one fails in CI and is skipped elsewhere."""
    try:
        yield
    except NotHere as error:
        if os.environ.get("CI"):
            pytest.fail(f"This test needs a real cluster. {error}", pytrace=False)
        pytest.skip(f"This test needs a real cluster. {error}")


@dataclass(frozen=True)
class Running:
    """The Kafka that all tests of this run share: use names of your own (`topics`), and leave it running."""

    bootstrap: str


@pytest.fixture(scope="session")
def kafka(run_folder: Path) -> Running:
    """A real Kafka of one node, for all tests of this run."""
    with to_be_had():
        return Running(kafka_of(run_folder))


@pytest.fixture(scope="session")
def redis_url(run_folder: Path) -> str:
    """A real Redis (or Valkey), for all tests of this run."""
    with to_be_had():
        return f"redis://{redis_of(run_folder)}/0"


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Callable[..., Kafka]]:
    """Starts a Kafka for this test alone, to be killed and paused; takes what `Kafka` takes, after the folder."""

    def start(**more: Any) -> Kafka:
        with to_be_had():
            return ends.enter_context(Kafka(tmp_path / f"kafka-{uuid.uuid4().hex}", **more))

    with ExitStack() as ends:
        yield start


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Callable[..., Redis]]:
    """Starts a Redis for this test alone; takes what `Redis` takes, after the folder."""

    def start(**more: Any) -> Redis:
        with to_be_had():
            return ends.enter_context(Redis(tmp_path / f"redis-{uuid.uuid4().hex}", **more))

    with ExitStack() as ends:
        yield start


@dataclass(frozen=True)
class Certificates:
    """PEM files of a signer, of a server on 127.0.0.1 (key and chain in one) and of a client."""

    ca: Path
    server: Path
    client: Path
    client_key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Fresh certificates, good for Kafka and Redis."""
    folder, signer = tmp_path_factory.mktemp("certificates"), trustme.CA()
    made = Certificates(*(folder / name for name in ("ca.pem", "server.pem", "client.pem", "client-key.pem")))
    server, client = signer.issue_cert("127.0.0.1", "localhost"), signer.issue_cert("client@kithkin.example")
    signer.cert_pem.write_to_path(made.ca)
    made.server.write_bytes(pkcs8(server.private_key_pem) + b"".join(blob.bytes() for blob in server.cert_chain_pems))
    made.client.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
    made.client_key.write_bytes(pkcs8(client.private_key_pem))
    return made


def pkcs8(key: trustme.Blob) -> bytes:
    """The one form of a private key that Java reads."""
    private = serialization.load_pem_private_key(key.bytes(), password=None)
    plain = serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


@pytest.fixture
def topics(kafka: Running) -> Callable[..., str]:
    """Makes the contract's topics on the shared Kafka; gives their prefix, which is good for a group's name too."""

    def make(partitions: int = 4) -> str:
        prefix = f"t{uuid.uuid4().hex[:12]}."
        create(Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix), partitions)
        return prefix

    return make


def needs(module: str, extra: str) -> None:
    """Where a module is not installed, a test that needs it fails in CI and is skipped elsewhere."""
    if find_spec(module) is None:
        if os.environ.get("CI"):
            pytest.fail(f"This test needs {module}: pip install '.[{extra}]'", pytrace=False)
        pytest.skip(f"This test needs {module}: pip install '.[{extra}]'")


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A Dask cluster of two workers, each a process."""
    needs("distributed", "dask")
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as made:
        yield made
