"""The point-in-time table: what was known at each origin about each day ahead.

`build` is the one function that makes features, for training, backtest, batch and API alike.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.contract import schema
from salescast.contract.panel import Floats, day_number
from salescast.contract.schema import Tables
from salescast.errors import NotEnoughHistoryError
from salescast.features import drivers
from salescast.features.calendar import calendar, public_holidays
from salescast.features.knowledge import Knowledge, gather, require_sales, series_at
from salescast.features.levels import LEVEL_DAYS, MIN_LEVEL, levels, sold_by_item, window_of

KEYS = ("store_id", "item_id", "origin", "date", "lead_time")
STATIC = ("store_id", "item_id")
HISTORY = ("level_7_ratio", "level_28_ratio", "weekday_ratio", "year_ago_ratio")
CALENDAR = ("weekday", "christmas", "holiday", "lead_time")
PRICE = ("price_ratio", "promo")
WEATHER = (
    "rain_probability",
    "rain_mm",
    "rain_revision",
    "temp_anomaly",
    "storm",
    "spell",
    "wet_share",
    "issue_age",
)
GROUPS: Mapping[str, tuple[str, ...]] = {
    "history": HISTORY,
    "calendar": CALENDAR,
    "price": PRICE,
    "weather": WEATHER,
    "static": STATIC,
}

DAY = pd.Timedelta(days=1)


def build(
    tables: Tables,
    origins: Iterable[object],
    horizon: int = 14,
    source: Literal["issued", "none"] = "issued",
    chain: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return one row per (store, item, origin, date) for leads 1…horizon, sorted by origin and key.

    Only rows known at the close of each origin are read. Beside the features a row carries
    `level` (units a day: the exposure the ratios refer to), the baselines `seasonal_naive` and
    `weekday_mean` (units), `price`, `closed` (the shop never trades on that weekday),
    the climatology of rain (`normal_probability`, `normal_mm`)
    and `issued_at` (day of the weather issue used; NaT where it is climatology).
    `source="none"` is the blind twin: its weather columns are NaN. `chain`: where `tables` hold
    some stores of a chain: its `levels.chain_sales`, on which new series lean.
    Raises NotEnoughHistoryError when no series is known at an origin.
    """
    days = sorted({pd.Timestamp(o).normalize() for o in origins})
    if not days:
        raise NotEnoughHistoryError("no origin to build features for; name at least one day")
    if chain is None:
        require_sales(tables, days[-1])
    known = gather(tables, days, horizon)
    parts = []
    for origin in days:
        known.advance(origin)
        who = series_at(known, tables, origin)
        window = window_of(known, who, origin)
        lean = sold_by_item(window, who) if chain is None else chain.loc[origin]
        who = who.assign(level=levels(window, who, lean))
        parts.append(_rows(known, who, origin, horizon, source))
    return pd.concat(parts, ignore_index=True)


def _rows(
    known: Knowledge, who: pd.DataFrame, origin: pd.Timestamp, horizon: int, source: str
) -> pd.DataFrame:
    at = day_number(origin) - known.first_day
    columns = _history(known, who, at, horizon)
    leads = np.arange(1, horizon + 1)
    dates = (origin + pd.to_timedelta(leads, unit="D")).as_unit("us")
    columns |= calendar(dates) | {"holiday": _holidays(who, dates)}
    columns |= _price(known, who, at, horizon)
    columns |= _weather(known, who, at, horizon, source)
    shape = (len(who), horizon)
    flat = {name: np.broadcast_to(values, shape).ravel() for name, values in columns.items()}
    keys = {
        "store_id": who["store_id"].repeat(horizon).array,
        "item_id": who["item_id"].repeat(horizon).array,
        "location_id": known.places["location_id"].array[who["place"].repeat(horizon)],
        "origin": origin.as_unit("us"),
        "date": np.tile(dates, len(who)),
        "lead_time": np.tile(leads, len(who)),
    }
    rows = pd.DataFrame(keys | flat)
    rows["issued_at"] = (rows["origin"] - pd.to_timedelta(rows["issue_age"], unit="D")).astype(
        "datetime64[us]"
    )
    return rows


