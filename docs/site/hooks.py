"""Pages of the site that are made of other files: the examples, cards of packs, lists of decisions and of changes, deploy/.

Law: nothing is written twice. A link that leads out of `docs` in the project leads to such a page here.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
_OUT = (  # how a link out of `docs` reads, and where it leads on the site, from the top of it
    (re.compile(r"\]\((?:\.\./)*learners/packs/([\w.-]+\.md)\)"), "cards/{0}"),
    (re.compile(r"\]\((?:\.\./)*examples/(\w+)\.py\)"), "examples.md#{0}py"),
    (re.compile(r"\]\(decisions/\)"), "decisions/index.md"),
    (re.compile(r"\]\((?:\.\./)*deploy/README\.md\)"), "deploy.md"),
    (re.compile(r"\]\((?:\.\./)+CHANGELOG\.md\)"), "changelog.md"),
)
# What else is in the project and not on the site is named, and leads nowhere.
_ONLY_IN_THE_PROJECT = re.compile(
    r"\[([^\]]+)\]\((?:(?:\.\./)+(?:configs|examples|deploy)/[\w./-]*|(?:\.\./)*(?:SECURITY|CONTRIBUTING)\.md)\)"
)
_ELSEWHERE = re.compile(r"^\(Names after `:::`.*\n", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add what is made here."""
    made = {
        "examples.md": _examples(),
        "decisions/index.md": _decisions(),
        "deploy.md": (ROOT / "deploy" / "README.md").read_text("utf-8"),
        "changelog.md": re.sub(r"\]\(docs/", "](", (ROOT / "CHANGELOG.md").read_text("utf-8")),
    }
    made |= {f"cards/{card.name}": card.read_text("utf-8") for card in sorted(ROOT.glob("learners/packs/*.md"))}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Have links lead to pages of the site, and leave out what is told to who reads a page elsewhere."""
    markdown = _ELSEWHERE.sub("", markdown)
    up = "../" * page.file.src_uri.count("/")
    for pattern, target in _OUT:
        markdown = pattern.sub(lambda found, target=target: f"]({up}{target.format(*found.groups())})", markdown)
    return _ONLY_IN_THE_PROJECT.sub(r"\1", markdown)


def _examples() -> str:
    shown = ["# Examples\n\nWhole programs of at most 30 lines; all are run by tests.\n"]
    for path in sorted(ROOT.glob("examples/*.py")):
        shown.append(f"## {path.name}\n\n```python\n{path.read_text('utf-8').rstrip()}\n```\n")
    return "\n".join(shown)


def _decisions() -> str:
    listed = ["# Decisions\n\nWhat was hard to decide, or would be hard to undo.\n"]
    for path in sorted(ROOT.glob("docs/decisions/[0-9]*.md")):
        title = path.read_text("utf-8").splitlines()[0].lstrip("# ")
        listed.append(f"* [{title}]({path.name})")
    return "\n".join(listed) + "\n"
