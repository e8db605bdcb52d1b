"""Great Expectations on the simulated retailer: each fault has its alarm, a clean year has none."""

from functools import cache

import pandas as pd
import pytest

from godatamarkets import Retailer
from salescast.contract.schema import TABLES, Tables, close_of, empty
from salescast.data.files import read_json
from salescast.quality import Verdict, check_delivery, check_stored, write_quarantine

START, END = pd.Timestamp("2022-01-03"), pd.Timestamp("2023-05-31")
FAULT = pd.Timestamp("2023-03-06")

# Fault, status, the expectation that names it, and after how many daily deliveries it is known.
CAUGHT = [
    ("gauge_stuck", "accepted_with_warnings", "weather_observed_gauge_not_stuck", 7),
    ("gauge_unit", "accepted_with_warnings", "weather_observed_rain_amounts_usual", 8),
    ("currency_unit", "rows_quarantined", "sales_price_near_usual", 1),
    ("feed_outage", "accepted_with_warnings", "weather_forecast_issues_complete", 1),
    ("late_sales", "accepted_with_warnings", "sales_recorded_in_time", 4),
    ("duplicate_rows:share=0.3", "accepted_with_warnings", "sales_rows_not_repeated", 1),
    ("timezone_shift", "rows_quarantined", "sales_dated_as_recorded", 1),
    ("weekday_label_shift", "rows_quarantined", "sales_agree_with_stock", 1),
    ("item_case_split", "rows_quarantined", "sales_ids_known", 1),
    ("truncated_file", "rejected", "sales_rows_per_day", 1),
    ("negative_units:share=0.3", "rows_quarantined", "sales_values_in_range", 1),
]


@cache
def retailer(fault: str = "", seed: int = 7) -> Retailer:
    """Return the small retailer with one fault, from FAULT on."""
    name, colon, options = fault.partition(":")
    return Retailer("small", seed, [f"{name}@{FAULT:%Y-%m-%d}{colon}{options}"] if fault else [])


def failures(verdict: Verdict) -> set[str]:
    """Return the names of the checks that failed."""
    return {check.name for check in verdict.failed}


def names(verdict: Verdict) -> str:
    """Return status and evidence, for the message of a failing test."""
    return f"{verdict.status}: {[check.evidence for check in verdict.failed]}"


@pytest.mark.parametrize(("fault", "status", "rule", "days"), CAUGHT)
def test_a_daily_delivery_with_a_fault_is_caught(
    fault: str, status: str, rule: str, days: int
) -> None:
    """The named expectation fails on the first day, or as soon as there is evidence enough."""
    last = FAULT + pd.Timedelta(days=days - 1)
    stored = retailer(fault).deliver(START, last - pd.Timedelta(days=1))
    verdict = check_delivery(retailer(fault).deliver(last), stored, close_of(last))
    assert rule in failures(verdict), names(verdict)
    assert verdict.status == status


@pytest.mark.parametrize("fault", sorted({fault for fault, *_ in CAUGHT}))
def test_a_whole_period_with_a_fault_is_caught(fault: str) -> None:
    """The same expectations fail when more than a year is delivered at once."""
    rules = {rule for name, _, rule, _ in CAUGHT if name == fault}
    verdict = check_delivery(retailer(fault).deliver(START, END), {}, close_of(END))
    assert rules <= failures(verdict), names(verdict)


def test_shifted_weekdays_are_caught_without_stock() -> None:
    """Weekday profile and rain alone tell shifted labels within four weeks."""
    last = FAULT + pd.Timedelta(days=26)
    fault = retailer("weekday_label_shift")
    stored = {**fault.deliver(START, last - pd.Timedelta(days=1)), "stock": empty("stock")}
    fresh = fault.deliver(last)
    del fresh["stock"]
    verdict = check_delivery(fresh, stored, close_of(last))
    assert failures(verdict) == {"sales_fit_their_weekday"}, names(verdict)
    assert verdict.status == "rejected"


def test_late_sales_are_missed_before_they_come() -> None:
    """On the first day without a word their place is named, on the third each store."""
    last = FAULT + pd.Timedelta(days=2)
    late = retailer("late_sales")
    before = late.deliver(START, FAULT - pd.Timedelta(days=1))
    first = check_delivery(late.deliver(FAULT), before, close_of(FAULT))
    stored = retailer("late_sales").deliver(START, last - pd.Timedelta(days=1))
    third = check_delivery(late.deliver(last), stored, close_of(last))

    assert failures(first) == {"sales_from_every_place"}, names(first)
    assert failures(third) == {"sales_from_every_place", "sales_fresh"}, names(third)