def _holidays(who: pd.DataFrame, dates: pd.DatetimeIndex) -> Floats:
    code, countries = who["country"].factorize()
    days: Floats = public_holidays(tuple(countries), dates)[code]
    return days


def _mean(values: Floats, axis: int = -1) -> Floats:
    """Return the mean of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _history(known: Knowledge, who: pd.DataFrame, at: int, horizon: int) -> dict[str, Floats]:
    units, level = known.sales["units"][who["row"].to_numpy()], who["level"].to_numpy()
    leads = np.arange(1, horizon + 1)
    weeks = at + leads - 7 * -(-leads // 7)  # the last same weekday at or before the origin
    same = units[:, weeks[:, None] - 7 * np.arange(8)]
    weekday = _mean(same)
    weekday_mean = np.where(np.isnan(weekday), level[:, None], weekday)
    naive = np.where(np.isnan(same[..., 0]), weekday_mean, same[..., 0])
    year_ago = _mean(units[:, (at + leads - 364)[:, None] + np.arange(-7, 8)])
    level_then = _mean(units[:, at - 363 - LEVEL_DAYS : at - 363])[:, None]
    return {
        "level": level[:, None],
        "level_7_ratio": (_mean(units[:, at - 6 : at + 1]) / level)[:, None],
        "level_28_ratio": (_mean(units[:, at - 27 : at + 1]) / level)[:, None],
        "weekday_ratio": weekday / level[:, None],
        "year_ago_ratio": year_ago / np.maximum(level_then, MIN_LEVEL),
        "seasonal_naive": naive,
        "weekday_mean": weekday_mean,
        "closed": (np.isnan(same).all(axis=-1) & _settled(units[:, : at + 1])[:, None]),
    }


def _settled(past: Floats) -> NDArray[np.bool_]:
    """Tell which series have traded long enough for a weekday without a row to mean closed."""
    days: NDArray[np.int64] = (~np.isnan(past[:, -LEVEL_DAYS:])).sum(axis=1)
    return days >= LEVEL_DAYS // 4


def _price(known: Knowledge, who: pd.DataFrame, at: int, horizon: int) -> dict[str, Floats]:
    row = who["row"].to_numpy()
    past = known.sales["price"][row, at + 1 - LEVEL_DAYS : at + 1]
    listed = who["list_price"].to_numpy()[:, None]
    usual = np.median(np.where(np.isnan(past), listed, past), axis=1)[:, None]
    planned = known.plan["price"][row, at + 1 : at + 1 + horizon]
    price = np.where(np.isnan(planned), usual, planned)
    promo = np.nan_to_num(known.plan["promo"][row, at + 1 : at + 1 + horizon])
    return {"price": price, "price_ratio": price / listed, "promo": promo}


def _weather(
    known: Knowledge, who: pd.DataFrame, at: int, horizon: int, source: str
) -> dict[str, Floats]:
    if source == "none":
        unknown = np.full((1, 1), np.nan)
        return dict.fromkeys((*WEATHER, "normal_probability", "normal_mm"), unknown)
    days = np.arange(at + 1 + horizon, dtype=np.float64) + known.first_day
    rain, temp = (known.observed[name][:, : at + 1] for name in ("precip_mm", "temp_c"))
    normal = drivers.climate(rain, temp, days[: at + 1], days[at + 1 :])
    issued = tuple(known.issued[c] for c in ("precip_mm", "precip_probability", "temp_c"))
    issue_day = known.issued["known_day"] - known.first_day
    outlook = drivers.outlook(rain, (*issued, issue_day), normal, at, LEVEL_DAYS)
    place = who["place"].to_numpy()
    now, before = (
        matrices["precip_probability"][:, at + 1 : at + 1 + horizon]
        for matrices in (known.issued, known.issued_before)
    )
    return {
        "normal_probability": normal.probability[place],
        "normal_mm": normal.precip_mm[place],
        "rain_revision": np.nan_to_num(now - before)[place],
        "rain_probability": outlook.probability[place],
        "rain_mm": outlook.precip_mm[place],
        "temp_anomaly": outlook.temp_anomaly[place],
        "storm": outlook.storm[place],
        "spell": outlook.spell[place],
        "wet_share": outlook.wet_share[place],
        "issue_age": outlook.issue_age[place],
    }


def without_weather(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as the blind twin sees them: what `build` makes of the source "none"."""
    unknown = dict.fromkeys((*WEATHER, "normal_probability", "normal_mm"), np.nan)
    never = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]")
    return rows.assign(**unknown, issued_at=never)


