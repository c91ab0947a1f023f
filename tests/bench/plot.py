"""The run as a picture: what a delivery costs, and how that grows with the streams.

SVG, with both of a page's colour schemes in it; GitHub shows it as an image, without scripts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from bench.courses import fan_out, growth

WIDTH = 880
BAR_HEIGHT = 22
BAR_STEP = 32
LABEL_WIDTH = 220

# The longest bar leaves room for its figure.
BAR_WIDTH = WIDTH - LABEL_WIDTH - 90

GROWTH_HEIGHT = 240
MARGIN = 24
TITLE_STEP = 40

_STYLE = """
svg { --text: #1f2328; --faint: #656d76; --line: #d8dee4; --ours: #0969da; --other: #afb8c1; }
@media (prefers-color-scheme: dark) {
  svg { --text: #e6edf3; --faint: #8d96a0; --line: #30363d; --ours: #4493f8; --other: #484f58; }
}
text { font: 14px system-ui, sans-serif; fill: var(--text); }
.title { font-weight: 600; font-size: 15px; }
.faint { fill: var(--faint); font-size: 12px; }
.bar { fill: var(--other); }
.ours.bar { fill: var(--ours); }
.grid { stroke: var(--line); }
.curve { fill: none; stroke: var(--other); stroke-width: 2; }
.ours.curve { stroke: var(--ours); stroke-width: 3; }
.dot { fill: var(--other); }
.ours.dot { fill: var(--ours); }
"""

Costs = Mapping[str, float]
Curve = Sequence[tuple[float, float]]


def draw(found: Mapping[str, Any]) -> str:
    """Return the picture of a run, from its JSON; of what it lacks there is nothing.

    Args:
        found: As report.as_json gives it.
    """
    courses = found["courses"]
    costs = _costs(courses.get(fan_out.NAME, {}))
    parts, bottom = _bars(costs)
    curves = _curves(courses.get(growth.NAME, {}))
    if curves:
        lines, bottom = _growth(curves, bottom)
        parts.extend(lines)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom:g}" '
            f'width="{WIDTH}" height="{bottom:g}" role="img">',
            "<title>CPU of the server for one delivered event</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _costs(rows: Mapping[str, Any]) -> Costs:
    return {name: row["medians"]["cpu_us"] for name, row in rows.items() if row["medians"]}


def _curves(rows: Mapping[str, Any]) -> dict[str, Curve]:
    """Return the servers that were measured at all sizes, and what a delivery cost at each."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, row in rows.items():
        if row["medians"]:
            point = (row["medians"]["streams"], row["medians"]["cpu_us"])
            curves.setdefault(growth.server_of(name), []).append(point)
    return {name: sorted(points) for name, points in curves.items() if len(points) > 1}


def _bars(costs: Costs) -> tuple[list[str], float]:
    """Return two groups of bars on one scale, the cheapest first, and where they end."""
    parts: list[str] = []
    y = float(MARGIN)
    most = max(costs.values(), default=0)
    for title, is_behind in (("alone", False), ("behind the same nginx", True)):
        group = {
            name: cost for name, cost in costs.items() if ("behind nginx" in name) == is_behind
        }
        if not group:
            continue
        parts.append(_text(0, y, f"CPU of the server a delivery, {title}", "title"))
        y += BAR_STEP - BAR_HEIGHT
        for name in sorted(group, key=group.__getitem__):
            parts.extend(_bar(name.removesuffix(" behind nginx"), group[name], most, y))
            y += BAR_STEP
        y += TITLE_STEP / 2
    return parts, y


def _bar(name: str, cost_us: float, most_us: float, y: float) -> Iterator[str]:
    width = BAR_WIDTH * cost_us / most_us
    middle = y + BAR_HEIGHT - 6
    yield _text(LABEL_WIDTH - 12, middle, name, anchor="end")
    yield (
        f'<rect class="{_kind(name)}bar" x="{LABEL_WIDTH}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{BAR_HEIGHT}" rx="3"/>'
    )
    yield _text(LABEL_WIDTH + width + 8, middle, f"{cost_us:.1f} µs")


def _growth(curves: Mapping[str, Curve], top: float) -> tuple[list[str], float]:
    """Return a line for each server, named at its end, and where the picture ends."""
    parts = [_text(0, top, "The same by the number of streams, at 10,000 deliveries/s", "title")]
    top += MARGIN
    bottom, right = top + GROWTH_HEIGHT, WIDTH - 200
    most_us = 1.1 * max(cost for curve in curves.values() for _, cost in curve)

    def place(point: tuple[float, float]) -> tuple[float, float]:
        streams, cost_us = point
        x = 50 + (right - 50) * streams / growth.STREAMS[-1]
        return x, bottom - GROWTH_HEIGHT * cost_us / most_us

    for cost_us in _ticks(most_us):
        _, y = place((0, cost_us))
        parts.append(f'<path class="grid" d="M50 {y:.1f}H{right}"/>')
        parts.append(_text(42, y + 4, f"{cost_us:g} µs", "faint", "end"))
    for streams in growth.STREAMS:
        x, _ = place((streams, 0))
        parts.append(_text(x, bottom + 18, f"{streams:,.0f}", "faint", "middle"))
    names = _apart({name: place(curve[-1])[1] for name, curve in curves.items()})
    for name, curve in curves.items():
        points = [place(point) for point in curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="{_kind(name)}curve" points="{path}"/>')
        parts.extend(
            f'<circle class="{_kind(name)}dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points
        )
        parts.append(_text(right + 12, names[name] + 5, name))
    return parts, bottom + TITLE_STEP


def _ticks(most: float) -> list[float]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / step <= 6)
    return [step * nth for nth in range(int(most / step) + 1)]


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Return where names stand that are to stand at these heights, none on another."""
    placed: dict[str, float] = {}
    lowest = float("-inf")
    for name in sorted(heights, key=heights.__getitem__):
        lowest = placed[name] = max(heights[name], lowest + 18)
    return placed


def _kind(name: str) -> str:
    return "ours " if name.startswith("barestream") else ""


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
    )
