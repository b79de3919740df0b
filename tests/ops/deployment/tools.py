"""Prometheus's own programs, where they are installed."""

import os
import shutil
import subprocess

import pytest

__all__ = ["program", "tool"]

MISSING = "Debian has it: apt install prometheus prometheus-alertmanager"


def program(name: str) -> str:
    """Where a program of Debian's `prometheus` or `prometheus-alertmanager` is; without it a test is skipped, and fails in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"This test needs {name}. {MISSING}", pytrace=False)
        pytest.skip(f"This test needs {name}. {MISSING}")
    return found


def tool(name: str, *arguments: str) -> str:
    """What a program says that ends well; it has no need of a garbage collector, which is a third of its work."""
    command, environment = [program(name), *arguments], os.environ | {"GOGC": "off"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
