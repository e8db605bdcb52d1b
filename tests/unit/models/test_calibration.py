"""What an issue says is believed as far as it has proved right."""

import numpy as np
import pandas as pd
import pytest

from salescast.features.drivers import WET_MM
from salescast.models.calibration import (
    AMOUNTS,
    CalibratedWeather,
    calibrated_weather,
    excess_mm,
    fit,
)
from tests.builders import days

HORIZON, COUNT = 3, 4000


def logit(chance: np.ndarray) -> np.ndarray:
    """Return log odds."""
    return np.log(chance / (1 - chance))


def sigmoid(odds: np.ndarray) -> np.ndarray:
    """Return the chance of log odds."""
    return 1 / (1 + np.exp(-odds))


def world(
    count: int = COUNT,
    line: tuple[float, float] = (0.0, 1.0),
    ratio: float = 1.0,
    shape: float = 1.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return issues of one place, and the weather that came.

    logit of the true chance is a + b·logit of what was said at lead 1; rain of wet days is gamma
    of `shape`, `ratio` times what was said; temperature is half of the anomaly said. At lead 2
    the issue says the truth, at lead 3 there is none.
    """
    rng = np.random.default_rng(5)
    issued = rng.uniform(0.05, 0.95, count)
    true = sigmoid(line[0] + line[1] * logit(issued))
    wet = (rng.random(count) < true).astype(float)
    excess = rng.uniform(2, 8, count)
    anomaly = rng.normal(0, 4, count)
    rain = WET_MM + rng.gamma(shape, excess * ratio / shape)
    observed = pd.DataFrame({"location_id": "p1", "date": days(count), "rain_probability": wet})
    observed = observed.assign(storm=wet, spell=1 - wet, rain_mm=np.where(wet == 1, rain, 0.0))
    observed = observed.assign(temp_anomaly=0.5 * anomaly + rng.normal(0, 0.1, count))
    parts = []
    for lead, chance in ((1, issued), (2, true), (3, np.full(count, 0.3))):
        part = observed[["location_id", "date"]].assign(lead_time=lead, rain_probability=chance)
        part = part.assign(storm=chance, spell=1 - chance, temp_anomaly=anomaly)
        part["rain_mm"] = chance * (excess + WET_MM)
        part["issued_at"] = pd.NaT if lead == 3 else observed["date"] - pd.Timedelta(days=lead)
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    rows["issued_at"] = rows["issued_at"].astype("datetime64[us]")
    return rows, observed


def calibrated(rows: pd.DataFrame, observed: pd.DataFrame, lead: int) -> CalibratedWeather:
    """Return what is believed of the issues of one lead."""
    return calibrated_weather(fit(rows, observed, HORIZON), rows[rows["lead_time"] == lead])


@pytest.mark.parametrize("line", [(0.0, 0.4), (0.8, 1.0), (-0.5, 1.5)])
def test_a_planted_distortion_is_undone_at_the_lead_that_has_it(line):
    """Over-confident, too dry, too timid: the believed chance is the true one, within 4 points."""
    rows, observed = world(line=line)
    truth = rows.loc[rows["lead_time"] == 2, "rain_probability"].to_numpy()

    for lead in (1, 2):
        wet = calibrated(rows, observed, lead).wet
        assert np.abs(wet - truth).mean() < 0.02
        assert np.abs(wet - truth).max() < 0.1


def test_an_over_confident_issue_is_pulled_back():
    """What is said with 95 % and comes true less often is not believed with 95 %."""
    rows, observed = world(line=(0.0, 0.4))
    issued = rows.loc[rows["lead_time"] == 1, "rain_probability"].to_numpy()

    wet = calibrated(rows, observed, 1).wet

    assert wet[issued > 0.9].max() < 0.8
    assert wet[issued < 0.1].min() > 0.2


def test_storm_and_spell_have_lines_of_their_own():
    """The spell here is what rain is not, so its line is undone as well."""
    rows, observed = world(line=(0.8, 1.0))
    found = calibrated(rows, observed, 1)

    np.testing.assert_allclose(found.storm, found.wet, atol=1e-6)
    np.testing.assert_allclose(found.spell, 1 - found.wet, atol=1e-6)


@pytest.mark.parametrize(("ratio", "shape"), [(1.6, 1.0), (0.7, 2.5)])
def test_amounts_learn_how_much_more_falls_and_how_it_scatters(ratio, shape):
    """The ratio and the gamma shape that were planted, within a tenth and a seventh."""
    rows, observed = world(ratio=ratio, shape=shape)

    found = fit(rows, observed, HORIZON)

    assert found.ratio[1] == pytest.approx(ratio, rel=0.1)
    assert found.shape[1] == pytest.approx(shape, rel=0.15)


def test_the_five_amounts_have_the_mean_that_is_believed():
    """Midpoints of equal chances, in order, a little below the mean of a skewed amount."""
    rows, observed = world(shape=2.5)
    rain = calibrated(rows, observed, 2).rain_mm
    asked = rows[rows["lead_time"] == 2]
    issued = excess_mm(asked["rain_probability"].to_numpy(), asked["rain_mm"].to_numpy())

    assert rain.shape == (COUNT, len(AMOUNTS))
    assert (np.diff(rain, axis=1) > 0).all()
    assert (rain > WET_MM).all()
    assert (rain.mean(axis=1) - WET_MM).mean() == pytest.approx(issued.mean(), rel=0.15)


def test_half_of_the_said_anomaly_comes_true():
    """The slope of the temperature is learned."""
    rows, observed = world()
    issued = rows.loc[rows["lead_time"] == 1, "temp_anomaly"].to_numpy()

    np.testing.assert_allclose(calibrated(rows, observed, 1).temp_anomaly, issued / 2, atol=0.1)


def test_climatology_is_believed_as_it_is():
    """Without an issue there is nothing to calibrate."""
    rows, observed = world(line=(0.8, 0.4))

    found = calibrated(rows, observed, 3)

    np.testing.assert_array_equal(found.wet, 0.3)


@pytest.mark.parametrize("count", [0, 40])
def test_with_few_or_no_pairs_the_issue_is_believed_as_it_stands(count):
    """A new archive of issues teaches nothing yet."""
    rows, observed = world(line=(0.8, 0.4))
    learned = fit(rows, observed.head(count), HORIZON)

    found = calibrated_weather(learned, rows[rows["lead_time"] == 1])

    issued = rows.loc[rows["lead_time"] == 1, "rain_probability"]
    np.testing.assert_allclose(found.wet, issued, atol=1e-9)


def test_no_weather_at_all_is_believed_to_be_dry():
    """The blind twin's columns are NaN; the belief is finite."""
    rows, observed = world(100)
    blind = rows.assign(
        rain_probability=np.nan, rain_mm=np.nan, storm=np.nan, spell=np.nan, temp_anomaly=np.nan
    ).assign(issued_at=pd.NaT)

    found = calibrated_weather(fit(blind, observed, HORIZON), blind)

    assert all(np.isfinite(values).all() for values in vars(found).values())
    assert (found.wet == 0).all()


def test_a_place_where_it_never_rained_teaches_without_infinities():
    """All dry: finite lines, small chances."""
    rows, observed = world(500)
    dry = observed.assign(rain_probability=0.0, storm=0.0, spell=1.0, rain_mm=0.0)

    found = calibrated_weather(fit(rows, dry, HORIZON), rows)

    assert all(np.isfinite(values).all() for values in vars(found).values())
    assert found.wet[(rows["lead_time"] == 1).to_numpy()].max() < 0.2
