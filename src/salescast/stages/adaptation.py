"""How to train after demand has shifted: what is learned, and what the backtest covers."""

from datetime import date

import pandas as pd

from salescast.contract.schema import last_day
from salescast.data import store
from salescast.data.files import read_json
from salescast.errors import NoChampionError
from salescast.settings import Backtest, Settings
from salescast.stages.configured import champion_release

REFIT_EVERY = 3  # origins a day apart share a fit


def adapt(settings: Settings, since: date | None = None) -> Settings:
    """Return the settings to train with where demand has shifted `since` a day.

    Default: `model.since`, the day the monitor last named, or the one the champion learned; without
    any of them nothing changes. The backtest's cutoffs lie on the days since: scores of the years
    before would reward a model of the old demand. If weekly cutoffs are too few there is one a day.
    """
    since = since or settings.model.since or _monitors_shift(settings) or _champions_shift(settings)
    if since is None:
        return settings
    days = (last_day(store.read_all(settings.data)) - pd.Timestamp(since)).days
    changed = {
        "model": settings.model.model_copy(update={"since": since}),
        "backtest": _backtest_since(settings, days),
    }
    return settings.model_copy(update=changed)


def _backtest_since(settings: Settings, days: int) -> Backtest:
    plan, room = settings.backtest, max(days - settings.forecast.horizon, 0)
    weekly = room // plan.every_days + 1
    if weekly >= settings.gate.min_origins:
        return plan.model_copy(update={"cutoffs": min(weekly, plan.cutoffs)})
    daily = {"cutoffs": min(room + 1, plan.cutoffs), "every_days": 1, "refit_every": REFIT_EVERY}
    return plan.model_copy(update=daily)


def _monitors_shift(settings: Settings) -> date | None:
    path = settings.build / "monitoring.json"
    training = read_json(path, "monitor").get("training") if path.exists() else None
    return date.fromisoformat(training["since"]) if training and training["since"] else None


def _champions_shift(settings: Settings) -> date | None:
    try:
        since = champion_release(settings).model.get_params().get("since")
    except NoChampionError:
        return None
    return date.fromisoformat(since) if since else None
