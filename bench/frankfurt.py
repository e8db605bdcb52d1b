"""Real forecasts: ECMWF's day-ahead rain at Frankfurt, and the rain that fell, 2007 to 2014.

No umbrella sales go with them, so the simulator's demand is driven by the real rain: four stores
and all items in one city, moved fifteen years ahead to the simulator's calendar. Only lead 1 is
archived, so each model is asked for tomorrow. Temperature is taken as normal.
"""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import candidates
from bench.retail import CONFIG, DAY, Figure, World, blind, predicted, publish
from godatamarkets import demand, weather
from godatamarkets.catalogue import ITEMS, START, City, Store
from godatamarkets.stock import Stock
from godatamarkets.tables import Rows, items_table, stores_table
from godatamarkets.worlds import WORLDS
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.evaluation import metrics
from salescast.evaluation.backtest import cutoffs
from salescast.features import point_in_time
from salescast.ordering.orders import newsvendor_cost, unit_costs
from salescast.settings import read_settings
from salescast.stages.configured import recipe

FILE = "frankfurt_forecasts/ecmwf_day_ahead_precipitation.csv"
FRANKFURT = City(
    "frankfurt", 50.03, 8.54, "Europe/Berlin", "DE", 0.30, 0.30, 0.9, 5.0, 10.6, 9.0, 3.5
)
STORES, SEED = 4, 7
MOVED = pd.Timedelta(days=5479)  # fifteen years: the season stays where it is
TESTED, EVERY, REFITS = 366, 3, 3  # each third day of three years: one city has few wet days
AS_ISSUED, BLIND, NAIVE = "as issued", "blind twin", "naive twin"


def real(folder: Path) -> pd.DataFrame:
    """Return `fell` and, as issued the day before, `mm` and `chance`, one row per known date."""
    rows = pd.read_csv(folder / FILE, parse_dates=["target_date"])
    rows = rows.rename(
        columns={
            "observed_precip_mm": "fell",
            "ensemble_mean_mm": "mm",
            "probability_ge_1mm": "chance",
        }
    )
    date = (rows["target_date"] + MOVED).astype("datetime64[us]")
    return rows[["fell", "mm", "chance"]].set_index(date.rename("date"))


def frankfurt(folder: Path) -> World:
    """Return a world of real rain and real issues; its oracle is unknown, so `best` is empty."""
    rain = real(folder)
    until = rain.index.max()
    stores = [Store(FRANKFURT, 1 + n) for n in range(STORES)]
    series = demand.make_series([FRANKFURT], stores, ITEMS)
    simulated = _demand(series, rain, (until - START).days + 1)
    tables = _tables(series, simulated, rain)
    settings = read_settings(CONFIG)
    tested = cutoffs(until, TESTED, EVERY, 1)
    trained = [tested[0] - pd.Timedelta(days=EVERY * i) for i in range(TESTED)]
    return World(
        tables,
        point_in_time.build(tables, [*trained, *tested], horizon=1),
        tested,
        TESTED // REFITS,
        recipe(settings, tables),
        _truth(series, simulated),
        pd.DataFrame(),
        cache(lambda cutoff: point_in_time.past(tables, cutoff)),
    )


def _demand(series: demand.Series, rain: pd.DataFrame, days: int) -> demand.Demand:
    """Return what customers want on `days` days from START; a day without a report is dry."""
    dates = pd.date_range(START, periods=days)
    fell = rain["fell"].reindex(dates).fillna(0.0).to_numpy()
    normal = weather.climate([FRANKFURT], days)
    none = np.empty(0)
    sky = weather.Weather(
        normal,
        np.r_[np.zeros(weather.HISTORY), fell][None],
        normal.temp[:, weather.HISTORY :],
        {},
        none,
        none,
        none,
    )
    return demand.simulate(SEED, WORLDS["base"], series, sky, days, [])


