"""Files become contract rows, or one error that names file, column and row."""

from pathlib import Path

import pandas as pd
import pytest

from salescast.data import file_feed
from salescast.errors import DataQualityError, FeedUnavailableError
from tests.builders import make_items, make_sales, make_stores, make_tables

ALL = pd.Timestamp("2100-01-01")
HEADER = "store_id,item_id,date,units,price,promo,sold_out,recorded_at\n"
ROW = "s1,u1,2023-01-02,3,10.0,0,,2023-01-02T23:00:00\n"


def write_csv(folder: Path, **tables: pd.DataFrame) -> Path:
    """Write each table as `<table>.csv`."""
    for table, rows in tables.items():
        rows.to_csv(folder / f"{table}.csv", index=False)
    return folder


def read_sales(folder: Path) -> pd.DataFrame:
    """Return everything the folder's sales hold."""
    return file_feed.feed(folder, ["sales"])(None, ALL)["sales"]


def test_csv_files_hold_what_was_written(tmp_path):
    """Every table survives a round trip through CSV."""
    tables = make_tables(5)

    delivered = file_feed.feed(write_csv(tmp_path, **tables))(None, ALL)

    assert set(delivered) == set(tables)
    for table, rows in tables.items():
        pd.testing.assert_frame_equal(delivered[table], rows)


def test_parquet_files_hold_what_was_written(tmp_path):
    """Every table survives a round trip through Parquet."""
    tables = make_tables(5)
    for table, rows in tables.items():
        rows.to_parquet(tmp_path / f"{table}.parquet")

    delivered = file_feed.feed(tmp_path)(None, ALL)

    for table, rows in tables.items():
        pd.testing.assert_frame_equal(delivered[table], rows)


def test_a_folder_of_files_is_one_table(tmp_path):
    """One file per month, CSV or Parquet, adds up."""
    sales = make_sales(4, stores=1, items=1)
    (tmp_path / "sales").mkdir()
    sales[:2].to_csv(tmp_path / "sales" / "a.csv", index=False)
    sales[2:].to_parquet(tmp_path / "sales" / "b.parquet")

    assert read_sales(tmp_path)["units"].tolist() == sales["units"].tolist()


def test_only_what_became_known_in_the_window_is_delivered(tmp_path):
    """`since` is included, `until` is not."""
    sales = make_sales(5, stores=1, items=1)
    since, until = sales["recorded_at"][1], sales["recorded_at"][3]

    delivered = file_feed.feed(write_csv(tmp_path, sales=sales), ["sales"])(since, until)

    assert delivered["sales"]["date"].tolist() == sales["date"][1:3].tolist()


def test_ids_keep_their_leading_zeros(tmp_path):
    """Store 007 is not store 7."""
    write_csv(tmp_path, sales=make_sales(1, stores=1, items=1, store_id="007", item_id="00"))

    delivered = read_sales(tmp_path)

    assert (delivered["store_id"][0], delivered["item_id"][0]) == ("007", "00")


def test_na_is_a_country_and_empty_is_unknown(tmp_path):
    """Namibia's code is text; an empty field is a null."""
    write_csv(tmp_path, stores=make_stores(1, country="NA"))

    delivered = file_feed.feed(tmp_path, ["stores"])(None, ALL)["stores"]

    assert delivered["country"][0] == "NA"
    assert pd.isna(delivered["opened_on"][0])


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    """Spreadsheets write one; it is skipped."""
    (tmp_path / "sales.csv").write_text(HEADER + ROW, encoding="utf-8-sig")

    assert read_sales(tmp_path)["store_id"].tolist() == ["s1"]


def test_quoted_values_may_hold_commas_and_line_breaks(tmp_path):
    """CSV as spreadsheets write it."""
    write_csv(tmp_path, items=make_items(1, name='big, "red"\numbrella'))

    delivered = file_feed.feed(tmp_path, ["items"])(None, ALL)["items"]

    assert delivered["name"][0] == 'big, "red"\numbrella'


