"""The life of an alarm: open, acknowledged by a person, resolved by evidence or by a person.

The ledger keeps alarms as they were opened, and what happened to them since as events. The state
of an alarm is a function of both; nothing is ever changed or deleted.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from salescast.monitoring.alarms import Alarm

KEY = ["name", "origin", "subject"]
STATES = {"acknowledge": "acknowledged", "resolve": "resolved"}
EVIDENCE = "evidence"  # resolves an alarm where no person does
NEEDS_A_PERSON = ("training_refused", "withdrawn")
"""Alarms that no later evidence resolves: a person decides what follows."""


def alarm_id(name: str, origin: pd.Timestamp, subject: str) -> str:
    """Return the short id of an alarm: the same for the same name, day and subject."""
    text = f"{name}|{origin:%Y-%m-%d}|{subject}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def states(alarms: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the alarms with alarm_id, state, and the day, person and reason of the last event.

    `alarms`, `events`: as the ledger returns them, oldest first. An alarm without an event is open.
    """
    last = events.drop_duplicates(KEY, keep="last")[[*KEY, "kind", "day", "person", "reason"]]
    rows = alarms.merge(last, on=KEY, how="left")
    ids = [alarm_id(n, o, s) for n, o, s in rows[KEY].itertuples(index=False)]
    rows.insert(0, "alarm_id", ids)
    return rows.assign(state=rows.pop("kind").map(STATES).fillna("open"))


def unresolved(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the alarms of `states` that are open or acknowledged."""
    return rows[rows["state"] != "resolved"]


def newly_open(raised: Iterable[Alarm], rows: pd.DataFrame, today: pd.Timestamp) -> list[Alarm]:
    """Return raised alarms without an unresolved one of the same name and subject.

    Those opened `today` count as new, so that a day may be repeated.
    """
    still = unresolved(rows[rows["origin"] < today])
    known = set(zip(still["name"], still["subject"], strict=True))
    return [a for a in _unique(raised) if (a["name"], a["subject"]) not in known]


def cleared(
    raised: Sequence[Alarm], rows: pd.DataFrame, tested: Collection[str], today: pd.Timestamp
) -> list[dict[str, Any]]:
    """Return the events that resolve earlier alarms which `today`'s tests no longer raise.

    `tested`: names of the alarms whose tests ran today.
    """
    again = {(alarm["name"], alarm["subject"]) for alarm in raised}
    old = unresolved(rows[rows["origin"] < today])
    return [
        {name: row[name] for name in KEY}
        | {"kind": "resolve", "day": today, "person": None, "reason": EVIDENCE}
        for row in old.to_dict("records")
        if row["name"] in tested
        and row["name"] not in NEEDS_A_PERSON
        and (row["name"], row["subject"]) not in again
    ]


def to_notify(
    opened: Iterable[Alarm], rows: pd.DataFrame, today: pd.Timestamp, cooldown_days: int
) -> list[Alarm]:
    """Return the opened alarms that nobody was notified of within the cooldown.

    The cooldown silences the notifier only; every open alarm stays in the list.
    """
    since = today - pd.Timedelta(days=cooldown_days)
    recent = rows[(rows["origin"] > since) & (rows["origin"] < today)]
    known = set(zip(recent["name"], recent["subject"], strict=True))
    return [alarm for alarm in opened if (alarm["name"], alarm["subject"]) not in known]


def _unique(raised: Iterable[Alarm]) -> list[Alarm]:
    first: dict[tuple[str, str], Alarm] = {}
    for alarm in raised:
        first.setdefault((alarm["name"], alarm["subject"]), alarm)
    return list(first.values())


def held_until(rows: pd.DataFrame, hold_days: Mapping[str, int], today: pd.Timestamp) -> bool:
    """Return whether an alarm in `hold_days` is unresolved, or evidence resolved it too recently.

    A person who resolves an alarm ends its hold at once.
    """
    days = rows["name"].map(hold_days).astype("float64")  # of no rows, too
    begun = rows["origin"] <= today
    is_open = begun & (rows["state"] != "resolved")
    age = (today - rows["day"].fillna(rows["origin"])).dt.days
    fresh = begun & rows["person"].isna() & (age < days) & (age >= 0)
    return bool((days.notna() & (is_open | fresh)).any())
