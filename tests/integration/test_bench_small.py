"""What the benches promise, guarded on one small world: near the best possible, never beyond."""

from functools import cache
from pathlib import Path

import pandas as pd

from bench import candidates, frankfurt
from bench.forecast import overconfident
from bench.retail import (
    Figure,
    World,
    against_oracle,
    blind,
    judged,
    predicted,
    too_good,
    world,
)

SEED = 11  # a seed of development: the bench's own are for the bench alone


@cache
def small() -> World:
    """Return the small world."""
    return world("small", SEED)


@cache
def scores() -> pd.DataFrame:
    """Return scores against the oracle of those the tests compare."""
    seen = small()
    found = [
        predicted(seen, "integrated", "integrated"),
        predicted(seen, "boosting", "boosting"),
        predicted(blind(seen), "integrated", "blind"),
        candidates.weather_twin(seen, "integrated", "naive"),
        candidates.weather_twin(seen, "integrated", "leaked", "as it came"),
    ]
    rows = judged(seen, pd.concat(found, ignore_index=True))
    return against_oracle(rows, seen.recipe.quantiles)


@cache
def real(folder: Path) -> pd.DataFrame:
    """Return the scores on real issues."""
    return frankfurt.measured(folder)


def test_the_forecast_costs_little_more_than_the_best_possible():
    """Cost against the oracle: the bar of the small size, on one seed."""
    assert scores().loc["integrated", "cost"] <= 1.05


def test_the_error_is_near_the_best_possible():
    """RMSE and quantile loss against the oracle's."""
    integrated = scores().loc["integrated"]
    assert max(integrated["rmse"], integrated["wql"]) <= 1.03


def test_the_mean_is_near_the_oracles():
    """No more than the small size's bias."""
    assert abs(scores().loc["integrated", "bias"]) <= 0.05


def test_no_honest_forecast_is_better_than_possible():
    """The product's models have seen nothing they cannot know."""
    honest = scores().loc[["integrated", "boosting", "blind", "naive"]]
    assert not any(too_good(row) for _, row in honest.iterrows())


def test_a_leak_of_observed_weather_is_caught():
    """A model told the weather of the test window is better than possible."""
    assert too_good(scores().loc["leaked"])


def test_weather_earns_its_place():
    """The blind twin pays more, and most where issues are trusted most."""
    integrated, without = scores().loc["integrated"], scores().loc["blind"]
    assert integrated["cost 1-3"] <= 0.86 * without["cost 1-3"]


def test_integrating_beats_boosting():
    """What ships is what won."""
    assert scores().loc["integrated", "cost"] < scores().loc["boosting", "cost"]


def test_forecasts_taken_for_observations_forecast_too_much():
    """The naive twin is biased upwards: expected rain on each day is not rain on each day."""
    assert scores().loc["naive", "bias"] > 0.1


def test_overconfident_issues_are_pulled_back():
    """Sharpened probabilities of rain cost next to nothing, for they are recalibrated."""
    seen = world("small", SEED, overconfident)
    rows = judged(seen, predicted(seen, "integrated", "stressed"))
    assert against_oracle(rows, seen.recipe.quantiles).loc["stressed", "cost"] <= 1.06


def test_real_issues_beat_no_weather(real_data: Path):
    """ECMWF's day-ahead rain earns its place."""
    table = real(real_data)
    assert table.loc["as issued", "cost"] < 0.93 * table.loc["blind twin", "cost"]


def test_real_issues_taken_for_observations_forecast_too_much(real_data: Path):
    """The naive twin is biased on real forecasts, too; ours is not."""
    bias = real(real_data)["bias"]
    assert bias["naive twin"] > 0.05 > abs(bias["as issued"])


def test_a_figure_holds_up_to_its_bar_and_not_beyond():
    """The bar itself still holds."""
    assert [Figure("cost", value, bar="≤ 1.03").holds for value in (1.03, 1.04)] == [True, False]
