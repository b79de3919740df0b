"""The tools of the shared folder as modules: `world`, `score`, `baselines`."""

import importlib.util
import os
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["SHARED", "tool"]

SHARED = Path(os.environ.get("KITHKIN_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@cache
def tool(name: str) -> ModuleType:
    """A tool; ends the process with a sentence where there is none."""
    path = SHARED / "tools" / f"{name}.py"
    if not path.is_file():
        sys.exit(f"{path} is not here: set KITHKIN_SHARED to the folder with the tools and the data.")
    spec = importlib.util.spec_from_file_location(f"kithkin_tool_{name}", path)
    assert spec is not None, "a path that ends in .py has a loader"
    assert spec.loader is not None, "a path that ends in .py has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    return module
