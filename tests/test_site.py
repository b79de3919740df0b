"""The docs as a site: it can be built, nothing in it leads nowhere, and nothing is fetched from elsewhere by who reads it."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FETCHED = re.compile(
    r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?https?:|<link\b[^>]*\brel=\"?(?:stylesheet|icon|preconnect)[^>]*\bhref=\"?https?:"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not all(importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")):
        if os.environ.get("CI"):
            pytest.fail("The site needs the extra docs, which is not installed here.")
        pytest.skip("The site needs the extra docs, which is not installed here.")
    out = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/site/mkdocs.yml", "-d", str(out)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out


def test_every_page_of_the_docs_is_one_of_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in ROOT.glob("docs/**/*.md")}
    files = [page.with_name("index.html") if page.name == "README.html" else page for page in sorted(pages)]
    assert [page for page in files if not (site / page).is_file()] == []


def test_the_reference_tells_what_stands_in_the_package(site: Path) -> None:
    import stream

    text = (site / "reference.html").read_text("utf-8")
    documented = set(re.findall(r'id="?stream\.[\w.]+\.(\w+)"?', text))
    elsewhere = {"Identity", "Policy", "__version__", "feedback"}  # in records and settings; a module
    assert set(stream.__all__) - documented == elsewhere
    assert {*stream.feedback.__all__, "recognise", "explain", "from_profile"} <= documented


def test_every_example_is_shown_whole(site: Path) -> None:
    text = (site / "examples.html").read_text("utf-8")
    assert [path.name for path in ROOT.glob("examples/*.py") if f">{path.name}<" not in text] == []


def test_links_that_lead_out_of_the_docs_lead_to_pages(site: Path) -> None:
    lost = []
    for page in site.rglob("*.html"):
        for link in re.findall(r"href=\"?([^\s\">#]+)", page.read_text("utf-8")):
            if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists() and page.name != "404.html":
                lost.append(f"{page.relative_to(site)}: {link}")
    assert lost == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    assert {str(page.relative_to(site)) for page in site.rglob("*.html") if FETCHED.search(page.read_text("utf-8"))} == set()
