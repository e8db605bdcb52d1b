"""Every table as it was known at an origin, and how much each series sold lately.

The level of a series is the exposure that the ratios of its features refer to. A series of few days
is shrunk to its item's mean in the whole chain: the one thing that series of several stores share.
Where the chain is cut into partitions, each has its `item_sales`, and all levels are shrunk to the
`chain_sales` they add up to. Sums of units are whole numbers: the order of adding changes no bit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from salescast.contract import schema
from salescast.contract.panel import Floats, KnownMatrices, day_number, day_numbers, known_series
from salescast.contract.schema import Tables
from salescast.errors import NotEnoughHistoryError

LEVEL_DAYS = 56  # the exposure: eight whole weeks; no feature of a series looks back further
PRIOR_DAYS = 7.0  # a new series counts as if it had sold its item's mean for a week
MIN_LEVEL = 0.02  # units a day; keeps ratios finite for items that never sell
ENDED_DAYS = 56  # without a row for so long and with none planned, a series has ended


@dataclass(frozen=True)
class Knowledge:
    """Every table as matrices on one axis of days that begins at `first_day`.

    `described`: the series with place, country and list price, by how many rows of the tables
    stores and items were known.
    """

    first_day: int
    series: pd.DataFrame
    places: pd.DataFrame
    sales: KnownMatrices
    plan: KnownMatrices
    observed: KnownMatrices
    issued: KnownMatrices
    described: dict[tuple[int, ...], pd.DataFrame] = field(default_factory=dict)

    def advance(self, origin: pd.Timestamp) -> None:
        """Take in what became known by the close of `origin`; origins must not fall."""
        for matrices in (self.sales, self.plan, self.observed, self.issued):
            matrices.advance(origin)


def gather(tables: Tables, origins: list[pd.Timestamp], horizon: int) -> Knowledge:
    """Return the tables as matrices that reach from before the first origin to the last lead."""
    tables = schema.as_of(tables, origins[-1])
    sales, plan = tables["sales"], _table(tables, "plan")
    observed, issued = tables["weather_observed"], _table(tables, "weather_forecast")
    first_days = [int(day_numbers(rows["date"]).min()) for rows in (sales, observed) if len(rows)]
    first = min([*first_days, day_number(origins[0]) - LEVEL_DAYS])
    axis = first, day_number(origins[-1]) + horizon - first + 1
    series = known_series(sales, plan)
    places = tables["stores"][["location_id"]].drop_duplicates().sort_values("location_id")
    places = places.reset_index(drop=True)
    # Issues are read for the days ahead only: most rows of a long history are about older days.
    ahead = issued["date"].to_numpy() > origins[0].to_datetime64()
    return Knowledge(
        first,
        series,
        places,
        KnownMatrices("sales", sales, series, *axis),
        KnownMatrices("plan", plan, series, *axis),
        KnownMatrices("weather_observed", observed, places, *axis),
        KnownMatrices("weather_forecast", issued[ahead], places, *axis),
    )


def _table(tables: Tables, name: str) -> pd.DataFrame:
    return tables[name] if name in tables else schema.empty(name)


def require_sales(tables: Tables, origin: pd.Timestamp) -> None:
    """Raise NotEnoughHistoryError where no sales are known at `origin`."""
    if schema.known_by("sales", tables["sales"], origin).empty:
        raise NotEnoughHistoryError(f"no sales are known at the close of {origin:%Y-%m-%d}")


def series_at(known: Knowledge, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    """Return the series alive at `origin`; raise NotEnoughHistoryError where there is none."""
    series = alive_at(known, tables, origin)
    if series.empty:
        raise no_series(origin)
    return series


def no_series(origin: pd.Timestamp) -> NotEnoughHistoryError:
    """Return the error to raise where no series is alive."""
    return NotEnoughHistoryError(
        f"no series is known at the close of {origin:%Y-%m-%d}: none sold within {ENDED_DAYS} "
        "days, none is planned; ingest newer sales"
    )


def alive_at(known: Knowledge, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    """Return the series alive at `origin` with their rows in the matrices and list prices.

    Alive: with a row of sales, even of 0 units, within ENDED_DAYS, or planned for a day to come;
    the store is not closed for good from the next day on, nor is the item delisted.
    """
    ahead = day_number(origin) - known.first_day + 1
    recent = known.sales["units"][:, ahead - ENDED_DAYS : ahead]
    present = ~np.isnan(np.hstack([recent, known.plan["price"][:, ahead:]]))
    series = _described(known, tables, origin)
    ended = (series["ends"] <= origin + pd.Timedelta(days=1)).to_numpy()
    alive = series[present[series["row"].to_numpy()].any(axis=1) & ~ended]
    return alive.drop(columns="ends")


def _described(known: Knowledge, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    """Return the series whose place, country and list price are known at `origin`, with these."""
    masters = [schema.known_by(name, tables[name], origin) for name in ("stores", "items")]
    rows = tuple(map(len, masters))
    if rows not in known.described:
        stores = schema.latest("stores", masters[0]).set_index("store_id")
        stores = stores.reindex(columns=["location_id", "country", "region", "closed_on"])
        items = schema.latest("items", masters[1]).set_index("item_id")
        items = items.reindex(columns=["unit_price", "delisted_on"])
        place = pd.Series(known.places.index, index=known.places["location_id"])
        series = known.series.assign(row=np.arange(len(known.series)))
        series = series.assign(
            place=series["store_id"].map(stores["location_id"]).map(place),
            country=series["store_id"].map(stores["region"].fillna(stores["country"])),
            list_price=series["item_id"].map(items["unit_price"]),
        )
        series = series.dropna().astype({"place": "int64"})
        closed, delisted = (
            pd.Series(days.reindex(ids).to_numpy(), ids.index, dtype="datetime64[us]")
            for ids, days in (
                (series["store_id"], stores["closed_on"]),
                (series["item_id"], items["delisted_on"]),
            )
        )
        known.described[rows] = series.assign(
            ends=closed.mask(delisted < closed, delisted).fillna(delisted)
        )
    return known.described[rows]


def levels(units: Floats, series: pd.DataFrame, by_item: pd.DataFrame) -> Floats:
    """Return the units a day of each series, shrunk to the item's mean while days are few.

    `units`: see `recent_units`; `by_item`: `sold_by_item` of the whole chain.
    """
    mean = (by_item["sold"] / by_item["days"].clip(lower=1.0)).to_numpy()
    item = by_item.index.get_indexer(series["item_id"])
    sold, days = _sold_and_days(units)
    level: Floats = (sold + PRIOR_DAYS * mean[item]) / (days + PRIOR_DAYS)
    return np.maximum(level, MIN_LEVEL)


def sold_by_item(units: Floats, series: pd.DataFrame) -> pd.DataFrame:
    """Return units `sold` and `days` traded per item_id, over all its series."""
    item, names = series["item_id"].factorize()
    sold, days = (np.bincount(item, sums, len(names)) for sums in _sold_and_days(units))
    return pd.DataFrame({"sold": sold, "days": days}, pd.Index(names, name="item_id"))


def _sold_and_days(units: Floats) -> tuple[Floats, Floats]:
    known = ~np.isnan(units)
    return np.where(known, units, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64)


def recent_units(known: Knowledge, series: pd.DataFrame, origin: pd.Timestamp) -> Floats:
    """Return the units of the LEVEL_DAYS up to `origin`, (series, days); NaN: closed or unknown."""
    ahead = day_number(origin) - known.first_day + 1
    units: Floats = known.sales["units"][series["row"].to_numpy(), ahead - LEVEL_DAYS : ahead]
    return units


def item_sales(tables: Tables, origins: Iterable[object], horizon: int = 14) -> pd.DataFrame:
    """Return what the stores of `tables` add to their chain: (origin, item_id) → sold, days.

    An origin at which none of their series is known has no row.
    """
    days = sorted({pd.Timestamp(origin).normalize() for origin in origins})
    known = gather(tables, days, horizon)
    by_origin = {}
    for origin in days:
        known.advance(origin)
        series = alive_at(known, tables, origin)
        by_origin[origin] = sold_by_item(recent_units(known, series, origin), series)
    return pd.concat(by_origin, names=["origin"])


def chain_sales(parts: Sequence[pd.DataFrame], origins: Iterable[object]) -> pd.DataFrame:
    """Return the sum of the parts' `item_sales`, which `build` takes as `chain`.

    Raises NotEnoughHistoryError where no part knows a series at an origin, as `build` would.
    """
    chain = pd.concat(parts).groupby(level=["origin", "item_id"]).sum()
    known = set(chain.index.unique("origin"))
    for origin in origins:
        if pd.Timestamp(origin).normalize() not in known:
            raise no_series(pd.Timestamp(origin))
    return chain
