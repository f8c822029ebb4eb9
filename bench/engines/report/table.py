"""The table of all rows in Markdown."""

from report.rows import OURS, PEERS, found


def markdown(rounds):
    """Medians of the three, the ratio with its range, the goal."""
    lines = [
        "One thread, 16 MB memtables, keys of 24 and values of 100 bytes, data 35 times the block cache, log on. The ratio is of Annulus",
        "to the better of the two in each round: its median (least - most). A rate should have a ratio above 1, all else below.",
        "",
        f"| work and figure | {OURS} | {PEERS[0]} | {PEERS[1]} | ratio | goal (aim) |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in found(rounds):
        figures = " | ".join(number(one.medians[name]) for name in [OURS, *PEERS])
        ratio = f"**{one.ratio:.2f}** ({one.least:.2f} - {one.most:.2f})"
        lines.append(f"| {one.row.title} | {figures} | {ratio} | {goal(one)} |")
    return "\n".join(lines) + "\n"


def number(value):
    """With as many digits as mean something."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def goal(one):
    """The goal and whether it is met."""
    if one.row.must is None:
        return ""
    sign = "at least" if one.row.is_rate() else "at most"
    return f"{sign} {one.row.must} ({one.row.aim}): {'met' if one.is_met() else 'missed'}"
