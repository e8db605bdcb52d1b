"""The point-in-time table: what was known at each origin about each day.

`build` makes the rows of the days ahead, `past` those of the days behind; every column that both
have is made by the same lines. Training, backtest, batch and API have no other source of features.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.contract.panel import Floats, day_number
from salescast.contract.schema import Tables
from salescast.errors import NotEnoughHistoryError
from salescast.features import drivers
from salescast.features.drivers import CALENDAR, calendar, public_holidays
from salescast.features.knowledge import (
    LEVEL_DAYS,
    Knowledge,
    gather,
    levels,
    recent_units,
    require_sales,
    series_at,
    sold_by_item,
)

KEYS = ("store_id", "item_id", "origin", "date", "lead_time")
STATIC = ("store_id", "item_id")
HISTORY = ("level_7_ratio", "level_28_ratio", "weekday_ratio")
PRICE = ("price_ratio", "promo")
DRIVERS = ("rain_probability", "rain_mm", "storm", "spell", "temp_anomaly")
"""The weather of a day: as issued for the days ahead, as observed for the days behind."""
WEATHER = (*DRIVERS, "wet_share")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "history": HISTORY,
    "calendar": CALENDAR,
    "price": PRICE,
    "weather": WEATHER,
    "static": STATIC,
}

DAY = pd.Timedelta(days=1)
Cells = tuple[NDArray[np.intp], ...]  # positions of series and of days, one a row
Matrices = Mapping[str, Floats]


def build(
    tables: Tables,
    origins: Iterable[object],
    horizon: int = 14,
    weather: Literal["issued", "observed", "none"] = "issued",
    chain: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one row per (store, item, origin, date) for leads 1…horizon, sorted by origin and key.

    Only rows known at the close of each origin are read. Besides the features a row carries
    `level` (units a day: the exposure the ratios refer to), the baselines `seasonal_naive` and
    `weekday_mean` (units), `price`, `closed` (the shop never trades on that weekday),
    the climatology of rain (`normal_probability`, `normal_mm`)
    and `issued_at` (day of the weather issue used; NaT where it is climatology).

    `weather`: "issued"; "none" (weather columns are NaN: the blind twin); or, for comparison only,
    "observed": issues that foresee the weather, a leak. `chain`: where `tables` hold some stores
    of a chain, its `knowledge.chain_sales`, which the levels of new series are shrunk to.
    Raises NotEnoughHistoryError when no series is known at an origin.
    """
    days = sorted({pd.Timestamp(origin).normalize() for origin in origins})
    if not days:
        raise NotEnoughHistoryError("no origin to build features for; name at least one day")
    if chain is None:
        require_sales(tables, days[-1])
    if weather == "observed":
        tables = _with_perfect_issues(tables, horizon)
    known = gather(tables, days, horizon)
    parts = []
    for origin in days:
        known.advance(origin)
        series = series_at(known, tables, origin)
        units = recent_units(known, series, origin)
        item_sales = sold_by_item(units, series) if chain is None else chain.loc[origin]
        series = series.assign(level=levels(units, series, item_sales))
        parts.append(_rows_ahead(known, series, origin, horizon))
    rows = pd.concat(parts, ignore_index=True)
    return without_weather(rows) if weather == "none" else rows


def past(tables: Tables, cutoff: object, days: int = 1100) -> pd.DataFrame:
    """Return the last `days` up to `cutoff` as known at its close: one row per day sold.

    The columns of `build` that a day has without an origin: keys, calendar, price and DRIVERS, as
    observed (`rain_probability` is 0 or 1; a chance where unobserved), and the outcome: `units` and
    `sold_out` (False where the shop does not report it).
    """
    origin = pd.Timestamp(cutoff).normalize()
    require_sales(tables, origin)
    known = gather(tables, [origin], horizon=0)
    known.advance(origin)
    series = series_at(known, tables, origin)
    columns = {
        name: known.sales[name][series["row"].to_numpy(), -days:]
        for name in ("units", "sold_out", "price", "promo")
    }
    width = columns["units"].shape[1]
    weather = {name: values[:, -width:] for name, values in _observed_weather(known).items()}
    dates = pd.date_range(end=origin, periods=width, unit="us")
    rows = _rows(known, series, dates, np.nonzero(~np.isnan(columns["units"])), columns, weather)
    return rows.assign(units=rows["units"].astype(np.int64), sold_out=rows["sold_out"] == 1.0)


