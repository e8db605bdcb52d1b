"""Orders at one origin from a model's forecasts and the stock."""

import numpy as np
import pandas as pd

from salescast.contract import schema
from salescast.contract.panel import entity_rows
from salescast.models.forecaster import CHUNK_ROWS, Forecaster
from salescast.ordering import sample_paths
from salescast.ordering.orders import (
    PLANNER_DAYS,
    Cycle,
    Values,
    expected_cost,
    net_demand,
    planner,
    unit_costs,
)
from salescast.ordering.sample_paths import Dependence

SERIES = ["store_id", "item_id"]
LEARN_FROM = 40  # training origins whose residuals estimate the dependence between days
LEARN_DAYS = 400  # days of demand that they are compared with
DAY = pd.Timedelta(days=1)


def learn_dependence(model: Forecaster, rows: pd.DataFrame, truth: pd.DataFrame) -> Dependence:
    """Return the dependence between days ahead of one origin, from the last training origins.

    `rows`: features of training origins; `truth`: estimated demand since (`response.uncensor`).
    """
    recent = rows[rows["origin"].isin(np.sort(rows["origin"].unique())[-LEARN_FROM:])]
    pieces = [recent.iloc[at : at + CHUNK_ROWS] for at in range(0, len(recent), CHUNK_ROWS)]
    mixtures = [model.predict_distribution(piece) for piece in pieces]
    mean = np.concatenate([mixture.mean for mixture in mixtures])
    variance = np.concatenate([mixture.variance for mixture in mixtures])
    return sample_paths.learn(recent, (mean, variance), truth)


def recent_demand(model: Forecaster, happened: pd.DataFrame) -> pd.DataFrame:
    """Return estimated demand of the last LEARN_DAYS, by the model's own response if it has one."""
    recent = happened[happened["date"] > happened["date"].max() - LEARN_DAYS * DAY]
    return model.uncensor(recent)


def position(tables: schema.Tables, origin: pd.Timestamp, series: pd.DataFrame) -> pd.DataFrame:
    """Return the stock of each series at the close of `origin`, and its unit costs.

    Columns: store_id, item_id, on_hand, on_order (units; 0 where nothing was counted), `counted`
    (the day of the last count, NaT where there is none) and those of `unit_costs`. An older count
    is projected by what was sold since: first from the shelf, then from what was on order, which
    has come if more was sold than was on the shelf. A count below zero is oversold units.
    """
    known = schema.as_of(
        {name: tables[name] for name in ("items", "stock", "sales") if name in tables}, origin
    )
    stock = schema.latest("stock", known.get("stock", schema.empty("stock")))
    stock = stock[stock["date"] <= origin].drop_duplicates(SERIES, keep="last")
    counted = stock[[*SERIES, "date", "on_hand", "on_order"]].rename(columns={"date": "counted"})
    result = series[SERIES].merge(counted, on=SERIES, how="left")
    result = result.fillna({"on_hand": 0.0, "on_order": 0.0})
    result = _projected(result, known.get("sales", schema.empty("sales")))
    return result.merge(unit_costs(schema.latest("items", tables["items"])), on="item_id")


def _projected(stock: pd.DataFrame, sales: pd.DataFrame) -> pd.DataFrame:
    """Return `stock` less the units sold after each count; shelf and orders stay above zero."""
    oldest = stock["counted"].min()
    if pd.isna(oldest) or sales.empty:
        return stock
    since = schema.latest("sales", sales[sales["date"] > oldest])
    since = since.merge(stock[[*SERIES, "counted"]], on=SERIES)
    since = since[since["date"] > since["counted"]]
    sold = since.groupby(SERIES)["units"].sum().rename("sold")
    sold = stock[SERIES].merge(sold, on=SERIES, how="left")["sold"].fillna(0.0).to_numpy()
    on_hand, on_order = stock["on_hand"].to_numpy(), stock["on_order"].to_numpy()
    beyond = np.maximum(sold - np.maximum(on_hand, 0), 0)  # sold of what was on order
    arrived = np.minimum(beyond, on_order)
    left = np.where(sold > 0, np.maximum(on_hand + arrived - sold, np.minimum(on_hand, 0)), on_hand)
    return stock.assign(on_hand=left, on_order=on_order - arrived)


def recent_sales(tables: schema.Tables, origin: pd.Timestamp, series: pd.DataFrame) -> Values:
    """Return sales of the last PLANNER_DAYS, (series, days), NaN on closed and on sold-out days.

    The planner can see that the shelf was empty.
    """
    days = pd.date_range(end=origin, periods=PLANNER_DAYS)
    recent = tables["sales"][tables["sales"]["date"] >= days[0]]
    known = schema.latest("sales", schema.known_by("sales", recent, origin))
    known = known[~known["sold_out"].fillna(value=False).astype(bool)]
    return as_matrix(known, "units", series, days)


def as_matrix(
    rows: pd.DataFrame, column: str, series: pd.DataFrame, days: pd.DatetimeIndex
) -> Values:
    """Return a column as a matrix (series, days), NaN where there is no row."""
    where = entity_rows(series[SERIES], rows)
    when = days.get_indexer(rows["date"])
    kept = (where >= 0) & (when >= 0)
    result = np.full((len(series), len(days)), np.nan)
    result[where[kept], when[kept]] = rows[column].to_numpy(float)[kept]
    return result


def draw(
    model: Forecaster, dependence: Dependence, rows: pd.DataFrame, stock: pd.DataFrame, cycle: Cycle
) -> Values:
    """Return sample paths (series, paths, leads of the cycle) in the order of `stock`."""
    near = rows[rows["lead_time"] <= cycle.interval]
    drawn = sample_paths.sample(near, model.predict_distribution(near), dependence)
    where = entity_rows(near[SERIES].iloc[:: int(near["lead_time"].max())], stock)
    # A series that has ended since its stock was counted has no demand.
    ordered: Values = drawn[where] * (where >= 0)[:, None, None]
    return ordered


def planner_orders(
    paths: Values, stock: pd.DataFrame, history: Values, cycle: Cycle
) -> pd.DataFrame:
    """Return the status-quo planner's orders and their expected cost.

    Columns planner_order (units) and planner_cost (money over the cycle, on the same paths).
    """
    at_hand = (stock["on_hand"] + stock["on_order"]).to_numpy(float)
    order = planner(history, at_hand, stock["pack_size"].to_numpy(np.int64))
    costs = stock[["underage", "overage"]].to_numpy(float)
    _, cost = expected_cost(net_demand(paths, at_hand, cycle), order, costs, cycle)
    return pd.DataFrame({"planner_order": order, "planner_cost": cost})
