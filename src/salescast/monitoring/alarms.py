"""From evidence to named alarms, and from alarms to training: once, with a reason, not twice.

Errors of forecasts alarm; drift of inputs explains. Every name is a page of docs/runbook.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.monitoring.sequential import Floats, beyond, gathered, moved

Severity = Literal["page", "ticket"]
Alarm = dict[str, Any]

SEVERITY: Mapping[str, Severity] = {
    "delivery_refused": "page",
    "data_stale": "page",
    "issues_missing": "page",
    "demand_shift": "page",
    "forecast_bias": "page",
    "coverage_off": "ticket",
    "rows_quarantined": "ticket",
    "gauge_suspect": "ticket",
    "gauge_silent": "ticket",
    "sales_late": "ticket",
    "rows_repeated": "ticket",
    "delivery_odd": "ticket",
    "input_drift": "ticket",
    "issue_skill": "ticket",
    "new_series": "ticket",
    "training_refused": "ticket",
    "withdrawn": "page",
}
"""Every alarm: a page needs a person now, a ticket this week."""

RETRAINS = ("demand_shift", "forecast_bias", "coverage_off")
HOLDS: Mapping[str, int] = {
    "delivery_refused": 7,
    "rows_quarantined": 7,
    "data_stale": 7,
    "gauge_suspect": 35,  # it is noticed late: what it spoiled lies weeks back
}
"""Alarms after which nothing is learned, and for how many days."""
CHECKS: Mapping[str, str] = {
    "sales_recorded_in_time": "sales_late",
    "sales_fresh": "sales_late",
    "sales_from_every_place": "sales_late",
    "sales_rows_not_repeated": "rows_repeated",
    "weather_observed_fresh": "gauge_silent",
    "weather_observed_gauge_not_stuck": "gauge_suspect",
    "weather_observed_rain_amounts_usual": "gauge_suspect",
    "weather_forecast_issues_complete": "issues_missing",
}
"""Failed checks of a delivery that warn, and the alarm each of them is."""

COMMON = 0.08  # of expected demand: what all series of a stream miss together, on a usual day
DAY = pd.Timedelta(days=1)
YEAR = 365 * DAY
SKILL_EVIDENCE = 8.0  # less than a page must gather: a ticket once in twenty years
MIN_USUAL = 180  # days of issues to know what is usual


@dataclass(frozen=True)
class Limits:
    """When evidence is enough, and how long an alarm and a training last.

    `evidence`: its log, see `sequential`; `shift`: the relative change of demand worth a page;
    `tolerance`: how far coverage and ranks may be off before it counts.
    """

    evidence: float
    shift: float
    tolerance: float
    cooldown_days: int
    retrain_days: int
    wait_days: int
    adapt_days: int


def alarm(name: str, subject: str, evidence: Mapping[str, Any]) -> Alarm:
    """Return the alarm `name` about `subject`, with its severity and its page of the runbook."""
    return {
        "name": name,
        "severity": SEVERITY[name],
        "subject": subject,
        "evidence": dict(evidence),
        "runbook": f"docs/runbook/{name}.md",
    }


def of_delivery(delivery: Mapping[str, Any]) -> Iterator[Alarm]:
    """Yield what a delivery's verdict (`Verdict.as_dict`) asks a person to look at."""
    for check in delivery["failed"]:
        told = {"check": check["name"], "rows": check["bad_rows"], "why": check["evidence"]}
        if check["severity"] == "critical":
            yield alarm("delivery_refused", check["table"], told)
        elif check["severity"] == "warning":
            yield alarm("rows_quarantined", check["table"], told)
        else:
            yield alarm(CHECKS.get(check["name"], "delivery_odd"), check["name"], told)


