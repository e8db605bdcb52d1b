"""Imagined rows follow what is imagined, and nothing else changes."""

import numpy as np
import pandas as pd
import pytest

from salescast.features.drivers import STORM_MM
from salescast.features.point_in_time import build
from salescast.features.whatif import WhatIf, imagine
from tests.builders import FIRST, make_tables

ORIGIN = FIRST + pd.Timedelta(days=199)
RAIN = ["rain_probability", "rain_mm", "storm", "spell", "issued_at"]


@pytest.fixture(scope="module")
def rows():
    """Feature rows of four series at one origin."""
    return build(make_tables(), [ORIGIN])


@pytest.fixture(scope="module")
def past(rows):
    """Rain of the five days before, per series."""
    observed = make_tables()["weather_observed"]
    recent = observed[observed["date"] > ORIGIN - pd.Timedelta(days=5)]
    wide = recent.pivot_table(index="location_id", columns="date", values="precip_mm")
    return wide.loc[rows["location_id"].iloc[::14]].to_numpy()


def test_to_imagine_nothing_changes_nothing(rows, past):
    """The rows come back as they were."""
    pd.testing.assert_frame_equal(imagine(rows, past, WhatIf()), rows)


def test_storms_and_spells_are_those_of_the_features_where_the_rain_is(rows, past):
    """A day that is set to nothing new aside, both ways to compute them agree."""
    far = imagine(rows, past, WhatIf(rain_mm={14: 0.0}))
    before = rows["lead_time"] < 14

    np.testing.assert_allclose(
        far.loc[before, ["storm", "spell"]], rows.loc[before, ["storm", "spell"]]
    )


def test_a_dry_fortnight_has_neither_rain_nor_storm(rows, past):
    """From the fourth day on no storm lies behind, and from the sixth a dry spell."""
    dry = imagine(rows, past, WhatIf(rain_factor=0.0))

    assert not dry[["rain_probability", "rain_mm"]].to_numpy().any()
    assert not dry.loc[dry["lead_time"] > 3, "storm"].any()
    assert (dry.loc[dry["lead_time"] > 5, "spell"] == 1.0).all()


def test_a_chance_of_rain_never_exceeds_one(rows, past):
    """However much more it rains."""
    assert imagine(rows, past, WhatIf(rain_factor=10.0))["rain_probability"].max() == 1.0


def test_certain_rain_needs_no_issue(rows, past):
    """That day is wet, without calibration, and a storm for the three days after."""
    wet = imagine(rows, past, WhatIf(rain_mm={3: STORM_MM}))

    day = wet[wet["lead_time"] == 3]
    assert (day["rain_probability"] == 1.0).all()
    assert day["issued_at"].isna().all()
    assert (wet.loc[wet["lead_time"].between(4, 6), "storm"] == 1.0).all()


def test_another_price_moves_the_ratio_to_the_list_price_and_nothing_else(rows, past):
    """Half the price is half the ratio, on that day."""
    cheap = imagine(rows, past, WhatIf(price={2: 5.0}))

    day = cheap["lead_time"] == 2
    assert cheap.loc[day, "price_ratio"].tolist() == [0.5] * 4
    pd.testing.assert_frame_equal(cheap[~day], rows[~day])
    pd.testing.assert_frame_equal(cheap[RAIN], rows[RAIN])
