"""Learning curves as a picture, in SVG: losses above, rates below, over optimizer steps."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Curves = dict[str, list[tuple[int, float]]]
WIDTH, HEIGHT, MARGIN = 640, 240, 48  # of a panel, pixels
COLOURS = ("#0072b2", "#d55e00", "#009e73")  # told apart with any eyes (Okabe and Ito, 2008)


def draw(curves: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draw each of the panels for which there are finite points; others are left out."""
    finite = {name: [p for p in points if math.isfinite(p[1])] for name, points in curves.items()}
    present = {name: points for name, points in finite.items() if points}
    panels = [
        {name: points for name, points in present.items() if name.endswith("/loss") is is_loss}
        for is_loss in (True, False)
    ]
    drawn = [panel(part, index * HEIGHT) for index, part in enumerate(filter(None, panels))]
    size = f'width="{WIDTH}" height="{max(len(drawn), 1) * HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(drawn)}</svg>\n'
    )


def panel(curves: Mapping[str, Sequence[tuple[int, float]]], top: int) -> str:
    """Draw curves that share an axis, its ends labelled."""
    points = [point for curve in curves.values() for point in curve]
    last_step = max(max(step for step, _ in points), 1)
    highest = max(max(value for _, value in points), 1e-9)
    left, right, upper, lower = MARGIN, WIDTH - MARGIN / 2, top + MARGIN / 2, top + HEIGHT - MARGIN / 2
    parts = [
        f'<path d="M{left} {upper}V{lower}H{right}" fill="none" stroke="#888"/>\n',
        f'<text x="{left - 4}" y="{upper + 4}" text-anchor="end">{highest:.3g}</text>\n',
        f'<text x="{left - 4}" y="{lower}" text-anchor="end">0</text>\n',
        f'<text x="{right}" y="{lower + 14}" text-anchor="end">{last_step} steps</text>\n',
    ]
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        line = " ".join(
            f"{left + (right - left) * step / last_step:.1f},"
            f"{lower - (lower - upper) * max(value, 0.0) / highest:.1f}"
            for step, value in curve
        )
        said = f"{escape(name)}, at the end {curve[-1][1]:.4g}"
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>\n')
        parts.append(
            f'<text x="{right}" y="{upper + 14 * index + 4}" fill="{colour}" text-anchor="end">{said}</text>\n'
        )
    return "".join(parts)