def _tables(
    series: demand.Series, simulated: demand.Demand, rain: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    rows, stock = Rows(series, simulated), Stock(series, simulated)
    days = simulated.units.shape[1]
    stock.run(days)
    day, which = rows.pick(0, days - 1)
    at = rain.reset_index().assign(location_id=FRANKFURT.location_id, temp_c=_normal(rain.index))
    known = {"recorded_at": at["date"] + pd.Timedelta(hours=22), "precip_mm": at["fell"]}
    issued = {
        "issued_at": at["date"] - pd.Timedelta(hours=18),
        "precip_mm": at["mm"],
        "precip_probability": at["chance"],
    }
    tables = {
        "stores": stores_table(series.stores),
        "items": items_table(series.items),
        "sales": rows.sales(day, which, day, stock),
        "plan": rows.plan(0, days - 1 - 14),
        "weather_observed": at.assign(**known),
        "weather_forecast": at.assign(**issued),
    }
    return {name: conform(name, table) for name, table in tables.items()}


def _normal(dates: Any) -> Any:
    days = (pd.DatetimeIndex(dates) - START).days.to_numpy()
    return weather.climate([FRANKFURT], int(days.max()) + 1).temp[0, weather.HISTORY :][days]


def _truth(series: demand.Series, simulated: demand.Demand) -> pd.DataFrame:
    which, day = np.nonzero(simulated.trading)
    stores, items = zip(*series.names, strict=True)
    date = (START + pd.to_timedelta(day, unit="D")).astype("datetime64[us]")
    names = {"store_id": np.array(stores)[which], "item_id": np.array(items)[which]}
    return pd.DataFrame({**names, "date": date, "actual": simulated.units[which, day]})


def measured(folder: Path) -> pd.DataFrame:
    """Return RMSE, bias, WAPE of the median and cost a day of each model on true demand."""
    seen = frankfurt(folder)
    rows = pd.concat(
        [
            predicted(seen, "integrated", AS_ISSUED),
            predicted(blind(seen), "integrated", BLIND),
            candidates.weather_twin(seen, "integrated", NAIVE),
        ]
    )
    costs = unit_costs(schema.latest("items", seen.tables["items"]))
    rows = rows.merge(seen.truth, on=DAY).merge(costs, on="item_id")
    return pd.DataFrame({name: _scores(part) for name, part in rows.groupby("model")}).T


def _scores(rows: pd.DataFrame) -> dict[str, float]:
    names = ("actual", "mean", "p50", "stock_target", "underage", "overage")
    actual, mean, median, stock, under, over = (rows[n].to_numpy(float) for n in names)
    return {
        "rmse": metrics.rmse(actual, mean),
        "bias": metrics.bias(actual, mean),
        "wape": metrics.wape(actual, median),
        "cost": float(newsvendor_cost(actual, stock, under, over).mean()),
    }


def main() -> int:
    """Measure, publish; 1 if a bar is missed."""
    folder = Path(os.environ.get("SALESCAST_REAL_DATA", "../shared/real"))
    if not (folder / FILE).exists():
        print(f"no real data: {folder / FILE} is missing; name its folder in SALESCAST_REAL_DATA")
        return 1
    table = measured(folder)
    figures = [
        Figure(f"{model}: {score}", table.loc[model, score], unit)
        for model in (AS_ISSUED, BLIND, NAIVE)
        for score, unit in (
            ("rmse", "units"),
            ("bias", "share"),
            ("wape", "share"),
            ("cost", "USD"),
        )
    ]
    integrated, without, naive = (table.loc[name] for name in (AS_ISSUED, BLIND, NAIVE))
    figures += [
        Figure("cost ÷ blind twin", integrated["cost"] / without["cost"], bar="≤ 0.93"),
        Figure("RMSE ÷ blind twin", integrated["rmse"] / without["rmse"], bar="≤ 1.0"),
        Figure("size of the bias", abs(integrated["bias"]), "share", "≤ 0.035"),
        Figure("naive twin: bias", naive["bias"], "share", "≥ 0.05"),
    ]
    return 0 if publish("frankfurt", figures) else 1


if __name__ == "__main__":
    sys.exit(main())
