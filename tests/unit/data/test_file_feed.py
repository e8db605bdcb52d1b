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


def test_old_rows_are_delivered_again(tmp_path):
    """A store's late days and corrected old ones are among them: what is new is settled later."""
    sales = make_sales(5, stores=1, items=1)

    delivered = file_feed.feed(write_csv(tmp_path, sales=sales), ["sales"])(ALL, ALL)

    assert delivered["sales"]["date"].tolist() == sales["date"].tolist()


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


@pytest.mark.parametrize("moment", [None, "", " "])
def test_a_row_without_a_moment_says_so(tmp_path, moment):
    """No column `recorded_at`, or nothing in it: when the row became known is settled later."""
    sales = make_sales(1, stores=1, items=1).drop(columns="recorded_at")
    write_csv(tmp_path, sales=sales if moment is None else sales.assign(recorded_at=moment))

    assert pd.isna(read_sales(tmp_path)["recorded_at"][0])


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
        ((HEADER + ROW).replace(",", ";"), r"sales\.csv: values are separated by semicolons"),
        ((HEADER + ROW).replace(",", "\t"), r"sales\.csv: values are separated by tabs"),
        (HEADER + ROW + "\0" + ROW, r"sales\.csv: line 3: a NUL byte"),
        (
            HEADER + ROW.replace(",10.0,", ',"10,00",'),
            r"decimal commas, which come with semicolons",
        ),
        (HEADER + ROW + "Total,,,3,,,,\n", r"column item_id, row 2: is missing.*lines of totals"),
        (HEADER + ROW + ROW.replace(",3,", ",x,"), r"sales\.csv: column units, row 2: 'x'"),
        (HEADER + ROW.replace(",3,", ",3.5,"), r"sales\.csv: column units, row 1: '3\.5'"),
        (HEADER + ROW.replace(",3,", ",,"), r"sales\.csv: column units, row 1: is missing"),
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


def test_a_file_that_cannot_be_read_is_worth_a_retry(tmp_path, monkeypatch):
    """The disk does not answer: the feed is unavailable, not the data wrong."""
    (tmp_path / "sales.csv").write_text(HEADER + ROW)

    def fail(_path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(FeedUnavailableError, match=r"sales\.csv: cannot be read"):
        read_sales(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + ROW).replace("\n", "\r"),
        HEADER + ROW + "   \n\n",
        HEADER + ROW + ",,,,,,,\n,,,,,,,\n",
        "# exported yesterday\n\n" + HEADER + ROW,
        HEADER.upper().replace("_", " ") + ROW,
        (HEADER + ROW).replace(",0,,", ",N,,"),
        (HEADER + ROW).replace(",0,,", ",f,,"),
        (HEADER + ROW).replace(",3,", ",3.0,"),
        (HEADER + ROW).replace("2023-01-02,", "2023-01-02T00:00:00+05:30,"),
    ],
)
def test_what_spreadsheets_and_databases_leave_in_a_csv_file_is_understood(tmp_path, content):
    """Old line breaks, blank lines, comments, capitals, flags as letters, midnights with a zone."""
    (tmp_path / "sales.csv").write_bytes(content.encode())

    rows = read_sales(tmp_path)

    assert rows[["store_id", "units", "promo"]].values.tolist() == [["s1", 3, False]]
    assert rows["date"].tolist() == [pd.Timestamp("2023-01-02")]


def test_an_inch_sign_is_no_quotation_mark(tmp_path):
    """A value with one quotation mark in it is read as it is."""
    write_csv(tmp_path, items=make_items(2))
    path = tmp_path / "items.csv"
    path.write_text(path.read_text().replace("umbrella", '19" umbrella', 1))

    names = file_feed.feed(tmp_path, ["items"])(None, ALL)["items"]["name"]

    assert names.tolist() == ['19" umbrella', "umbrella"]


@pytest.mark.parametrize(
    "name",
    [
        "sales.CSV",
        "sales.csv.gz",
        "Sales.parquet",
        "sales/2023.csv",
        "sales.parquet/part-0.parquet",
        "sales/year=2023/month=1/a.parquet",
    ],
)
def test_a_table_is_found_however_its_file_is_called(tmp_path, name):
    """Capitals, gzip, and folders of parts as other programs write them."""
    path, sales = tmp_path / name, make_sales(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    write = sales.to_parquet if name.endswith("parquet") else sales.to_csv
    write(path, index=False)
    (path.parent / "_SUCCESS").touch()
    (path.parent / "._sales.csv").write_bytes(b"\x00\x05\x16\x07")

    delivery = file_feed.feed(tmp_path, ["sales"])(None, ALL)

    assert len(delivery["sales"]) == len(sales)
    assert delivery.left_out == ()


@pytest.mark.parametrize("name", ["sales.xlsx", "sale.csv", "sales/2023.txt", "old/sales.csv"])
def test_a_file_that_is_not_read_is_named(tmp_path, name):
    """Another format, or a name that is no table's: the line says what is read."""
    write_csv(tmp_path, sales=make_sales(3))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")

    (line,) = file_feed.feed(tmp_path, ["sales"])(None, ALL).left_out

    assert name in line
    assert "is not read" in line


def test_another_export_is_mapped_by_configuration_alone(tmp_path):
    """Semicolons, decimal commas, other names, cents and a day-first date, without a script."""
    text = "Filiale;Artikel;Tag;Menge;Preis;Aktion\n7;A1;02.01.2023;1.003;1.250,5;ja\n"
    (tmp_path / "verkauf_2023.csv").write_text(text, encoding="cp1252")
    columns = {
        "store_id": "Filiale",
        "item_id": "Artikel",
        "date": {"column": "Tag", "format": "%d.%m.%Y"},
        "units": "Menge",
        "price": {"column": "Preis", "factor": 0.01},
        "promo": {"column": "Aktion", "values": {"ja": "true", "nein": "false"}},
        "sold_out": {"value": False},
    }
    form = file_feed.FileFormat(";", ",", "cp1252", {"sales": "verkauf_*.csv"}, {"sales": columns})

    (row,) = file_feed.feed(tmp_path, ["sales"], form)(None, ALL)["sales"].to_dict("records")

    assert row["store_id"] == "7"
    assert row["date"] == pd.Timestamp("2023-01-02")
    assert row["units"] == 1003
    assert row["price"] == pytest.approx(12.505)
    assert row["promo"] is True


def test_a_mapped_column_that_is_absent_is_named_with_what_there_is(tmp_path):
    """A typing error in the configuration is found at once."""
    write_csv(tmp_path, sales=make_sales(1))
    form = file_feed.FileFormat(columns={"sales": {"units": "Menge"}})

    with pytest.raises(DataQualityError, match=r"'Menge' is missing.*found store_id"):
        file_feed.feed(tmp_path, ["sales"], form)(None, ALL)


def test_an_index_that_holds_a_column_is_found(tmp_path):
    """Pandas writes `set_index("date")` into Parquet."""
    make_sales(3).set_index("date").to_parquet(tmp_path / "sales.parquet")

    assert read_sales(tmp_path)["date"].tolist() == make_sales(3)["date"].tolist()


def test_ids_that_became_decimals_are_whole_again(tmp_path):
    """A gap in the column had made 7 a 7.0."""
    make_sales(3).assign(item_id=7.0).to_parquet(tmp_path / "sales.parquet")

    assert set(read_sales(tmp_path)["item_id"]) == {"7"}
