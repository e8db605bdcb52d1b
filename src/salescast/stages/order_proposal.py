"""Order: propose what to order at the last origin, compared with the old rule."""

from typing import Any

import numpy as np
import pandas as pd

from salescast.contract.schema import Tables
from salescast.data import store
from salescast.data.files import read_frame, write_frame, write_json
from salescast.ordering.orders import Cycle, Limit, Values, due, propose
from salescast.ordering.replenishment import SERIES, draw, planner_orders, position, recent_sales
from salescast.ordering.sample_paths import Dependence
from salescast.release import Bundle, feature_rows, open_trial
from salescast.settings import Costs, Settings
from salescast.stages.configured import champion_release, order_cycle, record

FROM_FORECAST = ["receipt_id", "origin", "model_version", "data_version"]


def order(settings: Settings) -> dict[str, Any]:
    """Propose what to order at the last origin, and what the old rule would, into the ledger."""
    forecasts = read_frame(settings.build / "forecasts.parquet", "forecast")
    champion, tables = champion_release(settings), store.read_all(settings.data)
    origin, costs, cycle = forecasts["origin"].iloc[0], settings.costs, order_cycle(settings)
    receipts = forecasts.drop_duplicates(SERIES)[[*SERIES, *FROM_FORECAST]]
    stock = position(tables, origin, receipts)
    drawn = _sample_paths(settings, champion, tables, stock, receipts)
    proposal = propose(drawn, stock, cycle, _limit(costs, stock))
    planned = planner_orders(drawn, stock, recent_sales(tables, origin, stock), cycle)
    counted = stock[["on_hand", "on_order", "counted", "unit_cost"]]
    orders = pd.concat([proposal.orders, planned, counted], axis=1).merge(receipts, on=SERIES)
    orders["due"] = due(origin, costs.review_weekday, costs.review_days)
    result = _result(orders, proposal.shadow_price, settings.product.currency)
    result |= _counts(orders, origin, result["summary"])
    write_frame(settings.build / "orders.parquet", orders)
    write_json(settings.build / "orders.json", result)
    record(settings, orders=orders)
    return result


def _sample_paths(
    settings: Settings,
    champion: Bundle,
    tables: Tables,
    stock: pd.DataFrame,
    receipts: pd.DataFrame,
) -> Values:
    """Return sample paths in the order of `stock`, each by the release that made its forecast."""
    cycle = order_cycle(settings)
    drawn = _drawn(champion, tables, stock, cycle)
    on_trial = receipts["model_version"].to_numpy() != champion.version
    if on_trial.any():
        rival = open_trial(settings.releases, champion, settings.model.trusted_types)
        if rival:
            drawn[on_trial] = _drawn(rival[1], tables, stock[on_trial], cycle)
    return drawn


def _drawn(bundle: Bundle, tables: Tables, stock: pd.DataFrame, cycle: Cycle) -> Values:
    dependence = Dependence(**bundle.dependence)
    return draw(bundle.model, dependence, feature_rows(bundle, tables), stock, cycle)


def _limit(costs: Costs, stock: pd.DataFrame) -> Limit | None:
    """Return what all orders share: money, units, or nothing."""
    if costs.budget:
        return Limit(costs.budget, stock["unit_cost"].to_numpy(float))
    return Limit(costs.capacity, np.ones(len(stock))) if costs.capacity else None


def _result(orders: pd.DataFrame, shadow_price: float, currency: str) -> dict[str, Any]:
    total = orders[["order", "spend", "expected_cost", "planner_order", "planner_cost"]].sum()
    result = {
        "origin": f"{orders['origin'].iloc[0]:%Y-%m-%d}",
        "due": bool(orders["due"].iloc[0]),
        "units": int(total["order"]),
        "spend": float(total["spend"]),
        "expected_cost": float(total["expected_cost"]),
        "planner_units": int(total["planner_order"]),
        "planner_cost": float(total["planner_cost"]),
        "shadow_price": shadow_price,
        "counted": bool(orders["counted"].notna().any()),
    }
    summary = (
        f"{result['units']:,} units for {result['spend']:,.0f} {currency}"
        f"{' today' if result['due'] else ', if ordered today'}: expected cost "
        f"{result['expected_cost']:,.0f}, by the old rule {result['planner_cost']:,.0f}"
    )
    if shadow_price:
        summary += f", one more unit of the limit saves {shadow_price:.2f}"
    if not result["counted"]:
        summary += "; no stock was counted, so shelves are taken as empty"
    return result | {"summary": summary}


STALE_DAYS = 2  # a count older than this is worth a word


def _counts(orders: pd.DataFrame, origin: pd.Timestamp, summary: str) -> dict[str, Any]:
    """Return how many counts are old, and the summary with a word on them."""
    age = (origin - orders["counted"]).dt.days
    stale, oversold = int((age > STALE_DAYS).sum()), int((orders["on_hand"] < 0).sum())
    if stale:
        summary += (
            f"; {stale} series were last counted more than {STALE_DAYS} days ago, at most "
            f"{int(age.max())}: what was sold since is taken off"
        )
    if oversold:
        summary += f"; {oversold} counts are below zero: taken as oversold units to be ordered"
    return {"stale_counts": stale, "negative_counts": oversold, "summary": summary}
