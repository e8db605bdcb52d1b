"""A database becomes contract rows: SQLite always, PostgreSQL where there is one."""

from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from salescast.data import sql_feed
from salescast.errors import ConfigError, DataQualityError, FeedUnavailableError
from tests.builders import make_sales, make_tables

ALL = pd.Timestamp("2100-01-01")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database that holds five days of every table."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'retail.db'}"
    else:
        address = request.getfixturevalue("postgres_url")
    fill(address, make_tables(5))
    return address


def fill(url: str, tables: dict[str, pd.DataFrame]) -> None:
    """Write each table under its own name."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    for table, rows in tables.items():
        rows.to_sql(table, engine, index=False)


def run(url: str, statement: str) -> None:
    """Execute one statement."""
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql(statement)


def test_tables_of_the_contracts_names_need_no_queries(url):
    """Every table comes back as it was put in."""
    delivered = sql_feed.feed(url, {})(None, ALL)

    assert set(delivered) == set(make_tables(1))
    for table, rows in make_tables(5).items():
        pd.testing.assert_frame_equal(delivered[table], rows)


def test_rows_known_long_before_the_window_are_not_asked_for(url):
    """A month before it is, for what was entered late; an older history is not read again."""
    since = make_sales(5)["recorded_at"].max()
    feed = sql_feed.feed(url, {}, ["sales"])

    assert len(feed(since, ALL)["sales"]) == len(make_sales(5))
    assert len(feed(since + 2 * sql_feed.LOOKBACK, ALL)["sales"]) == 0


def test_a_row_without_a_moment_is_always_asked_for(url):
    """Nobody knows when it became known: what is new is settled later, as for files."""
    run(url, "UPDATE sales SET recorded_at = NULL WHERE item_id = 'u1'")

    rows = sql_feed.feed(url, {}, ["sales"])(ALL, ALL)["sales"]

    assert set(rows["item_id"]) == {"u1"}
    assert rows["recorded_at"].isna().all()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM sales -- all tills",
        "-- all tills\nSELECT * FROM sales; ",
        "SELECT * FROM sales; /* all\ntills */ ;",
        "WITH tills AS (SELECT * FROM sales) SELECT * FROM tills ORDER BY date;",
    ],
)
def test_a_query_may_end_as_people_end_queries(url, query):
    """With a semicolon, with a comment, or both."""
    rows = sql_feed.feed(url, {"sales": query}, ["sales"])(None, ALL)["sales"]
    assert len(rows) == len(make_sales(5))


@pytest.mark.parametrize(
    "query", ["SELECT * FROM", "SELECT (FROM sales", "SELECT nothing FROM sales"]
)
def test_a_mistake_in_a_query_is_no_outage(url, query):
    """It is a mistake of the configuration at once, not a database to be retried."""
    with pytest.raises(ConfigError, match="refuses the query"):
        sql_feed.feed(url, {"sales": query}, ["sales"])(None, ALL)


def test_columns_in_capitals_and_other_names_are_found(url):
    """As some databases answer, and as the configuration maps them."""
    query = (
        "SELECT store_id AS STORE, item_id AS ITEM_ID, date AS DATE, units AS UNITS, "
        "price * 100 AS CENTS, promo AS PROMO FROM sales"
    )
    columns = {"sales": {"store_id": "store", "price": {"column": "cents", "factor": 0.01}}}

    rows = sql_feed.feed(url, {"sales": query}, ["sales"], columns)(None, ALL)["sales"]

    assert set(rows["store_id"]) == {"s1", "s2"}
    assert rows["price"].tolist() == pytest.approx(make_sales(5)["price"].tolist())


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_postgres_address_is_taken_as_hosts_give_it(scheme):
    """The driver is ours to know: the address is refused by nobody answering, not by its name."""
    with pytest.raises(FeedUnavailableError, match="does not answer"):
        sql_feed.feed(f"{scheme}://u@127.0.0.1:9/x", {})(None, ALL)


def test_a_query_maps_other_names_to_the_contract(url):
    """Someone else's columns, renamed in SQL; without `recorded_at` no moment is known."""
    query = (
        "SELECT store_id, item_id, date, units AS units, price, promo, sold_out"
        " FROM sales WHERE item_id = 'u1';"
    )

    delivered = sql_feed.feed(url, {"sales": query}, ["sales"])(None, ALL)["sales"]

    assert set(delivered["item_id"]) == {"u1"}
    assert delivered["recorded_at"].isna().all()


def test_another_table_may_be_named(url):
    """A view or a table under its own name."""
    run(url, "CREATE VIEW tills AS SELECT * FROM sales WHERE store_id = 's2'")

    delivered = sql_feed.feed(url, {"sales": "tills"}, ["sales"])(None, ALL)["sales"]

    assert set(delivered["store_id"]) == {"s2"}


