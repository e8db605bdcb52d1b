"""A challenger on trial: begun, judged daily by what came true, withdrawn by itself."""

import getpass
from contextlib import suppress
from typing import Any

import pandas as pd

from salescast.contract import schema
from salescast.contract.schema import last_day
from salescast.data import store
from salescast.errors import DataQualityError, GateRefused
from salescast.evaluation.backtest import outcomes
from salescast.evaluation.live_comparison import Judgement, chosen, judge
from salescast.features import point_in_time as feature
from salescast.ledger.ledger import Ledger
from salescast.models.forecaster import Model
from salescast.monitoring.alarms import alarm
from salescast.ordering.orders import unit_costs
from salescast.ordering.replenishment import recent_demand
from salescast.release import Releases, Trial, open_rival, read_trial, write_trial
from salescast.settings import Settings
from salescast.stages.promotion import decision_of, publish, rollback

KEY = ["model", "store_id", "item_id", "origin", "date"]


def start(settings: Settings, version: int, share: float) -> dict[str, Any]:
    """Put a registered version on trial; it serves `share` (0 … 1) of the stores, 0 is the shadow.

    Raises GateRefused for a share of a version that the gate refused, NoChampionError where nobody
    serves yet.
    """
    Releases(settings.releases).champion()  # beside nobody there is nothing to try
    decision = decision_of(settings, version)
    if share and decision["verdict"] != "promote":
        raise GateRefused(
            f"version {version} was refused and may not serve; --share 0 keeps it in the shadow"
        )
    tables = store.read_all(settings.data)
    stores = sorted(tables["stores"]["store_id"].unique())
    trial = Trial(str(version), publish(settings, decision), share)
    write_trial(settings.releases, trial)
    _journal(settings, trial, "start", f"share {share:g}")
    names = chosen(stores, share, trial.version)
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
        "summary": f"version {trial.version} is not tried any more",
    }


def canary(settings: Settings) -> dict[str, Any]:
    """Judge what is on trial by what came true; act where that is clear.

    A challenger that is surely dearer, or whose intervals do not hold, is withdrawn. A champion
    that is surely dearer than the one before it, kept in the shadow since the promotion, is rolled
    back.
    """
    trial = read_trial(settings.releases)
    if trial is None:
        return {"verdict": None, "summary": "nothing is on trial"}
    releases = Releases(settings.releases, settings.model.trusted_types)
    champion = releases.read(releases.champion())
    try:
        open_rival(settings.releases, champion, settings.model.trusted_types)
    except DataQualityError as error:
        found = Judgement("withdraw", str(error), 0)
        _end(settings, trial, found)
        return found.as_dict() | {"summary": f"version {trial.version} is withdrawn: {error}"}
    scored = _scored(settings, champion.model)
    mine = scored.loc[scored["model"] == trial.version, "origin"]
    old = mine.nunique() > 0 and (mine.max() - mine.min()).days >= settings.gate.trial_days
    if int(trial.version) < int(champion.version):
        found = _watch(settings, trial, champion.version, scored)
    else:
        found = judge(scored, trial.version, champion.version, settings.gate.coverage_80)
        if found.verdict == "withdraw":
            _end(settings, trial, found)
    if old and found.verdict != "withdraw":
        write_trial(settings.releases, None)
        _journal(settings, trial, "expire", found.reason, found)
    return found.as_dict() | {
        "version": int(trial.version),
        "champion": int(champion.version),
        "summary": f"version {trial.version} beside version {champion.version}: {found.verdict}, "
        f"{found.reason}",
    }


def _watch(settings: Settings, trial: Trial, champion: str, scored: pd.DataFrame) -> Judgement:
    """Return how the champion does against the one before; take it back where that is clear."""
    bounds = settings.gate.coverage_80
    found = judge(scored, champion, trial.version, bounds)
    before = judge(scored, trial.version, champion, bounds)
    if found.verdict == "withdraw" and before.verdict != "withdraw":
        _end(settings, trial, found)
        rollback(settings, int(trial.version), reason=f"in life: {found.reason}")
    return found


def _end(settings: Settings, trial: Trial, found: Judgement) -> None:
    """End the trial and say why: in the journal, and as an alarm."""
    write_trial(settings.releases, None)
    _journal(settings, trial, "withdraw", found.reason, found)
    today = last_day(store.read_all(settings.data))
    raised = alarm("withdrawn", f"version {trial.version}", found.as_dict())
    with Ledger(settings.ledger_url) as ledger:
        ledger.record_alarms([raised | {"origin": today}])


def _journal(
    settings: Settings, trial: Trial, verdict: str, reason: str, found: Judgement | None = None
) -> None:
    with Ledger(settings.ledger_url) as ledger:
        ledger.record_decision(
            kind="canary" if trial.share else "shadow",
            model_version=trial.version,
            champion_version=Releases(settings.releases).champion().version,
            verdict=verdict,
            checks=[found.as_dict()] if found else [],
            origin=last_day(store.read_all(settings.data)),
            approver=getpass.getuser() if verdict in {"start", "stop"} else None,
            reason=reason,
        )


def _scored(settings: Settings, model: Model) -> pd.DataFrame:
    """Return the forecasts of a trial's length, served or in the shadow, with their outcomes."""
    tables = store.read_all(settings.data)
    today = last_day(tables)
    first = today - pd.Timedelta(days=2 * settings.gate.trial_days)
    with Ledger(settings.ledger_url) as ledger:
        both = [
            ledger.forecasts(since=first, until=today, shadow=shadow) for shadow in (False, True)
        ]
    made = pd.concat(both, ignore_index=True)
    made = made.assign(model=made["model_version"]).sort_values("made_at", kind="stable")
    truth = recent_demand(model, feature.past(tables, today))
    costs = unit_costs(schema.latest("items", tables["items"]))
    return outcomes(made.drop_duplicates(KEY, keep="last"), truth, costs)
