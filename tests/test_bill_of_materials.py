"""`make sbom`: a bill of materials in CycloneDX that names all that the image is made of, and is the same each time."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

cyclonedx = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib with its schemas is not installed.")

ROOT = Path(__file__).parent.parent


def recipe() -> list[str]:
    """What `make` runs for it, in words, without what only the Makefile knows."""
    command = ["make", "--no-print-directory", "--dry-run", "sbom"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = (line for line in told.stdout.replace("\\\n", " ").splitlines() if "cyclonedx-py" in line)
    return line.partition("cyclonedx-py")[2].split()


def bill(out: Path) -> str:
    words = recipe()
    words[words.index("--output-file") + 1] = str(out)
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return out.read_text()


def locked() -> set[tuple[str, str]]:
    found = re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return set(found)


def test_the_bill_of_materials_is_valid_and_names_what_is_locked(tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion

    text = bill(tmp_path / "sbom.json")
    assert cyclonedx.JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    told: dict[str, Any] = json.loads(text)
    assert {(part["name"], part["version"]) for part in told["components"]} == locked()
    assert all(part["externalReferences"][0]["hashes"] for part in told["components"])
    root = told["metadata"]["component"]
    assert (root["name"], root["licenses"][0]["license"]["id"]) == ("kithkin", "Apache-2.0")
    assert bill(tmp_path / "again.json") == text
