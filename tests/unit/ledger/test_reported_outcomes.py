"""Outcomes that callers report: each counts once, and the last report counts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pandas as pd
import pytest

from salescast.ledger.ledger import Ledger

NOW = datetime(2024, 12, 31, 12)
HOUR = timedelta(hours=1)


@pytest.fixture
def url(tmp_path):
    """Return the URL of an empty ledger."""
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def report(units, sold_out=0, items=("u1",)):
    """Return a report of one day's sales."""
    rows = [("s1", item, pd.Timestamp("2024-12-30"), units, sold_out) for item in items]
    frame = pd.DataFrame(rows, columns=["store_id", "item_id", "date", "units", "sold_out"])
    return frame.astype({"date": "datetime64[us]", "sold_out": "boolean"})


def rows_in(url):
    """Return how many rows of outcomes the ledger has, corrections included."""
    import sqlite3

    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        return database.execute("SELECT count(*) FROM outcomes").fetchone()[0]


def test_the_same_report_again_changes_nothing(url):
    """Also where nobody knows whether the shelf was empty."""
    with Ledger(url) as ledger:
        first = [ledger.report_outcomes(report(3, flag), NOW) for flag in (0, None)]
        again = ledger.report_outcomes(report(3, None), NOW + HOUR)
    assert (first, again, rows_in(url)) == ([1, 1], 0, 2)


def test_the_same_report_by_many_at_once_is_written_once(url):
    """Each waits for the one before, and then sees that nothing is new."""
    items = [f"u{number}" for number in range(50)]

    def post(_):
        with Ledger(url) as ledger:
            return ledger.report_outcomes(report(3, items=items), datetime.now())

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(post, range(24)))

    assert sum(written) == rows_in(url) == 50


def test_a_correction_counts_although_the_clock_went_back(url):
    """What is reported later is true, whatever the clock says."""
    with Ledger(url) as ledger:
        ledger.report_outcomes(report(3), NOW)
        ledger.report_outcomes(report(5), NOW - HOUR)
        known = ledger.outcomes()
    assert known["units"].tolist() == [5]
    assert known["recorded_at"].iloc[0] > NOW


def test_a_correction_of_what_the_shops_delivered_counts(url):
    """Deliveries bear their own moments, possibly later than ours."""
    with Ledger(url) as ledger:
        ledger.record_outcomes(report(3).assign(recorded_at=NOW + 5 * HOUR))
        ledger.report_outcomes(report(4), NOW)
        assert ledger.outcomes()["units"].tolist() == [4]
