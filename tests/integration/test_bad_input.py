"""Whatever is wrong with what comes in: one clear line, nothing lost, nothing half-written."""

import errno
import os
import resource
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from salescast.contract.schema import as_of
from salescast.data import store
from salescast.data.files import replace
from salescast.errors import StoreUnavailableError
from salescast.settings import read_settings
from tests.builders import FIRST, make_tables
from tests.workspaces import contents, make_workspace, record_decision, run_apart, run_here

COUNT = 60
DAY = f"{FIRST + pd.Timedelta(days=COUNT - 1):%Y-%m-%d}"
EARLY = f"{FIRST + pd.Timedelta(days=COUNT - 3):%Y-%m-%d} 23:00:00"
BEFORE = FIRST + pd.Timedelta(days=COUNT - 2)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Workspace with all days but the last stored, and the last one waiting in the inbox."""
    make_workspace(tmp_path, make_tables(COUNT))
    store.append(tmp_path / "data", as_of(make_tables(COUNT), BEFORE))
    return tmp_path


def sales_of(shop: Path) -> Path:
    """Return the file with the sales."""
    return shop / "inbox" / "sales.csv"


def change(shop: Path, table: str, **columns: object) -> None:
    """Change columns of the last row of a table."""
    path = shop / "inbox" / f"{table}.csv"
    rows = pd.read_csv(path, dtype="str")
    for name, value in columns.items():
        rows.loc[len(rows) - 1, name] = str(value)
    rows.to_csv(path, index=False)


def _missing(shop: Path) -> None:
    sales_of(shop).unlink()


def _empty(shop: Path) -> None:
    sales_of(shop).write_bytes(b"")


def _truncated(shop: Path) -> None:
    sales_of(shop).write_bytes(sales_of(shop).read_bytes()[:-30])


def _latin(shop: Path) -> None:
    sales_of(shop).write_bytes(sales_of(shop).read_bytes().replace(b"s2,u2", b"s\xe9,u2", 1))


def _no_price(shop: Path) -> None:
    pd.read_csv(sales_of(shop)).drop(columns="price").to_csv(sales_of(shop), index=False)


def _renamed(shop: Path) -> None:
    sales_of(shop).write_text(sales_of(shop).read_text().replace("units", "quantity", 1))


FILES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "missing": (_missing, ["sales.csv: no such file; put sales.csv"]),
    "empty": (_empty, ["sales.csv: the file is empty; deliver it again"]),
    "truncated": (_truncated, ["sales.csv: row 240 (line 241)", "the file is truncated"]),
    "not UTF-8": (_latin, ["sales.csv: line 182: byte 0xe9", "save it as UTF-8"]),
    "no column": (_no_price, ["sales.csv: column price is missing", "needs store_id, item_id"]),
    "wrong column": (_renamed, ["sales.csv: column units is missing"]),
    "text for a number": (
        lambda shop: change(shop, "sales", units="many"),
        ["sales.csv: column units, row 240: 'many' is not a count (units sold)"],
    ),
    "half an umbrella": (
        lambda shop: change(shop, "sales", units="1.5"),
        ["sales.csv: column units, row 240: '1.5' is not a count"],
    ),
    "no date": (
        lambda shop: change(shop, "sales", date="31.02.2023"),
        ["sales.csv: column date, row 240: '31.02.2023' is not a date"],
    ),
    "infinite rain": (
        lambda shop: change(shop, "weather_observed", precip_mm="inf"),
        ["weather_observed.csv: column precip_mm, row 120: 'inf' is not a number"],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_refused_whole(shop, monkeypatch, capfd, name):
    """The line names file, column, row and fix; data and build are as they were."""
    spoil, words = FILES[name]
    spoil(shop)
    before = contents(shop / "data")

    done = run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY)

    assert done.code == 1
    assert [word for word in words if word not in done.error] == []
    assert done.out == ""
    assert contents(shop / "data") == before
    assert not (shop / "build" / "incoming").exists()


def test_rows_that_cannot_be_are_set_aside_by_name_and_the_others_stored(shop, monkeypatch, capfd):
    """Each kind of absurd row lands in quarantine with its reason; the good rows are stored."""
    sales = pd.read_csv(sales_of(shop), dtype="str")
    good, other = dict(sales.iloc[-1]), dict(sales.iloc[COUNT - 1])
    later = f"{FIRST + pd.Timedelta(days=COUNT + 400):%Y-%m-%d}"
    bad = {
        "units is -3": {"units": "-3"},
        "sales_moments_plausible: days_known_after is -4": {"date": later},
        "store_known is 0": {"store_id": "s9"},
        "item_known is 0": {"item_id": "u9"},
        "sales_price_near_usual": {"price": "999"},
        "other_spelling is 1": {"item_id": "U2"},
    }
    absurd = [good | {"recorded_at": f"{DAY} 22:59:0{i}"} | v for i, v in enumerate(bad.values())]
    out_of_order = sales.sample(frac=1, random_state=1)
    rows = [out_of_order, pd.DataFrame([*absurd, other | {"units": "77"}])]
    pd.concat(rows).to_csv(sales_of(shop), index=False)
    change(shop, "weather_observed", temp_c="451")

    done = run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY)

    quarantined = {
        path.stem.partition("-2")[0]: pd.read_csv(path)
        for path in (shop / "build" / "quarantine").glob("*.csv")
    }
    reasons = " ".join(quarantined["sales"]["reason"])
    weather = quarantined["weather_observed"]["reason"].item()
    stored = store.read(shop / "data", "sales")
    assert done.code == 4, done.err
    assert [name for name in [*bad, "sales_keys_unique"] if name not in reasons] == []
    assert "weather_observed_values_in_range: temp_c is 451" in weather
    assert f"{len(quarantined['sales']) + 1} quarantined" in done.err
    assert len(stored) == 4 * COUNT - 1  # all but the row that was told two ways
    assert stored["units"].between(0, 76).all()


def test_a_delivery_cut_off_is_rejected_and_kept_for_inspection(shop, monkeypatch, capfd):
    """Rows of most series are missing: nothing is stored, the line says where the rows are."""
    sales = pd.read_csv(sales_of(shop), dtype="str")
    sales[(sales["date"] < DAY) | (sales["store_id"] == "s1") & (sales["item_id"] == "u1")].to_csv(
        sales_of(shop), index=False
    )
    before = contents(shop / "data")

    done = run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY)

    assert done.code == 1
    assert "sales_rows_per_day" in done.error
    assert str(shop / "build" / "quarantine") in done.error
    assert "deliver the day again, whole" in done.error
    assert contents(shop / "data") == before


def test_after_the_fix_the_next_run_stores_the_day(shop, monkeypatch, capfd):
    """A refused delivery leaves nothing behind that is in the way of the repaired one."""
    whole = sales_of(shop).read_bytes()
    _truncated(shop)
    run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY)
    sales_of(shop).write_bytes(whole)

    done = run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY)

    assert done.code == 0, done.err
    assert len(store.read(shop / "data", "sales")) == 4 * COUNT


@pytest.mark.parametrize("command", ["forecast", "promote", "rollback", "monitor", "train"])
def test_too_early_a_command_says_what_to_run_first(tmp_path, monkeypatch, capfd, command):
    """No data, no champion, no decision: one line with the command that is missing."""
    make_workspace(tmp_path, {})

    done = run_here(tmp_path, monkeypatch, capfd, command)

    assert done.code == 1
    assert "salescast " in done.error or "no previous champion" in done.error
    assert done.out == ""


@pytest.mark.parametrize(
    ("uri", "where"),
    [
        ("http://127.0.0.1:9", "the registry (http 127.0.0.1)"),
        ("sqlite:////dev/null/mlflow.db", "the registry (sqlite"),
    ],
)
def test_a_registry_out_of_reach_is_one_line_naming_it(shop, monkeypatch, capfd, uri, where):
    """Nobody answers, or the disk does not: within seconds the line says which key to look at."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    record_decision(read_settings(shop / "config.toml"), 1)

    done = run_here(shop, monkeypatch, capfd, "promote", "1", "--approve", "agreed")

    assert done.code == 1
    assert where in done.error
    assert "stores.mlflow_uri" in done.error


