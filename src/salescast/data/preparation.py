"""From a table as somebody exports it to contract rows: names, ids, flags, local days, moments."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from salescast.contract.conform import conform
from salescast.contract.schema import TABLES
from salescast.data.delivery import ALWAYS_KNOWN
from salescast.errors import DataQualityError

Zones = Mapping[str, str]
"""IANA time zone by store_id, and by location_id."""

Source = str | Mapping[str, Any]
"""Where a column comes from: a name; or {column, factor, format, decimal} or {value}."""

_OFFSET = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")


def prepare(
    table: str,
    raw: pd.DataFrame,
    source: str,
    columns: Mapping[str, Source] | None = None,
    zones: Zones | None = None,
) -> pd.DataFrame:
    """Return `raw` as contract rows; the moment is null where the row does not say it.

    `columns`: where each contract column comes from, if not from the column of its name. `source`
    begins the message of the DataQualityError that is raised where a value cannot be read.
    """
    contract = TABLES[table]
    rows = _named(table, raw, source, columns or {})
    rows = rows[[c for c in contract.names if c in rows]]
    rows = rows.dropna(how="all").reset_index(drop=True)
    if table == "stores" and "country" in rows and "region" not in rows:
        region = rows["country"].astype("str").str.strip().str.upper()
        rows["region"] = region.where(region.str.fullmatch(r"[A-Z]{2}-\w{1,3}"))
    for column in contract.columns:
        clean = _id if column.kind == "id" else _CLEAN.get(column.name)
        if column.name in rows and clean:
            rows[column.name] = clean(rows[column.name])
    for column in contract.columns:
        if column.kind == "date" and column.name in rows:
            rows[column.name] = local_days(rows[column.name], _zone_of(rows, zones or {}))
    return _conformed(table, _defaults(table, rows), source)


def _conformed(table: str, rows: pd.DataFrame, source: str) -> pd.DataFrame:
    known_at = TABLES[table].known_at
    if known_at in TABLES[table].key:
        return conform(table, rows, source)
    moment = rows.get(known_at, pd.Series(None, index=rows.index, dtype="object"))
    silent = moment.isna() | (moment.astype("str").str.strip() == "")
    filled = rows.assign(**{known_at: moment.mask(silent, ALWAYS_KNOWN)})
    result = conform(table, filled, source)
    result[known_at] = result[known_at].mask(silent)
    return result


def _named(
    table: str, raw: pd.DataFrame, source: str, columns: Mapping[str, Source]
) -> pd.DataFrame:
    """Return the columns under the contract's names: as configured, exactly, or case-blind."""
    if not set(TABLES[table].names) & {*raw.columns} and raw.index.names != [None]:
        raw = raw.reset_index()
    elif raw.index.names != [None]:
        raw = raw.reset_index().loc[:, lambda frame: ~frame.columns.duplicated()]
    plain = {_plain(name): name for name in raw.columns[::-1]}
    rows = {}
    for name in TABLES[table].names:
        rule = columns.get(name, name)
        rule = {"column": rule} if isinstance(rule, str) else rule
        if "value" in rule:
            rows[name] = pd.Series(rule["value"], index=raw.index)
            continue
        exported = rule.get("column", name)
        actual = exported if exported in raw else plain.get(_plain(exported))
        if actual is not None:
            rows[name] = _converted(raw[actual], rule)
        elif name in columns:
            raise DataQualityError(
                f"{source}: column {exported!r} is missing, which feed.files.columns or "
                f"feed.sql.columns names for {table}.{name}; found {_listed(raw.columns)}"
            )
    _refuse_missing(table, rows, raw, source)
    return pd.DataFrame(rows, index=raw.index)


def _refuse_missing(
    table: str, rows: Mapping[str, pd.Series], raw: pd.DataFrame, source: str
) -> None:
    contract = TABLES[table]
    filled = {contract.known_at, *DEFAULTS.get(table, {})} - {*contract.key}
    missing = [c.name for c in contract.columns if c.name not in rows and not c.nullable]
    missing = [name for name in missing if name not in filled]
    if missing:
        raise DataQualityError(
            f"{source}: column {', '.join(missing)} is missing; found {_listed(raw.columns)}; "
            f"table {table} needs {', '.join(contract.names)}; name yours in feed.files.columns"
        )


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "no columns"


def _plain(name: object) -> str:
    return re.sub(r"[\s\-]+", "_", str(name).strip()).casefold()


