"""Monitor: score what was served, test it daily, raise alarms, and say why to train."""

import logging
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from typing import Any

import pandas as pd

from salescast import reports
from salescast.contract import schema
from salescast.contract.schema import Tables, last_day
from salescast.data import store
from salescast.data.files import read_frame, read_json, write_json
from salescast.errors import NoChampionError
from salescast.evaluation import backtest
from salescast.features import point_in_time as feature
from salescast.ledger.alarm_handling import list_alarms
from salescast.ledger.ledger import Ledger
from salescast.models import response
from salescast.models.forecaster import Forecaster, quantile_column
from salescast.monitoring import alarm_states, alarms, live_scores, retraining, shift_tests
from salescast.ordering.orders import item_costs
from salescast.settings import Settings
from salescast.stages.configured import champion_release, champion_sequence, open_spool
from salescast.stages.notification import notify

log = logging.getLogger("salescast")
DAY = pd.Timedelta(days=1)
WATCHED_DAYS = 84  # the tests look back so far; what they have not found by then is no news
OVERLAP_DAYS = 7  # sales recorded so long before the newest are offered to the ledger again
KEY = ["store_id", "item_id", "date"]


def monitor(settings: Settings, today: date | None = None, brief: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - an option of a stage
    """Join served forecasts with outcomes, test them, raise alarms and write the report.

    `today`: default: the last day stored; later than that the data are stale. `brief`: tests and
    alarms alone, without live scores, drift and page. `training` says why to train today, or None.
    """
    tables = store.read_all(settings.data)
    last = last_day(tables)
    now = last if today is None else pd.Timestamp(today)
    model, version = _champion(settings)
    with Ledger(settings.ledger_url) as ledger:
        ledger.require_promotion(champion_sequence(settings))
        open_spool(settings).catch_up(ledger)
        record_outcomes(ledger, tables, brief=brief)
        raised = [*_data_alarms(settings, tables, now)]
        if model is not None:
            raised += _champion_alarms(settings, ledger, tables, (model, version))
        summary: dict[str, Any] = {"origin": f"{last:%Y-%m-%d}", "today": f"{now:%Y-%m-%d}"}
        if not brief:
            scored, live = _live(settings, ledger, tables, model)
            drift, usual = _drift(settings, model, last)
            raised += alarms.drifted(drift, usual, settings.monitoring.drift_threshold)
            summary |= {"live": live, "drift": drift}
        summary |= _raise(settings, ledger, raised, now, brief=brief)
    if brief:
        return summary | {"live": None, "summary": _counted(summary["alarms"], "new alarm")}
    write_json(settings.build / "monitoring.json", summary)
    page = reports.write_monitoring(summary, scored, settings.build / "report.html")
    return summary | {"report": str(page), "summary": _sentence(summary)}


def _raise(
    settings: Settings,
    ledger: Ledger,
    raised: list[alarms.Alarm],
    now: pd.Timestamp,
    *,
    brief: bool,
) -> dict[str, Any]:
    """Open new alarms, resolve those whose cause is over, notify; return both, and why to train."""
    limits, rows = _limits(settings), _alarm_states(ledger)
    new = alarm_states.newly_open(raised, rows, now)
    ledger.record_alarms([alarm | {"origin": now} for alarm in new])
    tested = set(alarms.SEVERITY) - ({"input_drift"} if brief else set())
    ledger.record_alarm_events(alarm_states.cleared(raised, rows, tested, now))
    loud = alarm_states.to_notify(new, rows, now, limits.cooldown_days)
    if not notify(settings.monitoring.notify, loud, settings.product.name):
        log.warning("the alarms did not reach everybody in monitoring.notify")
    days = _days_since_gate(ledger, now)
    training = retraining.training(raised, _alarm_states(ledger), days, now, limits)
    return {
        "alarms": new,
        "open_alarms": list_alarms(ledger),
        "raised": raised,
        "training": vars(training) if training else None,
        "drift_threshold": settings.monitoring.drift_threshold,
    }


def _alarm_states(ledger: Ledger) -> pd.DataFrame:
    return alarm_states.states(ledger.alarms(), ledger.alarm_events())


def _sentence(summary: dict[str, Any]) -> str:
    live = summary["live"]
    wape = f"WAPE {live['overall']['wape']:.3f}" if live["overall"] else "no outcome yet"
    reason = f", train: {summary['training']['why']}" if summary["training"] else ""
    return (
        f"{live['forecasts']:,} forecasts, {live['matured']:.0%} with an outcome, {wape}, "
        f"{_counted(summary['alarms'], 'new alarm')}, "
        f"{len(summary['open_alarms'])} open{reason}"
    )


def _counted(things: list[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _limits(settings: Settings) -> alarms.Limits:
    names = {field.name for field in fields(alarms.Limits)}
    return alarms.Limits(**settings.monitoring.model_dump(include=names))


def _champion(settings: Settings) -> tuple[Forecaster | None, str]:
    try:
        release = champion_release(settings)
    except NoChampionError:
        return None, ""
    return release.model, release.version


def record_outcomes(ledger: Ledger, tables: Tables, *, brief: bool) -> int:
    """Write what was sold into the ledger; return how many rows were new.

    All of the watched days are offered each time, so that nothing is missing after the ledger did
    not answer. `brief`: only what was recorded since shortly before its newest row.
    """
    sales = tables["sales"]
    newest = ledger.newest_outcome() if brief else None
    if newest is None:
        return ledger.record_outcomes(sales[sales["date"] > last_day(tables) - WATCHED_DAYS * DAY])
    return ledger.record_outcomes(sales[sales["recorded_at"] >= newest - OVERLAP_DAYS * DAY])


def _data_alarms(settings: Settings, tables: Tables, now: pd.Timestamp) -> Iterator[alarms.Alarm]:
    """Yield alarms about what was delivered today, or was not."""
    last, path = last_day(tables), settings.build / "delivery.json"
    delivery = read_json(path, "ingest") if path.exists() else {"until": ""}
    if delivery["until"] == f"{now:%Y-%m-%d}":
        yield from alarms.of_delivery(delivery)
    if now - last > DAY:
        yield alarms.alarm("data_stale", "all tables", {"last_day": f"{last:%Y-%m-%d}"})
    yield from alarms.newcomers(schema.latest("stores", tables["stores"]), now)
    if "weather_forecast" in tables:
        since, issued = last - (WATCHED_DAYS - 1) * DAY, tables["weather_forecast"]
        recent = issued[issued["date"] >= since - alarms.YEAR]
        yield from alarms.issue_skill(live_scores.issue_uncertainty(recent), since)


def _champion_alarms(
    settings: Settings, ledger: Ledger, tables: Tables, champion: tuple[Forecaster, str]
) -> list[alarms.Alarm]:
    """Return what the days since the champion was trained say about it."""
    model, version = champion
    last, limits = last_day(tables), _limits(settings)
    since = max(pd.Timestamp(model.trained_until_) + DAY, last - (WATCHED_DAYS - 1) * DAY)
    if since > last:
        return []
    served = ledger.forecasts(since=since, until=last, model_version=version, lead_time=1)
    demand = _demand(tables, model, since)
    scored = _scored(ledger, tables, served, demand, since)
    levels = live_scores.mirrored_quantiles(scored, settings.forecast.quantiles)
    names = [quantile_column(level) for level in levels]
    found = shift_tests.forecast_alarms(scored, names, _usual_coverage(settings), limits)
    evidence = {} if demand.empty else model.shift_evidence(demand, (limits.shift, -limits.shift))
    if evidence:
        return shift_tests.demand_shift(evidence, limits) + found
    return shift_tests.rank_shift(scored, names, limits) + found


def _usual_coverage(settings: Settings) -> float:
    """Return how much of demand p10…p90 held a day ahead in the backtest."""
    path = settings.build / "scorecard.json"
    if not path.exists():
        return sum(settings.gate.coverage_80) / 2
    card = read_json(path, "backtest")["models"][backtest.CHALLENGER]
    # Where every cutoff is the day before a closed one, no lead of a day was ever scored.
    return float(card["by_lead"].get("1", card["overall"])["coverage_80"])


def _demand(tables: Tables, model: Forecaster | None, since: pd.Timestamp) -> pd.DataFrame:
    """Return what happened from `since` on, with the demand behind it by the model's response."""
    sales, last = tables["sales"], last_day(tables)
    needed = sales[sales["date"] >= min(since, last - WATCHED_DAYS * DAY)]
    none = {name: schema.empty(name) for name in ("plan", "weather_forecast")}
    happened = feature.past({**tables, **none, "sales": needed}, last)
    demand = model.uncensor(happened) if model else response.uncensor(happened)
    return demand[demand["date"] >= since]


def _scored(
    ledger: Ledger,
    tables: Tables,
    served: pd.DataFrame,
    demand: pd.DataFrame,
    since: pd.Timestamp,
) -> pd.DataFrame:
    """Return the served forecasts whose outcome the ledger has, with their costs."""
    sold = ledger.outcomes(since=since, until=last_day(tables))[[*KEY, "units"]]
    truth = sold.merge(demand[[*KEY, "demand", "sold_out", "rain_probability"]], on=KEY)
    scored = backtest.outcomes(served.assign(model="live"), truth, item_costs(tables))
    places = demand[[*KEY, "location_id", "rain_probability"]]
    return scored.merge(sold, on=KEY).merge(places, on=KEY)


def _live(
    settings: Settings, ledger: Ledger, tables: Tables, model: Forecaster | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the scored forecasts of the live days, and their scorecard."""
    last = last_day(tables)
    since = last - (settings.monitoring.live_days - 1) * DAY
    served = ledger.forecasts(since=since, until=last)
    scored = _scored(ledger, tables, served, _demand(tables, model, since), since)
    levels = live_scores.mirrored_quantiles(scored, settings.forecast.quantiles)
    return scored, live_scores.live_scorecard(served, scored, levels)


def _drift(
    settings: Settings, model: Forecaster | None, today: pd.Timestamp
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the drift of the columns that the champion reads, and the usual drift."""
    path = settings.build / "features.parquet"
    if model is None or not path.exists():  # nothing was ever trained: nothing to differ from
        return {}, {}
    rows = read_frame(path, "features")
    inputs = (*feature.HISTORY, *feature.PRICE, *feature.WEATHER)
    columns = [name for name in inputs if name in model.feature_names_in_]
    return live_scores.input_drift(rows, columns, today, settings.monitoring.live_days)


def _days_since_gate(ledger: Ledger, now: pd.Timestamp) -> int | None:
    """Return how many days ago a model was last judged; None where none ever was."""
    decisions = ledger.decisions()
    judged = decisions.loc[decisions["kind"] == "gate", "origin"]
    return int((now - judged.max()).days) if len(judged) else None
