"""Backtest: score the recipe and the baselines at rolling origins, as they would have served."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from salescast import reports
from salescast.contract.schema import Tables, last_day
from salescast.data import files, store
from salescast.data.files import read_frame, write_frame, write_json
from salescast.evaluation.backtest import (
    CHALLENGER,
    SEGMENTS,
    Fit,
    fits,
    outcomes,
    predictions_of,
    scorecard,
)
from salescast.evaluation.rehearsal import rehearse
from salescast.features import point_in_time as feature
from salescast.models.response import uncensor
from salescast.ordering.orders import item_costs
from salescast.ordering.replenishment import SERIES, position
from salescast.settings import Settings
from salescast.stages.configured import order_cycle, recipe
from salescast.stages.feature_table import origins


def backtest(settings: Settings) -> dict[str, Any]:
    """Score the recipe and the baselines at rolling origins, as they would have been served."""
    tables, build = store.read_all(settings.data), settings.build
    rows = read_frame(build / "features.parquet", "features")
    how = recipe(settings, tables)
    _, tested = origins(settings, tables)
    past_at = partial(feature.past, tables)
    fitted = fits(rows, past_at, tested, settings.backtest.refit_every, how)
    predictions = predictions_of(fitted, how)
    truth = uncensor(past_at(last_day(tables)))
    card = scorecard(outcomes(predictions, truth, item_costs(tables)), settings.forecast.quantiles)
    card["inventory"] = _inventory(settings, tables, fitted, truth)
    overall = card["models"][CHALLENGER]["overall"]
    write_frame(build / "predictions.parquet", predictions)
    write_json(build / "scorecard.json", card)
    write_json(build / "metrics.json", overall)
    for segment, column in SEGMENTS.items():
        _write_plot(settings, card, segment, column)
    reports.write_scorecard(card, build / "scorecard.html", settings.product.currency)
    return {
        "scorecard": card,
        "summary": f"{len(tested)} origins: WAPE {overall['wape']:.3f}, bias "
        f"{overall['bias']:+.1%}, cost {overall['cost_per_year']:,.0f} "
        f"{settings.product.currency} a year, skill {overall['skill']:.0%}",
    }


def scored(tables: Tables, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions with their outcomes as known today, and their costs."""
    truth = uncensor(feature.past(tables, last_day(tables)))
    return outcomes(predictions, truth, item_costs(tables))


def _inventory(
    settings: Settings, tables: Tables, fitted: Sequence[Fit], truth: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Return what ordering at each cutoff would have cost; nothing where they lie too far apart."""
    cycle = replace(order_cycle(settings), review_days=settings.backtest.every_days)
    if cycle.interval > settings.forecast.horizon:
        return {}
    first = fitted[0].served
    stock = position(tables, first["origin"].min(), first.drop_duplicates(SERIES))
    return rehearse(fitted, truth, stock, cycle)


def _write_plot(settings: Settings, card: dict[str, Any], segment: str, column: str) -> None:
    """Write one CSV for `dvc plots`: model, value of the segment, scores."""
    rows = [
        {"model": model, column: value} | scores
        for model, parts in card["models"].items()
        for value, scores in parts[segment].items()
    ]
    path = settings.build / "plots" / f"{segment}.csv"
    files.replace(path, partial(pd.DataFrame(rows).to_csv, index=False))
