"""The backtest in money a year: orders placed at every cutoff, inventory simulated day by day."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salescast.evaluation.backtest import Fit
from salescast.ordering.inventory import Policy, cycle_costs, per_year, ratio, simulate
from salescast.ordering.orders import PLANNER_DAYS, Cycle, Values, planner, propose
from salescast.ordering.replenishment import DAY, as_matrix, draw, learn_dependence, recent_demand

PLANNER = "planner"


def rehearse(
    fits: Sequence[Fit], truth: pd.DataFrame, stock: pd.DataFrame, cycle: Cycle
) -> dict[str, dict[str, float]]:
    """Return the cost a year of each model and of the planner, ordering at every cutoff.

    `fits`: of `backtest.fits`; `truth`: estimated demand as known today; `stock`: `position` at the
    first cutoff. The models share one ordering rule; the planner averages recent demand, lost sales
    included. Per policy: cost_per_year with an 80 % interval `low` to `high` over reviews,
    fill_rate, and `of_planner_ratio`: its cost ÷ the planner's, with interval.
    """
    origins = np.unique(np.concatenate([fit.served["origin"].unique() for fit in fits]))
    first, last = pd.Timestamp(origins[0]), pd.Timestamp(origins[-1])
    days = pd.date_range(first - (PLANNER_DAYS - 1) * DAY, last + cycle.interval * DAY)
    demand = as_matrix(truth, "demand", stock, days)
    simulated_demand: Values = np.round(np.nan_to_num(demand[:, PLANNER_DAYS:])).astype(np.float64)
    on_hand = stock["on_hand"].to_numpy(float)
    unit_costs = stock["underage"].to_numpy(float), stock["overage"].to_numpy(float)
    costs, result = {}, {}
    policies = {
        name: _ordering([fit for fit in fits if fit.name == name], stock, cycle)
        for name in dict.fromkeys(fit.name for fit in fits)
    }
    policies[PLANNER] = _planning(demand, stock, cycle)
    for name, policy in policies.items():
        shelves = simulate(simulated_demand, on_hand, cycle, policy)
        costs[name] = cycle_costs(shelves, *unit_costs, cycle)
        fill = float(shelves.sold.sum() / max(simulated_demand.sum(), 1.0))
        result[name] = per_year(costs[name], cycle, seed=0) | {"fill_rate": fill}
    for name in result:
        relative = ratio(costs[name], costs[PLANNER], seed=0)
        result[name] |= {f"of_planner_{key}": value for key, value in relative.items()}
    return result


def _ordering(fits: Sequence[Fit], stock: pd.DataFrame, cycle: Cycle) -> Policy:
    """Return the policy that orders by the product's rule at the origins of all fits."""
    served = []  # cutoffs rise within a fit and from fit to fit
    for fit in fits:
        dependence = learn_dependence(fit.model, fit.known, recent_demand(fit.model, fit.happened))
        served += [(fit.model, dependence, rows) for _, rows in fit.served.groupby("origin")]

    def order(review: int, at_hand: Values) -> Values:
        position = stock.assign(on_hand=at_hand, on_order=0.0)
        paths = draw(*served[review], position, cycle)
        orders: Values = propose(paths, position, cycle).orders["order"].to_numpy(float)
        return orders

    return order


def _planning(demand: Values, stock: pd.DataFrame, cycle: Cycle) -> Policy:
    """Return the status-quo planner; `demand` starts PLANNER_DAYS before review 0."""
    pack = stock["pack_size"].to_numpy(np.int64)

    def order(review: int, at_hand: Values) -> Values:
        upto = PLANNER_DAYS + review * cycle.review_days
        return planner(demand[:, :upto], at_hand, pack).astype(float)

    return order
