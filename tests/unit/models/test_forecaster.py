"""The predictive distribution is a distribution, whatever it is fed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from salescast.errors import DataQualityError, NotEnoughHistoryError
from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.models.forecaster import forecast, quantile_column, training_rows
from salescast.models.integrated import Integrated
from tests.builders import FIRST, make_tables

PARAMS = {
    "iterations": 30,
    "learning_rate": 0.1,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
}
LEVELS = [0.05, 0.1, 0.5, 0.9, 0.95]
CRITICAL = {"u1": 0.8, "u2": 0.85}


def mean(model, rows):
    """Return the expected demand of each row."""
    return forecast(model, rows, LEVELS, CRITICAL)["mean"].to_numpy()


@pytest.fixture(scope="module", params=["integrated", "boosting"])
def learned(request):
    """Return a fitted model and the rows it learned from."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=180)
    rows = build(tables, pd.date_range(FIRST + pd.Timedelta(days=60), origin, freq="5D"))
    happened = past(tables, origin)
    return make(request.param, PARAMS, 1).fit(rows, happened), training_rows(rows, happened)


def test_it_learns_that_saturdays_sell_twice_as_much(learned):
    """The simulated Saturdays have a mean of 8, other days of 4."""
    model, rows = learned
    saturday = (rows["date"].dt.day_of_week == 5).to_numpy()
    expected = mean(model, rows)
    assert expected[saturday].mean() == pytest.approx(8, rel=0.1)
    assert expected[~saturday].mean() == pytest.approx(4, rel=0.1)


def test_quantiles_rise_and_are_not_negative(learned):
    """p05 ≤ p10 ≤ … and no row falls below zero."""
    model, rows = learned
    forecasts = forecast(model, rows, LEVELS, CRITICAL)[
        [quantile_column(q) for q in LEVELS]
    ].to_numpy()
    assert (np.diff(forecasts, axis=1) >= 0).all()
    assert (forecasts >= 0).all()


def test_eight_in_ten_later_outcomes_of_a_poisson_shop_fall_inside_the_interval(learned):
    """On counts a nominal 80 % interval covers a little more."""
    model, tables = learned[0], make_tables(400)
    later = build(tables, pd.date_range(FIRST + pd.Timedelta(days=190), periods=25, freq="7D"))
    rows = training_rows(later, past(tables, FIRST + pd.Timedelta(days=399)))
    forecasts = forecast(model, rows, LEVELS, CRITICAL)
    inside = rows["units"].between(forecasts["p10"], forecasts["p90"]).mean()
    assert 0.76 <= inside <= 0.92


def test_a_row_is_forecast_alike_alone_and_in_a_batch(learned):
    """Serving one series gives the same bits as the nightly batch."""
    model, rows = learned
    batch = forecast(model, rows, LEVELS, CRITICAL)
    alone = pd.concat([forecast(model, rows.iloc[[i]], LEVELS, CRITICAL) for i in range(20)])
    pd.testing.assert_frame_equal(alone.reset_index(drop=True), batch.head(20), check_exact=True)


def test_an_unknown_store_and_item_still_get_a_forecast(learned):
    """Cold start: the level carries what the codes cannot."""
    model, rows = learned
    new = rows.head(5).assign(store_id="new", item_id="u9")
    forecasts = forecast(model, new, LEVELS, CRITICAL | {"u9": 0.8})
    assert np.isfinite(forecasts[["mean", "p05", "p95", "stock_target"]].to_numpy()).all()


def test_a_closed_day_expects_nothing(learned):
    """No trade, no demand."""
    model, rows = learned
    assert (mean(model, rows.assign(closed=True)) == 0).all()


def test_days_sold_out_teach_nothing():
    """What was sold is then less than what was wanted."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=120)
    known = past(tables, origin)
    known["sold_out"] = known["date"].dt.day_of_week == 5
    rows = training_rows(build(tables, [FIRST + pd.Timedelta(days=90)]), known)
    assert not (rows["date"].dt.day_of_week == 5).any()


def test_too_few_rows_are_refused(learned):
    """A handful of rows is not a training set."""
    happened = past(make_tables(), FIRST + pd.Timedelta(days=180))
    with pytest.raises(NotEnoughHistoryError, match="10 training rows are too few"):
        make("boosting", PARAMS, 1).fit(learned[1].drop(columns="units").head(10), happened)


def test_the_blind_twin_says_the_same_whatever_the_weather():
    """Told nothing, it learns nothing from rain, not even from the rain that came."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=180)
    days = pd.date_range(FIRST + pd.Timedelta(days=60), origin, freq="9D")
    rows = build(tables, days, weather="none")
    wetter = tables["weather_observed"].assign(precip_mm=20.0)
    forecasts = [
        forecast(make("integrated", {}, 1).fit(rows, past(t, origin)), rows, LEVELS, CRITICAL)
        for t in (tables, tables | {"weather_observed": wetter})
    ]
    pd.testing.assert_frame_equal(*forecasts)


@pytest.mark.parametrize(("quantile", "name"), [(0.05, "p05"), (0.5, "p50"), (0.975, "p97.5")])
def test_quantile_columns_are_named_by_their_percentage(quantile, name):
    """p05, p50, p97.5."""
    assert quantile_column(quantile) == name


def test_a_model_of_other_terms_is_refused_with_the_way_out(learned):
    """Terms come and go; a stored model of other terms must be trained again."""
    model, _ = learned
    if isinstance(model, Integrated):
        response = replace(model.response_, chain=model.response_.chain[:-1])
        with pytest.raises(DataQualityError, match="train again"):
            Integrated().__setstate__(vars(model) | {"response_": response})