def foreseen(tables: Tables, horizon: int = 14) -> dict[str, pd.DataFrame]:
    """Return tables whose issues foresee the weather that came: what the naive twin learns from.

    A leak, for comparison only: nobody is issued observations.
    """
    came = schema.latest("weather_observed", tables["weather_observed"])
    came = came.dropna(subset=["precip_mm", "temp_c"])
    each = [came.assign(issued_at=came["date"] - lead * DAY) for lead in range(horizon + 1)]
    issues = pd.concat(each, ignore_index=True)
    issues["precip_probability"] = (issues["precip_mm"] >= drivers.WET_MM).astype(float)
    return {**tables, "weather_forecast": schema.conform("weather_forecast", issues)}


def past(tables: Tables, cutoff: object, days: int = 1100) -> pd.DataFrame:
    """Return what happened up to `cutoff`, as known at its close: one row per sold day.

    Columns: store_id, item_id, location_id, date, `units`, `sold_out` (False where the shop does
    not say), the calendar and price features, and the weather that came: `wet`, `storm` and
    `spell` (0 or 1; a chance where unobserved), `rain_mm` and `temp_anomaly` (0 where unobserved).
    """
    origin = pd.Timestamp(cutoff).normalize()
    require_sales(tables, origin)
    known = gather(tables, [origin], horizon=0)
    known.advance(origin)
    who = series_at(known, tables, origin)
    units = known.sales["units"][who["row"].to_numpy(), -days:]
    first = known.first_day + known.sales["units"].shape[1] - units.shape[1]
    series, day = np.nonzero(~np.isnan(units))
    dates = pd.DatetimeIndex((first + day).astype("datetime64[D]")).as_unit("us")
    pick = who.iloc[series]
    rows = {name: pick[name].array for name in ("store_id", "item_id")}
    rows["location_id"] = known.places["location_id"].array[pick["place"]]
    rows |= {"date": dates, "units": units[series, day].astype(np.int64)}
    for name in ("sold_out", "price", "promo"):
        rows[name] = known.sales[name][who["row"].to_numpy(), -days:][series, day]
    rows["sold_out"] = rows["sold_out"] == 1.0
    rows["price_ratio"] = rows.pop("price") / pick["list_price"].to_numpy()
    came = _came(known)
    place = pick["place"].to_numpy()
    axis = pd.DatetimeIndex((first + np.arange(units.shape[1])).astype("datetime64[D]"))
    rows["holiday"] = _holidays(who, axis)[series, day]
    return pd.DataFrame(
        rows
        | calendar(dates)
        | {name: values[:, -units.shape[1] :][place, day] for name, values in came.items()}
    )


def _came(known: Knowledge) -> dict[str, Floats]:
    """Return the weather that came, (locations, days) each."""
    mm, temp = known.observed["precip_mm"], known.observed["temp_c"]
    days = np.arange(mm.shape[1], dtype=np.float64) + known.first_day
    normal = drivers.climate(mm, temp, days, days)
    wet, storm, spell = drivers.observed_terms(mm, normal)
    return {
        "wet": wet,
        "rain_mm": np.where(np.isnan(mm), normal.precip_mm, mm),
        "storm": storm,
        "spell": spell,
        "temp_anomaly": np.nan_to_num(temp - normal.temp_c),
    }
