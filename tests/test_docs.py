"""The documentation is held to the code: pages that the code tells, commands that exist, links that lead somewhere."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.page_of_records import page_of_records
from tests.support.pages import commands, page_of_commands, page_of_metrics, page_of_settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize(
    ("name", "told"),
    [("commands", page_of_commands), ("metrics", page_of_metrics), ("records", page_of_records), ("settings", page_of_settings)],
)
def test_a_page_says_what_the_code_says(name: str, told: Callable[[], str], golden: Callable[[Path, bytes], None]) -> None:
    golden(ROOT / "docs" / f"{name}.md", told().encode())


def console_lines(page: Path) -> Iterator[list[str]]:
    """What the page's `console` examples type after the prompt, in words."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            yield shlex.split(line, comments=True)


def what_is_wrong(words: list[str]) -> str | None:
    """Why a typed command cannot work, as far as names and flags go."""
    if words[0] == "make":
        known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        unknown = {word for word in words[1:] if "=" not in word} - known
        return f"make has no {', '.join(sorted(unknown))}" if unknown else None
    if words[0] != "kithkin":
        return None
    known_commands = commands()
    name = words[0]
    while len(words) > len(name.split()) and f"{name} {words[len(name.split())]}" in known_commands:
        name = f"{name} {words[len(name.split())]}"
    group = known_commands[name]
    if getattr(group, "commands", None) and not group.invoke_without_command and words[-1] != "--help":
        return f"{' '.join(words)} names no command"
    flags = {o for p in known_commands[name].params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    unknown = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} - flags
    return f"{name} has no {', '.join(sorted(unknown))}" if unknown else None


@each_page
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    assert [why for words in console_lines(page) if (why := what_is_wrong(words))] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert what_is_wrong(["make", "coffee"])
    assert what_is_wrong(["kithkin", "coffee"])
    assert what_is_wrong(["kithkin", "replay", "a.jsonl", "--coffee"])
    assert what_is_wrong(["kithkin", "replay", "a.jsonl", "--out", "answers"]) is None


def anchors(page: Path) -> set[str]:
    """Names that a link may point to within a page, as GitHub makes them of its headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_every_local_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []
