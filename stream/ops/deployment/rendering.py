"""`deploy/`: every file by its name, and writing them.

Law: a pure function of this version and of what is asked; what stands in the folder and is not rendered is left alone.
"""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from ..objectives.settings import Objectives
from .dashboards import DASHBOARDS, dashboard_json
from .rules import ALERTS, RECORDED, burn_rules, evidence_rules, rules_of

__all__ = ["RUNBOOKS", "render", "render_files"]

RUNBOOKS: Final = "docs/runbooks/"  # of a clone
_PROMISED: Final = Objectives()


def render_files(runbooks: str = RUNBOOKS, objectives: Objectives = _PROMISED) -> dict[str, str]:
    """All files, by their path in the folder; `runbooks` stands before the name of each alert's page."""
    told = dict(_templates(files(__package__) / "templates"))
    told["prometheus/rules.yml"] = rules_of(RECORDED, ALERTS, "kithkin", runbooks)
    told["prometheus/slo.yml"] = rules_of(evidence_rules(objectives), burn_rules(objectives), "kithkin-slo", runbooks, "1m")
    told |= {f"grafana/dashboards/{d.uid.removeprefix('kithkin-')}.json": dashboard_json(d) for d in DASHBOARDS}
    return dict(sorted(told.items()))


def render(out: Path, runbooks: str = RUNBOOKS, objectives: Objectives = _PROMISED) -> list[Path]:
    """Write all files into a folder; their paths. Raises OSError."""
    written = []
    for name, text in render_files(runbooks, objectives).items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def _templates(folder: Traversable, path: str = "") -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _templates(entry, f"{path}{entry.name}/")
        else:
            yield path + entry.name, entry.read_text("utf-8")