def test_without_a_moment_a_sale_is_known_as_its_day_ends(tmp_path):
    """Files without `recorded_at` work: known at 23:59:59 of the row's date."""
    write_csv(tmp_path, sales=make_sales(1, stores=1, items=1).drop(columns="recorded_at"))

    delivered = read_sales(tmp_path)

    assert delivered["recorded_at"][0] == pd.Timestamp("2023-01-02 23:59:59")


def test_without_a_moment_a_store_is_delivered_every_time(tmp_path):
    """A store added later to a file without `recorded_at` is not missed."""
    write_csv(tmp_path, stores=make_stores(2).drop(columns="recorded_at"))

    delivered = file_feed.feed(tmp_path, ["stores"])(pd.Timestamp("2024-01-01"), ALL)["stores"]

    assert delivered["recorded_at"].tolist() == [pd.Timestamp("1970-01-01")] * 2


def test_an_absent_optional_table_is_not_in_the_delivery(tmp_path):
    """No plan, no stock, no issued forecasts: the delivery does without."""
    tables = make_tables(3)
    required = {t: tables[t] for t in ("stores", "items", "sales", "weather_observed")}

    delivered = file_feed.feed(write_csv(tmp_path, **required))(None, ALL)

    assert set(delivered) == set(required)


def test_a_file_with_a_header_alone_has_no_rows(tmp_path):
    """A quiet day is not an error."""
    (tmp_path / "sales.csv").write_text(HEADER)

    assert len(read_sales(tmp_path)) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"sales\.csv: the file is empty"),
        (b"\n\n", r"sales\.csv: the file is empty"),
        (HEADER + ROW + "s1,u1,2023-0", r"sales\.csv: row 2 \(line 3\): 3 values instead of 8"),
        (HEADER + ROW.strip() + ",9\n", r"sales\.csv: row 1 \(line 2\): 9 values instead of 8"),
        ((HEADER + ROW).encode() + b"caf\xe9,u1", r"sales\.csv: line 3: byte 0xe9 is not UTF-8"),
        ((HEADER + ROW).encode("utf-16"), r"sales\.csv: line 1: byte 0xff is not UTF-8"),
        (HEADER.replace("units", "qty") + ROW, r"sales\.csv: column units is missing"),
        (HEADER.replace("units", "price") + ROW, r"sales\.csv: column price appears twice"),
        ((HEADER + ROW).replace(",", ";"), r"sales\.csv: column .* is missing"),
        (HEADER + ROW + ROW.replace(",3,", ",x,"), r"sales\.csv: column units, row 2: 'x'"),
        (HEADER + ROW.replace(",3,", ",3.5,"), r"sales\.csv: column units, row 1: '3\.5'"),
        (HEADER + ROW.replace(",3,", ",,"), r"sales\.csv: column units, row 1: nan"),
        (HEADER + ROW.replace("01-02,", "13-02,"), r"sales\.csv: column date, row 1"),
        (HEADER + ROW.replace(",0,,", ",maybe,,"), r"sales\.csv: column promo, row 1"),
    ],
)
def test_a_bad_csv_file_is_one_error_that_says_where(tmp_path, content, message):
    """File, column and row are named."""
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "sales.csv").write_bytes(raw)

    with pytest.raises(DataQualityError, match=message):
        read_sales(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 500])
def test_a_truncated_parquet_file_is_an_error_naming_it(tmp_path, size):
    """Empty or cut short, it is refused by name."""
    path = tmp_path / "sales.parquet"
    make_sales(5).to_parquet(path)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(DataQualityError, match=r"sales\.parquet: "):
        read_sales(tmp_path)


def test_a_missing_required_table_is_an_error_saying_where_to_put_it(tmp_path):
    """No sales, no forecast."""
    with pytest.raises(DataQualityError, match=r"sales\.csv: no such file; put sales\.csv"):
        read_sales(tmp_path)


def test_a_file_that_cannot_be_read_is_worth_a_retry(tmp_path):
    """A folder where a file should be: the feed is unavailable, not the data wrong."""
    (tmp_path / "sales.csv").mkdir()

    with pytest.raises(FeedUnavailableError, match=r"sales\.csv: cannot be read"):
        read_sales(tmp_path)
