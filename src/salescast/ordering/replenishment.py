"""From a model and the shelves to orders: at one origin, and over a backtest in dollars a year."""

import numpy as np
import pandas as pd

from salescast.contract import schema
from salescast.contract.panel import entity_rows
from salescast.models import response as demand
from salescast.models.forecaster import CHUNK_ROWS, Integrated, Model, distribution
from salescast.ordering import sample_paths
from salescast.ordering.orders import (
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
from salescast.ordering.sample_paths import Dependence

SERIES = ["store_id", "item_id"]
LEARN_FROM = 40  # training origins whose residuals tell how days depend on each other
LEARN_DAYS = 400  # days of demand to compare them with
DAY = pd.Timedelta(days=1)


def dependence(model: Model, rows: pd.DataFrame, truth: pd.DataFrame) -> Dependence:
    """Learn how days ahead of one origin hang together, from the last training origins.

    `rows`: features of training origins; `truth`: `demand.uncensor` of what happened since.
    """
    recent = rows[rows["origin"].isin(np.sort(rows["origin"].unique())[-LEARN_FROM:])]
    pieces = [recent.iloc[at : at + CHUNK_ROWS] for at in range(0, len(recent), CHUNK_ROWS)]
    said = [sample_paths.moments(distribution(model, piece)) for piece in pieces]
    mean, variance = (np.concatenate(each) for each in zip(*said, strict=True))
    return sample_paths.learn(recent, (mean, variance), truth)


def truth_for(model: Model, happened: pd.DataFrame) -> pd.DataFrame:
    """Return the demand behind the last sales, by the model's own response where it has one."""
    recent = happened[happened["date"] > happened["date"].max() - LEARN_DAYS * DAY]
    response = model.parts.response if isinstance(model.parts, Integrated) else None
    return demand.uncensor(recent, response)


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
    where = entity_rows(series[SERIES], rows)
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
    drawn = sample_paths.sample(near, distribution(model, near), told)
    where = entity_rows(near[SERIES].iloc[:: int(near["lead_time"].max())], stock)
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
