"""The suites: every check by name, and what follows where it fails.

A check is one line: measures of a frame (a table's rows, or `arrivals`: what should have come) and
the range that each must lie in; unknown passes. The measures are columns of the contract or are
computed from them by `row_measures`, `trade` and `gauges`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract.schema import TABLES, Table
from salescast.errors import ConfigError

Severity = Literal["critical", "warning", "info"]
"""Great Expectations' own. critical: nothing of the delivery is stored; warning: the failing rows
are quarantined, the rest is stored; info: everything is stored, the verdict names the check."""
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
Range = tuple[float, float]

INF = float("inf")
NONE = (-INF, 0.0)
YES = (1.0, INF)
HAPPENED = ("sales", "weather_observed", "stock")  # known only once the day has begun
SERIES = ("sales", "plan", "stock")
ARRIVALS = "arrivals"
FIFTY_YEARS = 18_263.0  # days: what is older is a typing error

MEANINGS = {
    "conflicts": "other rows with the same key and moment but other values",
    "repeats": "earlier copies of the same row in one delivery",
    "hours_early": "hours by which the moment lies in the future",
    "days_known_after": "days from the date until recorded_at",
    "days_ahead": "days from the last day until the date",
    "lead": "days from the issue until the date",
    "store_known": "1 if store_id is in stores",
    "item_known": "1 if item_id is in items",
    "location_known": "1 if a store is at location_id",
    "unusable_id": "1 if an id is . or .., is longer than 100, or has a control character",
    "other_spelling": "1 if an id differs from a known one in case or blanks only",
    "country_known": "1 if the holidays of the country (ISO 3166 code, such as GB) are known",
    "timezone_known": "1 if timezone is an IANA name, such as Europe/London",
    "days_open": "days since the store opened",
    "price_vs_usual": "price ÷ the series' median or the list price, whichever is nearer",
    "price_vs_before": "unit_price ÷ the one known before",
    "days_off": "days by which recorded_at − date of a store's whole day differs from the usual",
    "lateness": "(recorded_at − date − usual) ÷ usual spread, at least a day, of first reports",
    "stock_agreement": "share of the store's items that day whose units equal what left the stock",
    "rows_vs_lowest": "rows of the day ÷ the fewest that this weekday's history makes plausible",
    "price_jumps": "share of the day's rows whose price is far from usual",
    "misfit": "error of 28 days' sales against their own weekday and rain ÷ a neighbouring day's",
    "temp_vs_season": "robust deviations from the place's median of the season",
    "rain_vs_record": "mm ÷ four times the place's record, at least 50 mm",
    "dry_surprise": "surprise of the dry run: −Σ log(1 − chance of rain as issued, or usual there)",
    "rain_vs_season": "geometric mean of the last 8 wet days ÷ that of the season there",
    "place_silent": "1 where a place that sold on the last 8 of this weekday sold nothing",
    "series_overdue": "trading days since the newest row ÷ the longest usual pause, at least 2",
    "gauge_overdue": "days since the newest observation ÷ the longest usual pause, at least 2",
    "leads_vs_usual": "leads of the day's issues ÷ the usual number; 0 where no issue came",
} | {c.name: c.meaning for table in TABLES.values() for c in table.columns}


@dataclass(frozen=True)
class Rule:
    """Every row of `frame` has each measure within its range, or `severity` follows.

    `by`: the columns that name a failing row in the evidence.
    """

    name: str
    table: str
    severity: Severity
    ranges: Mapping[str, Range] = field(hash=False)
    fix: str
    frame: str
    by: tuple[str, ...]

    def reasons(self, bad: pd.DataFrame) -> pd.Series:
        """Return for each failing row which of its measures fail, with their values."""
        texts = pd.Series("", index=bad.index, dtype="object")
        for measure, (low, high) in self.ranges.items():
            values = bad[measure].astype("float64")
            failing = (values < low) | (values > high)
            texts[failing] += values[failing].map(lambda v, m=measure: f"{m} is {v:.6g}, ")
        return self.name + ": " + texts.str.removesuffix(", ")


def outside(frame: pd.DataFrame, ranges: Mapping[str, Range]) -> NDArray[np.bool_]:
    """Return which rows of `frame` have a measure outside its range; unknown values are inside."""
    bad = np.zeros(len(frame), dtype=bool)
    for measure, (low, high) in ranges.items():
        values = frame[measure].to_numpy(np.float64, na_value=np.nan)
        bad |= (values < low) | (values > high)
    return bad


def between(low: float, high: float) -> str:
    """Return a range in words."""
    if high == INF:
        return f"at least {low:g}"
    return f"at most {high:g}" if low == -INF else f"between {low:g} and {high:g}"


def _check(
    name: str,
    severity: Severity,
    ranges: Mapping[str, Range],
    fix: str,
    *,
    arrival: bool = False,
    by: tuple[str, ...] = (),
) -> Rule:
    table = max((t for t in TABLES if name.startswith(f"{t}_")), key=len)
    keys = by or TABLES[table].key
    return Rule(name, table, severity, ranges, fix, ARRIVALS if arrival else table, keys)


def _of_contract(table: Table) -> Iterator[Rule]:
    """Yield what every table is checked for: values, keys, copies, moments and ids."""
    name, columns = table.name, [c for c in table.columns if c.minimum is not None]
    ranges = {c.name: (float(c.minimum or 0), float(c.maximum or INF)) for c in columns}
    again = "correct the value at its source and deliver the row again"
    yield _check(f"{name}_values_in_range", "warning", ranges, again)
    again = "deliver one row a key; a correction needs a later moment"
    yield _check(f"{name}_keys_unique", "warning", {"conflicts": NONE}, again)
    again = "none needed: one copy is kept; find out why the export repeats rows"
    yield _check(f"{name}_rows_not_repeated", "info", {"repeats": NONE}, again)
    yield _check(
        f"{name}_moments_plausible",
        "warning",
        {"hours_early": NONE} | _DAYS.get(name, {}),
        "check day and month, clock and time zone (UTC), and the order of the columns",
    )
    ids = [f"{parent}_known" for parent in ("store", "item") if name in SERIES]
    if not name.startswith("weather"):
        again = "use the id as it is known, or add it to stores or items, and deliver the row again"
        known: dict[str, Range] = dict.fromkeys(ids, YES)
        yield _check(
            f"{name}_ids_known",
            "warning",
            known | {"other_spelling": NONE, "unusable_id": NONE},
            again,
        )
    else:
        again = "add it to stores, or stop delivering it"
        yield _check(f"{name}_location_known", "info", {"location_known": YES}, again)


_DAYS: dict[str, dict[str, Range]] = {
    **{table: {"days_known_after": (0, FIFTY_YEARS)} for table in HAPPENED},
    "plan": {"days_ahead": (-FIFTY_YEARS, 366)},  # a promotion calendar
    "weather_forecast": {"lead": (0, 15)},
}

_PRICE = "check the currency unit; if the price is right, deliver the item's new unit_price first"
_GAUGE = ("location_id", "date")
SUITES: tuple[Rule, ...] = (
    *(rule for table in TABLES.values() for rule in _of_contract(table)),
    _check("stores_place_known", "info", {"country_known": YES, "timezone_known": YES},
           "correct it; until then the store has no holidays, or its days are UTC's"),
    _check("items_list_price_steady", "critical", {"price_vs_before": (0.1, 10)},
           "check the currency unit of the catalogue"),
    _check("plan_price_near_usual", "warning", {"price_vs_usual": (0.2, 5)}, _PRICE),
    _check("sales_price_near_usual", "warning", {"price_vs_usual": (0.2, 5)}, _PRICE),
    _check("sales_prices_mostly_usual", "critical", {"price_jumps": (0, 0.5)},
           "check the currency unit of the export and deliver again", by=("date",)),
    _check("sales_not_before_opening", "warning", {"days_open": (0, INF)},
           "correct opened_on of the store, or the date"),
    _check("sales_dated_as_recorded", "warning", {"days_off": (-0.5, 0.5)},
           "the dates are a day off (time zone), or the store was a day late: correct one of them"),
    _check("sales_recorded_in_time", "info", {"lateness": (-INF, 1.5)},
           "ask the store; forecasts made meanwhile did without these sales"),
    _check("sales_agree_with_stock", "warning", {"stock_agreement": (0.5, INF)},
           "the day's labels are shifted, or stock was counted anew: compare both with the tills"),
    _check("sales_fit_their_weekday", "critical", {"misfit": (0, 1.2)},
           "the day's labels are shifted: correct the dates and deliver again", by=("date",)),
    _check("sales_rows_per_day", "critical", {"rows_vs_lowest": YES},
           "the file is probably cut off: deliver the day again, whole", by=("date",)),
    _check("sales_from_every_place", "info", {"place_silent": NONE},
           "ask its stores whether they were closed; forecasts meanwhile do without these sales",
           arrival=True, by=("location_id", "date")),
    _check("sales_fresh", "info", {"series_overdue": (0, 1)},
           "ask the store for the missing days; forecasts made meanwhile rely on older sales",
           arrival=True, by=("store_id", "item_id", "newest")),
    _check("weather_observed_temp_near_season", "warning", {"temp_vs_season": (-7, 7)},
           "check unit (°C) and place"),
    _check("weather_observed_rain_near_record", "warning", {"rain_vs_record": (0, 1)},
           "check the unit (mm) and the place"),
    _check("weather_observed_gauge_not_stuck", "info", {"dry_surprise": (0, 12)},
           "inspect the gauge; deliver corrected rain with a later recorded_at", by=_GAUGE),
    _check("weather_observed_rain_amounts_usual", "info", {"rain_vs_season": (0.15, 10)},
           "check the gauge's unit (mm, not inches) and deliver corrections", by=_GAUGE),
    _check("weather_observed_fresh", "info", {"gauge_overdue": (0, 1)},
           "ask the weather service; features use the weather as far as it is known",
           arrival=True, by=("location_id", "newest")),
    _check("weather_forecast_issues_complete", "info", {"leads_vs_usual": (0.99, INF)},
           "ask the weather service; meanwhile older issues are used, then climatology",
           arrival=True, by=("location_id", "issued_on")),
)  # fmt: skip


def adjusted(changes: Mapping[str, Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the suites with severities and ranges changed by check name; `off` leaves one out.

    `changes`: {"sales_rows_per_day": {"severity": "info", "rows_vs_lowest": (0.5, inf)}, …}.
    Raises ConfigError for a check, a severity or a measure that does not exist.
    """
    rules = {rule.name: rule for rule in SUITES}
    for name, change in changes.items():
        if name not in rules:
            raise ConfigError(f"quality.checks.{name}: no such check; see docs/reference")
        rule = rules[name]
        severity, ranges = change.get("severity", rule.severity), {**rule.ranges}
        for measure in change.keys() - {"severity"}:
            if measure not in ranges:
                known = ", ".join(ranges)
                raise ConfigError(f"quality.checks.{name}.{measure}: it measures {known}")
            low, high = change[measure]
            ranges[measure] = (float(low), float(high))
        if severity not in (*SEVERITIES, "off"):
            raise ConfigError(f"quality.checks.{name}.severity: use {', '.join(SEVERITIES)} or off")
        rules[name] = replace(rule, severity=severity, ranges=ranges)
    return tuple(rule for rule in rules.values() if rule.severity in SEVERITIES)
