"""The ledger keeps what it was told, bit for bit, and forgets nothing."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salescast.errors import ConfigError, DataQualityError, StoreUnavailableError
from salescast.ledger.database import open_engine
from salescast.ledger.ledger import Ledger

ORIGIN = pd.Timestamp("2024-03-01")
LEVELS = ("p05", "p50", "p97.5")
DAY = pd.Timedelta(days=1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def url(tmp_path):
    """URL of a ledger that does not exist yet."""
    return f"sqlite:///{tmp_path / 'new' / 'ledger.db'}"


@pytest.fixture
def ledger(url):
    """Return an empty ledger."""
    with Ledger(url) as made:
        yield made


def make_forecasts(count=3, receipt="r1", **columns):
    """Return one receipt of `count` days from ORIGIN."""
    leads = np.arange(1, count + 1)
    rows = {
        "receipt_id": receipt,
        "store_id": "s1",
        "item_id": "u1",
        "origin": ORIGIN,
        "date": ORIGIN + leads * DAY,
        "lead_time": leads,
        "issued_at": ORIGIN + pd.Timedelta(hours=6),
        "mean": leads / 3,
        **{name: leads * float(name[1:]) / 7 for name in LEVELS},
        "stock_target": leads / 9,
        "model_version": "1",
        "data_version": "abc.dir",
        "degraded": [["weather_climatology"] * int(lead > 2) for lead in leads],
        "made_at": ORIGIN + pd.Timedelta(hours=30, microseconds=7),
    }
    frame = pd.DataFrame(rows | columns)
    moments = ["origin", "date", "issued_at", "made_at"]
    return frame.astype(dict.fromkeys(moments, "datetime64[us]"))


def make_outcomes(count=3, days_late=0, **columns):
    """Return `count` days of sales after ORIGIN, each recorded at 23:00, `days_late` later."""
    dates = ORIGIN + np.arange(1, count + 1) * DAY
    rows = {
        "store_id": "s1",
        "item_id": "u1",
        "date": dates,
        "recorded_at": dates + pd.Timedelta(hours=23) + days_late * DAY,
        "units": np.arange(count),
        "sold_out": False,
    }
    frame = pd.DataFrame(rows | columns).astype({"sold_out": "boolean"})
    return frame.astype({"date": "datetime64[us]", "recorded_at": "datetime64[us]"})


def make_decision(**values):
    """Return a decision about version 2."""
    return {
        "kind": "gate",
        "model_version": "2",
        "champion_version": "1",
        "verdict": "promote",
        "checks": [{"name": "bias", "value": 0.1 + 0.2, "passed": True}],
        "origin": ORIGIN.to_pydatetime(),
        "made_at": (ORIGIN + DAY).to_pydatetime(),
    } | values


def make_alarm(**values):
    """Return an alarm about rain."""
    return {
        "name": "input_drift",
        "severity": "ticket",
        "subject": "rain_mm",
        "origin": ORIGIN,
        "evidence": {"psi": 0.4},
        "made_at": ORIGIN + DAY,
    } | values


def test_forecasts_come_back_as_they_went_in(ledger):
    """Values, column order and dtypes, with nothing added."""
    made = make_forecasts()
    ledger.record_forecasts(made)
    pd.testing.assert_frame_equal(ledger.forecasts(), made, check_exact=True)


def test_a_receipt_returns_its_own_rows_only(ledger):
    """Two receipts are in the ledger, one is asked for."""
    ledger.record_forecasts(pd.concat([make_forecasts(), make_forecasts(2, "r2")]))
    assert ledger.receipt("r2")["receipt_id"].tolist() == ["r2", "r2"]


def test_an_unknown_receipt_is_an_empty_table(ledger):
    """The caller says what that means."""
    assert ledger.receipt("r9").empty


def test_recording_a_forecast_again_does_nothing(ledger):
    """A retry after a crash is harmless."""
    first, again = (ledger.record_forecasts(make_forecasts()) for _ in range(2))
    assert (first, again, len(ledger.forecasts())) == (3, 0, 3)


def test_a_recorded_forecast_cannot_be_changed(ledger):
    """The same receipt with other numbers is not taken over."""
    ledger.record_forecasts(make_forecasts())
    ledger.record_forecasts(make_forecasts(mean=99.0))
    assert ledger.forecasts()["mean"].tolist() == make_forecasts()["mean"].tolist()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(FINITE, min_size=5, max_size=5))
def test_every_float_comes_back_bit_for_bit(ledger, numbers):
    """Columns and packed quantiles, down to the sign of zero."""
    packed = np.array(numbers)
    names = ["mean", *LEVELS, "stock_target"]
    receipt = hashlib.sha256(packed.tobytes()).hexdigest()
    ledger.record_forecasts(make_forecasts(1, receipt, **dict(zip(names, numbers, strict=True))))
    kept = ledger.receipt(receipt)[names].to_numpy(np.float64)
    assert kept.tobytes() == packed.tobytes()


@pytest.mark.parametrize("column", ["mean", "p50", "stock_target"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_forecast_that_is_no_number_is_refused(ledger, column, number):
    """The message names series, day and column."""
    with pytest.raises(DataQualityError, match=rf"s1 × u1, 2024-03-02: {column} is"):
        ledger.record_forecasts(make_forecasts(**{column: number}))


def test_nothing_is_written_of_a_refused_batch(ledger):
    """One bad row, no rows."""
    with pytest.raises(DataQualityError):
        ledger.record_forecasts(make_forecasts(mean=[1.0, 2.0, np.nan]))
    assert ledger.forecasts().empty


def test_a_missing_column_is_named(ledger):
    """It is said before anything is written."""
    with pytest.raises(DataQualityError, match="made_at is missing"):
        ledger.record_forecasts(make_forecasts().drop(columns="made_at"))


def test_a_forecast_without_an_issue_has_none_afterwards(ledger):
    """Climatology has no issue time."""
    ledger.record_forecasts(make_forecasts(issued_at=pd.NaT))
    assert ledger.forecasts()["issued_at"].isna().all()


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"since": ORIGIN + 2 * DAY}, 3),
        ({"until": ORIGIN + DAY}, 2),
        ({"since": ORIGIN + 2 * DAY, "until": ORIGIN + 2 * DAY}, 2),
        ({"origin": ORIGIN}, 5),
        ({"origin": ORIGIN + DAY}, 0),
        ({"model_version": "2"}, 2),
        ({}, 5),
    ],
)
def test_forecasts_are_chosen_by_date_origin_and_version(ledger, asked, count):
    """Both ends of the dates are included."""
    ledger.record_forecasts(make_forecasts(3))
    ledger.record_forecasts(make_forecasts(2, "r2", model_version="2"))
    assert len(ledger.forecasts(**asked)) == count


def test_an_empty_ledger_has_the_dtypes_of_a_full_one(ledger):
    """Downstream code needs no special case."""
    empty = ledger.forecasts()
    ledger.record_forecasts(make_forecasts())
    full = ledger.forecasts()
    assert empty.dtypes.to_dict() == full.drop(columns=list(LEVELS)).dtypes.to_dict()


def test_outcomes_come_back_as_they_went_in(ledger):
    """Whether a day was sold out may be unknown."""
    made = make_outcomes(sold_out=[True, False, pd.NA])
    ledger.record_outcomes(made)
    pd.testing.assert_frame_equal(ledger.outcomes(), made[list(ledger.outcomes())])


def test_recording_an_outcome_again_does_nothing(ledger):
    """Deliveries overlap."""
    first, again = (ledger.record_outcomes(make_outcomes()) for _ in range(2))
    assert (first, again) == (3, 0)


def test_the_latest_correction_is_the_outcome(ledger):
    """It has a later recorded_at."""
    ledger.record_outcomes(make_outcomes())
    ledger.record_outcomes(make_outcomes(1, days_late=3, units=7))
    assert ledger.outcomes()["units"].tolist() == [7, 1, 2]


def test_outcomes_can_be_seen_as_they_were_known_on_a_day(ledger):
    """A correction recorded on the 5th is unknown on the 4th, known at the close of the 5th."""
    ledger.record_outcomes(make_outcomes(1))
    ledger.record_outcomes(make_outcomes(1, days_late=3, units=7))
    known = [ledger.outcomes(as_of=f"2024-03-0{day}")["units"].tolist() for day in (1, 4, 5)]
    assert known == [[], [0], [7]]


def test_late_double_shuffled_and_revised_outcomes_end_like_orderly_ones(ledger, tmp_path):
    """The order of arrival is not part of the truth."""
    rows = pd.concat([make_outcomes(50), make_outcomes(20, days_late=2, units=9)])
    with Ledger(f"sqlite:///{tmp_path / 'orderly.db'}") as orderly:
        orderly.record_outcomes(rows)
        expected = orderly.outcomes()
    shuffled = pd.concat([rows, rows]).sample(frac=1, random_state=1)
    for at in range(0, len(shuffled), 7):
        ledger.record_outcomes(shuffled.iloc[at : at + 7])
    pd.testing.assert_frame_equal(ledger.outcomes(), expected)


@pytest.mark.parametrize("units", [-1, 1.5, np.nan, "many"])
def test_an_outcome_that_cannot_be_sold_is_refused(ledger, units):
    """Negative, broken, missing or no number at all."""
    with pytest.raises(DataQualityError, match="s1 × u1, 2024-03-02: units is"):
        ledger.record_outcomes(make_outcomes(units=units))


def test_a_decision_comes_back_with_its_checks(ledger):
    """And with the id that was returned."""
    number = ledger.record_decision(**make_decision())
    kept = ledger.decisions().iloc[0]
    expected = make_decision()
    assert {name: kept[name] for name in expected} | {"id": number} == expected | {"id": 1}


def test_decisions_keep_their_order(ledger):
    """Each has an id greater than the last."""
    numbers = [ledger.record_decision(**make_decision(verdict=v)) for v in ("refuse", "promote")]
    assert ledger.decisions()["decision_id"].tolist() == sorted(numbers)


def test_a_number_that_is_none_becomes_null_in_a_check(ledger):
    """JSON has no NaN, and PostgreSQL says so."""
    checks = [{"value": np.float64("nan"), "n": np.int64(3), "bounds": (1.0, float("inf"))}]
    ledger.record_decision(**make_decision(checks=checks))
    assert ledger.decisions()["checks"][0] == [{"value": None, "n": 3, "bounds": [1.0, None]}]


def test_an_alarm_rings_once_per_name_origin_and_subject(ledger):
    """Running the monitor again adds nothing; another subject does."""
    alarms = [make_alarm(), make_alarm(), make_alarm(subject="temp_c")]
    assert [ledger.record_alarms(alarms), ledger.record_alarms(alarms)] == [2, 0]


def test_an_alarm_comes_back_with_its_evidence(ledger):
    """All that was said about it."""
    ledger.record_alarms([make_alarm(runbook="docs/drift.md")])
    kept = ledger.alarms().iloc[0].to_dict()
    assert kept == make_alarm(runbook="docs/drift.md")


def test_no_alarms_are_no_error(ledger):
    """The usual case."""
    assert ledger.record_alarms([]) == 0


def test_an_alarm_with_an_unknown_key_is_refused(ledger):
    """A misspelt key would be lost silently."""
    with pytest.raises(DataQualityError, match="no column evidense"):
        ledger.record_alarms([make_alarm(evidense={})])


def test_many_writers_of_a_new_ledger_lose_nothing(url):
    """Eight at once create the tables and write; each row is there once."""

    def write(number):
        with Ledger(url) as mine:
            return [
                mine.record_alarms([make_alarm(subject=f"{number}-{i}"), make_alarm()])
                for i in range(10)
            ]

    with ThreadPoolExecutor(8) as pool:
        written = sum(sum(counts) for counts in pool.map(write, range(8)))
    with Ledger(url) as ledger:
        assert (written, len(ledger.alarms())) == (81, 81)


def test_a_ledger_of_another_version_is_left_alone(url):
    """Better no write than a wrong one."""
    with Ledger(url) as ledger:
        ledger.alarms()
    with open_engine(url).begin() as connection:
        connection.execute(sa.text("UPDATE schema_version SET version = 99"))
    with Ledger(url) as later, pytest.raises(ConfigError, match="schema version 99"):
        later.alarms()


@pytest.mark.parametrize("url", ["mysql://user:secret@host/db", "no url secret", "oracle:secret"])
def test_a_url_of_another_kind_is_refused_without_repeating_it(url):
    """It may hold a password."""
    with pytest.raises(ConfigError, match=r"stores\.ledger_url") as raised:
        Ledger(url)
    assert "secret" not in str(raised.value)


def test_a_database_that_does_not_answer_is_named_without_its_password():
    """Nobody listens on port 9; the message may be logged."""
    ledger = Ledger("postgresql://user:secret@127.0.0.1:9/sales?password=secret")
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:9/sales") as raised:
        ledger.alarms()
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database_is_named(tmp_path):
    """Whatever it is, it is not overwritten."""
    (tmp_path / "ledger.db").write_text("dear diary, " * 500)
    with pytest.raises(StoreUnavailableError, match=r"ledger\.db .* not a database"):
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").alarms()


def test_orders_come_back_as_they_went_in(ledger):
    """One row a receipt; writing it again does nothing."""
    row = dict.fromkeys(("unit_cost", "spend", "expected_demand", "expected_lost"), 1.5)
    row |= dict.fromkeys(("expected_cost", "planner_cost", "fill_rate"), 0.1)
    row |= dict.fromkeys(("on_hand", "on_order", "order", "planner_order"), 6)
    row |= {"receipt_id": "r1", "store_id": "s1", "item_id": "u1", "due": True}
    row |= {"model_version": "1", "data_version": "abc.dir", "counted": pd.NaT}
    moments = {"origin": ORIGIN, "made_at": ORIGIN + DAY}
    given = pd.DataFrame([row | moments]).astype(dict.fromkeys(moments, "datetime64[us]"))

    assert (ledger.record_orders(given), ledger.record_orders(given)) == (1, 0)
    read = ledger.orders(origin=ORIGIN)
    assert read.loc[0, list(row)].drop("counted").to_dict() == {
        name: value for name, value in row.items() if name != "counted"
    }
    assert ledger.orders(origin=ORIGIN + DAY).empty
