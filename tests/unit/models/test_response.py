"""Demand is found behind sales, and what nobody has seen leans on what everybody does."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nbinom

from salescast.features.drivers import calendar
from salescast.features.point_in_time import past
from salescast.models.calibration import CalibratedWeather
from salescast.models.response import (
    DEFAULTS,
    TERMS,
    Response,
    dispersion,
    fit,
    mixture,
    uncensor,
    uncensored,
)
from tests.builders import FIRST, days, make_sales, make_tables

COUNT, STORES, ITEMS = 500, 3, 4
PLANTED = {"wet": 0.5, "log_price": -1.2, "promo": 0.4, "storm": 0.3}
K = 8.0


def simulate(stocked: float = 1e9, seed: int = 4) -> tuple[pd.DataFrame, np.ndarray]:
    """Return what happened where demand follows PLANTED, and the demand itself.

    Sales stop at a stock of about `stocked` times the expected demand.
    """
    rng = np.random.default_rng(seed)
    names = [
        [f"s{i}" for i in range(STORES)],
        [f"u{i}" for i in range(ITEMS)],
        days(COUNT),
    ]
    rows = pd.MultiIndex.from_product(names, names=["store_id", "item_id", "date"])
    rows = rows.to_frame(index=False)
    weather = {"wet": (rng.random(COUNT) < 0.4).astype(float)}
    weather["storm"] = weather["wet"] * (rng.random(COUNT) < 0.3)
    for name, values in weather.items():
        rows[name] = np.tile(values, STORES * ITEMS)
    rows = rows.rename(columns={"wet": "rain_probability"}).assign(rain_mm=rows["wet"] * 4.0)
    rows["spell"], rows["temp_anomaly"], rows["holiday"] = 0.0, 0.0, 0.0
    rows = rows.assign(**calendar(pd.DatetimeIndex(rows["date"])))
    rows["promo"] = (rng.random(len(rows)) < 0.15).astype(float)
    rows["price_ratio"] = rng.choice([0.8, 0.9, 1.0, 1.1], len(rows))
    store = rows["store_id"].str[1:].astype(int)
    item = rows["item_id"].str[1:].astype(int)
    log = 1.5 + 0.2 * store + 0.15 * item + (rows["weekday"] == 5) * 0.5
    log = log + PLANTED["log_price"] * np.log(rows["price_ratio"])
    log += sum(PLANTED[name] * rows[name] for name in ("promo", "storm"))
    log += PLANTED["wet"] * rows["rain_probability"]
    mean = np.exp(log.to_numpy())
    demand = rng.negative_binomial(K, K / (K + mean))
    stock = np.maximum(np.ceil(stocked * np.exp(1.5 + 0.2 * store + 0.15 * item)), 1).to_numpy()
    rows["units"] = np.minimum(demand, stock).astype(int)
    rows["sold_out"] = demand >= stock
    return rows, demand


def chain(response: Response, name: str) -> float:
    """Return the chain's coefficient of a term."""
    return float(response.chain[TERMS.index(name)])


def dry(rows: pd.DataFrame) -> CalibratedWeather:
    """Return the belief that it will not rain."""
    zero = np.zeros(len(rows))
    return CalibratedWeather(zero, zero, zero, np.ones((len(rows), 5)), zero)


def expected(response: Response, rows: pd.DataFrame) -> np.ndarray:
    """Return the mean demand of dry days."""
    return mixture(response, rows, dry(rows)).mean


@settings(max_examples=60)
@given(st.integers(0, 40), st.floats(0.05, 30), st.floats(0.3, 100))
def test_demand_behind_a_sell_out_is_the_mean_beyond_what_was_sold(sold, mean, k):
    """E[D | D ≥ sold], added up term by term, wherever that is not all but impossible."""
    counts = np.arange(sold, 3000)
    chances = nbinom.pmf(counts, k, k / (k + mean))
    found = uncensored(np.array([float(sold)]), np.array([mean]), np.array([k])).item()

    if chances.sum() > 1e-9:
        assert found == pytest.approx((counts * chances).sum() / chances.sum(), rel=1e-5)
    assert found >= sold


