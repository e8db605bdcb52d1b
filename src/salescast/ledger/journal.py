"""The ledger's journal: decisions about models, changes of champion, alarms."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NotRequired, TypedDict, Unpack

import pandas as pd
import sqlalchemy as sa

from salescast.errors import PromotionConflict, StoreUnavailableError
from salescast.ledger.database import Database
from salescast.ledger.ledger_rows import filled
from salescast.ledger.ledger_schema import ALARM_EVENTS, ALARMS, DECISIONS, PROMOTIONS


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


class Journal(Database):
    """Decisions, promotions and alarms, each with its reasons."""

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
        with self._writing() as connection:
            last = connection.execute(sa.select(sa.func.max(PROMOTIONS.c.sequence))).scalar()
            if (last or 0) == after:
                connection.execute(sa.insert(PROMOTIONS).values(row))
                return after + 1
        raise PromotionConflict(
            f"version {promotion['model_version']} is not promoted: change {after} of the "
            "champion is no longer the last; see who serves now and judge again"
        )

    def require_promotion(self, sequence: int) -> None:
        """Raise StoreUnavailableError where the journal ends before promotion `sequence`."""
        query = sa.select(sa.func.coalesce(sa.func.max(PROMOTIONS.c.sequence), 0))
        with self._transaction() as connection:
            last = connection.execute(query).scalar_one()
        if last < sequence:
            raise StoreUnavailableError(
                f"the ledger {self.name} has {last} changes of the champion, but change {sequence} "
                "serves: it was deleted or is another one; restore it (`salescast restore`)"
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

    def record_alarm_events(self, events: Sequence[Mapping[str, Any]]) -> int:
        """Write what happened to alarms; return how many events were written.

        Keys: name, origin and subject of the alarm, kind ("acknowledge" or "resolve"), day, person
        (None: evidence), reason, and optionally made_at (now).
        """
        return self._insert(ALARM_EVENTS, [[filled(ALARM_EVENTS, event) for event in events]])

    def alarm_events(self) -> pd.DataFrame:
        """Return every event of an alarm, oldest first."""
        return self._read(sa.select(ALARM_EVENTS).order_by(ALARM_EVENTS.c.event_id))
