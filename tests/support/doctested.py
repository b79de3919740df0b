"""Pages whose Python is run: every block of `python` of a page, one after the other, as doctest runs a docstring."""

import doctest
import re
from pathlib import Path
from typing import Any

__all__ = ["failures_of"]

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def failures_of(page: Path) -> list[str]:
    """What a page says that its code does not; of a page without code nothing."""
    told: list[str] = []
    names: dict[str, Any] = {}
    runner, parser = doctest.DocTestRunner(optionflags=_FLAGS), doctest.DocTestParser()
    text = page.read_text("utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, found.start(1))
        test = parser.get_doctest(found[1], names, page.name, str(page), line)
        test.globs = names
        runner.run(test, out=told.append, clear_globs=False)
    return told
