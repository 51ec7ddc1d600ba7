"""Charts as SVG: panels of lines over one time axis, for what tools measure in the course of time, and bars."""

import math
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 760, 170  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 130, 28, 24
_COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44")
_STYLE = "text{font:12px sans-serif;fill:#333}.grid{stroke:#ddd}.line{fill:none;stroke-width:1.5}"


@dataclass(frozen=True)
class Panel:
    """One diagram: a title, and lines as {name: values}, a value for each time."""

    title: str
    lines: dict


def _top(highest):
    """Return the end of an axis: the next of 1, 2, 5 times a power of ten."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= highest:
                return factor * power
        power *= 10


def _panel(panel, times, y):
    """Return the SVG of a panel whose upper edge is at `y`."""
    top = _top(max((max(values, default=0) for values in panel.lines.values()), default=0))
    end = times[-1] if times and times[-1] > 0 else 1
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(time, value):
        return f"{_LEFT + width * time / end:.1f},{y + _TOP + height * (1 - value / top):.1f}"

    parts = [f'<text x="{_LEFT}" y="{y + 18}">{escape(panel.title)}</text>']
    for share in (0, 0.5, 1):
        at = y + _TOP + height * (1 - share)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + width}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{top * share:g}</text>')
        where = f'x="{_LEFT + width * share:.1f}" y="{y + _HEIGHT - 6}"'
        parts.append(f'<text {where} text-anchor="middle">{end * share:.0f} s</text>')
    for i, (name, values) in enumerate(panel.lines.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        points = " ".join(map(place, times, values))
        parts.append(f'<polyline class="line" stroke="{colour}" points="{points}"/>')
        label = f'x="{_LEFT + width + 8}" y="{y + _TOP + 12 + 16 * i}" style="fill:{colour}"'
        parts.append(f"<text {label}>{escape(name)}</text>")
    return parts


def svg(panels, times):
    """Return an SVG document of panels, one below the other; `times` in seconds, ascending."""
    height = _HEIGHT * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    for i, panel in enumerate(panels):
        parts += _panel(panel, times, i * _HEIGHT)
    return "\n".join([*parts, "</svg>\n"])


@dataclass(frozen=True)
class Bars:
    """One group of bars: a title, and {name: value}; None is drawn as "fails"."""

    title: str
    values: dict


_BAR, _NAMES, _LONGEST = 16, 240, 420


def bars(groups, own, logarithmic=False):
    """Return an SVG document of groups of bars; names that begin with `own` have a colour of their own.

    Each group has its own scale, from 0, or with `logarithmic` one for all, from 1.
    """
    values = [value for group in groups for value in group.values.values() if value]
    highest = max(values, default=1)
    parts, y = [], 0
    for group in groups:
        top = highest if logarithmic else max((value for value in group.values.values() if value), default=1)
        parts.append(f'<text x="4" y="{y + 18}" font-weight="bold">{escape(group.title)}</text>')
        y += 26
        for name, value in group.values.items():
            share = _share(value, top, logarithmic)
            colour = _COLOURS[0] if name.startswith(own) else "#b8b8b8"
            said = "fails" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"
            parts.append(f'<text x="{_NAMES - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{_NAMES}" y="{y + 2}" width="{share * _LONGEST:.1f}" height="12" fill="{colour}"/>')
            parts.append(f'<text x="{_NAMES + share * _LONGEST + 6:.1f}" y="{y + 12}">{said}</text>')
            y += _BAR
        y += 8
    size = f'width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}"'
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{_STYLE}</style>"]
    return "\n".join([*head, f'<rect width="{_WIDTH}" height="{y}" fill="white"/>', *parts, "</svg>\n"])


def _share(value, top, logarithmic):
    """Return how long a bar is, from 0 to 1."""
    if not value:
        return 0
    if logarithmic:
        return max(0, math.log(value) / math.log(top)) if top > 1 else 1
    return value / top
