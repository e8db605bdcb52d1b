"""A search over hyperparameters by cost at rolling origins; the only user of Optuna."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Space = Mapping[str, tuple[float, float]]

SPACES: Mapping[str, Space] = {
    "integrated": {"recent_days": (28, 112), "drift": (0.2, 4.0), "departure": (0.3, 3.0)},
    "boosting": {
        "iterations": (60, 300),
        "learning_rate": (0.02, 0.2),
        "max_leaf_nodes": (8, 64),
        "min_samples_leaf": (20, 400),
        "l2_regularization": (0.1, 20.0),
    },
}
"""Bounds of each parameter; all are searched on the log scale, whole ones between
whole bounds."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it cost, money per series and day."""

    params: Mapping[str, float]
    cost: float


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
    study.optimize(lambda trial: cost_of(_suggest(trial, space)), n_trials=trials)
    done = [Trial(dict(trial.params), float(trial.value or 0.0)) for trial in study.trials]
    return sorted(done, key=lambda trial: trial.cost)


def _suggest(trial: Any, space: Space) -> dict[str, float]:
    return {
        name: trial.suggest_int(name, int(low), int(high), log=True)
        if isinstance(low, int) and isinstance(high, int)
        else trial.suggest_float(name, low, high, log=True)
        for name, (low, high) in space.items()
    }
