"""The ledger's decisions about orders: approvals, edits, rejections, releases, corrections."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from salescast.errors import OrderConflict
from salescast.ledger.database import Database, moment
from salescast.ledger.ledger_rows import filled
from salescast.ledger.ledger_schema import ORDER_DECISIONS, ORDERS


class OrderDecisions(Database):
    """What planners decided about orders; the decisions about one order are numbered from 1."""

    def record_order_decisions(self, decisions: Sequence[Mapping[str, Any]]) -> None:
        """Write decisions about orders, all or none.

        Keys: receipt_id, revision (1, 2 … of one order), origin, action, quantity, planner and
        optionally reason, note, release_id, made_at (now). Raises OrderConflict where a revision
        exists already: another decision was faster.
        """
        rows = [filled(ORDER_DECISIONS, decision) for decision in decisions]
        try:
            with self._writing() as connection:
                connection.execute(sa.insert(ORDER_DECISIONS), rows)
        except sa.exc.IntegrityError as error:
            raise OrderConflict("another decision about one of the orders was faster") from error

    def order_decisions(
        self, origin: datetime | None = None, release_id: str | None = None
    ) -> pd.DataFrame:
        """Return the decisions about orders, of one origin or one release, oldest first."""
        at, query = ORDER_DECISIONS.c, sa.select(ORDER_DECISIONS)
        if origin is not None:
            query = query.where(at.origin == moment(origin))
        if release_id is not None:
            query = query.where(at.release_id == release_id)
        return self._read(query.order_by(at.origin, at.receipt_id, at.revision))

    def order_counts(self, origin: datetime) -> tuple[int, int]:
        """Return the numbers of orders and of decisions at `origin`: neither ever falls."""
        counts = [
            sa.select(sa.func.count()).where(table.c.origin == moment(origin)).scalar_subquery()
            for table in (ORDERS, ORDER_DECISIONS)
        ]
        with self._transaction() as connection:
            orders, decisions = connection.execute(sa.select(*counts)).one()
        return orders, decisions