def test_a_whole_batch_in_pence_is_rejected() -> None:
    """Where most prices jump, no row is trusted."""
    fault = retailer("currency_unit:location=all")
    stored = fault.deliver(START, FAULT - pd.Timedelta(days=1))
    verdict = check_delivery(fault.deliver(FAULT), stored, close_of(FAULT))
    assert verdict.status == "rejected"
    assert sum(len(rows) for rows in verdict.accepted.values()) == 0
    assert len(verdict.quarantined["sales"]) == 18


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("every", [1, 91])
def test_clean_deliveries_raise_nothing(seed: int, every: int) -> None:
    """A quarter at a time over a year, and single days about the closed ones, are accepted."""
    first = {1: "2022-12-24", 91: "2023-01-02"}[every]
    stored = retailer(seed=seed).deliver(START, pd.Timestamp(first) - pd.Timedelta(days=1))
    last = {1: "2023-01-02", 91: "2023-12-31"}[every]
    for day in pd.date_range(first, last, freq=f"{every}D"):
        end = day + pd.Timedelta(days=every - 1)
        fresh = retailer(seed=seed).deliver(day, end)
        verdict = check_delivery(fresh, stored, close_of(end))
        assert verdict.status == "accepted", f"{end:%Y-%m-%d} {names(verdict)}"
        stored = _appended(stored, verdict.accepted)


def _appended(stored: Tables, rows: Tables) -> dict[str, pd.DataFrame]:
    return {name: pd.concat([stored[name], rows[name]]) for name in stored}


def test_delivering_a_day_again_is_harmless() -> None:
    """What is stored already is not judged and not accepted a second time."""
    stored = retailer().deliver(START, FAULT)
    verdict = check_delivery(retailer().deliver(FAULT), stored, close_of(FAULT))
    assert verdict.status == "accepted", names(verdict)
    assert verdict.rows_checked == 0


def test_good_rows_of_a_delivery_with_bad_ones_are_accepted() -> None:
    """Every row is either accepted or quarantined with the expectation that failed."""
    fault = retailer("negative_units:share=0.3")
    stored, fresh = fault.deliver(START, FAULT - pd.Timedelta(days=1)), fault.deliver(FAULT)
    verdict = check_delivery(fresh, stored, close_of(FAULT))
    bad = verdict.quarantined["sales"]
    assert (bad["units"] < 0).all()
    assert bad["reason"].str.startswith("sales_values_in_range: units is -").all()
    assert len(bad) + len(verdict.accepted["sales"]) == len(fresh["sales"])


def test_a_table_that_breaks_the_contract_rejects_the_delivery(tmp_path) -> None:
    """A column missing or of the wrong kind is named, and the rows are kept for a look."""
    fresh = retailer().deliver(FAULT)
    fresh["sales"] = fresh["sales"].drop(columns="units")
    verdict = check_delivery(fresh, {}, close_of(FAULT))
    assert verdict.status == "rejected"
    assert "column units is missing" in verdict.failed[0].evidence
    assert len(write_quarantine(verdict, tmp_path)) == len([t for t in fresh if len(fresh[t])])


def test_the_actions_write_the_verdict_and_the_quarantined_rows(tmp_path) -> None:
    """The checkpoint leaves what alarms and people read, whatever it is run by."""
    fault = retailer("negative_units:share=0.3")
    stored, fresh = fault.deliver(START, FAULT - pd.Timedelta(days=1)), fault.deliver(FAULT)
    verdict = check_delivery(fresh, stored, close_of(FAULT), tmp_path)
    kept = pd.read_csv(next((tmp_path / "quarantine").glob("sales-*.csv")))
    assert read_json(tmp_path / "delivery.json", "ingest") == verdict.as_dict()
    assert kept["reason"].tolist() == verdict.quarantined["sales"]["reason"].tolist()


def test_stored_tables_are_judged_and_documented(tmp_path) -> None:
    """Everything stored passes, and Data Docs name each check."""
    verdict = check_stored(retailer().deliver(START, END), close_of(END), tmp_path)
    assert verdict.status == "accepted", names(verdict)
    pages = [*(tmp_path / "data_docs").glob("validations/**/*.html")]
    text = " ".join(page.read_text() for page in pages)
    assert [check.name for check in verdict.checks if _undocumented(check.name, text)] == []


def _undocumented(name: str, text: str) -> bool:
    return not name.endswith("_follows_contract") and f"{name}:" not in text


def test_data_docs_hold_the_last_run_only(tmp_path) -> None:
    """History would slow them down; the verdicts are kept elsewhere."""
    for _ in range(2):
        check_stored({"items": retailer().deliver(START)["items"]}, close_of(START), tmp_path)
    assert len([*(tmp_path / "data_docs" / "validations" / "items").glob("**/*.html")]) == 1


def test_nothing_delivered_is_accepted() -> None:
    """A delivery without rows has nothing wrong with it."""
    nothing = {name: empty(name) for name in TABLES}
    assert check_delivery(nothing, nothing, close_of(START)).status == "accepted"
    assert check_stored(nothing, close_of(START)).status == "accepted"
