"""What came true: live scores, tests that may be looked at daily, alarms, and why to train."""

import json
import logging
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from typing import Any

import pandas as pd

from salescast import reports
from salescast.contract import schema
from salescast.contract.schema import last_day
from salescast.data import store
from salescast.data.files import read_frame, write_json
from salescast.errors import NoChampionError
from salescast.evaluation import backtest
from salescast.features import point_in_time as feature
from salescast.ledger.ledger import Ledger
from salescast.models import response as demand
from salescast.models.forecaster import Integrated, Model, label
from salescast.monitoring import alarms, live_scores
from salescast.ordering.orders import unit_costs
from salescast.release import Releases
from salescast.settings import Settings
from salescast.stages.notification import notify
from salescast.stages.spool import catch_up

log = logging.getLogger("salescast")
DAY = pd.Timedelta(days=1)
WATCHED_DAYS = 84  # the tests look back so far; what they have not found by then is no news
OVERLAP_DAYS = 7  # sales recorded so long before the newest are offered to the ledger again


def monitor(settings: Settings, today: date | None = None, brief: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - an option of a stage
    """Join served forecasts with outcomes, test them, raise alarms and write the report.

    `today`: default: the last day stored; later than that the data are stale. `brief`: tests and
    alarms alone, without live scores, drift and page. `training` says why to train today, or None.
    """
    tables = store.read_all(settings.data)
    known = last_day(tables)
    now = known if today is None else pd.Timestamp(today)
    model, version = _champion(settings)
    limits = _limits(settings)
    with Ledger(settings.ledger_url) as ledger:
        catch_up(settings, ledger)
        take_in(ledger, tables, known, brief=brief)
        raised = [*_of_data(settings, tables, known, now)]
        summary: dict[str, Any] = {"origin": f"{known:%Y-%m-%d}", "today": f"{now:%Y-%m-%d}"}
        if model is not None:
            raised += _of_champion(settings, ledger, tables, (model, version))
        if not brief:
            live, drifts, scored = _looked_at(settings, ledger, tables, model)
            raised += alarms.drifted(*drifts, settings.monitoring.drift_threshold)
            summary |= {"live": live, "drift": drifts[0]}
        earlier = ledger.alarms()
        new = alarms.quiet(raised, earlier, now, limits.cooldown_days)
        ledger.record_alarms([each | {"origin": now} for each in new])
        if not notify(settings.monitoring.notify, new, settings.product.name):
            log.warning("not everybody in monitoring.notify could be told of the alarms")
        due = alarms.training(raised, earlier, _trained_days(ledger, now), now, limits)
    summary |= {"alarms": new, "raised": raised, "training": vars(due) if due else None}
    summary["drift_threshold"] = settings.monitoring.drift_threshold
    if brief:
        return summary | {"live": None, "summary": f"{len(new)} new alarms, {len(raised)} in all"}
    write_json(settings.build / "monitoring.json", summary)
    page = reports.write_monitoring(summary, scored, settings.build / "report.html")
    return summary | {"report": str(page), "summary": _says(summary)}


def _says(summary: dict[str, Any]) -> str:
    live = summary["live"]
    wape = f"WAPE {live['overall']['wape']:.3f}" if live["overall"] else "nothing matured yet"
    why = f", train: {summary['training']['why']}" if summary["training"] else ""
    return (
        f"{live['forecasts']:,} forecasts, {live['matured']:.0%} matured, {wape}, "
        f"{len(summary['alarms'])} alarms{why}"
    )


def _limits(settings: Settings) -> alarms.Limits:
    told = settings.monitoring.model_dump(include={f.name for f in fields(alarms.Limits)})
    return alarms.Limits(**told)


def _champion(settings: Settings) -> tuple[Model | None, str]:
    releases = Releases(settings.releases, settings.model.trusted_types)
    try:
        champion = releases.read(releases.champion())
    except NoChampionError:
        return None, ""
    return champion.model, champion.version


def take_in(ledger: Ledger, tables: schema.Tables, known: pd.Timestamp, *, brief: bool) -> int:
    """Write what was sold into the ledger; return how many rows were new.

    Everything of the watched days is offered each time, so what a ledger missed while it did not
    answer is caught up. `brief`: only what was recorded since shortly before its newest.
    """
    sales = tables["sales"]
    newest = ledger.newest_outcome() if brief else None
    if newest is None:
        return ledger.record_outcomes(sales[sales["date"] > known - WATCHED_DAYS * DAY])
    return ledger.record_outcomes(sales[sales["recorded_at"] >= newest - OVERLAP_DAYS * DAY])


def _of_data(
    settings: Settings, tables: schema.Tables, known: pd.Timestamp, now: pd.Timestamp
) -> Iterator[alarms.Alarm]:
    """Yield alarms about what was delivered today, or was not."""
    path = settings.build / "delivery.json"
    delivery = json.loads(path.read_text("utf-8")) if path.exists() else {"until": ""}
    if delivery["until"] == f"{now:%Y-%m-%d}":
        yield from alarms.of_delivery(delivery)
    if now - known > DAY:
        yield alarms.alarm("data_stale", "all tables", {"last_day": f"{known:%Y-%m-%d}"})
    yield from alarms.newcomers(schema.latest("stores", tables["stores"]), now)
    if "weather_forecast" in tables:
        watched, issued = known - (WATCHED_DAYS - 1) * DAY, tables["weather_forecast"]
        recent = issued[issued["date"] >= watched - alarms.YEAR]
        yield from alarms.issue_skill(live_scores.doubt(recent), watched)


def _of_champion(
    settings: Settings, ledger: Ledger, tables: schema.Tables, champion: tuple[Model, str]
) -> list[alarms.Alarm]:
    """Return what the days since the champion was trained say about it."""
    model, version = champion
    known, limits = last_day(tables), _limits(settings)
    since = max(pd.Timestamp(model.trained_until) + DAY, known - (WATCHED_DAYS - 1) * DAY)
    if since > known:
        return []
    served = ledger.forecasts(since=since, until=known, model_version=version, lead_time=1)
    wanted = _wanted(tables, model, since)
    came = ledger.outcomes(since=since, until=known)
    scored = _scored(tables, served, came, wanted)
    levels = [label(q) for q in _told(settings, scored)]
    found = alarms.of_forecasts(scored, levels, _usual_coverage(settings), limits)
    if isinstance(model.parts, Integrated) and len(wanted):
        shifts = (limits.shift, -limits.shift)
        said = {shift: demand.news(wanted, model.parts.response, shift) for shift in shifts}
        found = alarms.demand_shift(said, limits) + found
    return found


def _told(settings: Settings, scored: pd.DataFrame) -> list[float]:
    """Return the quantiles that all these forecasts tell, each with its mirror image.

    Those of the settings may be others by now.
    """
    asked = {label(q): q for q in settings.forecast.quantiles}
    there = {name for name in asked if name in scored and scored[name].notna().all()}
    return [q for name, q in asked.items() if {name, label(round(1.0 - q, 6))} <= there]


def _usual_coverage(settings: Settings) -> float:
    """Return how much p10…p90 held a day ahead when the model was examined."""
    path = settings.build / "scorecard.json"
    if not path.exists():
        return sum(settings.gate.coverage_80) / 2
    card = json.loads(path.read_text("utf-8"))["models"][backtest.CHALLENGER]
    # Where every cutoff is the day before a closed one, no lead of a day was ever examined.
    return float(card["by_lead"].get("1", card["overall"])["coverage_80"])


def _wanted(tables: schema.Tables, model: Model | None, since: pd.Timestamp) -> pd.DataFrame:
    """Return what happened from `since` on, with the demand behind it by the model's response."""
    sales = tables["sales"]
    needed = sales[sales["date"] >= min(since, last_day(tables) - WATCHED_DAYS * DAY)]
    none = {name: schema.empty(name) for name in ("plan", "weather_forecast")}
    happened = feature.past({**tables, **none, "sales": needed}, last_day(tables))
    response = model.parts.response if model and isinstance(model.parts, Integrated) else None
    wanted = demand.estimate(happened, response)
    return wanted[wanted["date"] >= since]


def _scored(
    tables: schema.Tables, served: pd.DataFrame, came: pd.DataFrame, wanted: pd.DataFrame
) -> pd.DataFrame:
    """Return the served forecasts whose outcome the ledger has, with their costs."""
    costs = unit_costs(schema.latest("items", tables["items"]))
    key = ["store_id", "item_id", "date"]
    truth = came[[*key, "units"]].merge(wanted[[*key, "demand", "sold_out", "wet"]], on=key)
    scored = backtest.outcomes(served.assign(model="live"), truth, costs)
    return scored.merge(truth[[*key, "units"]], on=key)


def _looked_at(
    settings: Settings, ledger: Ledger, tables: schema.Tables, model: Model | None
) -> tuple[dict[str, Any], tuple[dict[str, float], dict[str, float]], pd.DataFrame]:
    """Return the live scorecard, the drift of inputs (and the usual one), and the scored rows."""
    known = last_day(tables)
    since = known - (settings.monitoring.live_days - 1) * DAY
    served = ledger.forecasts(since=since, until=known)
    came = ledger.outcomes(since=since, until=known)
    scored = _scored(tables, served, came, _wanted(tables, model, since))
    live = live_scores.live_scorecard(served, scored, _told(settings, scored))
    return live, _drift(settings, known), scored


def _drift(settings: Settings, today: pd.Timestamp) -> tuple[dict[str, float], dict[str, float]]:
    path = settings.build / "features.parquet"
    if not path.exists():  # nothing was ever trained: there is nothing to differ from
        return {}, {}
    rows = read_frame(path, "features")
    columns = [*feature.HISTORY, *feature.PRICE, *feature.WEATHER]
    known = [name for name in columns if rows[name].notna().any()]
    rows = rows[["origin", *known]]
    reference = live_scores.same_season(rows, today)
    recent = rows[rows["origin"] > today - settings.monitoring.live_days * DAY]
    earlier = rows[rows["origin"] <= today - settings.monitoring.live_days * DAY]
    usual = live_scores.usual_drift(earlier, known, settings.monitoring.live_days)
    return live_scores.drift(reference, recent, known), usual


def _trained_days(ledger: Ledger, now: pd.Timestamp) -> int | None:
    """Return how many days ago a model was last judged; None where none ever was."""
    decisions = ledger.decisions()
    judged = decisions.loc[decisions["kind"] == "gate", "origin"]
    return int((now - judged.max()).days) if len(judged) else None
