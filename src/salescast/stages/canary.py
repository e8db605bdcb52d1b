"""A challenger on trial: begun, judged daily by its matured forecasts, withdrawn by itself."""

import getpass
from contextlib import suppress
from typing import Any

import pandas as pd

from salescast.contract.schema import last_day
from salescast.data import store
from salescast.errors import DataQualityError, GateRefused
from salescast.evaluation.backtest import outcomes
from salescast.evaluation.live_comparison import Judgement, canary_stores, judge
from salescast.features import point_in_time as feature
from salescast.ledger.ledger import Ledger
from salescast.models.forecaster import Forecaster
from salescast.monitoring.alarms import alarm
from salescast.ordering.orders import item_costs
from salescast.ordering.replenishment import recent_demand
from salescast.release import Trial, open_trial, read_trial, write_trial
from salescast.settings import Settings
from salescast.stages.configured import champion_release, open_releases
from salescast.stages.gating import decision_of
from salescast.stages.packing import publish
from salescast.stages.promotion import rollback

KEY = ["model", "store_id", "item_id", "origin", "date"]


def start(settings: Settings, version: int, share: float) -> dict[str, Any]:
    """Put a registered version on trial: it serves `share` (0 … 1) of the stores, 0 is the shadow.

    Raises GateRefused for a share of a version that the gate refused, NoChampionError where there
    is no champion yet.
    """
    open_releases(settings).champion()
    decision = decision_of(settings, version)
    if share and decision["verdict"] != "promote":
        raise GateRefused(
            f"version {version} was refused and may not serve; --share 0 keeps it in the shadow"
        )
    stores = sorted(store.read_all(settings.data)["stores"]["store_id"].unique())
    trial = Trial(str(version), publish(settings, decision), share)
    write_trial(settings.releases, trial)
    _journal(settings, trial, "start", f"share {share:g}")
    names = canary_stores(stores, share, trial.version)
    serves = f"serves {len(names)} of {len(stores)} stores" if names else "is in the shadow"
    return {"version": version, "stores": names, "summary": f"version {version} {serves}"}


def stop(settings: Settings, reason: str = "asked for") -> dict[str, Any]:
    """End the trial; the champion serves all stores again."""
    trial = None
    with suppress(DataQualityError):  # a damaged trial is ended all the same
        trial = read_trial(settings.releases)
    write_trial(settings.releases, None)
    if trial is None:
        return {"version": None, "summary": "no version was on trial"}
    _journal(settings, trial, "stop", reason)
    return {
        "version": int(trial.version),
        "summary": f"the trial of version {trial.version} has ended",
    }


def canary(settings: Settings) -> dict[str, Any]:
    """Judge the trial by its matured forecasts, and act where the evidence is clear.

    A challenger whose lower confidence bound is dearer, or whose intervals do not hold, is
    withdrawn. A champion that is as clearly dearer than the previous one, which forecasts in the
    shadow since the promotion, is rolled back.
    """
    trial = read_trial(settings.releases)
    if trial is None:
        return {"verdict": None, "summary": "nothing is on trial"}
    champion = champion_release(settings)
    try:
        open_trial(settings.releases, champion, settings.model.trusted_types)
    except DataQualityError as error:
        judgement = Judgement("withdraw", str(error), 0)
        _withdraw(settings, trial, judgement)
        summary = f"version {trial.version} is withdrawn: {error}"
        return judgement.as_dict() | {"summary": summary}
    scored = _scored(settings, champion.model)
    judgement = _judge(settings, trial, champion.version, scored)
    if judgement.verdict != "withdraw" and _is_over(settings, trial, scored):
        write_trial(settings.releases, None)
        _journal(settings, trial, "expire", judgement.reason, judgement)
    return judgement.as_dict() | {
        "version": int(trial.version),
        "champion": int(champion.version),
        "summary": f"version {trial.version} against version {champion.version}: "
        f"{judgement.verdict}, {judgement.reason}",
    }


def _judge(settings: Settings, trial: Trial, champion: str, scored: pd.DataFrame) -> Judgement:
    """Return the judgement of the challenger, or of the champion against the previous one."""
    bounds = settings.gate.coverage_80
    if int(trial.version) > int(champion):
        judgement = judge(scored, trial.version, champion, bounds)
        if judgement.verdict == "withdraw":
            _withdraw(settings, trial, judgement)
        return judgement
    judgement = judge(scored, champion, trial.version, bounds)
    previous = judge(scored, trial.version, champion, bounds)
    if judgement.verdict == "withdraw" and previous.verdict != "withdraw":
        _withdraw(settings, trial, judgement)
        rollback(settings, int(trial.version), reason=f"in production: {judgement.reason}")
    return judgement


def _is_over(settings: Settings, trial: Trial, scored: pd.DataFrame) -> bool:
    origins = scored.loc[scored["model"] == trial.version, "origin"]
    return len(origins) > 0 and (origins.max() - origins.min()).days >= settings.gate.trial_days


def _withdraw(settings: Settings, trial: Trial, judgement: Judgement) -> None:
    """End the trial; the journal and an alarm say why."""
    write_trial(settings.releases, None)
    _journal(settings, trial, "withdraw", judgement.reason, judgement)
    today = last_day(store.read_all(settings.data))
    raised = alarm("withdrawn", f"version {trial.version}", judgement.as_dict())
    with Ledger(settings.ledger_url) as ledger:
        ledger.record_alarms([raised | {"origin": today}])


def _journal(
    settings: Settings,
    trial: Trial,
    verdict: str,
    reason: str,
    judgement: Judgement | None = None,
) -> None:
    with Ledger(settings.ledger_url) as ledger:
        ledger.record_decision(
            kind="canary" if trial.share else "shadow",
            model_version=trial.version,
            champion_version=open_releases(settings).champion().version,
            verdict=verdict,
            checks=[judgement.as_dict()] if judgement else [],
            origin=last_day(store.read_all(settings.data)),
            approver=getpass.getuser() if verdict in {"start", "stop"} else None,
            reason=reason,
        )


def _scored(settings: Settings, model: Forecaster) -> pd.DataFrame:
    """Return the recent forecasts, served or in the shadow, with their outcomes and costs."""
    tables = store.read_all(settings.data)
    today = last_day(tables)
    first = today - pd.Timedelta(days=2 * settings.gate.trial_days)
    with Ledger(settings.ledger_url) as ledger:
        both = [
            ledger.forecasts(since=first, until=today, shadow=shadow) for shadow in (False, True)
        ]
    forecasts = pd.concat(both, ignore_index=True)
    forecasts = forecasts.assign(model=forecasts["model_version"]).sort_values(
        "made_at", kind="stable"
    )
    truth = recent_demand(model, feature.past(tables, today))
    return outcomes(forecasts.drop_duplicates(KEY, keep="last"), truth, item_costs(tables))
