"""Stock, lost sales, and the status-quo planner whose cost is to be improved on.

The planner reviews on Mondays (the day after, if closed) and orders up to 9 days × mean demand of
28 days × 1.25, in whole packs; a delivery arrives before opening two days later. The mean counts
lost sales: with sales alone the planner would lose 16 % of units and be easier to beat.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from godatamarkets.catalogue import START, closed
from godatamarkets.demand import Counts, Demand, Series
from godatamarkets.randomness import Floats, uniforms

DELIVERY_DAYS, WINDOW = 2, 28
COVER = 9 * 1.25  # days of mean demand to order up to
FIRST_GUESS = 1.6  # mean demand ÷ base rate, before a day is over: it rains now and then


@dataclass
class Stock:
    """The shelves, simulated day by day as far as asked; arrays of shape (series, days).

    `on_hand` is counted after close, `on_order` before the order of that evening.
    """

    series: Series
    demand: Demand
    substitution: float = 0.0
    seed: int = 0
    units: Counts = field(init=False)
    on_hand: Counts = field(init=False)
    on_order: Counts = field(init=False)
    orders: Counts = field(init=False)
    done: int = 0
    overrides: dict[int, Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill the shelves once, before the first day."""
        shape = self.demand.units.shape
        self.units, self.on_hand, self.on_order, self.orders = (
            np.zeros(shape, np.int64) for _ in range(4)
        )
        self._pack = self.series.of_item("pack").astype(np.int64)
        self._guess = FIRST_GUESS * np.exp(self.demand.calendar[:, :7].mean(axis=1))
        self._initial = np.ceil(COVER * self._guess).astype(np.int64)
        dates = pd.date_range(START, periods=shape[1])
        self._review = _reviews(dates)
        self._history = np.repeat(self._guess[:, None], WINDOW + shape[1], axis=1)
        if self.substitution:
            names = ["|".join(name) for name in self.series.names]
            self._luck = np.stack([uniforms(self.seed, "switch", n, shape[1]) for n in names])
        self._open = np.concatenate([np.ones(WINDOW), ~np.asarray(closed(dates))])

    def override(self, day: int, orders: Counts) -> None:
        """Order `orders` at the close of `day`, one per series; −1: as the planner does."""
        self.overrides[day] = orders
        self.done = min(self.done, day)

    def run(self, until: int) -> None:
        """Simulate all days before `until` that are not simulated yet."""
        for day in range(self.done, until):
            self._day(day)
        self.done = max(self.done, until)

    def _day(self, day: int) -> None:
        on_hand = self.on_hand[:, day - 1] if day else self._initial
        if day >= DELIVERY_DAYS:
            on_hand = on_hand + self.orders[:, day - DELIVERY_DAYS]
        trading, demand = self.demand.trading[:, day], self.demand.units[:, day]
        sold = np.minimum(demand, on_hand)
        if self.substitution:
            sold = sold + self._substitutes(day, demand - sold, on_hand - sold)
        self.units[:, day], self.on_hand[:, day] = sold, on_hand - sold
        if day:
            self.on_order[:, day] = self.orders[:, day - 1]
        self._history[:, WINDOW + day] = np.where(trading, demand, self._guess)
        orders = self._planned(day) if self._review[day] else np.zeros_like(sold)
        override = self.overrides.get(day)
        if override is not None:
            orders = np.where(override >= 0, override, orders)
        self.orders[:, day] = orders

    def _substitutes(self, day: int, lost: Counts, left: Counts) -> Counts:
        """Return the units of each series that are bought in place of another item of its store.

        Of the lost sales a share takes what is left, in proportion to the items' mean demand.
        """
        bought = np.zeros_like(lost)
        switching = np.floor(self.substitution * lost + self._luck[:, day]).astype(np.int64)
        for store in np.unique(self.series.store[(lost > 0) & (switching > 0)]):
            rows = np.flatnonzero(self.series.store == store)
            weights = self.demand.rate[rows, day] * (left[rows] > 0)
            total = int(switching[rows[lost[rows] > 0]].sum())
            if weights.sum() > 0:
                exact = total * weights / weights.sum()
                units = np.floor(exact).astype(np.int64)
                units[np.argsort(units - exact, kind="stable")[: total - units.sum()]] += 1
                bought[rows] = np.minimum(units, left[rows])
        return bought

    def _planned(self, day: int) -> Counts:
        window = slice(day + 1, day + 1 + WINDOW)
        weights = self._open[window]
        mean: Floats = (self._history[:, window] * weights).sum(axis=1) / weights.sum()
        missing = np.ceil(COVER * mean) - self.on_hand[:, day] - self.on_order[:, day]
        packs = np.ceil(np.maximum(missing, 0) / self._pack).astype(np.int64)
        return np.where(self.demand.trading[:, day], packs * self._pack, 0)


def _reviews(dates: pd.DatetimeIndex) -> NDArray[np.bool_]:
    shut, monday = np.asarray(closed(dates)), np.asarray(dates.day_of_week == 0)
    late = np.append(False, (monday & shut)[:-1])
    return np.asarray((monday & ~shut) | late)