def test_long_tables_are_read_in_pieces(url, monkeypatch):
    """Pieces smaller than the table add up to it."""
    monkeypatch.setattr(sql_feed, "CHUNK_ROWS", 7)

    delivered = sql_feed.feed(url, {}, ["sales"])(None, ALL)["sales"]

    pd.testing.assert_frame_equal(delivered, make_sales(5))


def test_an_empty_table_delivers_no_rows(url):
    """A table without rows is no error."""
    run(url, "DELETE FROM plan")

    assert len(sql_feed.feed(url, {}, ["plan"])(None, ALL)["plan"]) == 0


def test_an_absent_optional_table_is_not_in_the_delivery(url):
    """No stock table: the delivery does without."""
    run(url, "DROP TABLE stock")

    assert "stock" not in sql_feed.feed(url, {})(None, ALL)


def test_an_absent_required_table_is_an_error_naming_it(url):
    """No sales table and no query for it: the message says what to configure."""
    run(url, "DROP TABLE sales")

    with pytest.raises(DataQualityError, match=r"no table sales.*feed\.sql\.queries\.sales"):
        sql_feed.feed(url, {})(None, ALL)


def test_a_wrong_value_is_an_error_naming_column_and_row(url):
    """Negative prices are quality's business; text for a price is ours."""
    query = "SELECT store_id, item_id, date, units, 'dear' AS price, promo, sold_out FROM sales"

    with pytest.raises(DataQualityError, match=r"queries\.sales.*column price, row 1: 'dear'"):
        sql_feed.feed(url, {"sales": query}, ["sales"])(None, ALL)


@pytest.mark.parametrize("query", ["SELECT nothing FROM nowhere", "SELEC * FROM sales"])
def test_a_query_the_database_refuses_is_an_error_of_configuration(url, query):
    """A typo is not worth a retry."""
    with pytest.raises(ConfigError, match=r"feed\.sql\.queries\.sales.*refuses the query"):
        sql_feed.feed(url, {"sales": query}, ["sales"])(None, ALL)


def test_moments_as_text_with_a_t_are_read_as_moments(tmp_path):
    """SQLite keeps moments as text, with ISO's T or without."""
    url = f"sqlite:///{tmp_path / 'retail.db'}"
    sales = make_sales(5, stores=1, items=1)
    moments = sales["recorded_at"]
    fill(url, {"sales": sales.assign(recorded_at=moments.dt.strftime("%Y-%m-%dT%H:%M:%S"))})

    delivered = sql_feed.feed(url, {}, ["sales"])(moments[1], moments[3])["sales"]

    assert delivered["recorded_at"].tolist() == moments.tolist()


def test_moments_with_a_time_zone_become_utc(url):
    """Moments written with an offset are converted, whatever zone the server is in."""
    query = "SELECT s.*, '2023-01-09T01:30:00+02:00' AS seen FROM sales s"
    named = f"SELECT store_id, item_id, date, units, price, promo, sold_out, seen AS recorded_at \
        FROM ({query}) AS q"
    if url.startswith("postgresql"):
        named = named.replace("seen AS", "seen::timestamptz AS")

    delivered = sql_feed.feed(url, {"sales": named}, ["sales"])(None, ALL)["sales"]

    assert set(delivered["recorded_at"]) == {pd.Timestamp("2023-01-08 23:30")}


def test_a_missing_sqlite_file_is_unavailable_and_not_created(tmp_path):
    """SQLite would create an empty database; we say that there is none."""
    with pytest.raises(FeedUnavailableError, match="no such file"):
        sql_feed.feed(f"sqlite:///{tmp_path / 'typo.db'}", {})(None, ALL)

    assert not (tmp_path / "typo.db").exists()


def test_a_server_that_does_not_answer_is_worth_a_retry_and_keeps_the_password(unused_port):
    """The message names the database and never the password."""
    url = f"postgresql+psycopg://planner:hush@127.0.0.1:{unused_port}/retail"

    with pytest.raises(FeedUnavailableError, match=r"127\.0\.0\.1/retail") as caught:
        sql_feed.feed(url, {})(None, ALL)

    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "no url hush", "postgresql://u:hush@hush@host/db", "x://hush"])
def test_a_malformed_url_is_an_error_of_configuration_and_keeps_the_password(url):
    """The message names the key and repeats nothing of the URL."""
    with pytest.raises(ConfigError, match=r"feed\.sql\.url") as caught:
        sql_feed.feed(url, {})(None, ALL)

    assert "hush@" not in str(caught.value)


def test_a_query_for_an_unknown_table_is_an_error_of_configuration(tmp_path):
    """A misspelt key does not go unnoticed."""
    with pytest.raises(ConfigError, match=r"feed\.sql\.queries\.slaes: no such contract table"):
        sql_feed.feed("sqlite:///x.db", {"slaes": "sales"})


@pytest.fixture
def unused_port() -> int:
    """Port of this machine on which nobody listens."""
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
