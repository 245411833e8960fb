"""Lines over a logarithmic axis as an SVG picture, without any library."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, MARGIN = 640, 360, 56
COLORS = ("#1f5fa8", "#b8421b", "#3d7d3d", "#7a4fa3")

Line = Sequence[tuple[float, float]]


def curves_svg(title: str, x_label: str, y_label: str, lines: Mapping[str, Line]) -> str:
    """Draw lines of points; the x axis is logarithmic and falls, as a share that is kept does.

    Args:
        title: above the picture.
        x_label: below the axis; x are shares, shown in percent.
        y_label: beside the axis; y are shares, shown in percent.
        lines: points by name.
    """
    xs = [math.log(x) for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    left, right = max(xs), min(xs)
    low, high = min(ys), max(ys)
    pad = 0.08 * (high - low) or 0.01
    low, high = low - pad, high + pad

    def place(x: float, y: float) -> tuple[float, float]:
        across = (left - math.log(x)) / ((left - right) or 1)
        down = (high - y) / (high - low)
        return MARGIN + across * (WIDTH - 2 * MARGIN), MARGIN + down * (HEIGHT - 2 * MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{MARGIN}" y="20" font-size="13">{title}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>',
        f'<text x="{MARGIN}" y="{MARGIN - 10}" text-anchor="end">{y_label}</text>',
    ]
    for x in sorted({x for line in lines.values() for x, _ in line}):
        across, bottom = place(x, low)
        parts.append(
            f'<text x="{across:.1f}" y="{bottom + 14:.1f}" text-anchor="middle">'
            f"{100 * x:.3g} %</text>"
        )
    for step in range(5):
        y = low + (high - low) * step / 4
        _, down = place(1.0, y)
        parts.append(
            f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{down:.1f}" y2="{down:.1f}" '
            'stroke="#ddd"/>'
            f'<text x="{MARGIN - 4}" y="{down + 4:.1f}" text-anchor="end">{100 * y:.1f} %</text>'
        )
    for index, (name, line) in enumerate(lines.items()):
        color = COLORS[index % len(COLORS)]
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in (place(*point) for point in line))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts.append(
            f'<text x="{WIDTH - MARGIN}" y="{MARGIN + 16 * index}" fill="{color}" '
            f'text-anchor="end">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])