def test_a_port_in_use_is_one_line_naming_it(shop, monkeypatch, capfd):
    """`serve` on a used port says which port, and how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        done = run_here(shop, monkeypatch, capfd, "serve", "--port", str(port))

    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.error
    assert "--port" in done.error


def test_an_unknown_host_is_one_line_naming_it(shop, monkeypatch, capfd):
    """A host that is not ours or no host at all."""
    done = run_here(shop, monkeypatch, capfd, "serve", "--host", "192.0.2.1", "--port", "0")

    assert done.code == 2
    assert "cannot listen on 192.0.2.1:0" in done.error


def test_a_key_misspelt_is_one_line_naming_it(shop, monkeypatch, capfd):
    """File and environment alike, exit code 2."""
    monkeypatch.setenv("SALESCAST_SERVNG__PORT", "1")

    done = run_here(shop, monkeypatch, capfd, "forecast")

    assert done.code == 2
    assert "SALESCAST_SERVNG__PORT: unknown key" in done.error


def _full_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


def test_a_full_disk_is_one_line_and_nothing_half_written(shop):
    """The system refuses the bytes: the data stay as they were, and the next run stores them."""
    before = contents(shop / "data")

    done = run_apart(shop, "ingest", "--until", DAY, preexec_fn=_full_disk)

    assert done.code == 1
    assert "free space" in done.error
    assert contents(shop / "data") == before
    assert not (shop / "build" / "incoming").exists()


def test_a_result_appears_whole_or_not_at_all(tmp_path):
    """The disk fills up while it is written: the old one stays, no part is left over."""
    result = tmp_path / "features.parquet"
    result.write_bytes(b"old")

    def fill(part: Path) -> None:
        part.write_bytes(b"ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StoreUnavailableError, match="No space left"):
        replace(result, fill)

    assert contents(tmp_path) == {"features.parquet": b"old"}


def test_a_damaged_result_is_one_line_naming_file_and_stage(shop, monkeypatch, capfd):
    """Something else wrote into build/: the line says which stage makes the file anew."""
    (shop / "build" / "decision.json").write_text('{"verdict": "prom')

    done = run_here(shop, monkeypatch, capfd, "promote")

    assert done.code == 1
    assert "decision.json: damaged" in done.error
    assert "salescast stage gate" in done.error


def test_a_damaged_table_is_one_line_naming_the_file(shop, monkeypatch, capfd):
    """A stored file cut short: the line names it and how to restore it."""
    damaged = shop / "data" / "sales" / "2023-01.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])

    done = run_here(shop, monkeypatch, capfd, "train")

    assert done.code == 1
    assert str(damaged) in done.error
    assert "dvc checkout" in done.error


def test_a_dry_run_says_what_would_be_stored_and_writes_nothing(shop, monkeypatch, capfd):
    """Rows by file, quarantined rows with their reason, files that are not read; exit code 4."""
    change(shop, "sales", units="-3")
    (shop / "inbox" / "sales.xlsx").write_bytes(b"x")
    before = contents(shop)

    done = run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY, "--dry-run")

    assert done.code == 4
    assert "units is" in done.out or "units (units sold)" in done.out
    assert "sales.csv: 240 rows" in done.out
    assert "sales.xlsx is not read" in done.out
    assert contents(shop) == before


def test_a_file_that_is_not_read_is_named_and_shows_in_the_exit_code(shop, monkeypatch, capfd):
    """Everything else is stored."""
    (shop / "inbox" / "sale.csv").write_text("x")

    done = run_here(shop, monkeypatch, capfd, "ingest", "--until", DAY)

    assert done.code == 4
    assert "sale.csv is not read" in done.err
    assert len(store.read(shop / "data", "sales")) == 4 * COUNT


def test_a_template_is_a_delivery(tmp_path, monkeypatch, capfd):
    """Every table with two example rows can be ingested as it is; nothing is overwritten."""
    make_workspace(tmp_path, {})
    shutil.rmtree(tmp_path / "inbox", ignore_errors=True)

    inbox = str(tmp_path / "inbox")
    made = run_here(tmp_path, monkeypatch, capfd, "template", inbox)
    again = run_here(tmp_path, monkeypatch, capfd, "template", inbox)
    done = run_here(tmp_path, monkeypatch, capfd, "ingest", "--until", "2025-01-03")

    assert (made.code, again.code, done.code) == (0, 2, 0), done.err
    assert len(store.read(tmp_path / "data", "sales")) == 2
