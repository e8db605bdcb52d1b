"""Alarms as people handle them: list, acknowledge, resolve."""

from typing import Any

import pandas as pd

from salescast.data.files import plain
from salescast.errors import UnknownAlarmError
from salescast.ledger.ledger import Ledger
from salescast.monitoring import alarm_states

COLUMNS = (
    "alarm_id",
    "name",
    "severity",
    "subject",
    "state",
    "origin",
    "evidence",
    "runbook",
    "day",
    "person",
    "reason",
)


def list_alarms(ledger: Ledger, *, resolved: bool = False) -> list[dict[str, Any]]:
    """Return the alarms that are not resolved, pages first, newest first; or all with `resolved`.

    `origin`: the day it was opened; `day`, `person`, `reason`: of the last event, None where there
    was none.
    """
    rows = alarm_states.states(ledger.alarms(), ledger.alarm_events())
    rows = rows if resolved else alarm_states.unresolved(rows)
    rows = rows.sort_values(["severity", "origin"], ascending=[True, False], kind="stable")
    days = {name: rows[name].dt.strftime("%Y-%m-%d") for name in ("origin", "day")}
    rows = rows.assign(**days)[[*COLUMNS]].astype(object)
    result: list[dict[str, Any]] = plain(rows.where(rows.notna(), None).to_dict("records"))
    return result


def change_alarm(ledger: Ledger, alarm_id: str, kind: str, person: str, reason: str) -> str:
    """Record that a person acknowledges or resolves an alarm; return its new state.

    `kind`: "acknowledge" or "resolve". Raises UnknownAlarmError for an id that no alarm has.
    """
    rows = alarm_states.states(ledger.alarms(), ledger.alarm_events())
    known = rows[rows["alarm_id"] == alarm_id]
    if known.empty:
        raise UnknownAlarmError(f"no alarm has the id {alarm_id}; `salescast alarms` lists them")
    row = known.iloc[-1]
    event = {name: row[name] for name in alarm_states.KEY}
    today = pd.Timestamp.now("UTC").tz_localize(None).normalize()
    event |= {"kind": kind, "day": today, "person": person, "reason": reason}
    ledger.record_alarm_events([event])
    return alarm_states.STATES[kind]


def describe(alarms: list[dict[str, Any]]) -> str:
    """Return one line per alarm."""
    return "\n".join(
        f"{a['alarm_id']}  {a['severity']:6}  {a['state']:12}  {a['origin']}  {a['name']}: "
        f"{a['subject']}"
        + (f" ({a['person'] or 'by evidence'}: {a['reason']})" if a["day"] else "")
        for a in alarms
    )
