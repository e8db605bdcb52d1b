"""The ledger's outcomes: what was sold, and each correction of it."""

from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from salescast.contract.schema import close_of
from salescast.ledger.database import Database, between, read
from salescast.ledger.ledger_rows import as_rows, checked, refuse
from salescast.ledger.ledger_schema import OUTCOMES

KEY = ["store_id", "item_id", "date"]


class OutcomeRecords(Database):
    """Outcomes, written once per series, date and recorded_at."""

    def record_outcomes(self, frame: pd.DataFrame) -> int:
        """Write what was sold, one row per series, date and recorded_at; return how many were new.

        Columns: store_id, item_id, date, recorded_at, units, sold_out (nullable); others are left
        out. Raises DataQualityError where a column is missing or units are no whole number ≥ 0.
        """
        rows = _whole_units(checked(OUTCOMES, frame))
        return self._insert(OUTCOMES, [as_rows(OUTCOMES, rows)])

    def report_outcomes(self, frame: pd.DataFrame, now: datetime) -> int:
        """Write the outcomes that differ from the last known ones; return how many did.

        Columns: those of `record_outcomes` without recorded_at, which is `now`. A report after a
        known outcome counts also where the clock went back: its moment is then just after that
        one's. The same report from two callers at once is written once.
        """
        rows = _whole_units(checked(OUTCOMES, frame.assign(recorded_at=pd.NaT)))
        with self._writing() as connection:
            known = read(connection, _last_of(_of_keys(rows[KEY])))
            both = rows[KEY].merge(known, on=KEY, how="left")
            unchanged = (both["units"] == rows["units"]) & (_code(both) == _code(rows))
            after = (both["recorded_at"] + pd.Timedelta(microseconds=1)).fillna(now)
            new = rows.assign(recorded_at=after.clip(lower=pd.Timestamp(now)))[~unchanged]
            if len(new):
                connection.execute(sa.insert(OUTCOMES), as_rows(OUTCOMES, new))
        return len(new)

    def outcomes(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the last known outcome of each series and date from `since` to `until`, included.

        `as_of`: as it was known at the close of that day; default: everything known.
        """
        known = between(sa.select(OUTCOMES), OUTCOMES.c.date, since, until)
        if as_of is not None:
            known = known.where(OUTCOMES.c.recorded_at < close_of(as_of).to_pydatetime())
        return self._read(_last_of(known))

    def newest_outcome(self) -> datetime | None:
        """Return the latest `recorded_at` of all outcomes; None where there are none."""
        with self._transaction() as connection:
            found: datetime | None = connection.execute(
                sa.select(sa.func.max(OUTCOMES.c.recorded_at))
            ).scalar()
            return found


def _of_keys(keys: pd.DataFrame) -> sa.Select[Any]:
    """Return the query for all rows of some series and dates, found by the primary key."""
    columns = [sa.column(name, OUTCOMES.c[name].type) for name in KEY]
    rows = list(keys.itertuples(index=False, name=None))
    reported = sa.values(*columns, name="reported").data(rows).cte()
    same = sa.and_(*(OUTCOMES.c[name] == reported.c[name] for name in KEY))
    return sa.select(OUTCOMES).join(reported, same)


def _last_of(query: sa.Select[Any]) -> sa.Select[Any]:
    """Return the query for the row of each series and date that was recorded last."""
    rows = query.subquery()
    key = [rows.c[name] for name in KEY]
    age = sa.func.row_number().over(partition_by=key, order_by=rows.c.recorded_at.desc())
    ranked = sa.select(rows, age.label("age")).subquery()
    columns = [column for column in ranked.c if column.name != "age"]
    key = [ranked.c[name] for name in KEY]
    return sa.select(*columns).where(ranked.c.age == 1).order_by(*key)


def _whole_units(rows: pd.DataFrame) -> pd.DataFrame:
    units = pd.to_numeric(rows["units"], errors="coerce").astype("float64")
    refuse(rows, ~((units >= 0) & (units % 1 == 0)).to_frame(), "a whole number ≥ 0")
    return rows.assign(units=units.astype("int64"))


def _code(rows: pd.DataFrame) -> pd.Series:
    return rows["sold_out"].astype("boolean").astype("Int64").fillna(-1)
