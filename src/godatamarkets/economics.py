"""Costs that replace those of the catalogue: holding, goodwill, and storage beyond the stockroom.

Assumptions, each within its usual range: holding is 20 to 30 % of the purchase cost a year
(capital, insurance, ageing) plus floor space; a lost sale costs the margin and goodwill of 10 to
25 % of the price; what arrives above a stockroom's capacity goes to external storage.
"""

from dataclasses import dataclass, replace

import numpy as np

from godatamarkets.catalogue import Item
from godatamarkets.demand import Counts, Series
from godatamarkets.randomness import Floats

EXTERNAL_STORAGE = 0.10  # USD a unit and day


@dataclass(frozen=True)
class Economics:
    """`None` leaves a cost as the catalogue lists it."""

    holding_per_year: float | None = None  # share of the purchase cost
    floor_space: float = 0.0  # USD a unit and day, with holding_per_year
    goodwill_share: float | None = None  # of the price, for each lost sale

    def priced(self, item: Item) -> Item:
        """Return the item with these costs."""
        if self.holding_per_year is not None:
            yearly = self.holding_per_year * item.cost
            item = replace(item, holding=round(yearly / 365.25 + self.floor_space, 4))
        if self.goodwill_share is not None:
            item = replace(item, goodwill=round(self.goodwill_share * item.price, 2))
        return item


AS_LISTED = Economics()
REALISTIC = Economics(holding_per_year=0.25, floor_space=0.011, goodwill_share=0.10)


def capacity_units(series: Series, on_hand: Counts, factor: float = 2.0) -> Counts:
    """Return each store's capacity: `factor` × its mean stock; `on_hand`: (series, days)."""
    stock = np.zeros(len(series.stores))
    np.add.at(stock, series.store, on_hand.mean(axis=1))
    return np.ceil(factor * stock).astype(np.int64)


def external_storage(series: Series, on_hand: Counts, capacity: Counts) -> Floats:
    """Return what storage beyond each store's capacity costs on each day: (stores, days)."""
    stock = np.zeros((len(series.stores), on_hand.shape[1]))
    np.add.at(stock, series.store, on_hand)
    return np.asarray(EXTERNAL_STORAGE * np.maximum(stock - capacity[:, None], 0.0))
