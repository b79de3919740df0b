"""Pages and docstrings that show Python show what it does."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.doctested import failures_of

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in ROOT.glob("docs/*.md") if re.search(r"^```python\n>>>", page.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_as_it_is_shown(page: Path) -> None:
    assert failures_of(page) == []


def test_a_page_that_shows_something_else_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n\n```\n")
    assert "Expected:\n    3\nGot:\n    2" in "".join(failures_of(page))


@pytest.mark.parametrize("name", ["stream", "stream.api.feedback", "stream.api.household", "stream.api.observation"])
def test_the_examples_of_a_docstring_run_as_they_are_shown(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0


def test_the_readmes_program_runs() -> None:
    told = (ROOT / "README.md").read_text("utf-8")
    (program,) = re.findall(r"^## In Python\n.*?^```py\n(.*?)^```", told, re.MULTILINE | re.DOTALL)
    exec(program, {"array": np.random.default_rng(0).standard_normal(256)})
