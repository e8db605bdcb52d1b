"""How much each series sells lately: the exposure that the ratios of its features refer to.

A series of few days leans on its item in the whole chain: the one thing that series of several
stores share. Where the chain is cut into partitions, each adds its `item_sales`, and
`chain_sales` is what all of them lean on. Sums of units are whole numbers, so the order of adding
changes no bit.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from salescast.contract.panel import Floats, day_number
from salescast.contract.schema import Tables
from salescast.features.knowledge import Knowledge, alive_at, gather, no_series

LEVEL_DAYS = 56  # the exposure: eight whole weeks
PRIOR_DAYS = 7.0  # a new series leans on its item as if it had sold a week
MIN_LEVEL = 0.02  # units a day; keeps ratios finite for items that never sell


def levels(window: Floats, who: pd.DataFrame, of_items: pd.DataFrame) -> Floats:
    """Return units a day over the window, leaning on the item's mean while days are few.

    `window`: units (series, days), NaN where closed or unknown, a row for each of `who`;
    `of_items`: `sold_by_item` of the whole chain.
    """
    mean = (of_items["sold"] / of_items["days"].clip(lower=1.0)).to_numpy()
    item = of_items.index.get_indexer(who["item_id"])
    sold, days = _traded(window)
    level: Floats = (sold + PRIOR_DAYS * mean[item]) / (days + PRIOR_DAYS)
    return np.maximum(level, MIN_LEVEL)


def sold_by_item(window: Floats, who: pd.DataFrame) -> pd.DataFrame:
    """Return units `sold` and `days` traded over the window, all series of an item_id together."""
    item, names = who["item_id"].factorize()
    sold, days = (np.bincount(item, each, len(names)) for each in _traded(window))
    return pd.DataFrame({"sold": sold, "days": days}, pd.Index(names, name="item_id"))


def _traded(window: Floats) -> tuple[Floats, Floats]:
    known = ~np.isnan(window)
    return np.where(known, window, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64)


def window_of(known: Knowledge, who: pd.DataFrame, origin: pd.Timestamp) -> Floats:
    """Return the units of the window that ends at `origin`, (series of `who`, LEVEL_DAYS)."""
    ahead = day_number(origin) - known.first_day + 1
    units: Floats = known.sales["units"][who["row"].to_numpy(), ahead - LEVEL_DAYS : ahead]
    return units


def item_sales(tables: Tables, origins: Iterable[object], horizon: int = 14) -> pd.DataFrame:
    """Return what the stores of `tables` add to their chain: (origin, item_id) → sold, days.

    An origin at which none of their series is known has no row.
    """
    days = sorted({pd.Timestamp(o).normalize() for o in origins})
    known = gather(tables, days, horizon)
    found = {}
    for origin in days:
        known.advance(origin)
        who = alive_at(known, tables, origin)
        found[origin] = sold_by_item(window_of(known, who, origin), who)
    return pd.concat(found, names=["origin"])


def chain_sales(shares: Sequence[pd.DataFrame], origins: Iterable[object]) -> pd.DataFrame:
    """Return the chain that the shares make up, which `features.build` takes as `chain`.

    Raises NotEnoughHistoryError where no share knows a series at an origin, as `build` would.
    """
    chain = pd.concat(shares).groupby(level=["origin", "item_id"]).sum()
    known = set(chain.index.unique("origin"))
    for origin in origins:
        if pd.Timestamp(origin).normalize() not in known:
            raise no_series(pd.Timestamp(origin))
    return chain
