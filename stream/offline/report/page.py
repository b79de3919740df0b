"""The report: one HTML file that tells a person what a run did, home by home.

Law: it is made of inputs and outputs alone, plus the truth where somebody knows it (then answers are called right or wrong);
the file loads nothing from anywhere. The numbers and sentences are made in Python, the page draws them.

Plots are inline SVG drawn by a few hundred lines of plain JavaScript (`page.js`, `home.js`, `quality.js`) instead of a library:
the lanes of a home (thousands of marks that say who, how sure, right or wrong, and what feedback did to them) are no
chart of any, the file weighs 0.4 MB instead of 5, follows the reader's light or dark setting, and opens at once on a phone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.errors import ConfigError
from stream.contract.policy import Tiers
from stream.contract.units import DAY_MS

from .headlines import headline, lead, tiles
from .homes import home
from .measures import Judged, calibration, days, home_order, judge_by_truth, right_by_home, tiers
from .run import Reading, Run, read
from .tally import Tally

__all__ = ["WORST", "Run", "Wider", "refuse_directory", "report"]

WORST: Final = 10  # homes that are listed
_SCRIPTS: Final = ("page.js", "home.js", "quality.js")


@dataclass(frozen=True, slots=True)
class Wider:
    """What is known of a run beyond the records of the homes on its page.

    Parameters
    ----------
    tally, judged, claimed
        All answers of all homes: counted, judged by truth (else by what people said), and by what people said.
    least
        The least probabilities of tiers 1 to 4, as the policy has them.
    made
        What it was made of: headings with names and values.
    explained
        By home and event, its answer taken apart.
    folder
        Where `kithkin why` finds the run; empty: nowhere.
    """

    tally: Tally
    judged: Judged
    claimed: Judged | None = None
    least: Sequence[float] = Tiers().least
    made: Sequence[tuple[str, Sequence[tuple[str, str]]]] = ()
    explained: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: str = ""


def refuse_directory(out: Path) -> None:
    """Stop before anything is done for a page that cannot be written. Raises ConfigError."""
    if out.is_dir():
        raise ConfigError("out", str(out), "a directory", f"the name of a file, such as {out / 'report.html'}")


def report(run: Run, out: Path, wider: Wider | None = None) -> Path:
    """Write the report of a run to the file `out` (its folder is made) and return it. An empty run gives a page that says so."""
    reading = read(run)
    payload = _payload(run, reading, wider or _as_wide(run, reading))
    # "</script" would end the script element, and "<!--<script" have it never end; "\u003c" is the same string to JSON
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page, script = _packaged_text("page.html"), "\n".join(map(_packaged_text, _SCRIPTS))
    for mark, inside in (("/*CSS*/", _packaged_text("page.css")), ("/*JS*/", script), ("/*RUN*/null", text)):
        page = page.replace(mark, inside)
    out.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    with open(out, "w", encoding="utf-8", opener=private) as file:
        file.write(page)
    return out


def _packaged_text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _as_wide(run: Run, reading: Reading) -> Wider:
    """Of a run whose homes are all on the page."""
    tally = Tally()
    for revisions in reading.answers.values():
        for answer in revisions:
            tally.note(answer)
    return Wider(tally, judge_by_truth(reading, run.truths))


def _payload(run: Run, reading: Reading, wider: Wider) -> dict[str, Any]:
    judged, right = wider.judged, right_by_home(wider.judged)
    begin_ms, end_ms = _span(reading)
    homes = [home(one, reading, run, right.get(one), wider.tally.doubt(one)) for one in reading.households]
    worst = [one for one in home_order(right) if one in set(reading.households)]
    return {
        "begin": begin_ms, "end": end_ms, "by": judged.by, "homes": homes, "headline": headline(reading, wider.tally, judged),
        "lead": lead(homes, judged), "tiles": tiles(reading, homes, judged, wider.claimed), "alerts": _alerts(reading),
        "calibration": calibration(judged), "tiers": tiers(judged), "least": list(wider.least), "tally": wider.tally.draw(),
        "days": days(judged, begin_ms), "worst": worst[:WORST], "rank": {one: at for at, one in enumerate(worst)},
        "made": wider.made, "explained": wider.explained, "folder": wider.folder,
    }  # fmt: skip


def _span(reading: Reading) -> tuple[int, int]:
    """Midnight before the first answer or word, and midnight after the last (ms)."""
    times = [a[0].at_ms for a in reading.answers.values()] + [s.at_ms for s in reading.said.values()]
    return (min(times) // DAY_MS * DAY_MS, -(-max(times) // DAY_MS) * DAY_MS) if times else (0, DAY_MS)


def _alerts(reading: Reading) -> list[dict[str, Any]]:
    """Each alert as it stood at last, by when it was opened."""
    last = {alert["alert_id"]: alert for alert in reading.alerts}
    return [
        {"t": one["opened_at"], "state": one["state"], "text": one["summary"], "action": one["suggested_action"],
         "homes": one["members"], "until": one["updated_at"]}
        for one in sorted(last.values(), key=lambda alert: (alert["opened_at"], alert["alert_id"]))
    ]  # fmt: skip
