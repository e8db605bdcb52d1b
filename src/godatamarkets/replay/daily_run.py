"""One simulated day after another, each with the same stages as a day of real operation."""

import gc
from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd

from flows.deploy import deploy
from flows.engine import Run
from flows.train import train
from godatamarkets.replay.replay_state import REACTION_DAYS, Replay
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
Progress = Callable[[Replay], None]


def run_days(engine: Engine, replay: Replay, progress: Progress) -> list[dict[str, Any]]:
    """Run every day that is left and return the journal; `progress` is called after each day."""
    while (day := replay.next_day) is not None:
        replay.record(run_day(engine, replay, day))
        progress(replay)
        if not gc.get_freeze_count():  # imported modules stay: garbage collection may skip them
            gc.freeze()
    return replay.journal


def run_day(engine: Engine, replay: Replay, day: date) -> dict[str, Any]:
    """Ingest the day's delivery, monitor, train where due, forecast and order."""
    run = engine(replay.settings)
    mended = replay.refused() >= REACTION_DAYS
    if mended:
        replay.shop.mend(pd.Timestamp(day))
    delivery = _ingest(run, replay, day)
    monitored: dict[str, Any] = {"alarms": [], "live": None, "training": {"why": "first"}}
    if replay.journal:
        monitored = run("monitor", today=day, brief=day.day > 1)
    reason = monitored["training"] if delivery != "rejected" else None
    trained = _train(engine, replay, reason) if reason else None
    forecast = _forecast(run)
    orders = _order(run, replay, day) if forecast else []
    replay.place(day, orders)
    return {
        "day": f"{day}",
        "delivery": delivery,
        "mended": mended,
        "origin": forecast.get("origin"),
        "degraded": forecast.get("degraded_rows", 0),
        "alarms": monitored["alarms"],
        "live": monitored["live"],
        "trained": trained,
        "orders": orders,
        "champion": forecast.get("model_version"),
    }


def _forecast(run: Run) -> dict[str, Any]:
    """Forecast with the champion; return an empty result where there is none yet."""
    try:
        return run("forecast")
    except NoChampionError:
        return {}


def _ingest(run: Run, replay: Replay, day: date) -> str:
    try:
        result = run("ingest", until=day, feed=replay.feed)
    except DataQualityError:
        return "rejected"
    run("version")
    return str(result["quality"]["status"])


def _train(engine: Engine, replay: Replay, reason: dict[str, Any]) -> dict[str, Any]:
    """Train and, where the gate agrees, deploy; a refusal is part of the result."""
    since = reason.get("since")
    run = engine(adapt(replay.settings, date.fromisoformat(since) if since else None))
    result: dict[str, Any] = {"why": reason["why"], "since": since, "version": None}
    result["refused"] = None
    try:
        result["version"] = train(run)["version"]
        deploy(run)
    except (GateRefused, DataQualityError, NotEnoughHistoryError) as refusal:
        result["refused"] = str(refusal)
    return result


def _order(run: Run, replay: Replay, day: date) -> list[list[Any]]:
    """Return store, item and units of today's orders; empty between reviews."""
    costs = replay.settings.costs
    if not due(pd.Timestamp(day), costs.review_weekday, costs.review_days):
        return []
    run("order")
    rows = pd.read_parquet(replay.settings.build / "orders.parquet")
    rows = rows[rows["order"] > 0]
    return [
        [str(store), str(item), int(units)]
        for store, item, units in zip(rows["store_id"], rows["item_id"], rows["order"], strict=True)
    ]
