"""The backtest in dollars a year: orders placed at every cutoff, shelves simulated day by day."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salescast.evaluation.backtest import Fit
from salescast.ordering.inventory import Policy, cycle_costs, per_year, ratio, simulate
from salescast.ordering.orders import PLANNER_DAYS, Cycle, Values, planner, propose
from salescast.ordering.replenishment import DAY, dependence, draw, truth_for, wide

PLANNER = "planner"


def rehearse(
    fits: Sequence[Fit], truth: pd.DataFrame, stock: pd.DataFrame, cycle: Cycle
) -> dict[str, dict[str, float]]:
    """Return what each model and the planner would have cost a year, ordering at every cutoff.

    `fits`: of `backtest.fits`; `truth`: `demand.uncensor` as known today; `stock`: `position` at
    the first cutoff. Shelves are simulated day by day; the models order by one rule, the planner
    by his, who counts customers sent away. Per policy: cost_per_year, an 80 % interval `low` to
    `high` over reviews, fill_rate, and `of_planner`: its cost ÷ the planner's, with interval.
    """
    origins = np.unique(np.concatenate([fit.served["origin"].unique() for fit in fits]))
    first, last = pd.Timestamp(origins[0]), pd.Timestamp(origins[-1])
    days = pd.date_range(first - (PLANNER_DAYS - 1) * DAY, last + cycle.interval * DAY)
    wanted = wide(truth, "demand", stock, days)
    asked: Values = np.round(np.nan_to_num(wanted[:, PLANNER_DAYS:])).astype(np.float64)
    begin = stock["on_hand"].to_numpy(float)
    paid = stock["underage"].to_numpy(float), stock["overage"].to_numpy(float)
    costs, result = {}, {}
    policies = {
        name: _ordering([fit for fit in fits if fit.name == name], stock, cycle)
        for name in dict.fromkeys(fit.name for fit in fits)
    }
    policies[PLANNER] = _planning(wanted, stock, cycle)
    for name, policy in policies.items():
        shelves = simulate(asked, begin, cycle, policy)
        costs[name] = cycle_costs(shelves, *paid, cycle)
        fill = float(shelves.sold.sum() / max(asked.sum(), 1.0))
        result[name] = per_year(costs[name], cycle, seed=0) | {"fill_rate": fill}
    for name, of in result.items():
        against = ratio(costs[name], costs[PLANNER], seed=0)
        result[name] = of | {f"of_planner_{key}": value for key, value in against.items()}
    return result


def _ordering(fits: Sequence[Fit], stock: pd.DataFrame, cycle: Cycle) -> Policy:
    """Return the policy that orders by the product's rule, one fit's origins after another's."""
    served = []  # cutoffs rise within a fit and from fit to fit
    for fit in fits:
        told = dependence(fit.model, fit.known, truth_for(fit.model, fit.happened))
        served += [(fit.model, told, rows) for _, rows in fit.served.groupby("origin")]

    def order(review: int, at_hand: Values) -> Values:
        here = stock.assign(on_hand=at_hand, on_order=0.0)
        drawn = draw(*served[review], here, cycle)
        orders: Values = propose(drawn, here, cycle).orders["order"].to_numpy(float)
        return orders

    return order


def _planning(wanted: Values, stock: pd.DataFrame, cycle: Cycle) -> Policy:
    """Return the status-quo planner; `wanted` begins with the days he looks back from review 0."""
    pack = stock["pack_size"].to_numpy(np.int64)

    def order(review: int, at_hand: Values) -> Values:
        upto = PLANNER_DAYS + review * cycle.review_days
        return planner(wanted[:, :upto], at_hand, pack).astype(float)

    return order