@given(st.floats(1, 1e5), st.floats(1e-6, 1e5), st.floats(0.2, 1e6))
def test_demand_behind_a_sell_out_is_finite_and_no_less_than_sales(sold, mean, k):
    """However absurd the expectation."""
    found = uncensored(np.array([np.floor(sold)]), np.array([mean]), np.array([k])).item()

    assert np.isfinite(found)
    assert found >= np.floor(sold)


def test_the_dispersion_of_simulated_counts_is_found():
    """Two items of their own k, by moments."""
    rng = np.random.default_rng(1)
    mean, group = rng.uniform(2, 20, 60_000), np.repeat([0, 1], 30_000)
    k = np.array([3.0, 30.0])[group]

    demand = rng.negative_binomial(k, k / (k + mean))
    found = dispersion((demand - mean) ** 2, mean, group, 2)

    assert found == pytest.approx([3.0, 30.0], rel=0.12)


def test_planted_effects_are_recovered():
    """Rain, price, promotion and storm, each within a few hundredths."""
    response = fit(simulate()[0])
    rain = chain(response, "wet") + chain(response, "amount") * np.log1p(4.0)

    assert rain == pytest.approx(PLANTED["wet"], abs=0.06)
    for name in ("log_price", "promo", "storm"):
        assert chain(response, name) == pytest.approx(PLANTED[name], abs=0.08)
    assert response.dispersion == pytest.approx(K, rel=0.25)


def test_sell_outs_do_not_bias_demand():
    """A sixth of all days sold out, a tenth of demand unserved: estimated within 4 %."""
    happened, demand = simulate(2.5)
    found = uncensor(happened)["demand"].sum() / demand.sum() - 1

    assert happened["sold_out"].mean() > 0.15
    assert happened["units"].sum() / demand.sum() < 0.91
    assert found == pytest.approx(0, abs=0.04)


def test_where_nothing_sold_out_demand_is_sales():
    """Unit for unit."""
    happened, demand = simulate()
    np.testing.assert_array_equal(uncensor(happened)["demand"], demand)


def test_a_store_or_an_item_never_met_leans_on_the_chain():
    """Its expectation lies within those of the known ones, and is the chain's."""
    happened, _ = simulate()
    response = fit(happened)
    day = happened.groupby(["store_id", "item_id"]).tail(1).assign(promo=0.0, price_ratio=1.0)
    known = expected(response, day)

    stranger = expected(response, day.head(1).assign(store_id="new", item_id="new"))

    assert known.min() < stranger.item() < known.max()


def test_the_weights_of_a_mixture_add_up_to_one():
    """Whatever the belief, the nodes are a distribution."""
    happened, _ = simulate()
    rows = happened.tail(50)
    chances = np.random.default_rng(1).random((3, 50))
    belief = CalibratedWeather(*chances, np.full((50, 5), 3.0), np.zeros(50))

    demand = mixture(fit(happened), rows, belief)

    np.testing.assert_allclose(demand.weights.sum(axis=1), 1.0)
    assert (demand.weights >= 0).all()
    assert (demand.means > 0).all()
    assert (demand.dispersion > 0).all()


def _one_day(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["date"] == rows["date"].min()]


