"""What un-censoring is worth: days sold out ignored, dropped or imputed.

The same model learns each way from the same sales; scored on true demand against the oracle.
RMSE alone does not show it, so look at the bias.
"""

import sys
from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from bench.retail import SEEDS, Figure, World, against_oracle, judged, predicted, publish, world


def ignored(happened: pd.DataFrame) -> pd.DataFrame:
    """Take sales for demand, sold out or not."""
    return happened.assign(sold_out=False)


def dropped(happened: pd.DataFrame) -> pd.DataFrame:
    """Leave days sold out away."""
    return happened[~happened["sold_out"]].reset_index(drop=True)


def imputed(happened: pd.DataFrame) -> pd.DataFrame:
    """Leave it to the model, which expects E[demand | demand ≥ sold]."""
    return happened


WAYS: tuple[Callable[[pd.DataFrame], pd.DataFrame], ...] = (ignored, dropped, imputed)


def taught(seen: World, way: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Return the predictions of a model that learned from the past as `way` leaves it."""

    def past(cutoff: pd.Timestamp) -> pd.DataFrame:
        return way(seen.past(cutoff))

    return predicted(replace(seen, past=past), "integrated", way.__name__)


def measured(size: str, seed: int) -> pd.DataFrame:
    """Return the scores of each way on one world."""
    seen = world(size, seed)
    rows = pd.concat([taught(seen, way) for way in WAYS], ignore_index=True)
    return against_oracle(judged(seen, rows), seen.recipe.quantiles)


def main() -> int:
    """Measure, publish; 1 if a bar is missed."""
    table = pd.concat([measured("demo", seed) for seed in SEEDS]).groupby(level=0).mean()
    ways = [way.__name__ for way in WAYS]
    figures = [
        Figure(f"{way}: {score}", table.loc[way, score], unit)
        for way in ways
        for score, unit in (("rmse", "÷ oracle"), ("cost", "÷ oracle"), ("bias", "share"))
    ]
    scores = table.loc["imputed"]
    figures.append(Figure("imputed: RMSE ÷ oracle", scores["rmse"], bar="≤ 1.025"))
    figures.append(Figure("imputed: size of the bias", abs(scores["bias"]), "share", "≤ 0.04"))
    return 0 if publish("demand", figures) else 1


if __name__ == "__main__":
    sys.exit(main())