def streams(rows: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield which rows belong to the whole and its parts, by place, item and rain; with names.

    A part is looked at alone because what happens there drowns in the whole.
    """
    yield "all series", np.ones(len(rows), dtype=bool)
    for word, column in (("in", "location_id"), ("of", "item_id")):
        code, names = rows[column].factorize(sort=True)
        for at, name in enumerate(names):
            yield f"{word} {name}", code == at
    wet = rows["rain_probability"].to_numpy() >= 0.5
    for name, part in (("in the rain", wet), ("on dry days", ~wet)):
        if part.any():
            yield name, part


def proofs(
    rows: Mapping[float, pd.DataFrame],
) -> Iterator[tuple[str, float, pd.DatetimeIndex, Floats]]:
    """Yield per stream and shift the days and the evidence at each day's close.

    `rows`: per shift looked for, `shift_evidence` of the days since the model was trained, with
    location_id, item_id, date and rain_probability.
    """
    for shift, each in rows.items():
        day, days = each["date"].factorize(sort=True)
        columns = [each[c].to_numpy(float) for c in ("log_ratio", "expected", "variance")]
        for name, part in streams(each):
            present = np.unique(day[part])
            said, mean, noise = (np.bincount(day[part], c[part])[present] for c in columns)
            # What all series miss together is noise, too: news counts for as much less.
            share = noise / np.maximum(noise + (COMMON * mean) ** 2, 1e-9)
            yield name, shift, pd.DatetimeIndex(days[present]), gathered(said * share)


def demand_shift(rows: Mapping[float, pd.DataFrame], limits: Limits) -> list[Alarm]:
    """Return an alarm where demand differs from what it should be, given the weather that came.

    `rows`: see `proofs`. Of several streams the surest speaks; `since` is when it probably began.
    """
    found = []
    for name, shift, days, proof in proofs(rows):
        if len(proof) and proof[-1] > limits.evidence:
            began = int(np.flatnonzero(proof <= 0)[-1]) + 1 if (proof <= 0).any() else 0
            told = {
                "log_evidence": float(proof[-1]),
                "shift": shift,
                "since": f"{days[began]:%Y-%m-%d}",
            }
            found.append(alarm("demand_shift", name, told))
    return sorted(found, key=lambda a: -a["evidence"]["log_evidence"])[:1]


def ranks(scored: pd.DataFrame, levels: Sequence[str]) -> Floats:
    """Return per row the share of forecast quantiles below what was sold, ties half.

    0.5 on average where forecasts are right: `levels` (columns) lie symmetric about the median. Of
    a day sold out it is the middle of what is left above.
    """
    sold = scored["units"].to_numpy(float)[:, None]
    told = scored[list(levels)].to_numpy(float)
    rank: Floats = (told < sold).mean(axis=1) + 0.5 * (told == sold).mean(axis=1)
    return np.where(scored["sold_out"].to_numpy(bool), (1.0 + rank) / 2.0, rank)


def held(scored: pd.DataFrame, rank: Floats, usual: float) -> Floats:
    """Return per row whether p10…p90 held demand; of a day sold out, how likely they did."""
    sold = scored["units"].to_numpy(float)
    inside = (sold >= scored["p10"].to_numpy()) & (sold <= scored["p90"].to_numpy())
    below = np.clip(2.0 * rank - 1.0, 0.0, 1.0)  # what a day sold out had reached, see `ranks`
    low, high = 0.5 - usual / 2.0, 0.5 + usual / 2.0
    likely = np.maximum(high - np.maximum(below, low), 0.0) / np.maximum(1.0 - below, 1e-9)
    return np.where(scored["sold_out"].to_numpy(bool), likely, inside.astype(float))


def of_forecasts(
    scored: pd.DataFrame, levels: Sequence[str], usual_coverage: float, limits: Limits
) -> list[Alarm]:
    """Return alarms about forecasts of one lead day, as served by one model.

    `scored`: rows of `backtest.outcomes` with `units` sold; `usual_coverage`: that of p10…p90 in
    the backtest, which lies above 80 % for counts.
    """
    if scored.empty:
        return []
    rank = ranks(scored, levels)
    daily = scored[["date"]].assign(rank=rank, inside=held(scored, rank, usual_coverage))
    daily = daily.groupby("date")[["rank", "inside"]].mean()
    found = []
    for name, column, usual in (
        ("forecast_bias", "rank", 0.5),
        ("coverage_off", "inside", usual_coverage),
    ):
        values = daily[column].to_numpy(float)
        proof = max(side[-1] for side in beyond(values, usual, limits.tolerance))
        if proof > limits.evidence:
            told = {"log_evidence": float(proof), column: float(values.mean()), "usual": usual}
            found.append(alarm(name, "all series", told))
    return found


def issue_skill(doubt: pd.Series, since: pd.Timestamp) -> list[Alarm]:
    """Return a ticket where issues of the weather got better or worse than the year before `since`.

    `doubt`: see `monitoring.doubt`. Its change is that of the doubt left a day ahead.
    """
    usual = doubt[(doubt.index < since) & (doubt.index >= since - YEAR)].to_numpy(float)
    days = doubt[doubt.index >= since]
    if len(usual) < MIN_USUAL or days.empty or usual.std() == 0.0:
        return []
    sides = moved(days.to_numpy(float), float(usual.mean()), float(usual.std()))
    proof = max(sides, key=lambda side: float(side[-1]))
    if proof[-1] <= SKILL_EVIDENCE:
        return []
    began = int(np.flatnonzero(proof <= 0)[-1]) + 1 if (proof <= 0).any() else 0
    then, now = usual.mean(), days.iloc[began:].mean()
    told = {
        "log_evidence": float(proof[-1]),
        "doubt_left": float(now / (1.0 - now)),
        "usual": float(then / (1.0 - then)),
        "since": f"{days.index[began]:%Y-%m-%d}",
    }
    return [alarm("issue_skill", "all places", told)]


def drifted(
    drifts: Mapping[str, float], usual: Mapping[str, float], threshold: float
) -> list[Alarm]:
    """Return one ticket where inputs differ from their season more than earlier years ever did.

    The evidence names the input that differs most, and the others.
    """
    beyond_usual = {
        column: value
        for column, value in drifts.items()
        if value > max(threshold, usual.get(column, threshold))
    }
    if not beyond_usual:
        return []
    most = max(beyond_usual, key=lambda column: beyond_usual[column] - usual.get(column, threshold))
    told = {"psi": beyond_usual[most], "usual": usual.get(most, threshold)}
    others = ", ".join(sorted(column for column in beyond_usual if column != most))
    return [alarm("input_drift", "inputs", told | {"input": most, "also": others})]


def newcomers(stores: pd.DataFrame, today: pd.Timestamp) -> list[Alarm]:
    """Return a ticket for each store that has just opened or is about to."""
    soon = stores[(stores["opened_on"] > today - 7 * DAY) & (stores["recorded_at"] <= today + DAY)]
    return [
        alarm("new_series", str(row.store_id), {"opens": f"{row.opened_on:%Y-%m-%d}"})
        for row in soon.itertuples()
    ]


def quiet(
    raised: Iterable[Alarm], earlier: pd.DataFrame, today: pd.Timestamp, cooldown_days: int
) -> list[Alarm]:
    """Return the alarms that were not raised lately: one a name and day, none within the cooldown.

    `earlier`: the ledger's alarms; those of `today` do not count, so that a day may be repeated.
    """
    since = today - cooldown_days * DAY
    told = earlier[(earlier["origin"] > since) & (earlier["origin"] < today)]
    lately = set(zip(told["name"], told["subject"], strict=True))
    found: dict[tuple[str, str], Alarm] = {}
    for each in raised:
        key = each["name"], each["subject"]
        if key not in lately:
            found.setdefault(key, each)
    return list(found.values())


@dataclass(frozen=True)
class Training:
    """Why to train today, and the day since which customers behave otherwise, where that is why."""

    why: str
    since: str | None = None


def training(
    raised: Sequence[Alarm],
    earlier: pd.DataFrame,
    trained: int | None,
    today: pd.Timestamp,
    limits: Limits,
) -> Training | None:
    """Return why to train today: an alarm, or the schedule; None where there is no reason.

    `raised`: today's alarms before any cooldown; `earlier`: the ledger's;
    `trained`: days since the last training. Nothing is learned from data that are in doubt, and
    nothing twice within `wait_days`. A shift of demand is learned from the days since, once
    `adapt_days` of them can be learned from and examined.
    """
    ago = zip(earlier["name"], (today - earlier["origin"]).dt.days, strict=True)
    doubt = any(0 <= days < HOLDS.get(name, 0) for name, days in ago)
    if doubt or trained is None or any(a["name"] in HOLDS for a in raised):
        return None
    asked = next((a for a in raised if a["name"] in RETRAINS), None)
    if asked and trained >= limits.wait_days:
        since = asked["evidence"].get("since")
        if since is None:
            return Training(asked["name"])
        if (today - pd.Timestamp(since)).days >= limits.adapt_days:
            return Training(asked["name"], since)
    return Training("schedule") if trained >= limits.retrain_days else None