DEGENERATE = {
    "a constant price": lambda rows: rows.assign(price_ratio=1.0, promo=0.0),
    "a series that never sold": lambda rows: rows.assign(
        units=np.where((rows["store_id"] == "s0") & (rows["item_id"] == "u0"), 0, rows["units"])
    ),
    "nothing sold anywhere": lambda rows: rows.assign(units=0),
    "one day of history": _one_day,
    "one row of history": lambda rows: rows.head(1),
    "sold out every day": lambda rows: rows.assign(sold_out=True),
    "sold out every day at nothing": lambda rows: rows.assign(sold_out=True, units=0),
    "always wet": lambda rows: rows.assign(rain_probability=1.0, rain_mm=4.0),
    "a wild outlier": lambda rows: rows.assign(
        units=np.where(np.arange(len(rows)) == 7, 900_000, rows["units"])
    ),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_histories_give_finite_demand(name):
    """Nothing to learn from is no reason for NaN."""
    happened = DEGENERATE[name](simulate()[0].groupby(["store_id", "item_id"]).head(90))
    response = fit(happened)

    assert np.isfinite(uncensor(happened)["demand"]).all()
    assert np.isfinite(expected(response, happened)).all()
    assert all(np.isfinite(getattr(response, part)).all() for part in ("chain", "stores", "items"))
    assert (response.recent >= 0).all()


def test_a_series_sold_out_every_day_is_not_believed_to_be_satisfied():
    """Its demand is estimated above its sales; how far, only the prior bounds."""
    happened = simulate(1.0)[0]
    sold_out = ((happened["store_id"] == "s0") & (happened["item_id"] == "u0")).to_numpy()
    happened.loc[sold_out, "sold_out"] = True
    ratio = uncensor(happened)["demand"][sold_out].sum() / happened["units"][sold_out].sum()

    assert 1.0 < ratio < 10.0


def test_without_any_weather_demand_is_still_estimated():
    """No gauge reports: the weather terms are zero, the rest is learned."""
    tables = make_tables(120)
    tables["weather_observed"] = tables["weather_observed"].iloc[:0]
    happened = past(tables, FIRST + pd.Timedelta(days=119))

    found = uncensor(happened)

    assert np.isfinite(found["demand"]).all()
    assert chain(fit(happened), "wet") == pytest.approx(0, abs=1e-6)


def test_a_lately_doubled_level_is_followed_part_of_the_way():
    """What sold 56 days at twice the level is expected above it, as far as drift is plausible."""
    tables = make_tables(300)
    sales = make_sales(300)
    late = sales["date"] >= FIRST + pd.Timedelta(days=244)
    tables["sales"] = sales.assign(units=sales["units"].where(~late, sales["units"] * 2))
    response = fit(past(tables, FIRST + pd.Timedelta(days=299)))

    assert (response.recent[1:, 1:] > 1.0).all()


def test_what_is_otherwise_since_a_day_is_learned_apart():
    """A rival by one store, and rain that sells less: the years before do not water them down."""
    happened, _ = simulate()
    late = happened["date"] > happened["date"].max() - pd.Timedelta(days=40)
    kept = np.where(late & (happened["store_id"] == "s0"), 0.6, 1.0)
    kept = kept * np.where(late & (happened["rain_probability"] > 0), 0.7, 1.0)
    happened["units"] = np.random.default_rng(2).binomial(happened["units"], kept)

    response = fit(happened, {**DEFAULTS, "since": happened.loc[late, "date"].min()})

    rain = chain(response, "shift_wet") + chain(response, "shift_amount") * np.log1p(4.0)
    rival = chain(response, "shift") + response.stores[1, TERMS.index("shift")]
    assert rain == pytest.approx(np.log(0.7), abs=0.1)
    assert rival == pytest.approx(np.log(0.6), abs=0.1)


def test_days_before_the_change_are_expected_as_ever():
    """Up to the day before, what is learned of the change adds nothing."""
    happened, _ = simulate()
    response = fit(happened, {**DEFAULTS, "since": happened["date"].max() - pd.Timedelta(days=20)})
    before = happened[happened["date"] < happened["date"].max() - pd.Timedelta(days=20)]
    bent = replace(
        response, chain=response.chain + np.array([name.startswith("shift") for name in TERMS])
    )

    np.testing.assert_array_equal(expected(response, before), expected(bent, before))
