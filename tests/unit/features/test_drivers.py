"""Weather as known at an origin, against sums and products written out by hand."""

import numpy as np
import pytest
from pandas import DatetimeIndex

from salescast.features.drivers import (
    FULL_YEAR,
    SPELL_DAYS,
    STORM_DAYS,
    STORM_MM,
    WET_MM,
    Climate,
    climate,
    observed_columns,
    outlook,
    public_holidays,
    storm_chance,
)

ORIGIN, HORIZON, WINDOW = 20, 14, 14
DAYS = ORIGIN + 1 + HORIZON


def normal(days: int = HORIZON, probability: float = 0.3) -> Climate:
    """Return a climate that is the same every day, in two places."""
    shape = (2, days)
    return Climate(np.full(shape, probability), np.full(shape, 2.0), np.full(shape, 10.0))


def issues(seed: int = 1) -> tuple[np.ndarray, ...]:
    """Return (mm, probability, temp, known day) of two places, a quarter of it missing."""
    rng = np.random.default_rng(seed)
    probability = rng.random((2, DAYS)).round(2)
    probability[rng.random((2, DAYS)) < 0.25] = np.nan
    known_day = np.full((2, DAYS), ORIGIN - 1.0)
    return 6 * probability, probability, rng.normal(10, 4, (2, DAYS)), known_day


def observed(seed: int = 2) -> np.ndarray:
    """Return the rain of two places up to the origin, with gaps; NaN beyond."""
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random((2, DAYS)) < 0.4, rng.exponential(9, (2, DAYS)), 0.0)
    rain[rng.random((2, DAYS)) < 0.1] = np.nan
    rain[:, ORIGIN + 1 :] = np.nan
    return rain


def test_the_climate_recovers_a_planted_annual_cycle():
    """Two years of a cosine in temperature and rain come back at other days."""
    days, target = np.arange(730.0), np.arange(730.0, 1095.0)
    cycle = np.cos(2 * np.pi * days / 365.25)
    found = climate(5 + 2 * cycle[None], 10 - 8 * cycle[None], days, target)

    expected = np.cos(2 * np.pi * target / 365.25)
    np.testing.assert_allclose(found.temp_c[0], 10 - 8 * expected, atol=1e-9)
    np.testing.assert_allclose(found.precip_mm[0], 5 + 2 * expected, atol=1e-9)
    np.testing.assert_allclose(found.probability, 1.0)


def test_half_a_year_gives_mean_rain_and_no_normal_temperature():
    """A season is not taken for an anomaly."""
    days = np.arange(FULL_YEAR - 1.0)
    rain = np.where(days % 3 == 0, 6.0, 0.0)[None]

    found = climate(rain, np.full_like(rain, 20.0), days, np.arange(5.0))

    np.testing.assert_allclose(found.precip_mm, rain.mean())
    np.testing.assert_allclose(found.probability, (rain > 0).mean())
    assert np.isnan(found.temp_c).all()


def test_nothing_known_is_no_rain():
    """A gauge without a row does not stop anything."""
    unknown = np.full((1, 50), np.nan)

    found = climate(unknown, unknown, np.arange(50.0), np.arange(7.0))

    assert (found.probability == 0).all()
    assert (found.precip_mm == 0).all()


def test_gaps_in_the_observations_do_not_move_the_climate():
    """Unknown days are left out, not taken as dry."""
    days = np.arange(800.0)
    rain = np.full((1, 800), 4.0)
    rain[0, ::3] = np.nan

    found = climate(rain, rain, days, np.arange(3.0))

    np.testing.assert_allclose(found.precip_mm, 4.0)
    np.testing.assert_allclose(found.probability, 1.0)


def test_where_no_issue_speaks_of_a_day_the_climate_does():
    """Missing probability or rain: climatology, no anomaly and no age."""
    mm, probability, temp, known_day = issues()
    columns = outlook(observed(), (mm, probability, temp, known_day), normal(), ORIGIN, WINDOW)

    ahead = slice(ORIGIN + 1, None)
    missing = np.isnan(probability[:, ahead])
    assert missing.any()
    np.testing.assert_array_equal(np.isnan(columns["issue_age"]), missing)
    np.testing.assert_array_equal(columns["issue_age"][~missing], 1.0)
    np.testing.assert_array_equal(columns["rain_probability"][missing], 0.3)
    np.testing.assert_array_equal(columns["rain_mm"][missing], 2.0)
    np.testing.assert_array_equal(columns["temp_anomaly"][missing], 0.0)
    np.testing.assert_array_equal(
        columns["rain_probability"][~missing], probability[:, ahead][~missing]
    )
    np.testing.assert_allclose(columns["temp_anomaly"][~missing], temp[:, ahead][~missing] - 10.0)


