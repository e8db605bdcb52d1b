"""The ledger's forecasts and orders, as they were served."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from salescast.ledger.database import Database, between, moment
from salescast.ledger.ledger_rows import as_rows, checked, refuse
from salescast.ledger.ledger_schema import FORECASTS, ORDERS, SHADOWS

QUANTILE = re.compile(r"p\d\d(\.\d+)?")
BATCH = 10_000  # rows that are plain Python values at a time: they are some forty times as large


class ForecastRecords(Database):
    """Forecasts, written once per receipt and date, and the orders that rest on them."""

    def record_forecasts(self, frame: pd.DataFrame, *, shadow: bool = False) -> int:
        """Write served forecasts, one row per receipt and date; return how many were new.

        Columns: those of `forecasts.issue` and made_at; others are left out. `shadow`: they were
        forecasts of a version in the shadow, served to no caller.
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
        the forecasts of a version in the shadow instead.
        """
        table = SHADOWS if shadow else FORECASTS
        at, query = table.c, sa.select(table)
        query = between(query, at.date, since, until)
        if origin is not None:
            query = query.where(at.origin == moment(origin))
        if model_version is not None:
            query = query.where(at.model_version == model_version)
        if lead_time is not None:
            query = query.where(at.lead_time == lead_time)
        return self._read_forecasts(query)

    def receipt(self, receipt_id: str) -> pd.DataFrame:
        """Return the forecast that a receipt stands for, a row per date; empty if there is none."""
        return self._read_forecasts(
            sa.select(FORECASTS).where(FORECASTS.c.receipt_id == receipt_id)
        )

    def origins(self) -> list[datetime]:
        """Return the origins of all forecasts, the oldest first."""
        query = sa.select(FORECASTS.c.origin).distinct().order_by(FORECASTS.c.origin)
        return list(self._read(query)["origin"])

    def orders_without_forecast(self) -> list[str]:
        """Return the receipts of orders whose forecast the ledger lacks."""
        known = sa.select(FORECASTS.c.receipt_id).where(
            FORECASTS.c.receipt_id == ORDERS.c.receipt_id
        )
        query = sa.select(ORDERS.c.receipt_id).where(~known.exists()).order_by(ORDERS.c.receipt_id)
        return list(self._read(query)["receipt_id"])

    def _read_forecasts(self, query: sa.Select[Any]) -> pd.DataFrame:
        at = query.selected_columns
        order = (at.origin, at.store_id, at.item_id, at.date, at.made_at, at.receipt_id)
        frame = self._read(query.order_by(*order))
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
        at, query = ORDERS.c, sa.select(ORDERS)
        if origin is not None:
            query = query.where(at.origin == moment(origin))
        return self._read(
            query.order_by(at.origin, at.store_id, at.item_id, at.made_at, at.receipt_id)
        )


def _packed(rows: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    return rows.assign(quantiles=rows[[*labels]].astype("float64").to_dict("records"))
