"""Measures and rules of data quality, without Great Expectations."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salescast.contract.schema import TABLES, Tables, close_of, empty
from salescast.errors import ConfigError
from salescast.quality import SUITES, Check, Verdict, adjusted, write_quarantine
from salescast.quality.checkpoint import measure
from salescast.quality.gauges import dry_surprise
from salescast.quality.row_measures import unknown_rows
from salescast.quality.scope import Scope
from salescast.quality.suites import outside
from salescast.quality.trade import misfit
from tests.builders import FIRST, days, make_items, make_tables

LAST = days(200)[-1]


@cache
def _made(count: int = 200, items: int = 2) -> Tables:
    return make_tables(count, items=items)


def made(count: int = 200, items: int = 2) -> dict[str, pd.DataFrame]:
    """Return tables of the builders, made once."""
    return dict(_made(count, items))


def broken(fresh: Tables, stored: Tables | None = None, until: pd.Timestamp | None = None) -> set:
    """Return the names of the rules that some row breaks."""
    scope = Scope(fresh, stored or {}, until or close_of(LAST))
    frames = measure(scope)
    judged = [rule for rule in SUITES if rule.table in fresh]
    return {rule.name for rule in judged if outside(frames[rule.frame], rule.ranges).any()}


def with_sales(tables: Tables, **columns: object) -> Tables:
    """Return the tables with the last row of sales changed."""
    sales = tables["sales"].copy()
    for name, value in columns.items():
        sales.loc[sales.index[-1], name] = value
    return {**tables, "sales": sales}


def split(tables: Tables, moment: pd.Timestamp) -> tuple[Tables, Tables]:
    """Return what was known before `moment` and what became known from it on."""
    known = {name: rows[TABLES[name].known_at] < moment for name, rows in tables.items()}
    before = {name: rows[known[name]] for name, rows in tables.items()}
    return before, {name: rows[~known[name]] for name, rows in tables.items()}


def test_ordinary_tables_break_no_rule() -> None:
    """Two hundred days of made-up trade are what the rules call usual."""
    assert broken(made()) == set()


def test_an_ordinary_day_after_history_breaks_no_rule() -> None:
    """The same rows judged as the delivery of one day raise nothing either."""
    stored, fresh = split(made(), LAST)
    assert broken(fresh, stored) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"units": -1}, "sales_values_in_range"),
        ({"price": 1000.0}, "sales_price_near_usual"),
        ({"store_id": "s9"}, "sales_ids_known"),
        ({"item_id": "u9"}, "sales_ids_known"),
        ({"item_id": "U2"}, "sales_ids_known"),
        ({"item_id": " u2"}, "sales_ids_known"),
        ({"item_id": ".."}, "sales_ids_known"),
        ({"item_id": "a\tb"}, "sales_ids_known"),
        ({"item_id": "x" * 101}, "sales_ids_known"),
        ({"date": LAST + pd.Timedelta(days=40)}, "sales_moments_plausible"),
        ({"date": pd.Timestamp("0202-03-01")}, "sales_moments_plausible"),
        ({"recorded_at": LAST - pd.Timedelta(days=3)}, "sales_moments_plausible"),
        ({"recorded_at": close_of(LAST)}, "sales_moments_plausible"),
        ({"recorded_at": LAST + pd.Timedelta(days=4)}, "sales_recorded_in_time"),
    ],
)
def test_one_bad_row_of_sales_breaks_the_rule_that_names_it(change: dict, rule: str) -> None:
    """Each kind of bad row is caught by a check that says what is wrong with it."""
    assert rule in broken(with_sales(made(), **change))


def test_sales_before_the_store_opened_are_caught() -> None:
    """A store cannot sell before its first day of trade."""
    tables = made()
    tables["stores"] = tables["stores"].assign(opened_on=FIRST + pd.Timedelta(days=5))
    assert "sales_not_before_opening" in broken(tables)


def test_one_key_with_two_values_is_a_conflict_and_a_copy_is_a_repeat() -> None:
    """Copies are harmless; rows that contradict each other are not."""
    tables = made()
    twin = tables["sales"].iloc[[-1]]
    copied = {**tables, "sales": pd.concat([tables["sales"], twin])}
    contradicted = {**tables, "sales": pd.concat([tables["sales"], twin.assign(units=99)])}
    assert broken(copied) == {"sales_rows_not_repeated"}
    assert "sales_keys_unique" in broken(contradicted)


def test_a_row_that_contradicts_a_stored_one_is_a_conflict() -> None:
    """The same key and moment cannot come with other values later."""
    tables = made()
    fresh = {"sales": tables["sales"].iloc[[-1]].assign(units=99)}
    assert "sales_keys_unique" in broken(fresh, tables)


def test_a_correction_with_a_later_moment_breaks_no_rule() -> None:
    """Corrections are legal however late they come."""
    tables = made()
    later = LAST + pd.Timedelta(hours=23, minutes=30)
    correction = tables["sales"].iloc[[20]].assign(units=3, recorded_at=later)
    assert broken({"sales": correction}, tables) == set()


def test_rows_stored_already_are_not_new() -> None:
    """Delivering twice leaves nothing to judge."""
    sales = made()["sales"]
    assert unknown_rows("sales", sales.tail(8), sales).empty


def test_copies_within_a_delivery_stay_visible_beside_stored_rows() -> None:
    """Only what is stored is left out, not the second copy of a new row."""
    sales = made()["sales"]
    delivered = pd.concat([sales.tail(2), sales.tail(1)])
    assert len(unknown_rows("sales", delivered, sales.iloc[:-1])) == 2


def test_a_day_with_half_its_rows_is_cut_off() -> None:
    """Every day has four rows; one with two cannot be whole."""
    tables = made()
    sales = tables["sales"]
    tables["sales"] = sales[(sales["date"] != LAST) | (sales["store_id"] == "s1")]
    assert "sales_rows_per_day" in broken(tables)


def test_counts_that_vary_by_nature_are_not_cut_off() -> None:
    """A retailer that reports sold items only has few rows on many days."""
    tables = made(items=6)
    sales = tables["sales"]
    luck = np.random.default_rng(5).random(len(sales))
    tables["sales"] = sales[luck < 0.4]
    tables.pop("stock")
    assert "sales_rows_per_day" not in broken(tables)


def test_prices_of_a_whole_day_in_another_unit_reject_the_batch() -> None:
    """Most prices a hundred times too high are no accident of a row."""
    stored, fresh = split(made(items=4), LAST)
    fresh = {**fresh, "sales": fresh["sales"].assign(price=1000.0)}
    assert {"sales_prices_mostly_usual", "sales_price_near_usual"} <= broken(fresh, stored)


def test_a_price_near_the_new_list_price_is_usual() -> None:
    """A catalogue change delivered first explains the jump."""
    stored, fresh = split(made(), LAST)
    fresh = {**fresh, "sales": fresh["sales"].assign(price=70.0)}
    fresh["items"] = make_items(unit_price=70.0, recorded_at=LAST)
    assert broken(fresh, stored) == set()


def test_a_store_whose_days_are_recorded_a_day_off_is_caught() -> None:
    """Every row of the store's day is recorded a day later than is its habit."""
    tables = made()
    sales = tables["sales"].copy()
    shifted = (sales["store_id"] == "s1") & (sales["date"] >= days(190)[-1])
    sales.loc[shifted, "date"] -= pd.Timedelta(days=1)
    assert "sales_dated_as_recorded" in broken({**tables, "sales": sales})


