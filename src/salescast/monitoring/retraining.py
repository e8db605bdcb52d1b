"""When to train again: because of an alarm, or by schedule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from salescast.monitoring.alarm_states import held_until
from salescast.monitoring.alarms import Alarm, Limits

RETRAINS = ("demand_shift", "forecast_bias", "coverage_off")
HOLDS: Mapping[str, int] = {
    "delivery_refused": 7,
    "rows_quarantined": 7,
    "data_stale": 7,
    "gauge_suspect": 35,  # detected late: what it spoiled lies weeks back
}
"""Alarms that stop training while they are open, and days after evidence has resolved them."""


@dataclass(frozen=True)
class Training:
    """Why to train today, and the day since which demand has shifted, if that is the reason."""

    why: str
    since: str | None = None


def training(
    raised: Sequence[Alarm],
    states: pd.DataFrame,
    trained: int | None,
    today: pd.Timestamp,
    limits: Limits,
) -> Training | None:
    """Return why to train today, an alarm or the schedule; None without a reason.

    `raised`: today's alarms; `states`: of the ledger's alarms, see `alarm_states`; `trained`: days
    since the last training. There is no training while data are in doubt, and none twice within
    `wait_days`. A shift of demand is learned from the days since, once there are `adapt_days`.
    """
    in_doubt = any(alarm["name"] in HOLDS for alarm in raised)
    if in_doubt or trained is None or held_until(states, HOLDS, today):
        return None
    cause = next((alarm for alarm in raised if alarm["name"] in RETRAINS), None)
    if cause and trained >= limits.wait_days:
        since = cause["evidence"].get("since")
        if since is None:
            return Training(cause["name"])
        if (today - pd.Timestamp(since)).days >= limits.adapt_days:
            return Training(cause["name"], since)
    return Training("schedule") if trained >= limits.retrain_days else None
