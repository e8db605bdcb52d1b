"""The page of monitoring: alarms, live scores by lead day, totals and drift."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from salescast.reports import html, plots
from salescast.reports.scorecard_page import BY_LEAD, curve, describe

SERIES_DAY = ["store_id", "item_id", "date"]


def monitoring_page(summary: Mapping[str, Any], scored: pd.DataFrame) -> str:
    """Return the page of a monitoring summary and its live scored rows."""
    live, alarms = summary["live"], summary["alarms"]
    parts = [
        _tiles(live, alarms),
        _alarms(alarms),
        _totals(scored),
        _leads(live),
        _drift(summary["drift"], summary.get("drift_threshold")),
    ]
    lead = f"Forecasts that were served, against what came true, as known on {summary['origin']}."
    return html.page("How the forecasts fare", lead, parts)


def _tiles(live: Mapping[str, Any], alarms: Sequence[Any]) -> str:
    of = live["overall"]
    tone = "bad" if alarms else "good"
    facts = [
        ("Alarms", str(len(alarms)), "need a look" if alarms else "nothing to do", tone),
        ("Matured", html.share(live["matured"]), f"of {live['forecasts']:,} forecasts", ""),
        ("WAPE of the median", html.decimal(of.get("wape")), "live, all lead days", ""),
        ("Bias of the mean", html.share(of.get("bias"), signed=True), "above zero: too much", ""),
        ("Inside p10…p90", html.share(of.get("coverage_80")), "80 % would be exact", ""),
    ]
    return html.tiles(facts)


def _alarms(alarms: Sequence[Mapping[str, Any]]) -> str:
    if alarms:
        content = f'<ul class="alarms">{"".join(map(_alarm, alarms))}</ul>'
    else:
        content = html.empty("No alarms.")
    return html.section("Alarms", "A page needs a person now, a ticket this week.", content)


def _alarm(alarm: Mapping[str, Any]) -> str:
    evidence = ", ".join(f"{key} {_plain(value)}" for key, value in alarm["evidence"].items())
    severity, name = str(alarm["severity"]), str(alarm["name"]).replace("_", " ")
    return (
        f'<li class="{escape(severity)}"><span class="severity">{escape(severity)}</span>'
        f"<strong>{escape(name)}</strong>: {escape(str(alarm['subject']))} "
        f'<span class="evidence">({escape(evidence)})</span></li>'
    )


def _plain(value: object) -> str:
    return html.decimal(value) if isinstance(value, float) else str(value)


def totals(scored: pd.DataFrame) -> pd.DataFrame:
    """Return per date the sum of `mean` and of `actual` over the series that matured.

    Of several forecasts of one day the newest counts: the one of the shortest lead.
    """
    newest = scored.sort_values("lead_time", kind="stable").drop_duplicates(SERIES_DAY)
    return newest.groupby("date", as_index=False)[["mean", "actual"]].sum()


def _totals(scored: pd.DataFrame) -> str:
    title, lead = (
        "Day by day",
        "All series together; where an item sold out its demand is estimated.",
    )
    if scored.empty:
        return html.section(title, lead, html.empty("Nothing has matured yet."))
    days = totals(scored)
    alt = (
        f"Forecast and wanted units of {len(days)} days, {days['date'].min():%Y-%m-%d} to "
        f"{days['date'].max():%Y-%m-%d}: {days['mean'].sum():,.0f} forecast, "
        f"{days['actual'].sum():,.0f} wanted."
    )
    names = enumerate(("forecast (mean)", "wanted"))
    legend = "".join(f"<li>{plots.swatch(i)}{name}</li>" for i, name in names)
    drawn = plots.totals("totals", alt, days)
    note = "the newest forecast of each day against its outcome"
    shown = html.figure("Units a day", note, drawn)
    return html.section(title, lead, f'<ul class="legend">{legend}</ul>{shown}')


def _leads(live: Mapping[str, Any]) -> str:
    title, lead = "By lead day", "Long leads mature last: read their few outcomes with care."
    if not live["by_lead"]:
        return html.section(title, lead, html.empty("Nothing has matured yet."))
    figures = "".join(_lead_figure(live["by_lead"], *drawn) for drawn in BY_LEAD)
    head = ["lead day", "matured", "outcomes", "WAPE", "bias", "80 % coverage"]
    rows = [
        [
            lead_time,
            html.share(of["matured"]),
            f"{of['rows']:,.0f}",
            html.decimal(of["wape"]),
            html.share(of["bias"], signed=True),
            html.share(of["coverage_80"]),
        ]
        for lead_time, of in sorted(live["by_lead"].items(), key=lambda pair: int(pair[0]))
    ]
    shown = html.table("Live scores by lead day", head, rows)
    return html.section(title, lead, f'<div class="plots">{figures}</div><br>{shown}')


def _lead_figure(
    by_lead: Mapping[str, Any], score: str, caption: str, note: str, target: float | None
) -> str:
    line = curve(by_lead, score)
    alt = f"{caption} by lead day. {describe('live', line)}"
    percent = score != "wape"
    svg = plots.by_lead(f"live-{score}", alt, {"live": line}, target=target, percent=percent)
    return html.figure(caption, note, svg)


def _drift(values: Mapping[str, float | None], threshold: float | None) -> str:
    known = {name: value for name, value in values.items() if value is not None}
    lead = "Inputs of the last weeks against the same season of earlier years."
    if not known:
        words = "No earlier year to compare with: drift cannot be told yet."
        return html.section("Drift of inputs", lead, html.empty(words))
    beyond = [n for n, v in known.items() if threshold is not None and v > threshold]
    limit = "" if threshold is None else f", {len(beyond)} beyond {threshold:g}"
    alt = f"Drift of {len(known)} inputs{limit}: " + ", ".join(
        f"{name} {value:.2f}" for name, value in sorted(known.items(), key=lambda p: -p[1])
    )
    note = "0 is no change" + ("" if threshold is None else f"; dashed: alarm beyond {threshold:g}")
    shown = html.figure(
        "How far each input has moved", note, plots.drift("drift", alt, known, threshold)
    )
    return html.section("Drift of inputs", lead, shown)