def without_weather(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the feature rows as the blind twin sees them: as if no weather were known."""
    unknown = dict.fromkeys((*WEATHER, "normal_probability", "normal_mm"), np.nan)
    never = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]")
    return rows.assign(**unknown, issued_at=never)


def _with_perfect_issues(tables: Tables, horizon: int) -> dict[str, pd.DataFrame]:
    """Return the tables with issues that foresee, at each lead, what was observed later."""
    observed = schema.latest("weather_observed", tables["weather_observed"])
    observed = observed.dropna(subset=["precip_mm", "temp_c"])
    leads = range(horizon + 1)
    issues = pd.concat(
        [observed.assign(issued_at=observed["date"] - lead * DAY) for lead in leads],
        ignore_index=True,
    )
    issues["precip_probability"] = (issues["precip_mm"] >= drivers.WET_MM).astype(float)
    return {**tables, "weather_forecast": conform("weather_forecast", issues)}


def _rows_ahead(
    known: Knowledge, series: pd.DataFrame, origin: pd.Timestamp, horizon: int
) -> pd.DataFrame:
    at = day_number(origin) - known.first_day
    leads = np.arange(1, horizon + 1)
    dates = (origin + pd.to_timedelta(leads, unit="D")).as_unit("us")
    cell, lead = np.indices((len(series), horizon)).reshape(2, -1)
    columns: dict[str, Any] = _history(known, series, at, leads) | _planned_price(
        known, series, at, horizon
    )
    columns["lead_time"] = leads
    weather = _issued_weather(known, at, horizon)
    rows = _rows(known, series, dates, (cell, lead), columns, weather)
    rows.insert(3, "origin", origin.as_unit("us"))
    age = pd.to_timedelta(rows.pop("issue_age"), unit="D")
    return rows.assign(issued_at=(rows["origin"] - age).astype("datetime64[us]"))


def _rows(
    known: Knowledge,
    series: pd.DataFrame,
    dates: pd.DatetimeIndex,
    cells: Cells,
    of_series: Matrices,
    of_places: Matrices,
) -> pd.DataFrame:
    """Return one row per cell, with the columns that every day has, ahead or behind.

    `of_series`: matrices that broadcast to (series, dates), with the `price`; `of_places`: (places,
    dates).
    """
    row, day = cells
    country, countries = series["country"].factorize()
    of_series = {
        **of_series,
        **calendar(dates),
        "holiday": public_holidays(tuple(countries), dates)[country],
        "price_ratio": of_series["price"] / series["list_price"].to_numpy()[:, None],
    }
    place, shape = series["place"].to_numpy(), (len(series), len(dates))
    columns = {
        "store_id": series["store_id"].array[row],
        "item_id": series["item_id"].array[row],
        "location_id": known.places["location_id"].array[place[row]],
        "date": dates[day],
    }
    flat = {name: np.broadcast_to(v, shape)[row, day] for name, v in of_series.items()}
    return pd.DataFrame(columns | flat | {n: v[place[row], day] for n, v in of_places.items()})


def _mean(values: Floats) -> Floats:
    """Return the mean of the known values along the last axis; NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _history(
    known: Knowledge, series: pd.DataFrame, at: int, leads: NDArray[np.int64]
) -> dict[str, Floats]:
    units, level = known.sales["units"][series["row"].to_numpy()], series["level"].to_numpy()
    weeks = at + leads - 7 * -(-leads // 7)  # the last same weekday at or before the origin
    same_weekday = units[:, weeks[:, None] - 7 * np.arange(8)]
    weekday = _mean(same_weekday)
    weekday_mean = np.where(np.isnan(weekday), level[:, None], weekday)
    last_week = same_weekday[..., 0]
    # A weekday without a row means closed once the series has traded for long enough.
    traded_days = (~np.isnan(units[:, at + 1 - LEVEL_DAYS : at + 1])).sum(axis=1)
    never_open = np.isnan(same_weekday).all(axis=-1)
    return {
        "level": level[:, None],
        "level_7_ratio": (_mean(units[:, at - 6 : at + 1]) / level)[:, None],
        "level_28_ratio": (_mean(units[:, at - 27 : at + 1]) / level)[:, None],
        "weekday_ratio": weekday / level[:, None],
        "seasonal_naive": np.where(np.isnan(last_week), weekday_mean, last_week),
        "weekday_mean": weekday_mean,
        "closed": never_open & (traded_days >= LEVEL_DAYS // 4)[:, None],
    }


def _planned_price(
    known: Knowledge, series: pd.DataFrame, at: int, horizon: int
) -> dict[str, Floats]:
    row, ahead = series["row"].to_numpy(), slice(at + 1, at + 1 + horizon)
    charged = known.sales["price"][row, at + 1 - LEVEL_DAYS : at + 1]
    listed = series["list_price"].to_numpy()[:, None]
    usual = np.median(np.where(np.isnan(charged), listed, charged), axis=1)[:, None]
    planned = known.plan["price"][row, ahead]
    return {
        "price": np.where(np.isnan(planned), usual, planned),
        "promo": np.nan_to_num(known.plan["promo"][row, ahead]),
    }


def _issued_weather(known: Knowledge, at: int, horizon: int) -> dict[str, Floats]:
    """Return the weather columns of the days after column `at`, (places, horizon) each."""
    days = np.arange(at + 1 + horizon, dtype=np.float64) + known.first_day
    rain, temp = (known.observed[name][:, : at + 1] for name in ("precip_mm", "temp_c"))
    normal = drivers.climate(rain, temp, days[: at + 1], days[at + 1 :])
    issued = [known.issued[c] for c in ("precip_mm", "precip_probability", "temp_c")]
    issued.append(known.issued["known_day"] - known.first_day)
    columns = drivers.outlook(rain, issued, normal, at, LEVEL_DAYS)
    return columns | {"normal_probability": normal.probability, "normal_mm": normal.precip_mm}


def _observed_weather(known: Knowledge) -> dict[str, Floats]:
    """Return the DRIVERS of every day as observed, (places, days) each."""
    rain, temp = known.observed["precip_mm"], known.observed["temp_c"]
    days = np.arange(rain.shape[1], dtype=np.float64) + known.first_day
    return drivers.observed_columns(rain, temp, drivers.climate(rain, temp, days, days))
