"""Deliveries as other products' users report them: each is stored whole, or refused by name.

The cases are not part of the project; without them the test is skipped.
"""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from salescast.contract.schema import latest
from salescast.data import store
from salescast.errors import SalescastError
from salescast.settings import read_settings
from salescast.stages.ingestion import ingest

CASES = Path(__file__).parents[3] / "shared" / "cases"
WHOLE = {
    "01-parquet-pandas-index": "2025-01-02 … 2025-03-02",
    "03-parquet-local-midnight-tz": "2025-01-02 … 2025-03-02",
    "04-csv-local-midnight-offset": "2025-03-03 … 2025-06-30",
    "05-float-ids-parquet": "2025-01-02 … 2025-03-02",
    "11-files-passed-over": "2025-01-02 … 2025-03-02",
    "11-files-passed-over-alone": "2025-01-02 … 2025-03-02",
    "12-appledouble": "2025-01-02 … 2025-03-02",
    "13-spark-folder": "2025-01-02 … 2025-03-02",
    "13-spark-folder-hive": "2025-01-02 … 2025-03-02",
    "15-headers-spaced-upper": "2025-01-02 … 2025-03-02",
    "20-psql-booleans": "2025-01-02 … 2025-03-02",
    "32-cr-only-and-nul": "2025-01-02 … 2025-03-02",
    "32-cr-only-and-nul-blank": "2025-01-02 … 2025-03-02",
    "32-cr-only-and-nul-comments": "2025-01-02 … 2025-03-02",
    "32-cr-only-and-nul-empty-last": "2025-01-02 … 2025-03-02",
    "32-cr-only-and-nul-quote": "2025-01-02 … 2025-03-02",
    "40-country-words": "2025-01-02 … 2025-03-02",
    "51-sql-trailing-comment": "2025-01-02 … 2025-03-02",
    "51-sql-trailing-comment-cte": "2025-01-02 … 2025-03-02",
    "51-sql-trailing-comment-first": "2025-01-02 … 2025-03-02",
    "53-sql-upper-columns": "2025-01-02 … 2025-03-02",
    "71-config-bom": "2025-01-02 … 2025-03-02",
    "84-huf-krw-costs-IDR": "2025-01-02 … 2025-03-02",
    "84-huf-krw-costs-KRW": "2025-01-02 … 2025-03-02",
    "84-huf-krw-costs-VND": "2025-01-02 … 2025-03-02",
}
REFUSED = {
    "14-semicolon-decimal-comma": "semicolons",
    "18-sold-by-weight": "goods sold by weight are not supported",
    "32-cr-only-and-nul-trailer": "lines of totals",
}
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no shared/cases beside the project")


def workspace(case: str, root: Path) -> Path:
    """Return a copy of a case that can be written to."""
    shutil.copytree(CASES / case, root / case, copy_function=shutil.copyfile)
    for path in (root / case, *(root / case).rglob("*")):
        path.chmod(0o755)
    config = root / case / "config.toml"
    text = config.read_bytes().replace(
        f"sqlite:///{case}/".encode(), f"sqlite:///{root / case}/".encode()
    )
    config.write_bytes(text)
    return root / case


def take(folder: Path, until: str) -> dict:
    """Ingest until a day."""
    return ingest(read_settings(folder / "config.toml"), date.fromisoformat(until))


@pytest.mark.parametrize("case", WHOLE)
def test_what_can_be_understood_is_stored_whole_on_the_days_written(tmp_path, case):
    """Every row, none of it a day earlier, nothing quarantined or left out."""
    folder = workspace(case, tmp_path)
    first, last = WHOLE[case].split(" … ")
    until = pd.Timestamp(last) + pd.Timedelta(days=1)

    result = take(folder, f"{until:%Y-%m-%d}")

    sales = store.read(folder / "data", "sales")
    assert (result["quarantined"], result["left_out"]) == (0, [])
    assert len(sales) == 6 * len(pd.date_range(first, last))
    assert (f"{sales['date'].min():%Y-%m-%d}", f"{sales['date'].max():%Y-%m-%d}") == (first, last)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_understood_is_refused_by_name(tmp_path, case):
    """The message says what was found and what to do."""
    folder = workspace(case, tmp_path)

    with pytest.raises(SalescastError, match=REFUSED[case]):
        take(folder, "2025-03-03")


def steps(case: str, root: Path) -> tuple[list[dict], Path]:
    """Ingest the days of a case one after another; return the results and the workspace."""
    folder, results = workspace(case, root), []
    for line in (folder / "STEPS").read_text("utf-8").splitlines():
        day, until = line.split()
        shutil.rmtree(folder / "inbox", ignore_errors=True)
        shutil.copytree(folder / day, folder / "inbox")
        results.append(take(folder, until))
    return results, folder


def test_late_days_of_a_store_are_taken_in(tmp_path):
    """Six rows more on the second day."""
    results, _ = steps("08-late-store-file", tmp_path)
    assert [result["rows"]["sales"] for result in results] == [2874, 6]


def test_a_correction_without_a_moment_is_taken_in(tmp_path):
    """What is known of the day from then on is the corrected value."""
    _, folder = steps("09-correction-without-moment", tmp_path)
    sales = latest("sales", store.read(folder / "data", "sales"))
    corrected = sales[(sales["store_id"] == "s1") & (sales["date"] == "2025-02-25")]
    assert corrected["units"].tolist() == [57, 56, 56]


def test_the_whole_day_takes_the_place_of_its_part(tmp_path):
    """The day that was exported at noon is whole on the next one."""
    _, folder = steps("10-intraday-then-whole", tmp_path)
    sales = latest("sales", store.read(folder / "data", "sales"))
    assert sales.loc[sales["date"] == "2025-03-02", "units"].tolist() == [17, 7, 8, 9, 5, 7]


def test_a_changed_item_is_known_from_its_change_on(tmp_path):
    """One row more, without a conflict."""
    results, _ = steps("35-item-changed-without-moment", tmp_path)
    assert [result["rows"]["items"] for result in results] == [3, 1]
    assert results[1]["quarantined"] == 0


def test_an_unknown_country_and_time_zone_are_named(tmp_path):
    """They are stored; the lines say what the store does without."""
    result = take(workspace("40-country-words", tmp_path), "2025-03-03")
    assert "timezone_known" in result["summary"]
