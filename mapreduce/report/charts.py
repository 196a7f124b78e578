"""How are a run's figures drawn? As SVG, which a page holds as text: bars, lines, and a timeline.

Pure functions from numbers to text. Colours are classes, so that the page's style decides them, in light and in dark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from mapreduce.dataclass import dataclass

WIDTH = 940
LEFT, RIGHT, TOP, BOTTOM = 88, 12, 8, 26

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Mark:
    """A rectangle on a timeline: from `start` to `end` in lane `lane`; `kind` is its class, `tip` told by the mouse."""

    lane: int
    start: float
    end: float
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined by a line; `kind` is its class, `name` stands in the legend."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing area: from data to pixels."""

    height: float
    x_high: float
    y_high: float
    x_low: float = 0.0

    def x(self, value: float) -> float:
        return LEFT + (value - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (1 - value / self.y_high) * (self.height - TOP - BOTTOM)


def ticks(high: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to `high`: steps of 1, 2 or 5 times a power of ten. Needs high > 0."""
    rough = high / about
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [number * step for number in range(floor(high / step + 1e-9) + 1)]


def timeline(lane_names: Sequence[str], marks: Sequence[Mark], losses: Sequence[Mark], seconds: float) -> str:
    """A lane a worker, a rectangle an attempt; `losses` are crosses at the moments at which workers were lost."""
    row = 22
    height = TOP + row * len(lane_names) + BOTTOM
    frame = Frame(height, max(seconds, 1e-6), 1.0)
    parts = _time_axis(frame)
    for number, name in enumerate(lane_names):
        middle = TOP + row * number + row / 2
        parts.append(f'<text class="label" x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    for mark in _merged(marks, frame):
        left, right = frame.x(mark.start), frame.x(mark.end)
        parts.append(
            f'<rect class="{mark.kind}" x="{left:.1f}" y="{TOP + row * mark.lane + 3}" '
            f'width="{max(0.8, right - left):.1f}" height="{row - 6}"><title>{escape(mark.tip)}</title></rect>'
        )
    for loss in losses:
        x, y = frame.x(loss.start), TOP + row * loss.lane + row / 2
        parts.append(
            f'<g class="loss"><title>{escape(loss.tip)}</title><circle cx="{x:.1f}" cy="{y}" r="8"/>'
            f'<path d="M{x - 4:.1f} {y - 4}l8 8m0 -8l-8 8"/></g>'
        )
    return _svg(height, parts, "attempts by worker over time")


def _merged(marks: Sequence[Mark], frame: Frame) -> list[Mark]:
    """Marks of one kind that lie closer together than a pixel, as one: a page must not hold a million of them."""
    pixel = frame.x_high / WIDTH
    merged: dict[tuple[int, str], list[Mark]] = {}
    counts: dict[tuple[int, str], list[int]] = {}
    for mark in sorted(marks, key=lambda mark: mark.start):
        key = (mark.lane, mark.kind)
        row = merged.setdefault(key, [])
        if row and mark.start - row[-1].end < pixel and mark.end - row[-1].start < pixel:
            counts[key][-1] += 1
            row[-1] = Mark(mark.lane, row[-1].start, max(mark.end, row[-1].end), mark.kind, row[-1].tip)
        else:
            row.append(mark)
            counts.setdefault(key, []).append(1)
    return [
        mark if count == 1 else Mark(mark.lane, mark.start, mark.end, mark.kind, f"{count} attempts; first: {mark.tip}")
        for key, row in merged.items()
        for mark, count in zip(row, counts[key], strict=True)
    ]


def area(values: Sequence[float], seconds: float, show: Format, height: float = 150) -> str:
    """Values over equal spans of the time, as a filled line."""
    high = max(values, default=0.0) or 1.0
    frame = Frame(height, max(seconds, 1e-6), high * 1.05)
    span = frame.x_high / max(1, len(values))
    points = "".join(
        f"L{frame.x(number * span):.1f} {frame.y(value):.1f}H{frame.x((number + 1) * span):.1f}"
        for number, value in enumerate(values)
    )
    base = frame.y(0)
    path = f"M{LEFT} {base:.1f}{points}L{frame.x(frame.x_high):.1f} {base:.1f}Z"
    return _svg(height, [*_y_axis(frame, show), *_time_axis(frame), f'<path class="area" d="{path}"/>'], "over time")


def bars(
    values: Sequence[float],
    tips: Sequence[str],
    x_labels: Sequence[tuple[float, str]],
    show: Format,
    *,
    line_at: tuple[float, str] | None = None,
    height: float = 150,
    kind: str = "bar",
) -> str:
    """A bar a value, side by side. `x_labels` are (position in bars, text); `line_at` a value to compare with."""
    high = max([*values, line_at[0] if line_at else 0.0], default=0.0) or 1.0
    frame = Frame(height, float(max(1, len(values))), high * 1.05)
    parts = _y_axis(frame, show)
    gap = 0.1 if len(values) <= 200 else 0.0
    for number, (value, tip) in enumerate(zip(values, tips, strict=True)):
        if value:
            left, right = frame.x(number + gap / 2), frame.x(number + 1 - gap / 2)
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{frame.y(value):.1f}" width="{max(0.5, right - left):.1f}" '
                f'height="{frame.y(0) - frame.y(value):.1f}"><title>{escape(tip)}</title></rect>'
            )
    for position, text in x_labels:
        parts.append(_x_label(frame, position, text))
    if line_at:
        y = frame.y(line_at[0])
        parts.append(
            f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="label" x="{WIDTH - RIGHT}" y="{y - 4:.1f}" text-anchor="end">{escape(line_at[1])}</text>'
        )
    return _svg(height, parts, "bars")


def lines(
    drawn: Sequence[Line],
    x_labels: Sequence[tuple[float, str]],
    show: Format,
    height: float = 260,
) -> str:
    """Lines over a common axis, with a legend at the left top; points have their values as tips."""
    xs = [x for line in drawn for x, _ in line.points]
    high = max((y for line in drawn for _, y in line.points), default=1.0) or 1.0
    low_x, high_x = min(xs, default=0.0), max(xs, default=1.0)
    frame = Frame(height, high_x if high_x > low_x else low_x + 1, high * 1.05, low_x)
    parts = _y_axis(frame, show)
    parts += [_x_label(frame, position, text) for position, text in x_labels]
    for number, line in enumerate(drawn):
        path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in line.points)
        parts.append(f'<path class="line {line.kind}" d="M{path}"/>')
        if len(line.points) <= 40:
            parts += [
                f'<circle class="dot {line.kind}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3">'
                f"<title>{escape(line.name)}: {escape(show(y))}</title></circle>"
                for x, y in line.points
            ]
        y = TOP + 14 + 16 * number
        parts.append(
            f'<path class="line {line.kind}" d="M{LEFT + 12} {y - 4}h22"/>'
            f'<text class="label" x="{LEFT + 40}" y="{y}">{escape(line.name)}</text>'
        )
    return _svg(height, parts, "lines")


def _time_axis(frame: Frame) -> list[str]:
    base = frame.height - BOTTOM
    parts = [f'<path class="axis" d="M{LEFT} {base:.1f}H{WIDTH - RIGHT}"/>']
    for tick in ticks(frame.x_high, 8):
        x = frame.x(tick)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{base:.1f}"/>')
        parts.append(_x_label(frame, tick, _seconds(tick, frame.x_high)))
    return parts


def _y_axis(frame: Frame, show: Format) -> list[str]:
    parts = []
    for tick in ticks(frame.y_high, 4):
        y = frame.y(tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text class="label" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(show(tick))}</text>'
        )
    return parts


def _x_label(frame: Frame, position: float, text: str) -> str:
    x = frame.x(position)
    anchor = "start" if x < LEFT + 10 else "end" if x > WIDTH - RIGHT - 10 else "middle"
    return (
        f'<text class="label" x="{x:.1f}" y="{frame.height - BOTTOM + 16:.1f}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _seconds(value: float, high: float) -> str:
    digits = max(0, ceil(-log10(high / 8))) if high < 8 else 0
    return f"{value:.{digits}f} s" if high < 600 else f"{value / 60:.0f} min"


def _svg(height: float, parts: Sequence[str], name: str) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(name)}">'
    return head + "".join(parts) + "</svg>"
