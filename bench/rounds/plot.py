"""The ratios as an SVG: a dot for the median, a line for the range, 1.0 in the middle of a logarithmic axis."""

import math

from rounds.table import FIGURES, rows

LEFT, WIDTH, ROW, TOP = 330, 520, 20, 56
RANGE = 8.0
BETTER, WORSE, AXIS = "#1a7f5a", "#c2452d", "#8a8a8a"


def svg(results):
    """One picture of all results."""
    lines, y = [], TOP
    for result in results:
        lines.append(text(12, y, f"{result['mode']}: {result['ours_name']} / {result['peer_name']}", "bold"))
        y += ROW + 4
        for row in rows(result):
            if row["ratio"] is not None and row["figure"] != "p50_ms":
                lines.extend(draw(row, y))
                y += ROW
        y += ROW
    return "\n".join([*head(y), *axis(y), *lines, "</svg>", ""])


def head(height):
    """The opening tag, the ground, and the title."""
    width = LEFT + WIDTH + 90
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(12, 22, "Median of pairwise ratios, with its range; green is better than the peer", "bold"),
    ]


def axis(height):
    """Vertical lines at the powers of two."""
    lines = []
    for value in (0.125, 0.25, 0.5, 1, 2, 4, 8):
        x = place(value)
        lines.append(f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - ROW}" stroke="{AXIS}" stroke-width="{1.5 if value == 1 else 0.4}"/>')
        lines.append(text(x, TOP - 14, f"{value:g}", anchor="middle"))
    return lines


def draw(row, y):
    """One row: label, range, dot, number."""
    is_better = row["ratio"] >= 1 if row["figure"] == "rate" else row["ratio"] <= 1
    colour = BETTER if is_better else WORSE
    middle = y - 4
    return [
        text(12, y, f"{row['load']}: {FIGURES[row['figure']][0]}"),
        f'<line x1="{place(row["least"])}" x2="{place(row["most"])}" y1="{middle}" y2="{middle}" stroke="{colour}" stroke-width="2"/>',
        f'<circle cx="{place(row["ratio"])}" cy="{middle}" r="4" fill="{colour}"/>',
        text(LEFT + WIDTH + 14, y, f"{row['ratio']:.2f}"),
    ]


def place(value):
    """The x of a ratio; what lies outside the axis is put on its end."""
    bounded = min(max(value, 1 / RANGE), RANGE)
    return round(LEFT + WIDTH * (0.5 + math.log(bounded) / (2 * math.log(RANGE))), 1)


def text(x, y, words, weight="normal", anchor="start"):
    """One line of text."""
    escaped = words.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x}" y="{y}" font-weight="{weight}" text-anchor="{anchor}" fill="#222222">{escaped}</text>'
