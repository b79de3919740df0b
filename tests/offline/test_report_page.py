"""The report in a real browser: nothing lies on anything, no plot is empty, no script fails, and what is asked for is shown."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.replay.report import replay_report
from stream.offline.simulation.sample import Sample, write_sample
from tests.support.browser import SIZES, browsing, faults


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A street of which one home gets another microphone, judged by what people said and by truth; and an evening of one home."""
    folder = tmp_path_factory.mktemp("pages")
    written = write_sample(Sample(homes=4, days=42, seed=0), folder / "street")
    replay(Replay([str(written.log)], folder / "run", Policy(), Wiring()))
    evening = folder / "evening.jsonl"
    evening.write_bytes(b"".join(written.log.read_bytes().splitlines(keepends=True)[:12]))
    replay(Replay([str(evening)], folder / "short", Policy(), Wiring()))
    return {
        "feedback": replay_report(folder / "run", folder / "feedback.html"),
        "truth": replay_report(folder / "run", folder / "truth.html", truth=written.truth),
        "evening": replay_report(folder / "short", folder / "evening.html"),
    }


@pytest.fixture(scope="module")
def opens() -> Iterator[Any]:
    """Opens windows of one browser."""
    with browsing() as open_window:
        yield open_window


@pytest.fixture(scope="module")
def window(pages: dict[str, Path], opens: Any) -> Iterator[Any]:
    with opens(pages["truth"], SIZES[0]) as (shown, complaints):
        yield shown
        assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
@pytest.mark.parametrize("which", ["feedback", "truth", "evening"])
def test_every_home_of_a_page_is_drawn_without_fault(
    pages: dict[str, Path], opens: Any, which: str, size: tuple[int, int], scheme: str
) -> None:
    with opens(pages[which], size, scheme) as (shown, complaints):
        for home in range(shown.evaluate("run.homes.length")):
            shown.evaluate(f"choose({home})")
            assert faults(shown) == []
        shown.evaluate("look(run.begin + DAY / 2, run.begin + DAY)")
        assert faults(shown) == []
        assert complaints == []


def test_on_a_phone_an_alert_is_seen_before_anything_is_drawn(pages: dict[str, Path], opens: Any) -> None:
    with opens(pages["feedback"], SIZES[1]) as (shown, _):
        assert "kitchen device of linden-04" in shown.locator(".alert").first.inner_text()
        assert shown.locator(".alert").first.bounding_box()["y"] < shown.locator("#tiles").bounding_box()["y"]
        assert shown.locator("#home-name").inner_text() == "linden-04"


def test_levels_three_and_four_are_told_apart(window: Any) -> None:
    apart = window.evaluate("124 * (sureness(run.least[3]) - sureness(run.least[2]))")
    assert apart > 15  # pixels of a lane
    assert window.evaluate("sureness(.9999) - sureness(.9995)") > 0.05


def test_a_time_that_is_looked_at_holds_its_answers_alone(window: Any) -> None:
    window.evaluate("choose(0)")
    day = window.evaluate("[run.begin + 7 * DAY, run.begin + 9 * DAY]")
    inside = window.evaluate(f"run.homes[0].events.filter(e => e[0] >= {day[0]} && e[0] <= {day[1]}).length")
    assert 0 < inside < window.evaluate("run.homes[0].events.length")
    window.fill("#from", window.evaluate(f"midnight({day[0]})"))
    window.fill("#to", window.evaluate(f"midnight({day[1]} - 1)"))
    window.locator("#from").dispatch_event("change")
    assert window.evaluate("[view.from, view.to]") == day
    assert f"{inside} answer" in window.locator("#time-note").inner_text()
    window.click("#whole")
    assert window.evaluate("isWhole()")


def test_dragging_along_the_lanes_zooms_in(window: Any) -> None:
    window.evaluate("choose(0)")
    window.locator("#lanes").scroll_into_view_if_needed()
    box = window.locator("#lanes svg").bounding_box()
    window.mouse.move(box["x"] + 400, box["y"] + 80)
    window.mouse.down()
    window.mouse.move(box["x"] + 600, box["y"] + 80)
    window.mouse.up()
    assert not window.evaluate("isWhole()")
    window.locator("#lanes svg").dblclick(position={"x": 300, "y": 4})
    assert window.evaluate("isWhole()")


def test_homes_are_found_by_whom_lives_there_and_sorted(window: Any) -> None:
    person = window.evaluate("run.homes[2].people[0]")
    window.fill("#find", person)
    names = window.locator(".house b").all_inner_texts()
    assert window.evaluate("run.homes[2].id") in names
    assert set(names) == set(window.evaluate(f"run.homes.filter(h => JSON.stringify(h).includes('{person}')).map(h => h.id)"))
    window.fill("#find", "")
    window.select_option("#sort", "alerted")
    assert window.locator(".house b").first.inner_text() == "linden-04"
    window.select_option("#sort", "doubt")
    doubts = window.evaluate("[...document.querySelectorAll('.house')].map(h => run.homes[h.dataset.home].doubt)")
    assert doubts == sorted(doubts, reverse=True)


def test_under_every_picture_is_a_table_and_its_csv_has_every_row(window: Any) -> None:
    window.evaluate("choose(3)")
    pictures = ["lanes", "why", "change", "drift", "confusion", "calibration", "tiers", "modalities", "revisions", "days"]
    for name in pictures:
        assert window.locator(f'details[data-of="{name}"]').count() == 1, name
    window.locator('details[data-of="lanes"] summary').click()
    with window.expect_download() as told:
        window.locator('details[data-of="lanes"] .csv').click()
    rows = list(csv.reader(io.StringIO(Path(told.value.path()).read_text("utf-8"))))
    assert rows[0][:2] == ["time", "event"]
    assert len(rows) - 1 == window.evaluate("run.homes[3].events.length")


def test_the_waterfall_adds_up_to_how_sure_it_was(window: Any) -> None:
    explained = window.evaluate("run.explained")
    assert explained
    for events in explained.values():
        for told in events.values():
            assert sum(nats for _, nats in told["terms"]) == pytest.approx(told["nats"], abs=0.01)
    home = next(iter(explained))
    window.evaluate(f"choose(run.homes.findIndex(h => h.id === '{home}'))")
    assert window.locator("#why svg").count() == 1
    assert "together" in window.locator("#why").inner_text()


def test_no_list_is_cut_and_all_of_it_can_be_had(window: Any) -> None:
    window.evaluate("choose(0)")
    count = window.evaluate("run.homes[0].feedback.length")
    assert count > 8
    assert window.locator("#feedback li").count() == 8
    assert window.evaluate("$('feedback').scrollHeight <= $('feedback').clientHeight + 1")
    window.locator("#feedback + .more").click()
    assert window.locator("#feedback li").count() == count
