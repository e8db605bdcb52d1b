"""Faults of a scenario, and which alarms detected them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

CALM, YEAR = "calm", "year"
MIX: Sequence[tuple[float, str]] = (
    (0.10, "truncated_file"),
    (0.20, "new_store"),
    (0.30, "competitor"),
    (0.46, "feed_outage"),
    (0.54, "gauge_stuck"),
    (0.64, "sensitivity_shift"),
    (0.80, "currency_unit"),
    (0.90, "late_sales"),
)
"""The scenario `year`: each fault, and the share of the days after which it begins."""

EXPECTED: Mapping[str, Sequence[str]] = {
    "new_store": ("new_series",),
    "sensitivity_shift": ("demand_shift", "forecast_bias"),
    "competitor": ("demand_shift", "forecast_bias"),
    "forecast_upgrade": ("issue_skill",),
    "feed_outage": ("issues_missing", "data_stale"),
    "gauge_stuck": ("gauge_suspect",),
    "gauge_unit": ("gauge_suspect",),
    "currency_unit": ("delivery_refused", "rows_quarantined"),
    "late_sales": ("sales_late",),
    "duplicate_rows": ("rows_repeated",),
    "timezone_shift": ("delivery_refused", "rows_quarantined", "sales_late"),
    "weekday_label_shift": ("delivery_refused", "rows_quarantined"),
    "item_case_split": ("delivery_refused", "rows_quarantined"),
    "truncated_file": ("delivery_refused",),
    "negative_units": ("delivery_refused", "rows_quarantined"),
}
"""Every fault of the simulator, and the alarms that detect it: one of them must be raised."""

DAY = pd.Timedelta(days=1)
PATIENCE = 60  # days; an alarm later than that has another cause


def scenario_faults(scenarios: Sequence[str], start: pd.Timestamp, days: int) -> tuple[str, ...]:
    """Return the faults of the scenarios in the simulator's notation.

    A bare name begins after a third of the days; `name@2025-03-01:days=3` is taken as it is.
    """
    faults: list[str] = []
    for name in scenarios:
        if name == YEAR:
            faults += [f"{part}@{start + int(share * days) * DAY:%Y-%m-%d}" for share, part in MIX]
        elif name != CALM:
            faults.append(name if "@" in name else f"{name}@{start + days // 3 * DAY:%Y-%m-%d}")
    return tuple(faults)


def detections(
    faults: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each fault with the first alarm that detected it and the days until then.

    `faults`: name, start, and `expected`, the names of alarms that detect it; `alarms`: day, name,
    oldest first.
    """
    return [fault | _first_alarm(fault, alarms) for fault in map(dict, faults)]


def _first_alarm(fault: Mapping[str, Any], alarms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for alarm in alarms:
        days = (pd.Timestamp(alarm["day"]) - pd.Timestamp(fault["start"])).days
        if 0 <= days <= PATIENCE and alarm["name"] in fault["expected"]:
            return {"alarm": alarm["name"], "day": alarm["day"], "days": days}
    return {"alarm": None, "day": None, "days": None}


def false_alarms(
    faults: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the pages without a fault in the `PATIENCE` days before."""
    spans = [(pd.Timestamp(f["start"]), pd.Timestamp(f["end"]) + PATIENCE * DAY) for f in faults]
    return [
        alarm
        for alarm in alarms
        if alarm["severity"] == "page"
        and not any(first <= pd.Timestamp(alarm["day"]) <= last for first, last in spans)
    ]
