"""From rounds to ratios, and from ratios to a table in Markdown.

A ratio is Annulus's figure divided by the peer's of the same round; the row shows the median of the rounds' ratios with
the smallest and the largest. Rates should be above 1, everything else below.
"""

import statistics

FIGURES = {
    "rate": ("commands a second", "{:,.0f}"),
    "p50_ms": ("p50, ms", "{:.3f}"),
    "p99_ms": ("p99, ms", "{:.3f}"),
    "p999_ms": ("p99.9, ms", "{:.3f}"),
    "cpu_us": ("server CPU per command, us", "{:.2f}"),
    "resident_mb": ("resident memory, MB", "{:.0f}"),
}


def rows(result):
    """Every figure of every load: name, figure, medians of both, ratio (median, least, most), goal."""
    for load in result["loads"]:
        first = load["rounds"][0]
        for figure in FIGURES:
            if figure not in first["ours"] or (figure == "rate" and load["offered"]):
                continue
            ours = [one["ours"][figure] for one in load["rounds"]]
            theirs = [one["peer"][figure] for one in load["rounds"]]
            ratios = [a / b for a, b in zip(ours, theirs, strict=True) if b]
            yield {
                "load": load["name"], "figure": figure, "ours": statistics.median(ours), "peer": statistics.median(theirs),
                "ratio": statistics.median(ratios) if ratios else None, "least": min(ratios, default=None), "most": max(ratios, default=None),
                "goal": load["goals"].get(figure),
            }


def is_met(row):
    """Whether a row with a goal meets it."""
    return row["ratio"] >= row["goal"] if row["figure"] == "rate" else row["ratio"] <= row["goal"]


def markdown(result):
    """One durability's table."""
    lines = [
        f"## {result['mode']}: {result['ours_name']} and {result['peer_name']}",
        "",
        f"{result['settings']} {result['rounds']} rounds, in turn.",
        "",
        f"| load | figure | {result['ours_name']} | {result['peer_name']} | median ratio (least - most) | goal |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for row in rows(result):
        title, form = FIGURES[row["figure"]]
        lines.append(f"| {row['load']} | {title} | {form.format(row['ours'])} | {form.format(row['peer'])} | {ratio(row)} | {goal(row)} |")
    return "\n".join(lines) + "\n"


def ratio(row):
    """The ratio with its range."""
    if row["ratio"] is None:
        return "-"
    return f"**{row['ratio']:.2f}** ({row['least']:.2f} - {row['most']:.2f})"


def goal(row):
    """The goal and whether it is met."""
    if row["goal"] is None or row["ratio"] is None:
        return ""
    sign = "at least" if row["figure"] == "rate" else "at most"
    return f"{sign} {row['goal']}: {'met' if is_met(row) else 'missed'}"
