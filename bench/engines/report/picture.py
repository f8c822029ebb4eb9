"""The ratios as an SVG, drawn as those of bench/redis are."""

from rounds.plot import BETTER, LEFT, ROW, TOP, WIDTH, WORSE, axis, head, place, text

from report.rows import found


def svg(rounds):
    """One picture of all rows."""
    lines, y = [], TOP
    for one in found(rounds):
        lines.extend(draw(one, y))
        y += ROW
    return "\n".join([*head(y + ROW), *axis(y + ROW), *lines, "</svg>", ""])


def draw(one, y):
    """One row: title, range, dot, number."""
    is_better = one.ratio >= 1 if one.row.is_rate() else one.ratio <= 1
    colour = BETTER if is_better else WORSE
    middle = y - 4
    return [
        text(12, y, one.row.title),
        f'<line x1="{place(one.least)}" x2="{place(one.most)}" y1="{middle}" y2="{middle}" stroke="{colour}" stroke-width="2"/>',
        f'<circle cx="{place(one.ratio)}" cy="{middle}" r="4" fill="{colour}"/>',
        text(LEFT + WIDTH + 14, y, f"{one.ratio:.2f}"),
    ]
