"""Every table as it was known at an origin, on one axis of days."""

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from salescast.contract import schema
from salescast.contract.panel import KnownMatrices, day_number, day_numbers, known_series
from salescast.contract.schema import Tables
from salescast.errors import NotEnoughHistoryError

LOOK_BACK = 450  # days before an origin that any feature may read
ENDED_DAYS = 56  # without a row for so long and with none planned, a series has ended


@dataclass(frozen=True)
class Knowledge:
    """Every table as matrices on one axis of days that begins at `first_day`.

    `described`: the series with place, country and list price, by how many rows of the registers of
    stores and items were known.
    """

    first_day: int
    series: pd.DataFrame
    places: pd.DataFrame
    sales: KnownMatrices
    plan: KnownMatrices
    observed: KnownMatrices
    issued: KnownMatrices
    issued_before: KnownMatrices
    described: dict[tuple[int, ...], pd.DataFrame] = field(default_factory=dict)

    def advance(self, origin: pd.Timestamp) -> None:
        """Learn what became known by the close of `origin`; the last stays a day behind."""
        for matrices in (self.sales, self.plan, self.observed, self.issued):
            matrices.advance(origin)
        self.issued_before.advance(origin - pd.Timedelta(days=1))


def gather(tables: Tables, origins: list[pd.Timestamp], horizon: int) -> Knowledge:
    """Return the tables as matrices that reach from before the first origin to the last lead."""
    tables = schema.as_of(tables, origins[-1])
    sales, plan = tables["sales"], _table(tables, "plan")
    observed, issued = tables["weather_observed"], _table(tables, "weather_forecast")
    begun = [int(day_numbers(rows["date"]).min()) for rows in (sales, observed) if len(rows)]
    first = min([*begun, day_number(origins[0]) - LOOK_BACK])
    axis = first, day_number(origins[-1]) + horizon - first + 1
    series = known_series(sales, plan)
    places = tables["stores"][["location_id"]].drop_duplicates().sort_values("location_id")
    places = places.reset_index(drop=True)
    # Of old days no feature reads what was issued: most rows of a long history are theirs.
    read = day_numbers(issued["date"]) >= day_number(origins[0]) - LOOK_BACK
    foretold = KnownMatrices("weather_forecast", issued[read], places, *axis)
    return Knowledge(
        first,
        series,
        places,
        KnownMatrices("sales", sales, series, *axis),
        KnownMatrices("plan", plan, series, *axis),
        KnownMatrices("weather_observed", observed, places, *axis),
        foretold,
        deepcopy(foretold),
    )


def _table(tables: Tables, name: str) -> pd.DataFrame:
    return tables[name] if name in tables else schema.empty(name)


def require_sales(tables: Tables, origin: pd.Timestamp) -> None:
    """Raise NotEnoughHistoryError where no sales are known at `origin`."""
    if schema.known_by("sales", tables["sales"], origin).empty:
        raise NotEnoughHistoryError(f"no sales are known at the close of {origin:%Y-%m-%d}")


def series_at(known: Knowledge, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    """Return `alive_at`; raise NotEnoughHistoryError where no series is."""
    who = alive_at(known, tables, origin)
    if who.empty:
        raise no_series(origin)
    return who


def no_series(origin: pd.Timestamp) -> NotEnoughHistoryError:
    """Return what to raise where no series is alive."""
    return NotEnoughHistoryError(
        f"no series is known at the close of {origin:%Y-%m-%d}: none sold within {ENDED_DAYS} "
        "days, none is planned; ingest newer sales"
    )


def alive_at(known: Knowledge, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    """Return the series alive at `origin` with their rows in the matrices and list prices.

    Alive: sold, if only zero units, within ENDED_DAYS, or planned for a day to come.
    """
    ahead = day_number(origin) - known.first_day + 1
    lately = known.sales["units"][:, ahead - ENDED_DAYS : ahead]
    told = ~np.isnan(np.hstack([lately, known.plan["price"][:, ahead:]]))
    who = _described(known, tables, origin)
    return who[told[who["row"].to_numpy()].any(axis=1)]


def _described(known: Knowledge, tables: Tables, origin: pd.Timestamp) -> pd.DataFrame:
    registers = [schema.known_by(name, tables[name], origin) for name in ("stores", "items")]
    rows = tuple(map(len, registers))
    if rows not in known.described:
        stores = schema.latest("stores", registers[0]).set_index("store_id")
        items = schema.latest("items", registers[1]).set_index("item_id")
        place = pd.Series(known.places.index, index=known.places["location_id"])
        who = known.series.assign(row=np.arange(len(known.series)))
        who = who.assign(
            place=who["store_id"].map(stores["location_id"]).map(place),
            country=who["store_id"].map(stores["country"]),
            list_price=who["item_id"].map(items["unit_price"]),
        )
        known.described[rows] = who.dropna().astype({"place": "int64"})
    return known.described[rows]
