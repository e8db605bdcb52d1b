"""What was served, decided and alarmed, and what came true: the only user of SQL.

SQLite by default, PostgreSQL by URL. Nothing is ever changed or deleted: a forecast is written
once, a corrected outcome is a new row with a later `recorded_at`. Writing the same row again does
nothing, so every call may be repeated after a crash. Days and moments are naive UTC.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, NotRequired, Self, TypedDict, Unpack

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from salescast.contract.schema import close_of
from salescast.errors import PromotionConflict, StoreUnavailableError
from salescast.ledger.ledger_rows import as_frame, as_rows, checked, filled, refuse
from salescast.ledger.ledger_schema import (
    ALARMS,
    DECISIONS,
    FORECASTS,
    ORDERS,
    OUTCOMES,
    PROMOTIONS,
    SHADOWS,
    name_of,
    open_engine,
    prepare,
)

QUANTILE = re.compile(r"p\d\d(\.\d+)?")
BATCH = 10_000  # rows that are plain Python values at a time: they are some forty times as large


class Decided(TypedDict):
    """A decision about a model. `made_at` is now where it is not given."""

    kind: str
    model_version: str
    champion_version: str | None
    verdict: str
    checks: Sequence[Mapping[str, Any]]
    origin: datetime
    approver: NotRequired[str | None]
    reason: NotRequired[str | None]
    made_at: NotRequired[datetime]


class Promoted(TypedDict):
    """A change of champion: `kind` is promote or rollback, `digest` that of the release."""

    kind: str
    model_version: str
    replaced_version: str | None
    digest: str
    reason: str
    approver: NotRequired[str | None]


class Ledger:
    """The ledger behind a SQLAlchemy URL; its tables are made on first use.

    Every method raises StoreUnavailableError when the database does not answer.
    """

    def __init__(self, url: str) -> None:
        """Prepare to connect; raise ConfigError for a URL that is neither SQLite nor PostgreSQL."""
        self._engine = open_engine(url)
        self._ready = False

    def __enter__(self) -> Self:
        """Return the ledger, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        self._engine.dispose()

    def record_forecasts(self, frame: pd.DataFrame, *, shadow: bool = False) -> int:
        """Write served forecasts, one row per receipt and date; return how many were new.

        Columns: those of `forecasts.issue` and made_at; others are left out. `shadow`: they were
        made beside the served ones and answered nobody.
        Raises DataQualityError where a column is missing or a number is not finite.
        """
        labels = [name for name in frame if QUANTILE.fullmatch(str(name))]
        table = SHADOWS if shadow else FORECASTS
        rows = checked(table, frame.assign(quantiles=None))
        refuse(rows, ~np.isfinite(rows[[*labels, "mean", "stock_target"]]), "finite")
        parts = (rows[at : at + BATCH] for at in range(0, len(rows), BATCH))
        return self._insert(table, (as_rows(table, _packed(part, labels)) for part in parts))

    def forecasts(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        origin: datetime | None = None,
        model_version: str | None = None,
        lead_time: int | None = None,
        *,
        shadow: bool = False,
    ) -> pd.DataFrame:
        """Return the forecasts for dates from `since` to `until`, both included.

        One column per quantile (p05 …), NaN where a forecast has none of that level. `shadow`:
        those that answered nobody instead.
        """
        table = SHADOWS if shadow else FORECASTS
        at, wanted = table.c, sa.select(table)
        wanted = _between(wanted, at.date, since, until)
        if origin is not None:
            wanted = wanted.where(at.origin == _moment(origin))
        if model_version is not None:
            wanted = wanted.where(at.model_version == model_version)
        if lead_time is not None:
            wanted = wanted.where(at.lead_time == lead_time)
        return self._read_forecasts(wanted)

    def receipt(self, receipt_id: str) -> pd.DataFrame:
        """Return the forecast that a receipt stands for, a row per date; empty if there is none."""
        return self._read_forecasts(
            sa.select(FORECASTS).where(FORECASTS.c.receipt_id == receipt_id)
        )

    def _read_forecasts(self, wanted: sa.Select[Any]) -> pd.DataFrame:
        at = wanted.selected_columns
        order = (at.origin, at.store_id, at.item_id, at.date, at.made_at, at.receipt_id)
        frame = self._read(wanted.order_by(*order))
        levels = pd.DataFrame(list(frame["quantiles"]), index=frame.index, dtype="float64")
        at_mean = frame.columns.get_loc("mean") + 1
        rising = levels[sorted(levels, key=lambda label: float(label[1:]))]
        rest = frame.drop(columns="quantiles")
        return pd.concat([rest.iloc[:, :at_mean], rising, rest.iloc[:, at_mean:]], axis=1)

    def record_orders(self, frame: pd.DataFrame) -> int:
        """Write proposed orders, one row a receipt; return how many were new.

        Columns: those of the stage `order` and made_at; others are left out.
        """
        return self._insert(ORDERS, [as_rows(ORDERS, checked(ORDERS, frame))])

    def orders(self, origin: datetime | None = None) -> pd.DataFrame:
        """Return the orders proposed at `origin` (default: at all), by series, the last made last.

        Where a better model or more data came during the day, a series has several.
        """
        at, wanted = ORDERS.c, sa.select(ORDERS)
        if origin is not None:
            wanted = wanted.where(at.origin == _moment(origin))
        return self._read(
            wanted.order_by(at.origin, at.store_id, at.item_id, at.made_at, at.receipt_id)
        )

    def record_outcomes(self, frame: pd.DataFrame) -> int:
        """Write what was sold, one row per series, date and recorded_at; return how many were new.

        Columns: store_id, item_id, date, recorded_at, units, sold_out (nullable); others are left
        out. Raises DataQualityError where a column is missing or units are no whole number ≥ 0.
        """
        rows = checked(OUTCOMES, frame)
        units = pd.to_numeric(rows["units"], errors="coerce").astype("float64")
        refuse(rows, ~((units >= 0) & (units % 1 == 0)).to_frame(), "a whole number ≥ 0")
        whole = rows.assign(units=units.astype("int64"))
        return self._insert(OUTCOMES, [as_rows(OUTCOMES, whole)])

    def outcomes(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        as_of: datetime | None = None,
    ) -> pd.DataFrame:
        """Return the last known outcome of each series and date from `since` to `until`, included.

        `as_of`: as it was known at the close of that day; default: everything known.
        """
        at = OUTCOMES.c
        key = (at.store_id, at.item_id, at.date)
        age = sa.func.row_number().over(partition_by=key, order_by=at.recorded_at.desc())
        known = _between(sa.select(OUTCOMES, age.label("age")), at.date, since, until)
        if as_of is not None:
            known = known.where(at.recorded_at < close_of(as_of).to_pydatetime())
        ranked = known.subquery()
        columns = [ranked.c[column.name] for column in at]
        last = sa.select(*columns).where(ranked.c.age == 1)
        return self._read(last.order_by(*(ranked.c[column.name] for column in key)))

    def newest_outcome(self) -> datetime | None:
        """Return the latest `recorded_at` of all outcomes; None where there are none."""
        with self._transaction() as connection:
            found: datetime | None = connection.execute(
                sa.select(sa.func.max(OUTCOMES.c.recorded_at))
            ).scalar()
            return found

    def record_decision(self, **decision: Unpack[Decided]) -> int:
        """Write a decision and return its id."""
        row = filled(DECISIONS, decision)
        with self._transaction() as connection:
            made = sa.insert(DECISIONS).values(row).returning(DECISIONS.c.decision_id)
            return int(connection.execute(made).scalar_one())

    def decisions(self) -> pd.DataFrame:
        """Return every decision, oldest first."""
        return self._read(sa.select(DECISIONS).order_by(DECISIONS.c.decision_id))

    def record_promotion(self, after: int, **promotion: Unpack[Promoted]) -> int:
        """Write that the champion changes and return the change's number: `after` + 1.

        Raises PromotionConflict where change number `after` is no longer the last: of several
        that start from the same champion, one comes through.
        """
        row = filled(PROMOTIONS, promotion) | {"sequence": after + 1}
        last = sa.select(sa.func.coalesce(sa.func.max(PROMOTIONS.c.sequence), 0)).scalar_subquery()
        values = [sa.literal(row[c.name], c.type).label(c.name) for c in PROMOTIONS.c]
        insert = sa.insert(PROMOTIONS).from_select(
            [c.name for c in PROMOTIONS.c], sa.select(*values).where(last == after)
        )
        counted = insert.execution_options(preserve_rowcount=True)
        # Where another transaction took the number at the same moment, its key is violated.
        with suppress(sa.exc.IntegrityError), self._transaction() as connection:
            if connection.execute(counted).rowcount == 1:
                return after + 1
        raise PromotionConflict(
            f"version {promotion['model_version']} is not promoted: change {after} of the "
            "champion is not the last any more; see who serves now and judge again"
        )

    def promotions(self) -> pd.DataFrame:
        """Return every change of the champion, oldest first."""
        return self._read(sa.select(PROMOTIONS).order_by(PROMOTIONS.c.sequence))

    def record_alarms(self, alarms: Sequence[Mapping[str, Any]]) -> int:
        """Write alarms, once per name, origin and subject; return how many were new.

        Keys: name, severity ("page" or "ticket"), subject, origin, evidence (plain values), and
        optionally runbook and made_at (now).
        """
        return self._insert(ALARMS, [[filled(ALARMS, alarm) for alarm in alarms]])

    def alarms(self) -> pd.DataFrame:
        """Return every alarm, oldest origin first."""
        at = ALARMS.c
        return self._read(sa.select(ALARMS).order_by(at.origin, at.name, at.subject))

    def _insert(self, table: sa.Table, batches: Iterable[Sequence[Mapping[str, Any]]]) -> int:
        """Write all batches or none; return how many rows were new."""
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table).on_conflict_do_nothing()
        counted = statement.execution_options(preserve_rowcount=True)
        with self._transaction() as connection:
            return sum(connection.execute(counted, rows).rowcount for rows in batches if rows)

    def _read(self, wanted: sa.Select[Any]) -> pd.DataFrame:
        with self._transaction() as connection:
            rows = connection.execute(wanted).all()
        return as_frame(wanted.selected_columns, rows)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            if not self._ready:
                prepare(self._engine)
                self._ready = True
            with self._engine.begin() as connection:
                yield connection
        except (sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.DataError):
            raise  # our mistake, not the database's
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
            why = " ".join(str(getattr(error, "orig", error)).split())
            raise StoreUnavailableError(
                f"the ledger {name_of(self._engine.url)} does not answer: {why}"
            ) from error


def _between(
    wanted: sa.Select[Any], date: sa.ColumnElement[Any], since: Any, until: Any
) -> sa.Select[Any]:
    if since is not None:
        wanted = wanted.where(date >= _moment(since))
    if until is not None:
        wanted = wanted.where(date <= _moment(until))
    return wanted


def _moment(value: Any) -> datetime:
    moment: datetime = pd.Timestamp(value).to_pydatetime()
    return moment


def _packed(rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    return rows.assign(quantiles=rows[[*labels]].astype("float64").to_dict("records"))
