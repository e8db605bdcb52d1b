"""How to train once customers behave otherwise: what is learned, and what is examined."""

from datetime import date, timedelta

import pandas as pd

from salescast.contract.schema import last_day
from salescast.data import store
from salescast.data.files import read_json
from salescast.errors import NoChampionError
from salescast.models.forecaster import Integrated
from salescast.models.response import NEVER
from salescast.release import Releases
from salescast.settings import Settings
from salescast.stages.training import EPOCH

REFIT_EVERY = 3  # origins a day apart share a fit
LENIENT = 0.05  # chance of an error against a champion whose errors an alarm has shown already


def adapt(settings: Settings, since: date | None = None) -> Settings:
    """Return the settings to train with where customers behave otherwise `since` a day.

    Default: `model.since`, what the monitor last asked for, or what the champion was told; without
    any of them nothing changes. The examination has its cutoffs on the days since: whoever is
    examined on the years before is praised for what no longer holds. Where weekly ones would be
    too few there is one a day. The gate need be 95 % instead of 99 % sure against a champion that
    has not learned of it.
    """
    known = _champions(settings)
    since = since or settings.model.since or _asked(settings) or known
    if since is None:
        return settings
    days = (last_day(store.read_all(settings.data)) - pd.Timestamp(since)).days
    gate = settings.gate
    error = gate.promotion_error if since == known else max(gate.promotion_error, LENIENT)
    told = {
        "model": settings.model.model_copy(update={"since": since}),
        "backtest": _examined(settings, days),
        "gate": gate.model_copy(update={"promotion_error": error}),
    }
    return settings.model_copy(update=told)


def _examined(settings: Settings, days: int) -> object:
    plan, room = settings.backtest, max(days - settings.forecast.horizon, 0)
    weekly = room // plan.every_days + 1
    if weekly >= settings.gate.min_origins:
        return plan.model_copy(update={"cutoffs": min(weekly, plan.cutoffs)})
    daily = {"cutoffs": min(room + 1, plan.cutoffs), "every_days": 1, "refit_every": REFIT_EVERY}
    return plan.model_copy(update=daily)


def _asked(settings: Settings) -> date | None:
    path = settings.build / "monitoring.json"
    asked = read_json(path, "monitor").get("training") if path.exists() else None
    return date.fromisoformat(asked["since"]) if asked and asked["since"] else None


def _champions(settings: Settings) -> date | None:
    releases = Releases(settings.releases, settings.model.trusted_types)
    try:
        parts = releases.read(releases.champion()).model.parts
    except NoChampionError:
        return None
    if not isinstance(parts, Integrated) or parts.response.since == NEVER:
        return None
    return EPOCH + timedelta(days=parts.response.since)
