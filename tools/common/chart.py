"""Line charts as SVG: panels of lines over one time axis, for what tools measure in the course of time."""

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
