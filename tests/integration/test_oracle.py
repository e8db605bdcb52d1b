"""The oracle is right about what it knows, and nobody can know more."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from godatamarkets import Retailer, oracle
from godatamarkets.demand import signals
from godatamarkets.weather import HISTORY, rain

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
# Every 5 days for two years: each weekday meets each lead.
ORIGINS = tuple(pd.date_range("2022-02-01", periods=146, freq="5D"))
UPGRADE = "forecast_upgrade@2022-01-03"


@cache
def small(*faults: str) -> Retailer:
    """Return a small retailer."""
    return Retailer("small", 7, faults)


@cache
def issued(*faults: str) -> pd.DataFrame:
    """Return the oracle's distributions at all origins."""
    return oracle.as_issued(small(*faults), ORIGINS, LEVELS, paths=200, cache=None)


def pinball(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the quantile loss in units per lead."""
    losses = []
    for level in LEVELS:
        missed = rows["demand"] - rows[f"p{100 * level:02.0f}"]
        losses.append(np.maximum(level * missed, (level - 1) * missed))
    return (sum(losses) / len(LEVELS)).groupby(rows["lead_time"]).mean()


@pytest.mark.parametrize("faults", [(), (UPGRADE,)])
def test_outcomes_fall_evenly_into_the_oracles_distribution(faults: tuple[str, ...]):
    """A tenth of outcomes lies in each tenth of probability (randomised PIT), at each lead."""
    rows = issued(*faults)
    luck = np.random.default_rng(0).random(len(rows))
    pit = rows["below"] + luck * (rows["upto"] - rows["below"])
    for lead in ([1, 2], [3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14]):
        shares = np.histogram(pit[rows["lead_time"].isin(lead)], 10, (0, 1))[0]
        assert shares / shares.sum() == pytest.approx(np.full(10, 0.1), abs=0.03)


def test_the_oracles_mean_is_right_on_average():
    """Over two years it neither over- nor underestimates by more than the weather's luck."""
    rows = issued()
    assert rows["mean"].sum() / rows["demand"].sum() == pytest.approx(1, abs=0.04)


def test_the_oracle_knows_more_the_nearer_the_day():
    """The loss rises with the lead; knowing the weather beats even lead 1."""
    loss = pinball(issued())
    bands = [loss[1:2].mean(), loss[3:5].mean(), loss[6:8].mean(), loss[10:14].mean()]
    known = pinball(oracle.perfect_weather(small(), ORIGINS, LEVELS)).mean()
    assert [known, *bands] == sorted([known, *bands])
    assert known < 0.95 * bands[0]


def test_an_upgraded_forecast_service_makes_the_oracle_better():
    """Better issues, of the same weather, lower the loss a day ahead."""
    assert pinball(issued(UPGRADE))[1] < 0.98 * pinball(issued())[1]


def test_the_mean_a_day_ahead_equals_its_integral():
    """At lead 1 the mean over rain is a plain quadrature, done here another way."""
    world, origin = small(), ORIGINS[40]
    day = world.reach(origin)
    middles = (np.arange(20_000) + 0.5) / 20_000
    mean, spread = (part[:, day, 1] for part in world.weather.latent["rain"])
    z = mean[:, None] + spread[:, None] * ndtri(middles)
    wet = world.weather.climate.wet[:, [day + 1 + HISTORY]]
    fallen = rain(z, wet, world.series.cities)[..., None]
    known = world.weather.precip[:, None, day + 1 : day + 1 + HISTORY]
    known = np.broadcast_to(known, (*fallen.shape[:2], HISTORY))
    weekend = np.array([(day + 1) % 7 >= 5])
    spoken = signals(np.concatenate([known, fallen], axis=-1), weekend)[..., 0]
    response = world.demand.response[:, :, day + 1]
    effect = np.einsum("fs,fsn->sn", response[:4], spoken[:, world.series.city])
    sd = np.array([c.temp_sd for c in world.series.cities])[world.series.city]
    warm, unsure = (part[:, day, 1][world.series.city] for part in world.weather.latent["temp"])
    warmth = np.exp(response[4] * sd * warm + (response[4] * sd * unsure) ** 2 / 2)
    exact = np.exp(world.demand.calendar[:, day + 1][:, None] + effect).mean(axis=1) * warmth
    rows = oracle.as_issued(world, [origin], LEVELS, horizon=1, cache=None)
    assert rows["mean"].to_numpy() == pytest.approx(exact, rel=0.003)


def test_quantiles_have_their_probability():
    """Outcomes stay at or below a quantile at least as often as its level says, give or take."""
    rows = issued()
    for level in LEVELS:
        quantile = rows[f"p{100 * level:02.0f}"]
        assert (rows["demand"] <= quantile).mean() > level - 0.02
        assert (rows["demand"] < quantile).mean() < level + 0.02


def test_the_critical_quantile_lies_where_the_costs_say():
    """Critical ratios of .83–.86 lie between the 70 % and the 90 % quantile."""
    rows = issued()
    assert rows["critical"].between(rows["p70"], rows["p90"]).all()


def test_sampled_paths_agree_with_the_distributions():
    """Their mean per series and lead is the mixture's, within the noise of 4,000 counts."""
    world, origin = small(), ORIGINS[7]
    sampled = oracle.sample_paths(world, origin, 4000).mean(axis=0).ravel()
    rows = oracle.as_issued(world, [origin], LEVELS, cache=None)
    assert sampled == pytest.approx(rows["mean"].to_numpy(), rel=0.12)
    assert sampled.sum() == pytest.approx(rows["mean"].sum(), rel=0.01)


def test_sampled_days_depend_on_each_other():
    """Rain comes in spells: the variance of a fortnight exceeds the sum of the days'."""
    samples = oracle.sample_paths(small(), ORIGINS[7], 4000)
    fortnight = samples.sum(axis=2).var(axis=0).sum()
    assert fortnight > 1.05 * samples.var(axis=0).sum()


def test_paths_are_enough():
    """Ten times as many move the total mean by less than .1 %, a single one by less than 3 %."""
    few, many = (
        oracle.as_issued(small(), ORIGINS[:4], LEVELS, paths=paths, cache=None)["mean"]
        for paths in (oracle.PATHS, 10 * oracle.PATHS)
    )
    assert few.sum() == pytest.approx(many.sum(), rel=0.001)
    assert few.to_numpy() == pytest.approx(many.to_numpy(), rel=0.03)


def test_the_truth_is_what_sales_are_cut_from():
    """True demand has a row for each sale, and sales never exceed it."""
    sales = small().deliver("2022-02-01", "2022-04-30")["sales"]
    truth = oracle.true_demand(small(), "2022-02-01", "2022-04-30")
    both = sales.merge(truth, on=["store_id", "item_id", "date"], validate="1:1")
    assert len(both) == len(sales) == len(truth)
    assert (both["units"] <= both["demand"]).all()
    assert both["demand"].sum() == pytest.approx(both["mean"].sum(), rel=0.05)


def test_the_future_does_not_reach_the_oracle():
    """Other weather and issues after the origin leave its distributions alone."""
    world, origin = Retailer("small"), ORIGINS[10]
    columns = ["mean", "critical", "p10", "p50", "p90"]
    before = oracle.as_issued(world, [origin], LEVELS, paths=100, cache=None)[columns]
    day = world.reach(origin)
    world.weather.precip[:, HISTORY + day + 1 :] = 99
    world.weather.temp[:, day + 1 :] = 99
    for mean, _ in world.weather.latent.values():
        mean[:, day + 1 :] = 99
    after = oracle.as_issued(world, [origin], LEVELS, paths=100, cache=None)[columns]
    pd.testing.assert_frame_equal(before, after)


def test_answers_are_kept_by_what_was_asked(tmp_path: Path):
    """The same question reads the file, another one writes its own."""
    first = oracle.as_issued(small(), ORIGINS[:1], LEVELS, paths=20, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    again = oracle.as_issued(small(), ORIGINS[:1], LEVELS, paths=20, cache=tmp_path)
    oracle.as_issued(small(), ORIGINS[:1], LEVELS, paths=30, cache=tmp_path)
    pd.testing.assert_frame_equal(first, again)
    assert file.stat().st_mtime_ns == written
    assert len(list(tmp_path.iterdir())) == 2
