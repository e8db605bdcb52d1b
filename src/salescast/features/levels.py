"""How much each series sells lately: the exposure that the ratios of its features refer to.

A series of few days is shrunk to its item's mean in the whole chain: the one thing that series of
several stores share. Where the chain is cut into partitions, each has its `item_sales`, and all
levels are shrunk to the `chain_sales` they add up to. Sums of units are whole numbers, so the
order of adding changes no bit.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_number
from salescast.contract.schema import Tables
from salescast.features.knowledge import Knowledge, alive_at, gather, no_series

LEVEL_DAYS = 56  # the exposure: eight whole weeks
PRIOR_DAYS = 7.0  # a new series counts as if it had sold its item's mean for a week
MIN_LEVEL = 0.02  # units a day; keeps ratios finite for items that never sell


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
