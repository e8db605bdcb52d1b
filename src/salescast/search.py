"""A search over hyperparameters by cost at rolling origins; the only user of Optuna."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SPACES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "integrated": {"recent_days": (28, 112), "drift": (0.2, 4.0), "departure": (0.3, 3.0)},
    "boosting": {
        "iterations": (60, 300),
        "learning_rate": (0.02, 0.2),
        "max_leaf_nodes": (8, 64),
        "min_samples_leaf": (20, 400),
        "l2_regularization": (0.1, 20.0),
    },
}
"""Bounds of each parameter; all are searched on the log scale."""

WHOLE = {"iterations", "max_leaf_nodes", "min_samples_leaf", "recent_days"}


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it cost, money per series and day."""

    params: Mapping[str, float]
    cost: float


def search(
    kind: str,
    start: Mapping[str, Any],
    cost_of: Callable[[dict[str, float]], float],
    trials: int,
    seed: int,
) -> list[Trial]:
    """Return `trials` trials, cheapest first; the first one tried is `start`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = SPACES[kind]
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({name: start[name] for name in space})
    study.optimize(lambda trial: cost_of(_suggest(trial, space)), n_trials=trials)
    done = [Trial(dict(trial.params), float(trial.value or 0.0)) for trial in study.trials]
    return sorted(done, key=lambda trial: trial.cost)


def _suggest(trial: Any, space: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    return {
        name: trial.suggest_int(name, int(low), int(high), log=True)
        if name in WHOLE
        else trial.suggest_float(name, low, high, log=True)
        for name, (low, high) in space.items()
    }
