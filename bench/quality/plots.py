"""The plots of docs/quality.md: DET curves and reliability, a panel for each world, as SVG.

Law: a plot is a function of the results alone, so that the same figures give the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from scipy.stats import norm

__all__ = ["det_plot", "reliability_plot"]

Point = tuple[float, float]
SIDE, GAP, LEFT, TOP, COLUMNS = 170, 46, 52, 30, 5  # px; panels a row
OURS, STATIC, GREY = "#0b6e99", "#c2571a", "#999"


class Scale(NamedTuple):
    """Where values lie along an axis: 0 at its beginning, 1 at its end."""

    place: Callable[[float], float]
    ticks: Sequence[float]
    label: str


def _probit(low: float, high: float) -> Callable[[float], float]:
    first, last = norm.ppf((low, high))
    return lambda x: float((norm.ppf(min(max(x, low), high)) - first) / (last - first))


_RATES: Final = (0.001, 0.01, 0.05, 0.2, 0.5)
_DET: Final = (Scale(_probit(0.001, 0.6), _RATES, "FPIR %"), Scale(_probit(0.001, 0.6), _RATES, "FNIR %"))
_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_RELIABILITY: Final = (Scale(lambda x: x, _SHARES, "told %"), Scale(lambda x: x, _SHARES, "found %"))


def det_plot(worlds: dict[str, Any]) -> str:
    """Members not recognised against guests taken for members; the lower curve is the better."""
    curves = {name: [(OURS, w["det"]["ours"]), (STATIC, w["det"]["static"])] for name, w in worlds.items() if w["det"]["ours"]}
    return _sheet(curves, _DET, [(OURS, "kithkin"), (STATIC, "static")])


def reliability_plot(worlds: dict[str, Any]) -> str:
    """How often the most probable answer was right, against how probable it was said to be; the diagonal is perfect."""
    diagonal = (GREY, [(0.0, 0.0), (1.0, 1.0)])
    curves = {name: [diagonal, (OURS, w["reliability"])] for name, w in worlds.items()}
    return _sheet(curves, _RELIABILITY, [(OURS, "kithkin"), (GREY, "perfect")])


def _sheet(panels: dict[str, list[tuple[str, list[Point]]]], scales: tuple[Scale, Scale], legend: list[tuple[str, str]]) -> str:
    rows = -(-len(panels) // COLUMNS)
    width, height = LEFT + COLUMNS * (SIDE + GAP), TOP + rows * (SIDE + GAP + TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{height}" fill="white"/>']  # fmt: skip
    for number, (colour, name) in enumerate(legend):
        parts.append(f'<text x="{LEFT + 90 * number}" y="16" fill="{colour}" font-weight="bold">— {name}</text>')
    for number, (name, curves) in enumerate(panels.items()):
        row, column = divmod(number, COLUMNS)
        at = f"translate({LEFT + column * (SIDE + GAP)} {2 * TOP + row * (SIDE + GAP + TOP)})"
        parts += [f'<g transform="{at}">', f'<text x="{SIDE / 2:g}" y="-6" text-anchor="middle">{name}</text>',
                  *_axes(*scales), *(_curve(colour, points, scales) for colour, points in curves), "</g>"]  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])


def _axes(across: Scale, up: Scale) -> Iterator[str]:
    yield f'<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="{GREY}"/>'
    for tick in across.ticks:
        x = SIDE * across.place(tick)
        yield f'<path d="M{x:.1f} 0V{SIDE}" stroke="#eee"/>'
        yield f'<text x="{x:.1f}" y="{SIDE + 13}" text-anchor="middle">{100 * tick:g}</text>'
    for tick in up.ticks:
        y = SIDE * (1 - up.place(tick))
        yield f'<path d="M0 {y:.1f}H{SIDE}" stroke="#eee"/>'
        yield f'<text x="-4" y="{y + 4:.1f}" text-anchor="end">{100 * tick:g}</text>'
    yield f'<text x="{SIDE / 2:g}" y="{SIDE + 27}" text-anchor="middle">{across.label}</text>'
    yield f'<text transform="translate(-32 {SIDE / 2:g}) rotate(-90)" text-anchor="middle">{up.label}</text>'


def _curve(colour: str, points: list[Point], scales: tuple[Scale, Scale]) -> str:
    across, up = scales
    places = " ".join(f"{SIDE * across.place(x):.1f},{SIDE * (1 - up.place(y)):.1f}" for x, y in points)
    return f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