def test_an_unknown_normal_temperature_is_no_anomaly():
    """Half a year of history: the anomaly is 0, not NaN."""
    short = Climate(normal().probability, normal().precip_mm, np.full((2, HORIZON), np.nan))

    columns = outlook(observed(), issues(), short, ORIGIN, WINDOW)

    assert (columns["temp_anomaly"] == 0).all()


def test_storm_and_spell_are_the_products_over_the_days_before():
    """Written out day by day: observed up to the origin, chances beyond it."""
    rain = observed()
    columns = outlook(rain, issues(), normal(), ORIGIN, WINDOW)
    stormy = storm_chance(columns["rain_probability"], columns["rain_mm"])

    for place in range(2):
        for lead in range(1, HORIZON + 1):
            calm = dry = 1.0
            for back in range(1, SPELL_DAYS + 1):
                ahead = lead - back - 1
                known = np.nan_to_num(rain[place, ORIGIN + lead - back])
                wet = (
                    columns["rain_probability"][place, ahead]
                    if ahead >= 0
                    else float(known >= WET_MM)
                )
                storm = stormy[place, ahead] if ahead >= 0 else float(known >= STORM_MM)
                dry *= 1.0 - wet
                calm *= 1.0 - storm if back <= STORM_DAYS else 1.0
            assert columns["spell"][place, lead - 1] == pytest.approx(dry)
            assert columns["storm"][place, lead - 1] == pytest.approx(1.0 - calm)


def test_the_wet_share_counts_known_days_of_the_window():
    """Unknown days count neither way; without any the climate stands in."""
    rain = observed()
    rain[1, : ORIGIN + 1] = np.nan
    columns = outlook(rain, issues(), normal(), ORIGIN, WINDOW)

    window = rain[0, ORIGIN + 1 - WINDOW : ORIGIN + 1]
    known = window[~np.isnan(window)]
    np.testing.assert_allclose(columns["wet_share"][0], (known >= WET_MM).mean())
    np.testing.assert_allclose(columns["wet_share"][1], 0.3)


def test_days_beyond_the_origin_are_not_looked_at():
    """Rain that is already in the matrix for later days changes nothing."""
    rain, later = observed(), observed()
    later[:, ORIGIN + 1 :] = 400.0

    before, after = (outlook(r, issues(), normal(), ORIGIN, WINDOW) for r in (rain, later))

    for name in ("rain_probability", "storm", "spell", "wet_share"):
        np.testing.assert_array_equal(before[name], after[name])


def test_an_origin_at_the_edge_of_the_data_has_an_outlook():
    """Two known days behind the origin: chances stay chances."""
    mm, probability, temp, known_day = (m[:, ORIGIN - 1 :] for m in issues())
    columns = outlook(
        observed()[:, ORIGIN - 1 :], (mm, probability, temp, known_day), normal(), 1, WINDOW
    )

    for chances in (columns["storm"], columns["spell"], columns["wet_share"]):
        assert ((chances >= 0) & (chances <= 1)).all()


def test_the_storm_chance_is_the_tail_of_an_exponential():
    """By simulation: wet with chance p, then 1 mm and an exponential amount."""
    rng = np.random.default_rng(3)
    wet = rng.random(400_000) < 0.6
    rain = np.where(wet, WET_MM + rng.exponential(5.0, 400_000), 0.0)

    chance = storm_chance(np.array([0.6]), np.array([rain.mean()]))

    assert chance.item() == pytest.approx((rain >= STORM_MM).mean(), abs=0.003)


def test_what_was_observed_is_a_fact_and_chances_where_it_was_not():
    """Wet, storm within three days, spell of five dry days, each by hand."""
    rain = observed()[:, : ORIGIN + 1]
    columns = observed_columns(rain, np.full_like(rain, 10.0), normal(ORIGIN + 1))
    wet, storm, spell = (columns[name] for name in ("rain_probability", "storm", "spell"))

    for place in range(2):
        for day in range(SPELL_DAYS, ORIGIN + 1):
            before = rain[place, day - SPELL_DAYS : day]
            dry = np.where(np.isnan(before), 0.7, before < WET_MM)
            stormy = (np.nan_to_num(before[-STORM_DAYS:]) >= STORM_MM).any()
            assert spell[place, day] == pytest.approx(np.prod(dry))
            assert storm[place, day] == float(stormy)
    np.testing.assert_array_equal(wet[np.isnan(rain)], 0.3)


@pytest.mark.parametrize(
    ("country", "day", "holiday"),
    [
        ("DE", "2025-01-06", 0.0),
        ("DE-BY", "2025-01-06", 1.0),
        ("de-by", "2025-12-25", 1.0),
        ("DE-ZZ", "2025-12-25", 1.0),
        ("gb", "2025-12-25", 1.0),
        ("Germany", "2025-12-25", 0.0),
    ],
)
def test_a_region_has_holidays_of_its_own(country, day, holiday):
    """Epiphany is one in Bavaria; an unknown region has its country's, an unknown country none."""
    assert public_holidays([country], DatetimeIndex([day]))[0, 0] == holiday
