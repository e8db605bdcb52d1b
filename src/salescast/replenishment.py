"""From a model and the shelves to orders: at one origin, and over a backtest in dollars a year."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from salescast import demand, paths, schema
from salescast.backtest import Fit
from salescast.inventory import Policy, cycle_costs, per_year, ratio, simulate
from salescast.model import PIECE, Integrated, Model, distribution
from salescast.orders import (
    PLANNER_DAYS,
    Cycle,
    Limit,
    Proposal,
    Values,
    expected,
    needed,
    planner,
    propose,
    unit_costs,
)
from salescast.panel import row_in
from salescast.paths import Dependence

SERIES = ["store_id", "item_id"]
LEARN_FROM = 40  # training origins whose residuals tell how days depend on each other
LEARN_DAYS = 400  # days of demand to compare them with
PLANNER = "planner"
DAY = pd.Timedelta(days=1)


def dependence(model: Model, rows: pd.DataFrame, truth: pd.DataFrame) -> Dependence:
    """Learn how days ahead of one origin hang together, from the last training origins.

    `rows`: features of training origins; `truth`: `demand.estimate` of what happened since.
    """
    recent = rows[rows["origin"].isin(np.sort(rows["origin"].unique())[-LEARN_FROM:])]
    pieces = [recent.iloc[at : at + PIECE] for at in range(0, len(recent), PIECE)]
    said = [paths.moments(distribution(model, piece)) for piece in pieces]
    mean, variance = (np.concatenate(each) for each in zip(*said, strict=True))
    return paths.learn(recent, (mean, variance), truth)


def truth_for(model: Model, happened: pd.DataFrame) -> pd.DataFrame:
    """Return the demand behind the last sales, by the model's own response where it has one."""
    recent = happened[happened["date"] > happened["date"].max() - LEARN_DAYS * DAY]
    response = model.parts.response if isinstance(model.parts, Integrated) else None
    return demand.estimate(recent, response)


def position(tables: schema.Tables, origin: pd.Timestamp, series: pd.DataFrame) -> pd.DataFrame:
    """Return what each series has at the close of `origin`, and what its units cost.

    Columns: store_id, item_id, on_hand, on_order (units; 0 where nothing was counted), `counted`
    (the day of the last count, NaT where there is none) and those of `unit_costs`.
    """
    known = schema.as_of(
        {name: tables[name] for name in ("items", "stock") if name in tables}, origin
    )
    stock = schema.latest("stock", known.get("stock", schema.empty("stock")))
    stock = stock[stock["date"] <= origin].drop_duplicates(SERIES, keep="last")
    found = series[SERIES].merge(
        stock[[*SERIES, "date", "on_hand", "on_order"]], on=SERIES, how="left"
    )
    found = found.rename(columns={"date": "counted"}).fillna({"on_hand": 0.0, "on_order": 0.0})
    return found.merge(unit_costs(schema.latest("items", tables["items"])), on="item_id")


def sold(tables: schema.Tables, origin: pd.Timestamp, series: pd.DataFrame) -> Values:
    """Return what each series sold on the last days the planner looks at, (series, days).

    NaN on closed days, and on days sold out: he knows that his shelf was empty.
    """
    days = pd.date_range(end=origin, periods=PLANNER_DAYS)
    recent = tables["sales"][tables["sales"]["date"] >= days[0]]
    known = schema.latest("sales", schema.known_by("sales", recent, origin))
    known = known[~known["sold_out"].fillna(value=False).astype(bool)]
    return wide(known, "units", series, days)


def wide(rows: pd.DataFrame, column: str, series: pd.DataFrame, days: pd.DatetimeIndex) -> Values:
    """Return a column as a matrix (series, days), NaN where there is no row."""
    where = row_in(series[SERIES], rows)
    when = days.get_indexer(rows["date"])
    kept = (where >= 0) & (when >= 0)
    result = np.full((len(series), len(days)), np.nan)
    result[where[kept], when[kept]] = rows[column].to_numpy(float)[kept]
    return result


def decide(
    model: Model,
    told: Dependence,
    rows: pd.DataFrame,
    stock: pd.DataFrame,
    how: tuple[Cycle, Limit | None],
) -> tuple[Proposal, Values]:
    """Return the orders of one origin, and the sample paths of demand behind them.

    `rows`: features of one origin; `stock`: see `position`, one row a series of `rows`, any order;
    the orders come in its order. Raises ConfigError where the horizon is too short for the cycle.
    """
    drawn = draw(model, told, rows, stock, how[0])
    return propose(drawn, stock, *how), drawn


def draw(
    model: Model, told: Dependence, rows: pd.DataFrame, stock: pd.DataFrame, cycle: Cycle
) -> Values:
    """Return sample paths (series, paths, leads) in the order of `stock`, as far as is needed."""
    near = rows[rows["lead_time"] <= cycle.interval]
    drawn = paths.sample(near, distribution(model, near), told)
    where = row_in(near[SERIES].iloc[:: int(near["lead_time"].max())], stock)
    # A series that has ended since the stock was counted is asked for no more.
    ordered: Values = drawn[where] * (where >= 0)[:, None, None]
    return ordered


def beside(drawn: Values, stock: pd.DataFrame, history: Values, cycle: Cycle) -> pd.DataFrame:
    """Return what the status-quo planner would order, and what that is expected to cost.

    Columns planner_order (units) and planner_cost (money over the cycle, on the same paths).
    """
    at_hand = (stock["on_hand"] + stock["on_order"]).to_numpy(float)
    order = planner(history, at_hand, stock["pack_size"].to_numpy(np.int64))
    costs = stock[["underage", "overage"]].to_numpy(float)
    _, cost = expected(needed(drawn, at_hand, cycle), order, costs, cycle)
    return pd.DataFrame({"planner_order": order, "planner_cost": cost})


def rehearse(
    fits: Sequence[Fit], truth: pd.DataFrame, stock: pd.DataFrame, cycle: Cycle
) -> dict[str, dict[str, float]]:
    """Return what each model and the planner would have cost a year, ordering at every cutoff.

    `fits`: of `backtest.fits`; `truth`: `demand.estimate` as known today; `stock`: `position` at
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
