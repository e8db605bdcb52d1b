"""A class of the owner's learns, is stored, and is believed only where it is named."""

import os
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from salescast.errors import ConfigError, DataQualityError, NotEnoughHistoryError
from salescast.features.point_in_time import build, past
from salescast.models import make
from salescast.models.forecaster import Forecaster, forecast, training_rows
from salescast.release.payload import read_model, write_model
from tests.builders import FIRST, make_tables

LEVELS, CRITICAL = [0.05, 0.1, 0.5, 0.9], {"u1": 0.8, "u2": 0.85}
GLM = "sklearn.linear_model.PoissonRegressor"
TREES = "sklearn.ensemble.HistGradientBoostingRegressor"
OURS = f"{__name__}.LogLinear"


class LogLinear:
    """What an owner may write: least squares on the log of the rate, in numpy alone."""

    def __init__(self, shrink: float = 1.0) -> None:
        """Keep the hyperparameter."""
        self.shrink = shrink

    def fit(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> "LogLinear":
        """Learn by ridge regression."""
        ones = np.column_stack([np.ones(len(x)), x])
        gram = ones.T @ ones + self.shrink * np.eye(ones.shape[1])
        self.weights = np.linalg.solve(gram, ones.T @ np.log(y + 0.1))
        return self

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the rate of each row."""
        return np.exp(self.weights[0] + x @ self.weights[1:])


class Strange(LogLinear):
    """Answers with no number."""

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return NaN."""
        return np.full(len(x), np.nan)


@pytest.fixture(scope="module")
def seen() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return feature rows and what happened."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=180)
    rows = build(tables, pd.date_range(FIRST + pd.Timedelta(days=60), origin, freq="5D"))
    return rows, past(tables, origin)


def own(path: str, **params: object) -> dict[str, object]:
    """Return the parameters of a model with the class at `path`."""
    return {"estimator": path, "estimator_params": params}


def learn(seen: tuple[pd.DataFrame, pd.DataFrame], path: str, **params: object) -> Forecaster:
    """Fit the class at `path`."""
    return make("estimator", own(path, **params), 1).fit(*seen)


CASES = [(GLM, {"alpha": 0.01}), (TREES, {"loss": "poisson", "max_iter": 30}), (OURS, {})]
TRUST = {GLM: (), TREES: (), OURS: (OURS,)}


@pytest.mark.parametrize(("path", "params"), CASES)
def test_any_class_learns_that_saturdays_sell_twice_as_much(seen, path, params):
    """The simulated Saturdays have a mean of 8, other days of 4."""
    rows = training_rows(*seen)
    expected = forecast(learn(seen, path, **params), rows, LEVELS, CRITICAL)["mean"].to_numpy()
    saturday = (rows["date"].dt.day_of_week == 5).to_numpy()
    assert expected[saturday].mean() / expected[~saturday].mean() == pytest.approx(2, rel=0.25)


@pytest.mark.parametrize(("path", "params"), CASES)
def test_what_is_read_back_answers_as_what_was_written(seen, tmp_path, path, params):
    """Stored without pickle, every bit of the answers kept."""
    model, file = learn(seen, path, **params), tmp_path / "model.skops"
    write_model(file, {"model": model}, TRUST[path])
    back = read_model(file, trusted=TRUST[path])["model"]
    rows = seen[0].tail(50)
    pd.testing.assert_frame_equal(
        forecast(back, rows, LEVELS, CRITICAL), forecast(model, rows, LEVELS, CRITICAL)
    )


def test_a_type_nobody_named_is_not_written(seen, tmp_path):
    """The message says which to name, and no file is left."""
    with pytest.raises(DataQualityError, match=rf"{OURS}.*model\.trusted_types"):
        write_model(tmp_path / "model.skops", {"model": learn(seen, OURS)})
    assert not list(tmp_path.iterdir())


def test_a_type_the_reader_does_not_name_is_refused(seen, tmp_path):
    """What the writer trusted counts for nothing where the model is read."""
    write_model(tmp_path / "model.skops", {"model": learn(seen, OURS)}, [OURS])
    with pytest.raises(DataQualityError, match=OURS):
        read_model(tmp_path / "model.skops")
    with pytest.raises(DataQualityError, match=OURS):
        read_model(tmp_path / "model.skops", trusted=["some.other.Class"])


def test_a_function_nobody_named_is_refused(tmp_path):
    """To trust a transformer is not to trust the function in it."""
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    skops.io.dump({"x": FunctionTransformer(func=os.getcwd)}, tmp_path / "model.skops")
    with pytest.raises(DataQualityError, match=r"posix\.getcwd"):
        read_model(tmp_path / "model.skops", trusted=["sklearn.preprocessing.FunctionTransformer"])


def test_rows_with_gaps_and_shops_never_met_are_answered(seen):
    """A gap is the usual value; a new store speaks through its level."""
    rows = seen[0].tail(20).assign(store_id="new", rain_probability=np.nan)
    forecasts = forecast(learn(seen, GLM, alpha=0.01), rows, LEVELS, CRITICAL)
    assert np.isfinite(forecasts["mean"]).all()


def test_a_search_sets_the_parameters_of_the_class(seen):
    """As if they were the model's own."""
    model = make("estimator", own(GLM, alpha=0.5)).set_params(alpha=0.01)
    assert model.get_params()["alpha"] == 0.01
    assert model.make_estimator().alpha == 0.01


def test_a_seed_reaches_a_class_that_takes_one(seen):
    """The others are made without."""
    assert make("estimator", own(TREES), 5).make_estimator().random_state == 5
    assert make("estimator", own(OURS), 5).make_estimator().shrink == 1.0


@pytest.mark.parametrize("path", ["nowhere.Class", "sklearn.linear_model.Nothing", "Class"])
def test_a_class_that_is_not_there_is_named(seen, path):
    """With where to mend it."""
    with pytest.raises(ConfigError, match=f"model.estimator: cannot import '{path}'"):
        learn(seen, path)


def test_parameters_the_class_does_not_know_are_named(seen):
    """With where to mend it."""
    with pytest.raises(ConfigError, match=r"model\.estimator_params.*colour"):
        learn(seen, GLM, colour="red")


def test_an_answer_that_is_no_number_is_refused(seen):
    """It would be an order of nothing, or of anything."""
    with pytest.raises(DataQualityError, match="not finite"):
        learn(seen, f"{__name__}.Strange")


def test_nothing_sold_teaches_nothing(seen):
    """As for boosting."""
    rows, happened = seen
    with pytest.raises(NotEnoughHistoryError, match="not a unit was sold"):
        learn((rows, happened.assign(units=0)), GLM)


def test_the_network_of_the_how_to_answers_without_torch(monkeypatch):
    """What a server runs of it is numpy: fitted arrays in, rates out."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "docs" / "how-to"))
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    import count_net

    net = count_net.CountNet(hidden=2)
    net.inner = np.array([[1.0, 0.0], [0.0, 1.0]]), np.zeros(2)
    net.outer = np.array([1.0, -1.0]), 0.5
    rate = net.predict(np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]))
    np.testing.assert_allclose(rate, np.exp([0.5, 0.5, 0.5 + np.tanh(2.0)]))
