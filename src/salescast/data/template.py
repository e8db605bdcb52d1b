"""Tables to start from: the contract's columns with two example rows each."""

from pathlib import Path

import pandas as pd

from salescast.contract.schema import TABLES, Column, Table
from salescast.data.files import replace_text
from salescast.errors import ConfigError

_BY_NAME = {
    "store_id": ("s1", "s2"),
    "item_id": ("u1", "u2"),
    "location_id": ("london", "paris"),
    "latitude": ("51.5", "48.9"),
    "longitude": ("-0.1", "2.4"),
    "timezone": ("Europe/London", "Europe/Paris"),
    "country": ("GB", "FR"),
    "name": ("Umbrella, small", "Umbrella, large"),
    "opened_on": ("2020-03-01", ""),
    "closed_on": ("", ""),
    "delisted_on": ("", ""),
    "region": ("", ""),
    "precip_mm": ("4.2", "0.0"),
    "precip_probability": ("0.8", "0.1"),
    "temp_c": ("7.5", "9.0"),
    "issued_at": ("2025-01-01T23:00:00", "2025-01-01T23:00:00"),
    "recorded_at": ("2025-01-02T23:00:00", "2025-01-02T23:00:00"),
}
_BY_KIND = {
    "id": ("x1", "x2"),
    "text": ("text", ""),
    "date": ("2025-01-02", "2025-01-02"),
    "moment": ("2025-01-02T23:00:00", "2025-01-02T23:00:00"),
    "count": ("12", "6"),
    "number": ("10.0", "15.0"),
    "flag": ("false", "true"),
}


def write_template(folder: Path) -> list[Path]:
    """Write `<table>.csv` for every contract table into `folder`; return the files.

    Raises ConfigError where one of them exists already: nothing is overwritten.
    """
    files = {name: folder / f"{name}.csv" for name in TABLES}
    for file in files.values():
        if file.exists():
            raise ConfigError(f"{file} exists already; choose an empty folder")
    return [
        replace_text(files[name], example(table).to_csv(index=False))
        for name, table in TABLES.items()
    ]


def example(table: Table) -> pd.DataFrame:
    """Return two example rows of `table`, as text."""
    return pd.DataFrame({c.name: _values(c) for c in table.columns})


def _values(column: Column) -> tuple[str, str]:
    return _BY_NAME.get(column.name, _BY_KIND[column.kind])