def test_a_silent_store_is_stale() -> None:
    """Three trading days without a row are more than this store ever missed."""
    tables = made()
    sales = tables["sales"]
    silent = (sales["store_id"] == "s2") & (sales["date"] > days(197)[-1])
    assert "sales_fresh" in broken({**tables, "sales": sales[~silent]})


def test_a_silent_gauge_is_stale() -> None:
    """Weather that stopped coming is noticed after its longest usual pause."""
    tables = made()
    observed = tables["weather_observed"]
    tables["weather_observed"] = observed[observed["date"] <= days(196)[-1]]
    assert "weather_observed_fresh" in broken(tables)


def test_a_missing_issue_and_a_missing_lead_are_noticed() -> None:
    """Each place has an issue a day, with as many leads as usual."""
    issued = made()["weather_forecast"]
    absent = issued[issued["issued_at"].dt.normalize() != LAST]
    short = issued.drop(issued.index[-1])
    assert "weather_forecast_issues_complete" in broken({"weather_forecast": absent})
    assert "weather_forecast_issues_complete" in broken({"weather_forecast": short})


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("precip_mm", -0.1, "weather_observed_values_in_range"),
        ("precip_mm", 400.0, "weather_observed_rain_near_record"),
        ("temp_c", 60.0, "weather_observed_values_in_range"),
        ("temp_c", 52.0, "weather_observed_temp_near_season"),
    ],
)
def test_absurd_weather_is_caught(column: str, value: float, rule: str) -> None:
    """Physically impossible, or unheard of at this place and season."""
    tables = made()
    observed = tables["weather_observed"].copy()
    observed.loc[observed.index[-1], column] = value
    assert rule in broken({**tables, "weather_observed": observed})


