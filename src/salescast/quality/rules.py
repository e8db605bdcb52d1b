"""Every rule by name: which measure of which table must lie where, and what to do if not.

A rule is a range that a measured column must lie in; unknown (null) passes. The measures of rows
are columns of the contract tables or are added by `rows`; those of days, series and gauges are
frames of their own, made by `trade` and `gauges`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from salescast.contract.schema import TABLES, Column, Table
from salescast.quality.verdict import Severity

HAPPENED = ("sales", "weather_observed", "stock")  # what is known only once the day has begun
SERIES = ("sales", "plan", "stock")
DAYS_AHEAD = {"plan": 366, "weather_forecast": 15}  # a promotion calendar; the longest lead and 1


@dataclass(frozen=True)
class Rule:
    """`column` of `frame` must lie in minimum … maximum, or `severity` is what follows."""

    name: str
    table: str
    frame: str
    column: str
    severity: Severity
    minimum: float | None
    maximum: float | None
    meaning: str
    fix: str


Limits = tuple[float | None, float | None]


def _of_rows(
    table: str, name: str, column: str, severity: Severity, limits: Limits, words: tuple[str, str]
) -> Rule:
    return Rule(f"{table}_{name}", table, table, column, severity, *limits, *words)


def _of_column(table: Table, column: Column) -> Rule:
    return _of_rows(
        table.name,
        f"{column.name}_in_range",
        column.name,
        "quarantine",
        (column.minimum, column.maximum),
        (column.meaning, "correct the value at its source and deliver the row again"),
    )


def _generated(table: Table) -> Iterator[Rule]:
    name = table.name
    yield from (_of_column(table, c) for c in table.columns if c.minimum is not None)
    yield _of_rows(
        name, "keys_unique", "conflicts", "quarantine", (None, 0),
        ("other rows with the same key and moment but other values",
         "deliver one row a key; a correction needs a later moment"),
    )  # fmt: skip
    yield _of_rows(
        name, "rows_not_repeated", "repeats", "warn", (None, 0),
        ("earlier copies of the same row in one delivery",
         "none needed: one copy is kept; find out why the export repeats rows"),
    )  # fmt: skip
    yield _of_rows(
        name, "known_by_now", "hours_early", "quarantine", (None, 0),
        (f"hours by which {table.known_at} lies in the future", "check clock and time zone (UTC)"),
    )  # fmt: skip
    if "date" in table.names:
        yield _of_rows(
            name, "date_not_in_future", "days_ahead", "quarantine",
            (-18_263, DAYS_AHEAD.get(name, 0)),  # 50 years back
            ("days from the last day until the date", "check day and month, and the time zone"),
        )  # fmt: skip
    if name in HAPPENED:
        yield _of_rows(
            name, "known_after_the_day_began", "days_known_after", "quarantine", (0, None),
            ("days from the date until recorded_at", "check time zone and order of columns"),
        )  # fmt: skip


def _references() -> Iterator[Rule]:
    add = "add it to {}, or correct the id, and deliver the row again"
    for table in SERIES:
        for parent in ("store", "item"):
            yield _of_rows(
                table, f"{parent}_known", f"{parent}_known", "quarantine", (1, None),
                (f"1 if {parent}_id is in {parent}s", add.format(f"{parent}s")),
            )  # fmt: skip
    for table in ("weather_observed", "weather_forecast"):
        yield _of_rows(
            table, "location_known", "location_known", "warn", (1, None),
            ("1 if a store is at location_id", add.format("stores") + ", or stop delivering it"),
        )  # fmt: skip
    for table in ("stores", "items", *SERIES):
        yield _of_rows(
            table, "ids_spelled_one_way", "other_spelling", "quarantine", (None, 0),
            ("1 if an id differs from a known one in case or blanks only", "use the known one"),
        )  # fmt: skip


_ROWS = (
    _of_rows(
        "sales", "not_before_opening", "days_open", "quarantine", (0, None),
        ("days since the store opened", "correct opened_on of the store, or the date"),
    ),
    _of_rows(
        "sales", "price_near_usual", "price_vs_usual", "quarantine", (0.2, 5),
        ("price ÷ the series' median or the item's list price, whichever is nearer",
         "check the currency unit; if the price is right, deliver the item's new unit_price first"),
    ),
    _of_rows(
        "plan", "price_near_usual", "price_vs_usual", "quarantine", (0.2, 5),
        ("price ÷ the series' median or the item's list price, whichever is nearer",
         "check the currency unit; if the price is right, deliver the item's new unit_price first"),
    ),
    _of_rows(
        "items", "list_price_steady", "price_vs_before", "reject", (0.1, 10),
        ("unit_price ÷ the one known before", "check the currency unit of the catalogue"),
    ),
    _of_rows(
        "sales", "dated_as_recorded", "days_off", "quarantine", (-0.5, 0.5),
        ("days by which recorded_at − date of a store's whole day differs from the usual",
         "the dates are a day off (time zone), or the store was a day late: correct one of them"),
    ),
    _of_rows(
        "sales", "recorded_in_time", "lateness", "warn", (None, 1.5),
        ("(recorded_at − date − usual) ÷ usual spread, at least a day, of rows told first",
         "ask the store; forecasts made meanwhile did without these sales"),
    ),
    _of_rows(
        "sales", "agree_with_stock", "stock_agreement", "quarantine", (0.5, None),
        ("share of the store's items on that day whose units equal what left the stock",
         "the day's labels are shifted, or stock was counted anew: compare both with the tills"),
    ),
    _of_rows(
        "weather_forecast", "looks_ahead", "lead", "quarantine", (0, 15),
        ("days from the issue until the date", "correct issued_at or date"),
    ),
    _of_rows(
        "weather_observed", "temp_near_season", "temp_vs_season", "quarantine", (-7, 7),
        ("robust deviations from the place's median of the season", "check unit (°C) and place"),
    ),
    _of_rows(
        "weather_observed", "rain_near_record", "rain_vs_record", "quarantine", (None, 1),
        ("mm ÷ four times the place's record, at least 50 mm", "check the unit (mm) and the place"),
    ),
)  # fmt: skip

_HISTORY = (
    Rule(
        "sales_rows_per_day", "sales", "sales_by_day", "rows_vs_lowest", "reject", 1, None,
        "rows of the day ÷ the fewest that this weekday's history makes plausible",
        "the file is probably cut off: deliver the day again, whole",
    ),
    Rule(
        "sales_prices_mostly_usual", "sales", "sales_by_day", "price_jumps", "reject", None, 0.5,
        "share of the day's rows whose price is far from usual",
        "check the currency unit of the export and deliver again",
    ),
    Rule(
        "sales_fit_their_weekday", "sales", "sales_by_place", "misfit", "reject", None, 1.2,
        "error of 28 days' sales against weekday and rain of their own day ÷ of a "
        "neighbouring day",
        "the day's labels are shifted: correct the dates and deliver again",
    ),
    Rule(
        "sales_from_every_place", "sales", "sales_by_place", "silent", "warn", None, 0,
        "1 where a place that sold something on the last 8 of this weekday sold nothing",
        "ask its stores whether they were closed; forecasts made meanwhile do without these sales",
    ),
    Rule(
        "sales_fresh", "sales", "series", "days_missing_vs_usual", "warn", None, 1,
        "trading days since the newest row ÷ the longest usual pause, at least 2 days",
        "ask the store for the missing days; forecasts made meanwhile rely on older sales",
    ),
    Rule(
        "weather_observed_fresh", "weather_observed", "gauges", "days_missing_vs_usual", "warn",
        None, 1, "days since the newest observation ÷ the longest usual pause, at least 2 days",
        "ask the weather service; features use the weather as far as it is known",
    ),
    Rule(
        "weather_observed_gauge_not_stuck", "weather_observed", "gauge_days", "dry_surprise",
        "warn", None, 12,
        "surprise of the dry run: −Σ log(1 − chance of rain as issued, or usual there)",
        "inspect the gauge; deliver corrected rain with a later recorded_at",
    ),
    Rule(
        "weather_observed_rain_agrees_with_issues", "weather_observed", "gauge_days",
        "rain_vs_issued", "warn", 0.1, 10, "rain of 21 days ÷ what was issued for them",
        "check the gauge's unit (mm, not inches) and deliver corrections",
    ),
    Rule(
        "weather_observed_rain_amounts_usual", "weather_observed", "gauge_days", "rain_vs_season",
        "warn", 0.15, 10, "geometric mean of the last 8 wet days ÷ that of the season's there",
        "check the gauge's unit (mm, not inches) and deliver corrections",
    ),
    Rule(
        "weather_forecast_issues_complete", "weather_forecast", "issues", "leads_vs_usual", "warn",
        0.99, None, "leads of the day's issues ÷ the usual number; 0 where no issue came",
        "ask the weather service; meanwhile older issues are used, then climatology",
    ),
)  # fmt: skip

RULES: tuple[Rule, ...] = (
    *(rule for table in TABLES.values() for rule in _generated(table)),
    *_references(),
    *_ROWS,
    *_HISTORY,
)
