"""What is stored is stored once, completely, and can be read back or refused by name."""

import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salescast.contract.schema import TABLES, as_of, empty, last_day
from salescast.data import store, versions
from salescast.errors import DataQualityError, StoreUnavailableError
from tests.builders import make_sales, make_tables

COUNT = 45  # days: parts of two months

KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from salescast.data import store
tables, allowed = pickle.loads(Path(sys.argv[2]).read_bytes()), int(sys.argv[3])
calls = 0
def die_after(real):
    def call(*args, **named):
        global calls
        if calls == allowed:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return real(*args, **named)
    return call
for name in ("replace", "fsync", "unlink", "rmdir"):
    setattr(os, name, die_after(getattr(os, name)))
store.append(Path(sys.argv[1]), tables)
"""


def ordered(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the store's order."""
    return rows.sort_values([TABLES[table].known_at, *TABLES[table].key]).reset_index(drop=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below `folder`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Workspace that holds one complete delivery."""
    root = tmp_path_factory.mktemp("reference")
    store.append(root / "data", make_tables(COUNT))
    return root


def test_every_table_is_read_back_as_it_was_stored(reference):
    """Values and dtypes survive, row for row."""
    read = store.read_all(reference / "data")

    for table, rows in make_tables(COUNT).items():
        pd.testing.assert_frame_equal(read[table], ordered(table, rows))


def test_nothing_stored_reads_as_empty_contract_tables(tmp_path):
    """Before the first ingest every table exists, without rows, with its dtypes."""
    read = store.read_all(tmp_path / "data")

    for table in TABLES:
        pd.testing.assert_frame_equal(read[table], empty(table))


def test_unknown_flags_stay_unknown(tmp_path):
    """A missing `sold_out` is neither true nor false after reading."""
    sales = make_sales(3, sold_out=pd.NA)

    store.append(tmp_path / "data", {"sales": sales})

    assert store.read(tmp_path / "data", "sales")["sold_out"].isna().all()


def test_rows_lie_in_the_month_in_which_they_became_known(tmp_path):
    """A January sale corrected in March is stored in March's file."""
    sales = make_sales(1, recorded_at=pd.Timestamp("2023-03-05 10:00"))

    store.append(tmp_path / "data", {"sales": sales})

    assert [*contents(tmp_path / "data")] == ["sales/2023-03.parquet"]


def test_delivering_twice_stores_once(tmp_path):
    """The second, identical delivery adds nothing and leaves the bytes alone."""
    tables = make_tables(COUNT)
    first = store.append(tmp_path / "data", tables)
    before = contents(tmp_path / "data")

    second = store.append(tmp_path / "data", tables)

    assert first == {table: len(rows) for table, rows in tables.items()}
    assert second == dict.fromkeys(tables, 0)
    assert contents(tmp_path / "data") == before


def test_a_correction_is_kept_beside_what_it_corrects(tmp_path):
    """The same key with a later moment is a new row."""
    sales = make_sales(1, stores=1, items=1)
    late = sales.assign(units=99, recorded_at=sales["recorded_at"] + pd.Timedelta(hours=1))
    store.append(tmp_path / "data", {"sales": sales})

    store.append(tmp_path / "data", {"sales": late})

    assert store.read(tmp_path / "data", "sales")["units"].tolist() == [sales["units"][0], 99]


def test_past_months_are_not_rewritten(tmp_path):
    """A delivery of later days changes the open month's file only."""
    sales = make_sales(60)
    day = sales["date"]
    store.append(tmp_path / "data", {"sales": sales[day < "2023-02-10"]})
    january = tmp_path / "data" / "sales" / "2023-01.parquet"
    before = january.stat()

    store.append(tmp_path / "data", {"sales": sales[day >= "2023-02-10"]})

    assert january.stat().st_ino == before.st_ino
    assert january.stat().st_mtime_ns == before.st_mtime_ns


@settings(max_examples=4)
@given(seed=st.integers(0, 999), cuts=st.integers(1, 3))
def test_the_version_depends_on_the_rows_and_not_on_how_they_were_delivered(
    tmp_path_factory, reference, seed, cuts
):
    """Shuffled and split into deliveries, the same rows make the same bytes."""
    data = tmp_path_factory.mktemp("split") / "data"
    rng = np.random.default_rng(seed)
    for table, rows in make_tables(COUNT).items():
        part = rng.integers(0, cuts, len(rows))
        for number in range(cuts):
            store.append(data, {table: rows[part == number].sample(frac=1, random_state=seed)})

    assert versions.data_version(data) == versions.data_version(reference / "data")


def test_the_version_changes_with_a_value(tmp_path, reference):
    """One unit more in one row is another version."""
    tables = make_tables(COUNT)
    tables["sales"].loc[7, "units"] += 1

    store.append(tmp_path / "data", tables)

    assert versions.data_version(tmp_path / "data") != versions.data_version(reference / "data")


@settings(max_examples=100)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_harmless_or_an_error_naming_the_file(
    tmp_path_factory, reference, where, bit
):
    """No damage passes for data: checksums cover the values, the format's own rules the rest."""
    data = tmp_path_factory.mktemp("flipped") / "data"
    file = data / "sales" / "2023-01.parquet"
    file.parent.mkdir(parents=True)
    content = bytearray((reference / "data" / "sales" / "2023-01.parquet").read_bytes())
    content[int(len(content) * where)] ^= 1 << bit
    file.write_bytes(content)

    try:
        read = store.read(data, "sales")
    except DataQualityError as error:
        assert str(error).startswith(f"{file}: ")  # noqa: PT017 - raising is one of two good ends
    else:
        expected = ordered("sales", make_sales(COUNT))
        january = expected["recorded_at"] < "2023-02-01"
        pd.testing.assert_frame_equal(read, expected[january])


@pytest.mark.parametrize("size", [0, 3, 900])
def test_a_truncated_file_is_an_error_naming_the_file(tmp_path, reference, size):
    """A file cut short is refused."""
    shutil.copytree(reference / "data", tmp_path / "data")
    file = tmp_path / "data" / "stock" / "2023-01.parquet"
    file.write_bytes(file.read_bytes()[:size])

    with pytest.raises(DataQualityError, match=r"stock/2023-01\.parquet: damaged"):
        store.read_all(tmp_path / "data")


def test_a_file_without_a_column_is_an_error_naming_both(tmp_path):
    """A Parquet file that somebody else wrote does not pass for ours."""
    path = tmp_path / "data" / "items" / "2023-01.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"item_id": ["u1"]}), path)

    with pytest.raises(DataQualityError, match=r"items/2023-01\.parquet.*name"):
        store.read(tmp_path / "data", "items")


def test_a_delivery_that_breaks_the_contract_changes_nothing(tmp_path, reference):
    """A bad table at the end of a delivery keeps the good ones before it out, too."""
    shutil.copytree(reference / "data", tmp_path / "data")
    before = contents(tmp_path / "data")
    bad = make_sales(5).drop(columns="units")

    with pytest.raises(DataQualityError, match="units"):
        store.append(tmp_path / "data", {"items": make_tables(1, items=9)["items"], "sales": bad})

    assert contents(tmp_path / "data") == before
    assert contents(tmp_path / "build") == {"incoming.lock": b""}


def _no_file_beyond(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_disk_that_takes_no_more_is_an_error_and_changes_nothing(tmp_path, reference):
    """The operating system refuses the bytes: one clear error, the tables as they were."""
    shutil.copytree(reference / "data", tmp_path / "data")
    before = contents(tmp_path / "data")
    code = (
        "import sys; from pathlib import Path; from salescast import errors;"
        "from salescast.data import store;"
        "from tests.builders import make_tables\n"
        "try: store.append(Path(sys.argv[1]), make_tables(400))\n"
        "except errors.StoreUnavailableError as error: print(error)"
    )

    message = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        preexec_fn=lambda: _no_file_beyond(1000),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "nothing was stored; free space" in message
    assert contents(tmp_path / "data") == before


def test_a_folder_that_may_not_be_written_is_an_error_of_ours(tmp_path):
    """A file where the folder should be: StoreUnavailableError, not a traceback."""
    (tmp_path / "build").write_text("in the way")

    with pytest.raises(StoreUnavailableError, match="cannot write"):
        store.append(tmp_path / "data", {"sales": make_sales(1)})


# 16 writes are synced, the 17th call sets the mark, 18 move the files, the rest tidies up.
@pytest.mark.parametrize("allowed", [0, 15, 16, 17, 18, 27, 38, 42])
def test_a_delivery_killed_anywhere_happened_completely_or_not_at_all(tmp_path, reference, allowed):
    """SIGKILL at any write: readers see the old tables or the new ones, and a retry repairs."""
    new = make_tables(COUNT)
    old = as_of(new, "2023-01-21")
    store.append(tmp_path / "data", old)
    before = versions.data_version(tmp_path / "data")
    pickled = tmp_path / "delivery.pickle"
    pd.to_pickle(new, pickled)

    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(pickled), str(allowed)],
        check=False,
    )
    seen = versions.data_version(tmp_path / "data")
    store.append(tmp_path / "data", new)

    after = versions.data_version(reference / "data")
    assert child.returncode == -signal.SIGKILL
    assert seen in (before, after)
    assert versions.data_version(tmp_path / "data") == after
    assert not (tmp_path / "build" / "incoming").exists()


