"""What all tests share: how Hypothesis searches, where the evaluation's data and tools are, and how golden files are compared."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# As in `stream`, for tests that import NumPy before it: one thread, else small matrices are slow and last bits may differ.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent

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
