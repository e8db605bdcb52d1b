"""The page of monitoring: alarms, live scores by lead day, totals and drift."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from salescast.reports import plots
from salescast.reports.rendering import TEMPLATES, known, render

SERIES_DAY = ["store_id", "item_id", "date"]


def monitoring_page(summary: Mapping[str, Any], scored: pd.DataFrame) -> str:
    """Return the page of a monitoring summary and its live scored rows."""
    live = summary["live"]
    drift = {name: value for name, value in summary["drift"].items() if known(value)}
    threshold = summary.get("drift_threshold")
    return render(
        TEMPLATES / "monitoring.html",
        summary=summary,
        live=live,
        alarms=summary["alarms"],
        entries=[(plots.swatch(i), name) for i, name in enumerate(("forecast (mean)", "demand"))],
        days="" if scored.empty else plots.totals(totals(scored)),
        leads=sorted(live["by_lead"].items(), key=lambda item: int(item[0])),
        charts=plots.lead_charts("live", {"live": live["by_lead"]}) if live["by_lead"] else [],
        drift=plots.drift(drift, threshold) if drift else "",
        threshold=threshold,
    )


def totals(scored: pd.DataFrame) -> pd.DataFrame:
    """Return per date the sum of `mean` and of `actual` over the series that matured.

    Of several forecasts of one day the newest counts: the one of the shortest lead.
    """
    newest = scored.sort_values("lead_time", kind="stable").drop_duplicates(SERIES_DAY)
    return newest.groupby("date", as_index=False)[["mean", "actual"]].sum()
