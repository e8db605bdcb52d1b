"""A backtest sees what a server would have seen."""

import numpy as np
import pandas as pd
import pytest

from salescast.errors import NotEnoughHistoryError
from salescast.evaluation.backtest import SEGMENTS, Recipe, cutoffs, outcomes, run, scorecard
from salescast.features.point_in_time import build, past
from salescast.models.response import uncensor
from salescast.ordering.orders import unit_costs
from tests.builders import FIRST, make_items, make_tables

LEVELS = [0.1, 0.5, 0.9]
RECIPE = Recipe("weekday_mean", {}, 1, LEVELS, {"u1": 0.8, "u2": 0.8})


@pytest.fixture(scope="module")
def world():
    """Tables of 200 days, their features, and four weekly cutoffs."""
    tables = make_tables()
    tested = cutoffs(FIRST + pd.Timedelta(days=199), 4, 7, 14)
    first = FIRST + pd.Timedelta(days=60)
    rows = build(tables, [*pd.date_range(first, tested[-1], freq="5D"), *tested])
    return tables, rows, tested


def predictions(world, refit_every=2):
    tables, rows, tested = world
    return run(rows, lambda day: past(tables, day), tested, refit_every, RECIPE)


def test_the_newest_cutoff_has_its_horizon_behind_it():
    """14 days before the last one, then weekly back."""
    days = cutoffs(pd.Timestamp("2024-12-29"), 2, 7, 14)
    assert [f"{d:%m-%d}" for d in days] == ["12-08", "12-15"]


def test_a_fit_sees_only_targets_known_at_its_cutoff(world):
    """Each block asks for the outcomes as of its first cutoff, once."""
    tables, rows, tested = world
    asked = []

    def spy(day: pd.Timestamp) -> pd.DataFrame:
        asked.append(day)
        return past(tables, day)

    run(rows, spy, tested, 2, RECIPE)
    assert asked == [tested[0], tested[2]]


def test_every_model_is_scored_on_the_same_rows(world):
    """Challenger and baselines share origins, leads and series."""
    sizes = predictions(world).groupby("model").size()
    assert set(sizes) == {4 * 14 * 4}
    assert set(sizes.index) == {"challenger", "blind", "seasonal_naive", "weekday_mean"}


def test_a_challenger_that_is_the_baseline_scores_like_it(world):
    """Same numbers in, same scores out."""
    tables = world[0]
    truth = uncensor(past(tables, FIRST + pd.Timedelta(days=199)))
    scored = outcomes(predictions(world), truth, unit_costs(make_items()))
    card = scorecard(scored, LEVELS)["models"]
    scores, baseline = (card[n]["overall"] for n in ("challenger", "weekday_mean"))
    assert scores["cost"] == baseline["cost"]
    assert scores["wape"] == baseline["wape"]


def test_a_day_sold_out_is_scored_against_more_than_was_sold(world):
    """Demand beyond the empty shelf is estimated, and flagged."""
    happened = past(world[0], FIRST + pd.Timedelta(days=199))
    happened["sold_out"] = happened["date"].dt.day_of_week == 0
    scored = outcomes(predictions(world), uncensor(happened), unit_costs(make_items()))
    sold = scored.merge(happened[["store_id", "item_id", "date", "units"]])
    short = sold["sold_out"]
    assert (sold.loc[short, "actual"] > sold.loc[short, "units"]).all()
    assert (sold.loc[~short, "actual"] == sold.loc[~short, "units"]).all()


def test_the_scorecard_covers_each_lead_store_and_item(world):
    """Segments hold every value once, and their rows add up."""
    truth = uncensor(past(world[0], FIRST + pd.Timedelta(days=199)))
    card = scorecard(outcomes(predictions(world), truth, unit_costs(make_items())), LEVELS)
    scores = card["models"]["challenger"]
    assert list(map(int, scores["by_lead"])) == list(range(1, 15))
    for segment in SEGMENTS:
        assert sum(s["rows"] for s in scores[segment].values()) == scores["overall"]["rows"]


def test_money_per_year_is_the_cost_of_a_day_times_the_days_of_a_year(world):
    """Every series trades every day here: cost × series × 365.25."""
    truth = uncensor(past(world[0], FIRST + pd.Timedelta(days=199)))
    card = scorecard(outcomes(predictions(world), truth, unit_costs(make_items())), LEVELS)
    scores = card["models"]["challenger"]["overall"]
    assert scores["cost_per_year"] == pytest.approx(scores["cost"] * 4 * 365.25)
    assert np.isfinite(scores["skill"])


def test_a_cutoff_before_all_history_is_refused(world):
    """There is nothing to learn from."""
    tables, rows, _ = world
    with pytest.raises(NotEnoughHistoryError, match="nothing is known before the cutoff"):
        run(rows, lambda day: past(tables, day), [FIRST], 1, RECIPE)
