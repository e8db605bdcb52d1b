"""Features know what was known at the origin, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.contract.schema import TABLES, close_of
from salescast.errors import NotEnoughHistoryError
from salescast.features.point_in_time import DRIVERS, build, past, without_weather
from salescast.models import make
from salescast.models.forecaster import forecast
from tests.builders import FIRST, make_sales, make_tables

TABLE_NAMES = sorted(TABLES)
PARAMS = {
    "iterations": 10,
    "learning_rate": 0.1,
    "max_leaf_nodes": 7,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
}


def poison(rows: pd.DataFrame, table: str, origin: pd.Timestamp, seed: int) -> pd.DataFrame:
    """Overwrite whatever became known after the origin with garbage."""
    rng = np.random.default_rng(seed)
    late = (rows[TABLES[table].known_at] >= close_of(origin)).to_numpy()
    garbage = rows.copy()
    for column in TABLES[table].columns:
        if column.kind in ("count", "number"):
            wild = rng.integers(-9999, 9999, late.sum())
            garbage.loc[late, column.name] = wild.astype(rows[column.name].dtype)
        elif column.kind == "flag":
            garbage.loc[late, column.name] = rng.random(late.sum()) < 0.5
        elif column.kind == "id":
            garbage.loc[late, column.name] = rng.choice(["s1", "u2", "p1", "zz"], late.sum())
    return garbage


def late_copies(rows: pd.DataFrame, table: str, origin: pd.Timestamp) -> pd.DataFrame:
    """Add a correction of every row, known a second after the close of the origin."""
    known = TABLES[table].known_at
    return pd.concat([rows, rows.assign(**{known: close_of(origin)})], ignore_index=True)


def forecast_at(tables: dict[str, pd.DataFrame], origin: pd.Timestamp) -> pd.DataFrame:
    """Train on what was known at the origin and forecast from it."""
    rows = build(tables, pd.date_range(origin - pd.Timedelta(days=60), origin, freq="10D"))
    model = make("boosting", PARAMS, 1).fit(rows, past(tables, origin))
    critical = {"u1": 0.8, "u2": 0.8}
    return forecast(model, rows[rows["origin"] == origin], [0.1, 0.5, 0.9], critical)


@pytest.mark.parametrize("table", TABLE_NAMES)
@settings(max_examples=8)
@given(day=st.integers(90, 180), seed=st.integers(0, 999))
def test_features_and_forecast_ignore_what_became_known_after_the_origin(table, day, seed):
    """Garbage in anything learned later leaves features and forecast the same, bit for bit."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=day)
    before, expected = build(tables, [origin]), forecast_at(tables, origin)

    known_later = late_copies(tables[table], table, origin)
    tables[table] = poison(known_later, table, origin, seed)

    pd.testing.assert_frame_equal(build(tables, [origin]), before, check_exact=True)
    pd.testing.assert_frame_equal(forecast_at(tables, origin), expected, check_exact=True)


@pytest.mark.parametrize("table", [t for t in TABLE_NAMES if t not in ("stores", "items", "stock")])
def test_features_do_change_with_what_was_known(table):
    """The poison test would notice: garbage known before the origin changes the features."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=120)
    before = build(tables, [origin])

    rows = tables[table].copy()
    number = next(c.name for c in TABLES[table].columns if c.kind in ("count", "number"))
    rows[number] = rows[number] * 2 + 1
    tables[table] = rows

    assert not build(tables, [origin]).equals(before)


def test_an_origin_has_the_same_features_alone_as_among_others():
    """Training, backtest and serving build the same bits, however many origins are asked for."""
    tables = make_tables()
    many = [FIRST + pd.Timedelta(days=d) for d in (100, 130, 150, 180)]

    together = build(tables, many)

    for origin in many:
        alone = build(tables, [origin])
        among = together[together["origin"] == origin].reset_index(drop=True)
        pd.testing.assert_frame_equal(among, alone, check_exact=True)


def test_a_correction_counts_from_the_moment_it_is_known():
    """The level changes at the origin after the correction, not before."""
    tables, day = make_tables(), FIRST + pd.Timedelta(days=100)
    fix = tables["sales"].query("store_id == 's1' and item_id == 'u1' and date == @day")
    fix = fix.assign(units=500, recorded_at=close_of(day) + pd.Timedelta(days=2))
    corrected = tables | {"sales": pd.concat([tables["sales"], fix], ignore_index=True)}
    origins = [day + pd.Timedelta(days=d) for d in (2, 3)]

    levels = [
        build(t, origins).query("store_id == 's1' and item_id == 'u1'").groupby("origin")["level"]
        for t in (tables, corrected)
    ]
    before, after = (level.first().to_numpy() for level in levels)

    assert after[0] == before[0]
    assert after[1] > before[1] + 1


def test_weather_of_a_lead_is_the_latest_issue_known_at_the_origin():
    """Lead three of an origin shows what that morning's issue said about that day."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=150)
    issue = tables["weather_forecast"]
    day = origin + pd.Timedelta(days=3)
    expected = issue[
        (issue["location_id"] == "p2")
        & (issue["issued_at"].dt.normalize() == origin)
        & (issue["date"] == day)
    ]

    row = build(tables, [origin]).query("store_id == 's2' and lead_time == 3").iloc[0]

    assert row["rain_probability"] == expected["precip_probability"].iloc[0]
    assert row["issued_at"] == origin