def test_two_deliveries_at_once_are_both_stored(tmp_path):
    """Processes that ingest at the same time wait for each other."""
    code = (
        "import sys; from pathlib import Path; from salescast.data import store;"
        "from tests.builders import make_sales\n"
        "for day in range(1, 7): store.append(Path(sys.argv[1]),"
        " {'sales': make_sales(day, stores=1, items=1, store_id=sys.argv[2])})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "data")]

    running = [subprocess.Popen([*command, name]) for name in ("s1", "s2")]
    codes = [process.wait() for process in running]

    assert codes == [0, 0]
    assert len(store.read(tmp_path / "data", "sales")) == 12


def test_no_pin_is_no_version(tmp_path):
    """A workspace without `data.dvc` has no pinned version."""
    assert versions.pinned_version(tmp_path) is None


def test_a_part_holds_the_rows_of_its_stores_and_their_places(tmp_path):
    """Every item, and nothing of other stores."""
    store.append(tmp_path / "data", make_tables(9, stores=3))

    part = store.read_part(tmp_path / "data", ["s1", "s3"])

    assert set(part) == set(TABLES)
    assert set(part["sales"]["store_id"]) == {"s1", "s3"}
    assert set(part["weather_forecast"]["location_id"]) == {"p1", "p3"}
    assert len(part["items"]) == 2


def test_days_tell_when_the_tables_begin_and_end(tmp_path):
    """As the tables do, in as many rows as there are days."""
    store.append(tmp_path / "data", make_tables(9))
    days, tables = store.read_days(tmp_path / "data"), store.read_all(tmp_path / "data")
    assert last_day(days) == last_day(tables)
    assert days["sales"]["date"].min() == tables["sales"]["date"].min()
    assert len(days["sales"]) == 9
