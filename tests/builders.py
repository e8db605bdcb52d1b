"""One builder per table, with overrides: small, deterministic and without I/O."""

from typing import Any

import numpy as np
import pandas as pd

from salescast.contract.conform import conform

FIRST = pd.Timestamp("2023-01-02")


def days(count: int, first: pd.Timestamp = FIRST) -> pd.DatetimeIndex:
    """Return `count` days from `first`."""
    return pd.date_range(first, periods=count).as_unit("us")


def make_stores(stores: int = 2, **columns: Any) -> pd.DataFrame:
    """Return stores s1, s2, …, each in a place of its own."""
    ids = range(1, stores + 1)
    rows = {
        "store_id": [f"s{i}" for i in ids],
        "location_id": [f"p{i}" for i in ids],
        "latitude": 51.5,
        "longitude": 0.1,
        "timezone": "Europe/London",
        "country": "GB",
        "opened_on": pd.NaT,
        "recorded_at": FIRST,
    }
    return conform("stores", pd.DataFrame(rows | columns))


def make_items(items: int = 2, **columns: Any) -> pd.DataFrame:
    """Return items u1, u2, … at 10 a piece, critical ratio 6 ÷ 7."""
    rows = {
        "item_id": [f"u{i}" for i in range(1, items + 1)],
        "name": "umbrella",
        "unit_price": 10.0,
        "unit_cost": 5.0,
        "holding_cost_per_day": 1.0,
        "goodwill_cost": 1.0,
        "pack_size": 1,
        "recorded_at": FIRST,
    }
    return conform("items", pd.DataFrame(rows | columns))


def _series(count: int, stores: int, items: int) -> pd.DataFrame:
    names = [
        [f"s{i}" for i in range(1, stores + 1)],
        [f"u{i}" for i in range(1, items + 1)],
        days(count),
    ]
    grid = pd.MultiIndex.from_product(names, names=["store_id", "item_id", "date"])
    return grid.to_frame(index=False)


def make_sales(
    count: int = 200, stores: int = 2, items: int = 2, seed: int = 1, **columns: Any
) -> pd.DataFrame:
    """Return `count` days of sales, recorded at 23:00; Saturdays sell twice as much."""
    rows = _series(count, stores, items)
    rng = np.random.default_rng(seed)
    mean = np.where(rows["date"].dt.day_of_week == 5, 8.0, 4.0)
    rows["units"] = rng.poisson(mean)
    rows["price"], rows["promo"], rows["sold_out"] = 10.0, False, False
    rows["recorded_at"] = rows["date"] + pd.Timedelta(hours=23)
    return conform("sales", rows.assign(**columns))


def make_plan(count: int = 214, stores: int = 2, items: int = 2, **columns: Any) -> pd.DataFrame:
    """Return the plan of `count` days, each known a fortnight ahead."""
    rows = _series(count, stores, items)
    rows["price"], rows["promo"] = 10.0, False
    rows["recorded_at"] = rows["date"] - pd.Timedelta(days=14) + pd.Timedelta(hours=12)
    return conform("plan", rows.assign(**columns))


def make_observed(count: int = 200, stores: int = 2, seed: int = 2) -> pd.DataFrame:
    """Return the observed weather of each place, recorded at 22:00; a third of days is wet."""
    places = [f"p{i}" for i in range(1, stores + 1)]
    grid = pd.MultiIndex.from_product([places, days(count)], names=["location_id", "date"])
    rows = grid.to_frame(index=False)
    rng = np.random.default_rng(seed)
    wet = rng.random(len(rows)) < 1 / 3
    rows["precip_mm"] = np.where(wet, 1 + rng.exponential(5, len(rows)).round(1), 0.0)
    rows["temp_c"] = rng.normal(11, 4, len(rows)).round(1)
    rows["recorded_at"] = rows["date"] + pd.Timedelta(hours=22)
    return conform("weather_observed", rows)


def make_issued(count: int = 200, stores: int = 2, seed: int = 3) -> pd.DataFrame:
    """Return one issue a day and place at 06:00, for the day itself and 14 days ahead."""
    places = [f"p{i}" for i in range(1, stores + 1)]
    names = ["location_id", "issued_at", "lead"]
    grid = pd.MultiIndex.from_product([places, days(count), range(15)], names=names)
    rows = grid.to_frame(index=False)
    rng = np.random.default_rng(seed)
    rows["date"] = rows["issued_at"] + pd.to_timedelta(rows.pop("lead"), unit="D")
    rows["precip_probability"] = rng.random(len(rows)).round(2)
    rows["precip_mm"] = (rows["precip_probability"] * 5).round(1)
    rows["temp_c"] = rng.normal(11, 3, len(rows)).round(1)
    rows["issued_at"] += pd.Timedelta(hours=6)
    return conform("weather_forecast", rows)


def make_stock(count: int = 200, stores: int = 2, items: int = 2) -> pd.DataFrame:
    """Return twenty units on hand of everything."""
    rows = _series(count, stores, items)
    rows["on_hand"], rows["on_order"] = 20, 0
    rows["recorded_at"] = rows["date"] + pd.Timedelta(hours=23)
    return conform("stock", rows)


def make_tables(count: int = 200, stores: int = 2, items: int = 2) -> dict[str, pd.DataFrame]:
    """Return every contract table for `count` days."""
    return {
        "stores": make_stores(stores),
        "items": make_items(items),
        "sales": make_sales(count, stores, items),
        "plan": make_plan(count + 14, stores, items),
        "weather_observed": make_observed(count, stores),
        "weather_forecast": make_issued(count, stores),
        "stock": make_stock(count, stores, items),
    }