def test_an_outage_of_issues_falls_back_to_the_older_issue_and_then_to_climatology():
    """Five days without an issue: leads within the old one use it, the rest climatology."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=150)
    issue = tables["weather_forecast"]
    tables["weather_forecast"] = issue[issue["issued_at"] < origin - pd.Timedelta(days=4)]

    rows = build(tables, [origin]).query("store_id == 's1' and item_id == 'u1'")

    assert (rows["issued_at"].iloc[:9] == origin - pd.Timedelta(days=5)).all()
    assert rows["issued_at"].iloc[9:].isna().all()
    assert rows["rain_probability"].notna().all()


def test_without_an_archive_of_issues_the_weather_is_climatology():
    """No forecasts table: probabilities are the wet share of the place, and say so."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=150)
    del tables["weather_forecast"]

    rows = build(tables, [origin])

    assert rows["issued_at"].isna().all()
    assert rows["rain_probability"].between(0.2, 0.5).all()


def test_the_blind_twin_sees_no_weather():
    """With weather none every weather column is unknown."""
    rows = build(make_tables(), [FIRST + pd.Timedelta(days=100)], weather="none")

    assert rows[["rain_probability", "rain_mm", "wet_share", "storm"]].isna().all(axis=None)


def test_rows_without_weather_are_those_built_without_it():
    """Taking the weather away afterwards is the same as building without it."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=100)
    blind = build(tables, [origin], weather="none")
    after = without_weather(build(tables, [origin]))
    pd.testing.assert_frame_equal(after, blind, check_like=True)


def test_observed_weather_is_known_at_every_lead():
    """The naive twin's rows hold what was observed later."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=100)
    rows = build(tables, [origin], weather="observed")
    observed = tables["weather_observed"].set_index(["location_id", "date"])["precip_mm"]
    expected = observed.reindex(pd.MultiIndex.from_frame(rows[["location_id", "date"]])).to_numpy()
    assert rows["rain_mm"].to_numpy() == pytest.approx(expected)
    assert set(rows["rain_probability"]) == {0.0, 1.0}


def test_a_day_has_the_same_columns_ahead_and_behind():
    """What a model learns from the past and reads of the days ahead has one name and one maker."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=100)
    common = {*DRIVERS, "weekday", "christmas", "holiday", "price_ratio", "promo", "location_id"}
    assert common <= set(build(tables, [origin]))
    assert common <= set(past(tables, origin))


def test_observed_rows_are_the_past_of_the_same_days():
    """A perfect issue of the whole horizon and the past agree on rain, calendar and price."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=100)
    key, columns = ["store_id", "item_id", "date"], ["rain_probability", "rain_mm", "price_ratio"]
    ahead = build(tables, [origin], weather="observed").set_index(key)[[*columns, "weekday"]]
    behind = past(tables, origin + pd.Timedelta(days=14)).set_index(key)[[*columns, "weekday"]]
    pd.testing.assert_frame_equal(ahead, behind.loc[ahead.index])


def test_a_weekday_without_trade_is_closed():
    """A shop that never opens on Saturdays is closed on the coming ones."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=150)
    tables["sales"] = tables["sales"][tables["sales"]["date"].dt.day_of_week != 5]

    rows = build(tables, [origin])

    assert (rows["closed"] == (rows["date"].dt.day_of_week == 5)).all()


def test_a_new_series_leans_on_its_item():
    """Known from the plan alone, a series starts at the level of its item elsewhere."""
    tables, origin = make_tables(), FIRST + pd.Timedelta(days=150)
    sales = tables["sales"]
    tables["sales"] = sales[~((sales["store_id"] == "s2") & (sales["item_id"] == "u1"))]

    rows = build(tables, [origin])
    level = rows.groupby(["store_id", "item_id"])["level"].first()

    assert level["s2", "u1"] == pytest.approx(level["s1", "u1"], rel=0.3)
    assert rows[["seasonal_naive", "weekday_mean", "level"]].notna().all(axis=None)


def test_the_past_is_what_was_known_at_the_cutoff():
    """A correction recorded later, and later days, are not part of it."""
    sales, cutoff = make_sales(), FIRST + pd.Timedelta(days=50)
    late = sales.assign(units=999, recorded_at=cutoff + pd.Timedelta(days=5))

    known = past(make_tables() | {"sales": pd.concat([sales, late])}, cutoff)

    assert known["units"].max() < 999
    assert known["date"].max() == cutoff


def test_no_sales_at_all_is_not_enough_history():
    """Before the first sale there is nothing to build from."""
    with pytest.raises(NotEnoughHistoryError, match="no sales are known at the close of 2022"):
        build(make_tables(), [pd.Timestamp("2022-01-01")])
