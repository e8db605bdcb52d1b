"""Years of operation in minutes: each simulated day, the same stages as every real day."""

import gc
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd

from flows.deploy import deploy
from flows.engine import Run
from flows.train import train
from godatamarkets.replay.world import REACTION_DAYS, World
from salescast.errors import (
    DataQualityError,
    GateRefused,
    NoChampionError,
    NotEnoughHistoryError,
)
from salescast.ordering.orders import due
from salescast.settings import Settings
from salescast.stages.adaptation import adapt

Engine = Callable[[Settings], Run]
Tell = Callable[[World], None]


def replay(engine: Engine, world: World, tell: Tell) -> list[dict[str, Any]]:
    """Replay every day that is left and return the journal; `tell` hears of each day's end."""
    while (day := world.next_day) is not None:
        world.record(a_day(engine, world, day))
        tell(world)
        if not gc.get_freeze_count():  # what is imported by now is no garbage: not to be looked at
            gc.freeze()
    return world.journal


def a_day(engine: Engine, world: World, day: date) -> dict[str, Any]:
    """Take in what the retailer delivers, watch, train where due, forecast and order."""
    run = engine(world.settings)
    mended = world.refused() >= REACTION_DAYS
    if mended:
        world.shop.mend(pd.Timestamp(day))
    delivery = _delivered(run, world, day)
    watched: dict[str, Any] = {"alarms": [], "live": None, "training": {"why": "first"}}
    if world.journal:
        watched = run("monitor", today=day, brief=day.day > 1)
    asked = watched["training"] if delivery != "rejected" else None
    trained = _trained(engine, world, asked) if asked else None
    made = _forecast(run)
    orders = _ordered(run, world, day) if made else []
    world.place(day, orders)
    return {
        "day": f"{day}",
        "delivery": delivery,
        "mended": mended,
        "origin": made.get("origin"),
        "degraded": made.get("degraded_rows", 0),
        "alarms": watched["alarms"],
        "live": watched["live"],
        "trained": trained,
        "orders": orders,
        "champion": made.get("model_version"),
    }


def _forecast(run: Run) -> dict[str, Any]:
    """Forecast with the champion; nothing where no training was ever promoted."""
    try:
        return run("forecast")
    except NoChampionError:
        return {}


def _delivered(run: Run, world: World, day: date) -> str:
    try:
        done = run("ingest", until=day, supply=world.supply)
    except DataQualityError:
        return "rejected"
    run("version")
    return str(done["quality"]["status"])


def _trained(engine: Engine, world: World, asked: dict[str, Any]) -> dict[str, Any]:
    """Train and, where the gate agrees, deploy; what refuses is told, not raised."""
    since = asked.get("since")
    own = world.settings
    run = engine(adapt(own, date.fromisoformat(since) if since else None))
    told: dict[str, Any] = {"why": asked["why"], "since": since, "version": None, "refused": None}
    try:
        told["version"] = train(run)["version"]
        deploy(run)
    except (GateRefused, DataQualityError, NotEnoughHistoryError) as refusal:
        told["refused"] = str(refusal)
    return told


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