def test_a_gauge_that_stays_dry_while_rain_is_issued_is_stuck() -> None:
    """Issues that proved right before are believed against a dry gauge."""
    tables = made(count=120)
    observed, issued = tables["weather_observed"].copy(), tables["weather_forecast"]
    today = issued[issued["date"] == issued["issued_at"].dt.normalize()]
    rain = today.merge(observed, on=["location_id", "date"], how="left")["precip_mm_y"].fillna(0)
    exact = today.assign(precip_mm=rain.to_numpy(), precip_probability=(rain > 0).to_numpy() * 1.0)
    late = observed["date"] > days(95)[-1]
    observed.loc[late, "precip_mm"] = 0.0
    scope = Scope(
        {"weather_observed": observed, "weather_forecast": exact, "stores": tables["stores"]},
        {},
        close_of(days(120)[-1]),
    )
    assert dry_surprise(scope.rows("weather_observed"), scope).max() > 12


@given(shift=st.sampled_from([-1, 1]), seed=st.integers(0, 50))
def test_labels_shifted_by_a_day_fit_worse_than_their_neighbours(shift: int, seed: int) -> None:
    """The error under their own labels exceeds a neighbour's only for shifted sales."""
    rng = np.random.default_rng(seed)
    weekday = np.arange(182) % 7
    rain = np.where(rng.random((1, 182)) < 0.35, rng.exponential(5, (1, 182)), 0.0)
    excess = 0.4 * (weekday == 5) + 0.6 * (rain > 0) + 0.2 * rng.standard_normal((1, 182))
    wrong = excess.copy()
    wrong[:, -28:] = np.roll(excess, shift, axis=1)[:, -28:]
    assert misfit(excess, rain, weekday)[0, -2] < 1
    assert misfit(wrong, rain, weekday)[0, -2] > 1.2


@pytest.mark.parametrize("table", [*TABLES])
def test_a_table_without_rows_breaks_no_rule(table: str) -> None:
    """Nothing delivered is nothing wrong, whatever is stored."""
    assert broken({table: empty(table)}, made()) == set()
    assert broken({table: empty(table)}) == set()


def test_optional_tables_may_be_missing() -> None:
    """Without plan, stock and issues the other rules still hold."""
    tables = made()
    kept = {name: rows for name, rows in tables.items() if not TABLES[name].optional}
    assert broken(kept) == set()


def test_every_rule_has_a_name_of_its_own() -> None:
    """Names are what people search for."""
    names = [rule.name for rule in SUITES]
    assert len(names) == len(set(names))


def verdict(*severities: str) -> Verdict:
    """Return a verdict in which a check of each severity failed."""
    checks = tuple(Check(f"c{i}", "sales", s, False, 1, "e") for i, s in enumerate(severities))  # type: ignore[arg-type]
    bad = {"sales": pd.DataFrame({"units": [-1], "reason": ["units is -1"]})}
    return Verdict(checks, 3, {}, bad, pd.Timestamp("2024-03-06"))


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ((), "accepted"),
        (("info",), "accepted_with_warnings"),
        (("info", "warning"), "rows_quarantined"),
        (("warning", "critical", "info"), "rejected"),
    ],
)
def test_the_gravest_failure_decides_the_status(severities: tuple, status: str) -> None:
    """Critical before warning before info."""
    assert verdict(*severities).status == status


def test_the_summary_is_json() -> None:
    """The verdict can be written, sent and shown."""
    assert json.loads(json.dumps(verdict("info").as_dict()))["failed"][0]["name"] == "c0"


def test_quarantined_rows_are_written_with_their_reason(tmp_path) -> None:
    """One CSV a table, named by table and moment; nothing partial is left behind."""
    paths = write_quarantine(verdict("warning"), tmp_path / "q")
    assert [path.name for path in paths] == ["sales-2024-03-06T0000.csv"]
    assert "units is -1" in paths[0].read_text()
    assert list((tmp_path / "q").iterdir()) == paths


def test_importing_quality_does_not_import_great_expectations() -> None:
    """The library takes seconds and is loaded when something is judged."""
    code = "import sys, salescast.quality; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_rule_is_documented_with_its_severity() -> None:
    """The page lists each expectation by name, and what follows from it."""
    page = (Path(__file__).parents[3] / "docs/reference/data-quality.md").read_text("utf-8")
    assert [r.name for r in SUITES if f"| `{r.name}` | {r.severity} |" not in page] == []


def test_a_check_is_changed_by_its_name() -> None:
    """Severity and range of each check can be set; `off` leaves it out."""
    rules = {r.name: r for r in adjusted({"sales_fresh": {"series_overdue": (0, 9)}})}
    assert rules["sales_fresh"].ranges == {"series_overdue": (0.0, 9.0)}
    assert "sales_fresh" not in {r.name for r in adjusted({"sales_fresh": {"severity": "off"}})}


@pytest.mark.parametrize(
    "change",
    [{"no_such": {}}, {"sales_fresh": {"units": (0, 1)}}, {"sales_fresh": {"severity": "x"}}],
)
def test_a_change_of_what_does_not_exist_is_refused(change: dict) -> None:
    """A misspelled check, measure or severity changes nothing silently."""
    with pytest.raises(ConfigError, match=r"quality\.checks"):
        adjusted(change)
