"""A planner learns why, in units that add up."""

import numpy as np
import pandas as pd
import pytest

from salescast.evaluation.importance import importance
from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.models.forecaster import CAUSES, training_rows
from tests.builders import FIRST, make_sales, make_tables

ORIGIN = FIRST + pd.Timedelta(days=180)
PARAMS = {
    "iterations": 40,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
}


def make_rainy_shop() -> dict[str, pd.DataFrame]:
    """Return tables of shops that sell ten more on wet days, which every issue foresees."""
    tables = make_tables()
    observed = tables["weather_observed"].set_index(["location_id", "date"])["precip_mm"]
    issued, sales = tables["weather_forecast"], make_sales()
    fallen = observed.reindex(pd.MultiIndex.from_frame(issued[["location_id", "date"]])).to_numpy()
    known = ~np.isnan(fallen)
    issued.loc[known, "precip_probability"] = np.where(fallen[known] >= 1, 0.95, 0.05)
    issued.loc[known, "precip_mm"] = fallen[known]
    place = "p" + sales["store_id"].str[1:]
    rain = observed.reindex(pd.MultiIndex.from_arrays([place, sales["date"]])).to_numpy()
    sales["units"] += np.where(rain >= 1, 10, 0)
    return tables | {"sales": sales}


@pytest.fixture(scope="module", params=["integrated", "boosting"])
def rainy(request):
    """Return a model of the rainy shop, its rows, and what happened."""
    tables = make_rainy_shop()
    rows = build(tables, pd.date_range(FIRST + pd.Timedelta(days=60), ORIGIN, freq="5D"))
    happened = past(tables, ORIGIN)
    return make(request.param, PARAMS, 1).fit(rows, happened), rows, happened


def test_the_causes_add_up_to_the_forecast(rainy):
    """Usual + calendar + price + weather is the mean, row by row."""
    model, rows, _ = rainy
    total = model.explain(rows)[list(CAUSES)].sum(axis=1)
    np.testing.assert_allclose(total, model.predict(rows), rtol=1e-9)


def test_rain_foreseen_adds_units_and_a_dry_outlook_none(rainy):
    """The weather's part is what a planner expects."""
    model, rows, _ = rainy
    weather = model.explain(rows)["weather"]
    assert weather[rows["rain_probability"] > 0.9].mean() > 3
    assert weather[rows["rain_probability"] < 0.1].mean() < 0.1


def test_saturdays_are_the_calendars_part(rainy):
    """They sell twice as much in the simulated shop."""
    model, rows, _ = rainy
    calendar = model.explain(rows)["calendar"]
    assert calendar[rows["weekday"] == 5].mean() > 1 > calendar[rows["weekday"] == 2].mean()


def test_the_model_leans_on_the_weather_most(rainy):
    """Shuffled weather costs more than shuffled prices, which never changed."""
    model, rows, happened = rainy
    known = training_rows(rows, happened)
    leans = importance(model, known, known["units"].to_numpy(float), [0.1, 0.5, 0.9], seed=1)
    assert leans["weather"] > 0.3
    assert leans["price"] == pytest.approx(0, abs=1e-12)


def test_importance_is_measured_of_what_the_model_reads(rainy):
    """The integrated model reads no history of sales; boosting does."""
    model, rows, happened = rainy
    known = training_rows(rows, happened).tail(500)
    found = importance(model, known, known["units"].to_numpy(float), [0.5], seed=1)
    assert ("history" in found) == ("weekday_ratio" in model.feature_names_in_)


def test_the_blind_twin_owes_nothing_to_the_weather():
    """Its weather part is zero."""
    tables = make_rainy_shop()
    rows = build(
        tables, pd.date_range(FIRST + pd.Timedelta(days=60), ORIGIN, freq="9D"), 14, "none"
    )
    model = make("integrated", {}, 1).fit(rows, past(tables, ORIGIN))
    assert (model.explain(rows)["weather"] == 0).all()
