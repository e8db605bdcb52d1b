"""Drawings as inline SVG whose colours are the page's, so that they follow light and dark.

Matplotlib knows no CSS: shapes are drawn in the placeholder colours below, and the finished
text gets the page's variables in their place.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from typing import Any

import pandas as pd

from salescast.reports.rendering import known

INK, GRID, FIRST, SECOND, THIRD, ALARM = (f"#0{i}0{i}0{i}" for i in range(1, 7))
PAGE_COLOURS = {
    INK: "currentColor",
    GRID: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
    ALARM: "var(--alarm)",
}
LEAD_SCORES: Sequence[tuple[str, str, str, float | None]] = (
    (
        "wape",
        "Error of the median (WAPE)",
        "Σ|forecast − actual| ÷ Σ actual; lower is better",
        None,
    ),
    (
        "coverage_80",
        "Outcomes inside p10…p90",
        "80 % would be exact; counts lie a little above",
        0.8,
    ),
    ("bias", "Bias of the mean", "above zero: too much was forecast", 0.0),
)
"""Score, caption, note and target (shares have one) of the figures by lead day."""
# Dashes and markers tell the lines apart where colours do not.
STYLES: Sequence[Mapping[str, Any]] = (
    {"color": FIRST, "linestyle": "-", "marker": "o", "linewidth": 2.2, "zorder": 3},
    {"color": SECOND, "linestyle": "--", "marker": "s", "linewidth": 1.5},
    {"color": THIRD, "linestyle": ":", "marker": "^", "linewidth": 1.8},
)
PLAIN = {
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's own font
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "lines.markersize": 3.5,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


Scores = Mapping[str, Any]
Figure = tuple[str, str, str]
"""Caption, note and drawing."""


def lead_charts(name: str, models: Mapping[str, Mapping[str, Scores]]) -> list[Figure]:
    """Return a figure per score of `LEAD_SCORES`; `models`: title → lead → scores."""
    figures = []
    for score, caption, note, target in LEAD_SCORES:
        lines = {title: curve(by_lead, score) for title, by_lead in models.items()}
        drawing = by_lead(f"{name}-{score}", caption, lines, target)
        figures.append((caption, note, drawing))
    return figures


def curve(by_lead: Mapping[str, Scores], score: str) -> dict[int, float]:
    """Return lead → value where there is one, in the order of leads."""
    values = {int(lead): of[score] for lead, of in by_lead.items() if known(of[score])}
    return dict(sorted(values.items()))


def by_lead(
    name: str, caption: str, lines: Mapping[str, Mapping[int, float]], target: float | None
) -> str:
    """Return one line per model over lead days (lead → value) and a thin line at `target`."""

    def draw(axes: Any) -> None:
        for style, points in zip(STYLES, lines.values(), strict=False):
            axes.plot(list(points), list(points.values()), **style)
        if target is not None:
            axes.axhline(target, color=INK, linewidth=0.8, zorder=1)
        axes.set_xlabel("lead time, days")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _scale(axes, percent=target is not None)

    alt = f"{caption} by lead day. " + "; ".join(map(_describe, lines, lines.values()))
    return svg(name, alt, (4.2, 2.7), draw)


def _describe(title: str, line: Mapping[int, float]) -> str:
    """Return a line in words: its first and its last value."""
    if not line:
        return f"{title}: no values"
    (first, start), (last, end) = min(line.items()), max(line.items())
    return f"{title}: {start:.2f} at lead {first}, {end:.2f} at lead {last}"


def _scale(axes: Any, *, percent: bool) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.grid(axis="y", linewidth=0.7)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def totals(days: pd.DataFrame) -> str:
    """Return forecast against demand over `days`: columns date, mean and actual (units)."""

    def draw(axes: Any) -> None:
        axes.plot(days["date"], days["actual"], **STYLES[1])
        axes.plot(days["date"], days["mean"], **STYLES[0])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("units")
        date_axis(axes)
        _scale(axes, percent=False)

    alt = (
        f"Forecast and demand of {len(days)} days, {days['date'].min():%Y-%m-%d} to "
        f"{days['date'].max():%Y-%m-%d}: {days['mean'].sum():,.0f} units forecast, "
        f"{days['actual'].sum():,.0f} in demand."
    )
    return svg("totals", alt, (9.0, 3.0), draw)


def date_axis(axes: Any) -> None:
    """Label the x axis with dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    places = AutoDateLocator(minticks=4, maxticks=12)
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(places))


def drift(values: Mapping[str, float], threshold: float | None) -> str:
    """Return one bar per input, the largest on top; those beyond `threshold` in alarm's colour."""
    limit = float("inf") if threshold is None else threshold
    ordered = sorted(values.items(), key=lambda pair: (pair[1], pair[0]))

    def draw(axes: Any) -> None:
        for place, (_, value) in enumerate(ordered):
            axes.barh(place, value, color=ALARM if value > limit else FIRST, height=0.65)
            axes.text(value, place, f" {value:.2f}", va="center", fontsize=9)
        axes.set_yticks(range(len(ordered)), [column for column, _ in ordered])
        axes.tick_params(axis="y", length=0)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1, linestyle="--")
        axes.margins(x=0.12)
        axes.set_xlabel("population stability index")

    beyond = (
        ""
        if threshold is None
        else (f", {sum(value > limit for value in values.values())} beyond {threshold:g}")
    )
    bars = ", ".join(f"{column} {value:.2f}" for column, value in reversed(ordered))
    alt = f"Drift of {len(values)} inputs{beyond}: {bars}"
    return svg("drift", alt, (9.0, 1.0 + 0.27 * len(ordered)), draw)


def swatch(place: int) -> str:
    """Return the line of `by_lead` at this place of the legend."""
    style = STYLES[place]
    dash = {"--": "6 3", ":": "2 3"}.get(style["linestyle"], "none")
    colour = PAGE_COLOURS[style["color"]]
    return (
        '<svg viewBox="0 0 36 10" aria-hidden="true"><line x1="0" x2="36" y1="5" y2="5" '
        f'stroke="{colour}" stroke-width="3" stroke-dasharray="{dash}"/></svg>'
    )


def svg(name: str, alt: str, inches: tuple[float, float], draw: Any) -> str:
    """Return what `draw` draws on Matplotlib's axes, as inline SVG; `alt` is its text."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(PLAIN | {"svg.hashsalt": name}):
        drawing = Figure(figsize=inches, layout="constrained")
        draw(drawing.add_subplot())
        text = StringIO()
        drawing.savefig(text, format="svg", transparent=True, metadata=NO_METADATA)
    return _inline(name, alt, text.getvalue())


def _inline(name: str, alt: str, text: str) -> str:
    """Return the drawing without prologue, with its ids its own and the page's colours."""
    text = text[text.index("<svg") :].strip()
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    for placeholder, colour in PAGE_COLOURS.items():
        text = text.replace(placeholder, colour)
    head = f'<svg role="img" aria-label="{escape(alt)}"'
    return re.sub(
        r"<svg\b", lambda _: head, re.sub(r' (width|height)="[\d.]+pt"', "", text), count=1
    )
