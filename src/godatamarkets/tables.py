"""The contract tables as delivered, faults of the data included; dates and moments naive UTC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets.catalogue import LEADS, START, Item, Store
from godatamarkets.demand import Counts, Demand, Series
from godatamarkets.faults import Fault
from godatamarkets.stock import Stock
from godatamarkets.weather import Weather

DAY, HOUR = np.timedelta64(1, "D"), np.timedelta64(1, "h")
PLAN_AHEAD = 14
_EPOCH = START.to_datetime64().astype("datetime64[us]")


def date_of(days: Any) -> NDArray[np.datetime64]:
    """Return the dates of day numbers counted from START."""
    return np.asarray(_EPOCH + np.asarray(days) * DAY)


def texts(values: Sequence[str]) -> Any:
    """Return `values` as pandas holds text."""
    return pd.array(list(values), dtype="str")


def flags(values: NDArray[np.bool_]) -> Any:
    """Return `values` as pandas holds flags that may be missing."""
    return pd.arrays.BooleanArray(values, np.zeros(values.shape, bool))


def table(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of freshly made columns; a replay makes thousands, so none is copied."""
    rows = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.RangeIndex(rows), copy=False)


def stores_table(stores: Sequence[Store]) -> pd.DataFrame:
    """Return the stores; a new one is known 14 days before it opens."""
    opened = np.array([s.opened_on for s in stores], dtype="datetime64[us]")
    return pd.DataFrame(
        {
            "store_id": texts([s.store_id for s in stores]),
            "location_id": texts([s.city.location_id for s in stores]),
            "latitude": [s.city.latitude for s in stores],
            "longitude": [s.city.longitude for s in stores],
            "timezone": texts([s.city.timezone for s in stores]),
            "country": texts([s.city.country for s in stores]),
            "opened_on": opened,
            "recorded_at": np.maximum(_EPOCH, opened - PLAN_AHEAD * DAY),
        }
    )


def items_table(items: Sequence[Item]) -> pd.DataFrame:
    """Return the items, known from START on."""
    return pd.DataFrame(
        {
            "item_id": texts([i.item_id for i in items]),
            "name": texts([i.name for i in items]),
            "unit_price": [float(i.price) for i in items],
            "unit_cost": [i.cost for i in items],
            "holding_cost_per_day": [i.holding for i in items],
            "goodwill_cost": [i.goodwill for i in items],
            "pack_size": np.array([i.pack for i in items], np.int64),
            "recorded_at": np.repeat(_EPOCH, len(items)),
        }
    )


class Rows:
    """Rows of (store, item, date): builds tables of a range of days, ordered by date."""

    def __init__(self, series: Series, demand: Demand) -> None:
        """Keep the ids at hand: they are the same every day."""
        self._demand = demand
        self._store_ids = texts([store for store, _ in series.names])
        self._item_ids = texts([item for _, item in series.names])

    def pick(self, first: int, last: int) -> tuple[Counts, Counts]:
        """Return day and series of each row of trade from day `first` to day `last`."""
        days, series = np.nonzero(self._demand.trading[:, first : last + 1].T)
        return days + first, series

    def _ids(self, days: Counts, series: Counts) -> dict[str, Any]:
        return {
            "store_id": self._store_ids.take(series),
            "item_id": self._item_ids.take(series),
            "date": date_of(days),
        }

    def sales(self, days: Counts, series: Counts, source: Counts, stock: Stock) -> pd.DataFrame:
        """Return sales rows dated `days` with what happened on the days `source`."""
        return table(
            {
                **self._ids(days, series),
                "units": stock.units[series, source],
                "price": self._demand.price[series, source],
                "promo": flags(self._demand.promo[series, source]),
                "sold_out": flags(stock.on_hand[series, source] == 0),
                "recorded_at": date_of(days) + 23 * HOUR,
            }
        )

    def stock(self, first: int, last: int, stock: Stock) -> pd.DataFrame:
        """Return the stock after close."""
        days, series = self.pick(first, last)
        return table(
            {
                **self._ids(days, series),
                "on_hand": stock.on_hand[series, days],
                "on_order": stock.on_order[series, days],
                "recorded_at": date_of(days) + 23 * HOUR,
            }
        )

    def plan(self, first: int, last: int) -> pd.DataFrame:
        """Return the prices that became known from day `first` to day `last`."""
        days, series = self.pick(first + PLAN_AHEAD if first else 0, last + PLAN_AHEAD)
        return table(
            {
                **self._ids(days, series),
                "price": self._demand.price[series, days],
                "promo": flags(self._demand.promo[series, days]),
                "recorded_at": date_of(np.maximum(days - PLAN_AHEAD, 0)) + 12 * HOUR,
            }
        )


class Sky:
    """The two weather tables of a range of days, ordered by day, city and lead."""

    def __init__(self, series: Series, weather: Weather, faults: Sequence[Fault]) -> None:
        """Apply what is wrong with the gauges; the weather that came stays as it is."""
        self._weather, self._faults = weather, faults
        self._names = [city.location_id for city in series.cities]
        self._ids = texts(self._names)
        days = weather.temp.shape[1]
        self._rain = weather.precip[:, -days:].copy()
        for fault in faults:
            read = {"gauge_stuck": 0.0, "gauge_unit": 1 / 25.4}.get(fault.name)
            if read is not None:
                wrong = fault.at(self._names)[:, None] & fault.on(date_of(np.arange(days)))
                self._rain = np.where(wrong, np.round(self._rain * read, 2), self._rain)

    def observed(self, first: int, last: int) -> pd.DataFrame:
        """Return what the gauges say."""
        days, city = np.divmod(
            np.arange(first * len(self._names), (last + 1) * len(self._names)), len(self._names)
        )
        return table(
            {
                "location_id": self._ids.take(city),
                "date": date_of(days),
                "precip_mm": self._rain[city, days],
                "temp_c": self._weather.temp[city, days],
                "recorded_at": date_of(days) + 22 * HOUR,
            }
        )

    def issued(self, first: int, last: int) -> pd.DataFrame:
        """Return the forecasts issued, each for its day and the 14 days after it."""
        days, city = (a.ravel() for a in np.mgrid[first : last + 1, : len(self._names)])
        for fault in (f for f in self._faults if f.name == "feed_outage"):
            there = ~(fault.on(date_of(days)) & fault.at(self._names)[city])
            days, city = days[there], city[there]
        issue, where = np.repeat(days, LEADS), np.repeat(city, LEADS)
        lead = np.tile(np.arange(LEADS), len(days))
        return table(
            {
                "location_id": self._ids.take(where),
                "issued_at": date_of(issue) + 6 * HOUR,
                "date": date_of(issue + lead),
                "precip_mm": self._weather.issued_precip[where, issue, lead],
                "precip_probability": self._weather.issued_chance[where, issue, lead],
                "temp_c": self._weather.issued_temp[where, issue, lead],
            }
        )