def _converted(values: pd.Series, rule: Mapping[str, Any]) -> pd.Series:
    """Return the values in the contract's units: decimal comma, factor, date format."""
    if rule.get("decimal", ".") != "." and values.dtype.kind not in "iuf":
        text = values.astype("str").str.replace(rule.get("thousands", "."), "", regex=False)
        values = text.str.replace(rule["decimal"], ".", regex=False).where(values.notna())
    if "factor" in rule:
        values = pd.to_numeric(values, errors="coerce") * rule["factor"]
    if "format" in rule:
        parsed = pd.to_datetime(values, format=rule["format"], errors="coerce")
        values = parsed.astype("object").where(parsed.notna(), values)
    if "values" in rule:
        values = values.map(lambda value: rule["values"].get(str(value), value))
    return values


DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "sales": {"promo": False},
    "plan": {"promo": False},
    "items": {"goodwill_cost": 0.0, "pack_size": 1},
    "stock": {"on_order": 0},
}
"""What an absent column is taken to be; docs/how-to/bring-your-data.md says what that costs."""


def _defaults(table: str, rows: pd.DataFrame) -> pd.DataFrame:
    absent = {k: v for k, v in DEFAULTS.get(table, {}).items() if k not in rows}
    return rows.assign(**absent)


def _id(values: pd.Series) -> pd.Series:
    """Return ids as text; whole numbers that became decimals by a gap in the column are whole."""
    if values.dtype.kind == "f":
        whole = (values == np.floor(values)).all() or not values.notna().any()
        return values.map(lambda v: f"{v:.0f}" if whole else str(v), na_action="ignore")
    text = values.astype("str")
    if values.notna().any() and text[values.notna()].str.fullmatch(r"\d+\.0").all():
        return text.str.removesuffix(".0").where(values.notna())
    return values


def _country(values: pd.Series) -> pd.Series:
    """Return codes in capitals, without a subdivision: gb is GB, DE-BY is DE."""
    code = values.astype("str").str.strip().str.upper().str.replace(r"-\w{1,3}$", "", regex=True)
    return code.where(values.notna() & code.str.fullmatch("[A-Z]{2}"), values)


def _zone(values: pd.Series) -> pd.Series:
    return values.astype("str").str.strip().where(values.notna())


_CLEAN = {"country": _country, "timezone": _zone}


def _zone_of(rows: pd.DataFrame, zones: Zones) -> pd.Series:
    for name in ("store_id", "location_id"):
        if name in rows:
            return rows[name].astype("str").map(zones)
    return pd.Series(None, index=rows.index, dtype="object")


def local_days(values: pd.Series, zone: pd.Series) -> pd.Series:
    """Return timestamps as the business day of their place: local midnights, or text as it was.

    Midnights as written keep their date. Others are moments: in the place's `zone` they fall on
    its day. A moment without an offset is UTC where that makes all of them local midnights, as a
    database without zones stores them. What cannot be read is returned as it is.
    """
    if _are_days(values):
        return values
    known = values.notna()
    written = pd.to_datetime(
        values.map(_wall, na_action="ignore"), errors="coerce", format="ISO8601"
    )
    if not known.any() or written[known].isna().any():
        return values
    if (written[known] == written[known].dt.normalize()).all():
        return written
    zoned = values[known].map(_has_offset).all()
    moments = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601")
    local = _in_zones(moments, zone)
    midnights = (local[known] == local[known].dt.normalize()).all()
    return (local if zoned or midnights else written).dt.normalize()


def _are_days(values: pd.Series) -> bool:
    """Tell whether all values are days already, which most columns are: no time of day, no zone."""
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
        return bool((values.isna() | (values == values.dt.normalize())).all())
    return values.dtype == "str" and bool((values.str.len().fillna(0) <= 10).all())


def _wall(value: Any) -> Any:
    if isinstance(value, str):
        return _OFFSET.sub("", value.strip()) if len(value.strip()) > 10 else value.strip()
    stamp = pd.Timestamp(value)
    return stamp.tz_localize(None) if stamp.tzinfo else stamp


def _has_offset(value: Any) -> bool:
    if isinstance(value, str):
        return len(value.strip()) > 10 and bool(_OFFSET.search(value.strip()))
    return pd.Timestamp(value).tzinfo is not None


def _in_zones(moments: pd.Series, zone: pd.Series) -> pd.Series:
    local = moments.dt.tz_localize(None)
    for name, where in zone.groupby(zone).groups.items():
        try:
            local.loc[where] = moments.loc[where].dt.tz_convert(name).dt.tz_localize(None)
        except (KeyError, ValueError):  # no such zone: said by quality, kept as written
            continue
    return local
