"""Tuning: search hyperparameters by cost at rolling origins; the only user of Optuna."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from salescast.contract.schema import last_day
from salescast.data import store
from salescast.errors import ConfigError
from salescast.evaluation.backtest import CHALLENGER, outcomes, served_by
from salescast.features import point_in_time as feature
from salescast.models import kind_class, make
from salescast.models.response import uncensor
from salescast.ordering.orders import item_costs
from salescast.settings import Settings
from salescast.stages.configured import open_registry, recipe
from salescast.stages.feature_table import build_rows, origins
from salescast.stages.progress import steps

SEARCHED_ORIGINS = 8  # all before the backtest's, which must not be tuned on
SEARCHED_WEEKS = 6  # between them, so that they cover the seasons of most of a year

Space = Mapping[str, tuple[float, float]]
"""Bounds of each parameter, searched on a log scale; whole numbers between whole bounds."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it cost, money per series and day."""

    params: Mapping[str, float]
    cost: float


def tune(settings: Settings, trials: int) -> dict[str, Any]:
    """Search hyperparameters at origins before the backtest's and log each trial to MLflow.

    Returns `params`, the cheapest ones, and as `variables` of the environment, for the stages.
    """
    how = recipe(settings, store.read_all(settings.data))
    space = _space(settings)
    start = make(how.kind, how.params, how.seed).get_params()
    found = search(space, start, _cost_function(settings), trials, how.seed)
    open_registry(settings).log_search([(t.params, t.cost) for t in found], f"search {how.kind}")
    best = found[0]
    values = ", ".join(f"{name} {value:.3g}" for name, value in best.params.items())
    return {
        "params": dict(best.params),
        "variables": _variables(how.kind, best.params),
        "cost": best.cost,
        "summary": f"{trials} {'trial' if trials == 1 else 'trials'} of {how.kind}: "
        f"{best.cost:.4f} a series and day with {values}",
    }


def _cost_function(settings: Settings) -> Callable[[dict[str, float]], float]:
    """Return a function of parameters: the cost a series and day of a model fitted with them."""
    tables = store.read_all(settings.data)
    trained, tested = origins(settings, tables)
    searched = searched_origins(trained[0], tested[0], settings.forecast.horizon)
    rows, how = build_rows(settings, tables, trained, searched), recipe(settings, tables)
    happened = feature.past(tables, searched[0])
    known, served = rows[rows["origin"] < searched[0]], rows[rows["origin"].isin(searched)]
    truth, costs = uncensor(feature.past(tables, last_day(tables))), item_costs(tables)

    def cost(params: dict[str, float]) -> float:
        model = make(how.kind, how.params, how.seed).set_params(**params)
        predictions = served_by(model.fit(known, happened), served, how, CHALLENGER)
        return float(outcomes(predictions, truth, costs)["cost"].mean())

    return cost


def searched_origins(first: pd.Timestamp, tested: pd.Timestamp, horizon: int) -> list[pd.Timestamp]:
    """Return origins SEARCHED_WEEKS apart whose horizons end before `tested`, oldest first.

    Where history is short they are closer, so that half of it from `first` on is left to learn.
    """
    last = tested - pd.Timedelta(days=horizon)
    apart = min(7 * SEARCHED_WEEKS, (last - first).days // (2 * SEARCHED_ORIGINS))
    return [last - pd.Timedelta(days=apart * i) for i in reversed(range(SEARCHED_ORIGINS))]


def _space(settings: Settings) -> Space:
    kind = settings.model.kind
    space = settings.model.estimator_space or kind_class(kind).search_space
    if not space:
        raise ConfigError("model.estimator_space is empty; name what to search: alpha = [0.01, 10]")
    return space


def _variables(kind: str, params: Mapping[str, float]) -> dict[str, str]:
    if kind == "estimator":  # as one table, since the case of its names matters
        return {"SALESCAST_MODEL__ESTIMATOR_PARAMS": json.dumps(dict(params))}
    return {f"SALESCAST_MODEL__{name.upper()}": str(value) for name, value in params.items()}


def search(
    space: Space,
    start: Mapping[str, Any],
    cost_of: Callable[[dict[str, float]], float],
    trials: int,
    seed: int,
) -> list[Trial]:
    """Return `trials` trials, cheapest first; the first one tried is `start`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: start[name] for name in space})

    def cost(trial: Any) -> float:
        steps.debug("trial %d of %d", trial.number + 1, trials)
        return cost_of(_suggest(trial, space))

    study.optimize(cost, n_trials=trials)
    done = [Trial(dict(trial.params), float(trial.value or 0.0)) for trial in study.trials]
    return sorted(done, key=lambda trial: trial.cost)


def _suggest(trial: Any, space: Space) -> dict[str, float]:
    return {
        name: trial.suggest_int(name, int(low), int(high), log=True)
        if isinstance(low, int) and isinstance(high, int)
        else trial.suggest_float(name, low, high, log=True)
        for name, (low, high) in space.items()
    }
