"""The contract of a forecaster, which every registered kind of model keeps."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from salescast.features.point_in_time import build, past
from salescast.models import KINDS, kind_class, make
from salescast.models.forecaster import CAUSES, Forecaster, forecast
from salescast.release.payload import read_model, write_model
from tests.builders import FIRST, make_tables

Fitted = tuple[Forecaster, pd.DataFrame, pd.DataFrame]

ORIGIN = FIRST + pd.Timedelta(days=180)
GLM = "sklearn.linear_model.PoissonRegressor"
PARAMS: Mapping[str, Mapping[str, Any]] = {
    "boosting": {"iterations": 20, "max_leaf_nodes": 7, "min_samples_leaf": 20},
    "estimator": {"estimator": GLM, "estimator_params": {"alpha": 0.1}},
}


def unfitted(kind: str) -> Forecaster:
    """Return a quick model of a kind."""
    return make(kind, PARAMS.get(kind, {}), seed=1)


@pytest.fixture(scope="module", params=sorted(KINDS))
def fitted(request: pytest.FixtureRequest) -> Fitted:
    """Return a fitted model of each kind, feature rows, and what happened."""
    tables = make_tables()
    rows = build(tables, pd.date_range(FIRST + pd.Timedelta(days=60), ORIGIN, freq="9D"))
    happened = past(tables, ORIGIN)
    return unfitted(request.param).fit(rows, happened), rows, happened


def test_the_mean_is_one_finite_number_a_row_and_not_negative(fitted: Fitted) -> None:
    """Whatever the kind."""
    model, rows, _ = fitted
    mean = model.predict(rows)
    assert mean.shape == (len(rows),)
    assert np.isfinite(mean).all()
    assert (mean >= 0).all()


def test_the_distribution_is_a_mixture_of_counts(fitted: Fitted) -> None:
    """Weights add up to one, components are finite and not negative, k is positive."""
    model, rows, _ = fitted
    mixture = model.predict_distribution(rows)
    assert mixture.weights.sum(axis=1) == pytest.approx(1.0)
    assert (np.isfinite(mixture.means) & (mixture.means >= 0)).all()
    assert (mixture.dispersion > 0).all()


def test_the_mean_is_that_of_the_distribution(fitted: Fitted) -> None:
    """One model, not two."""
    model, rows, _ = fitted
    np.testing.assert_array_equal(model.predict(rows), model.predict_distribution(rows).mean)


def test_quantiles_rise_with_the_level(fitted: Fitted) -> None:
    """And are whole units from 0 on."""
    model, rows, _ = fitted
    quantiles = model.predict_distribution(rows).quantiles(np.linspace(0.05, 0.95, 19))
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert (quantiles == np.floor(quantiles)).all()
    assert (quantiles >= 0).all()


def test_a_closed_day_expects_nothing(fitted: Fitted) -> None:
    """No trade, no demand."""
    model, rows, _ = fitted
    assert (model.predict(rows.assign(closed=True)) == 0).all()


def test_an_unknown_store_and_item_get_a_forecast(fitted: Fitted) -> None:
    """Cold start."""
    model, rows, _ = fitted
    assert np.isfinite(model.predict(rows.head(14).assign(store_id="new", item_id="new"))).all()


def test_the_causes_add_up_to_the_mean(fitted: Fitted) -> None:
    """Row by row, in units."""
    model, rows, _ = fitted
    causes = model.explain(rows)
    assert list(causes) == list(CAUSES)
    np.testing.assert_allclose(causes.sum(axis=1), model.predict(rows), rtol=1e-9, atol=1e-9)


def test_a_model_reads_the_columns_that_it_names_and_no_other_feature(fitted: Fitted) -> None:
    """Without the others the means are the same, bit for bit."""
    model, rows, _ = fitted
    needed = {"store_id", "item_id", "origin", "date", "lead_time", "issued_at", "level", "closed"}
    kept = rows[[name for name in rows if name in needed | {*model.feature_names_in_}]]
    np.testing.assert_array_equal(model.predict(kept), model.predict(rows))


def test_fitting_again_gives_the_same_model(fitted: Fitted) -> None:
    """A clone has the parameters and nothing that was learned; fitted, it predicts the same."""
    model, rows, happened = fitted
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "trained_until_")
    np.testing.assert_array_equal(again.fit(rows, happened).predict(rows), model.predict(rows))


def test_an_update_returns_the_model(fitted: Fitted) -> None:
    """No kind learns between trainings yet; each accepts the call."""
    model, rows, happened = fitted
    assert model.update(rows, happened) is model


def test_demand_is_at_least_what_was_sold(fitted: Fitted) -> None:
    """Days sold out count with more, the others with their units."""
    model, _, happened = fitted
    happened = happened.tail(400).assign(sold_out=np.arange(400) % 5 == 0)
    demand = model.uncensor(happened)["demand"]
    assert (demand >= happened["units"]).all()
    assert (demand == happened["units"])[~happened["sold_out"]].all()


def test_evidence_of_a_shift_covers_every_day_or_none(fitted: Fitted) -> None:
    """A model without a response has none."""
    model, _, happened = fitted
    for evidence in model.shift_evidence(happened, (0.3, -0.3)).values():
        assert len(evidence) == len(happened)
        assert np.isfinite(evidence["log_ratio"]).all()


def test_a_stored_model_forecasts_the_same(fitted: Fitted, tmp_path: Path) -> None:
    """Through the file format of releases, bit for bit."""
    model, rows, _ = fitted
    write_model(tmp_path / "model.skops", {"model": model})
    stored = read_model(tmp_path / "model.skops")["model"]
    ask = rows, [0.05, 0.5, 0.95], {"u1": 0.8, "u2": 0.85}
    pd.testing.assert_frame_equal(forecast(stored, *ask), forecast(model, *ask), check_exact=True)
    assert stored.get_params() == model.get_params()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_parameters_can_be_set_by_name(kind: str) -> None:
    """As scikit-learn's searches do."""
    model = unfitted(kind)
    params = model.get_params()
    assert clone(model).set_params(**params).get_params() == params


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_has_the_parameters_that_it_is_searched_by(kind: str) -> None:
    """Bounds of a parameter that the class has not would search nothing."""
    assert set(kind_class(kind).search_space) <= set(unfitted(kind).get_params())


def test_no_kind_of_model_is_named_outside_of_models() -> None:
    """The rest of the product knows the methods of a forecaster, and no kind."""
    names = "|".join(path.rpartition(".")[2] for path in KINDS.values())
    files = [
        *Path("src/salescast").rglob("*.py"),
        *Path("api").rglob("*.py"),
        *Path("flows").rglob("*.py"),
    ]
    others = [path for path in files if "models" not in path.parts]
    assert [p for p in others if re.search(rf"\b({names})\b", p.read_text("utf-8"))] == []
