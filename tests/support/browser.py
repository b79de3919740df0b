"""A page in a real browser: what it looks like, and what is wrong with it.

Playwright drives the Chromium that is installed; it brings none of its own.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

__all__ = ["SIZES", "browsing", "chromium", "faults", "opened"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
SIZES = ((1600, 1000), (400, 800))

# Words of one picture that lie on each other or leave the page; pictures without a mark; what is wider than the page.
FAULTS = """() => {
  const seen = e => e.checkVisibility() && e.getBoundingClientRect().width > 0, out = [];
  const name = e => (e.closest("[id]") || e).id;
  for (const svg of document.querySelectorAll("main svg")) {
    if (!seen(svg)) continue;
    const words = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
    const boxes = words.map(t => t.getBoundingClientRect());
    for (let i = 0; i < boxes.length; i++) {
      if (boxes[i].right > innerWidth + 1) out.push(`${name(svg)}: “${words[i].textContent}” leaves the page`);
      for (let j = i + 1; j < boxes.length; j++) {
        const a = boxes[i], b = boxes[j], across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        if (across > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
          out.push(`${name(svg)}: “${words[i].textContent}” lies on “${words[j].textContent}”`);
      }
    }
    if (!svg.querySelector("path, circle, rect, line")) out.push(`${name(svg)}: an empty plot`);
    if (/NaN|undefined|Infinity/.test(svg.outerHTML)) out.push(`${name(svg)}: a mark without a place`);
  }
  for (const card of document.querySelectorAll(".card")) {
    const parts = [...card.querySelectorAll("[id], dl")];
    if (seen(card) && !parts.some(e => e.textContent.trim() || e.querySelector("svg"))) out.push(`${name(card)}: an empty card`);
  }
  if (document.documentElement.scrollWidth > innerWidth) {
    const leaves = e => seen(e) && e.getBoundingClientRect().right > innerWidth + 1;
    const wide = [...document.querySelectorAll("main *")].filter(leaves).map(e => e.tagName + "#" + name(e));
    out.push("wider than the page: " + [...new Set(wide)].slice(0, 5).join(", "));
  }
  return out;
}"""


def chromium() -> str:
    """The browser of this machine. Where there is none, a test that needs it fails in CI and is skipped elsewhere."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("This test needs a browser: there is no Chromium on the path.", pytrace=False)
        pytest.skip("This test needs a browser: there is no Chromium on the path.")
    return str(found)


@contextmanager
def browsing() -> Iterator[Callable[..., AbstractContextManager[tuple[Any, list[str]]]]]:
    """A browser that opens any number of windows, as `opened` does one, each as if nobody had been there before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])

        @contextmanager
        def open_window(
            page: Path | str, size: tuple[int, int], scheme: Literal["light", "dark"] = "light"
        ) -> Iterator[tuple[Any, list[str]]]:
            complaints: list[str] = []
            window = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
            window.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
            window.on("pageerror", lambda error: complaints.append(str(error)))
            window.goto(page if isinstance(page, str) else page.resolve().as_uri())
            yield window, complaints
            window.close()

        yield open_window
        browser.close()


@contextmanager
def opened(page: Path | str, size: tuple[int, int], scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """The page, a file or a URL, in a window of that size, and what its console complains of."""
    with browsing() as open_window, open_window(page, size, scheme) as window:
        yield window


def faults(window: Any) -> list[str]:
    """What is wrong with what a window shows."""
    return list(window.evaluate(FAULTS))
