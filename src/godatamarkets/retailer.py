"""The retailer: delivers, day after day, the rows that became known."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from godatamarkets import demand, weather
from godatamarkets.catalogue import CITIES, ITEMS, SIZES, START, Store
from godatamarkets.demand import Counts
from godatamarkets.economics import AS_LISTED, Economics
from godatamarkets.faults import Fault, parse
from godatamarkets.stock import Stock
from godatamarkets.tables import PLAN_AHEAD, Rows, Sky, date_of, items_table, stores_table
from godatamarkets.tills import TILLS, labelled, spoil
from godatamarkets.worlds import WORLDS

FIRST_STRETCH = 1484  # days simulated at once: the embedded ones, a year, and the plan ahead


class Retailer:
    """A simulated umbrella retailer; the same seed gives the same rows, to the byte."""

    def __init__(
        self,
        size: Literal["small", "demo"] = "demo",
        seed: int = 7,
        faults: Sequence[str] = (),
        world: str = "base",
        economics: Economics = AS_LISTED,
    ) -> None:
        """Open the stores. Raises ValueError for an unknown size, world or fault."""
        if world not in WORLDS:
            raise ValueError(f"world {world!r} is unknown; known are {', '.join(WORLDS)}")
        if size not in SIZES:
            raise ValueError(f"size {size!r} is unknown; known are {', '.join(SIZES)}")
        cities, stores, items = SIZES[size]
        self.size, self.seed, self.world, self.economics = size, seed, world, economics
        locations = [city.location_id for city in CITIES[:cities]]
        names = [item.item_id for item in ITEMS[:items]]
        self.faults = tuple(parse(text, locations, names) for text in faults)
        shops = [Store(city, 1 + n) for city in CITIES[:cities] for n in range(stores)]
        self.series = demand.make_series(
            CITIES[:cities],
            [*shops, *_new_stores(shops, self.faults)],
            [economics.priced(item) for item in ITEMS[:items]],
        )
        self._simulate(FIRST_STRETCH)

    def _simulate(self, days: int) -> None:
        self.days = days
        self.weather = weather.simulate(self.seed, self.series.cities, days, self.faults)
        world = WORLDS[self.world]
        self.demand = demand.simulate(
            self.seed, world, self.series, self.weather, days, self.faults
        )
        self._stock = Stock(self.series, self.demand, world.substitution, self.seed)
        self._rows = Rows(self.series, self.demand)
        self._sky = Sky(self.series, self.weather, self.faults)
        self._stores = stores_table(self.series.stores)
        self._items = items_table(self.series.items)

    def reach(self, day: Any) -> int:
        """Return the number of `day` counted from START, simulated with the plan beyond it.

        Raises ValueError for a day before START.
        """
        number = int((pd.Timestamp(day).normalize() - START).days)
        if number < 0:
            raise ValueError(f"day {day}: the retailer opened on {START:%Y-%m-%d}")
        if number + PLAN_AHEAD >= self.days:
            overrides = self._stock.overrides
            self._simulate(max(number + PLAN_AHEAD + 1, self.days + 364))
            self._stock.overrides = overrides
        return number

    def deliver(
        self, first: Any, last: Any = None, orders: pd.DataFrame | None = None
    ) -> dict[str, pd.DataFrame]:
        """Return the contract tables' rows that became known on the days `first` … `last`.

        `orders` (store_id, item_id, units) are placed at the close of `last` instead of what the
        status-quo planner orders for those series that evening; they are remembered.
        Raises ValueError for days before START or in the wrong order, and for wrong orders.
        """
        a, b = self.reach(first), self.reach(first if last is None else last)
        if b < a:
            raise ValueError(f"last day {last} lies before the first, {first}")
        if orders is not None:
            self.place(b, orders)
        self._stock.run(b + 1)
        return {
            "stores": _known(self._stores, a, b),
            "items": _known(self._items, a, b),
            "sales": self._sales(a, b),
            "plan": self._rows.plan(a, b),
            "weather_observed": self._sky.observed(a, b),
            "weather_forecast": self._sky.issued(a, b),
            "stock": self._rows.stock(a, b, self._stock),
        }

    def place(self, day: Any, orders: pd.DataFrame) -> None:
        """Order at the close of `day` what `orders` says; see `deliver`."""
        number = day if isinstance(day, int) else self.reach(day)
        self._stock.override(number, self._checked(orders))

    def mend(self, day: pd.Timestamp) -> None:
        """Repair the tills on `day`: every row, of past days too, is delivered as it was.

        What goes wrong with them later, still does.
        """
        self.faults = tuple(f for f in self.faults if f.name not in TILLS or f.start > day)

    def _sales(self, a: int, b: int) -> pd.DataFrame:
        delay = sum(f.values["delay"] for f in self.faults if f.name == "late_sales")
        days, series = self._rows.pick(max(a - delay, 0), b)
        source = labelled((days, series), self.series, self.demand, self.faults)
        rows = self._rows.sales(days, series, source, self._stock)
        if not self.faults:
            return rows
        rows = spoil(rows, self.faults, self.seed)
        return _known(rows.sort_values("recorded_at", kind="stable"), a, b)

    def _checked(self, orders: pd.DataFrame) -> Counts:
        names = {name: row for row, name in enumerate(self.series.names)}
        result = np.full(len(names), -1, np.int64)
        keys = zip(orders["store_id"], orders["item_id"], strict=True)
        for name, units in zip(keys, orders["units"], strict=True):
            if name not in names:
                raise ValueError(f"order for {' × '.join(map(str, name))}: no such series")
            if units < 0 or units != int(units):
                raise ValueError(f"order for {' × '.join(name)}: {units} is not a whole count")
            result[names[name]] = int(units)
        return result


def _new_stores(stores: Sequence[Store], faults: Sequence[Fault]) -> list[Store]:
    new: list[Store] = []
    for fault in (f for f in faults if f.name == "new_store"):
        there = [s for s in [*stores, *new] if fault.at([s.city.location_id])[0]]
        last = max(there, key=lambda s: s.number)
        new.append(replace(last, number=last.number + 1, opened_on=fault.start))
    return new


def _known(rows: pd.DataFrame, a: int, b: int) -> pd.DataFrame:
    first, end = date_of(a), date_of(b + 1)
    known = rows["recorded_at"].to_numpy()
    fresh = (known >= first) & (known < end)
    return rows[fresh].reset_index(drop=True) if fresh.any() else rows.iloc[:0]
