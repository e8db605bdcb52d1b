"""Years of operation in minutes: each simulated day, the same stages as every real day."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd

from flows.deploy import deploy
from flows.engine import Run
from flows.train import train
from salescast.errors import DataQualityError, GateRefused, NotEnoughHistoryError
from salescast.orders import due
from salescast.stages.replay import REACTION_DAYS, World

Tell = Callable[[World], None]


def replay(run: Run, world: World, tell: Tell) -> list[dict[str, Any]]:
    """Replay every day that is left and return the journal; `tell` hears of each day's end."""
    while (day := world.next_day) is not None:
        world.record(a_day(run, world, day))
        tell(world)
    return world.journal


def a_day(run: Run, world: World, day: date) -> dict[str, Any]:
    """Take in what the retailer delivers, watch, train where due, forecast and order."""
    mended = world.refused() >= REACTION_DAYS
    if mended:
        world.shop.mend()
    delivery = _delivered(run, world, day)
    watched: dict[str, Any] = {"alarms": [], "live": None}
    if world.journal:
        watched = run("monitor", today=day, brief=day.day > 1)
    asked = "first" if not world.journal else watched["training"]
    trained = _trained(run, asked) if asked and delivery != "rejected" else None
    made = run("forecast")
    orders = _ordered(run, world, day)
    world.place(day, orders)
    return {
        "day": f"{day}",
        "delivery": delivery,
        "mended": mended,
        "origin": made["origin"],
        "degraded": made["degraded_rows"],
        "alarms": watched["alarms"],
        "live": watched["live"],
        "trained": trained,
        "orders": orders,
        "champion": made["model_version"],
    }


def _delivered(run: Run, world: World, day: date) -> str:
    try:
        done = run("ingest", until=day, supply=world.supply)
    except DataQualityError:
        return "rejected"
    run("version")
    return str(done["quality"]["status"])


def _trained(run: Run, why: str) -> dict[str, Any]:
    """Train and, where the gate agrees, deploy; what refuses is told, not raised."""
    try:
        decision = train(run)
        deploy(run)
    except GateRefused as refusal:
        return {"why": why, "version": decision["version"], "refused": str(refusal)}
    except (DataQualityError, NotEnoughHistoryError) as refusal:
        return {"why": why, "version": None, "refused": str(refusal)}
    return {"why": why, "version": decision["version"], "refused": None}


def _ordered(run: Run, world: World, day: date) -> list[list[Any]]:
    """Return store, item and units of what is ordered today; nothing between reviews."""
    costs = world.settings.costs
    if not due(pd.Timestamp(day), costs.review_weekday, costs.review_days):
        return []
    run("order")
    rows = pd.read_parquet(world.settings.build / "orders.parquet")
    rows = rows[rows["order"] > 0]
    return [
        [str(store), str(item), int(units)]
        for store, item, units in zip(rows["store_id"], rows["item_id"], rows["order"], strict=True)
    ]
