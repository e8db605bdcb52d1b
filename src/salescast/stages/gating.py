"""Gate: judge the challenger on gathered evidence, and record the decision."""

from typing import Any

import pandas as pd

from salescast.contract.schema import Tables, last_day
from salescast.data import store
from salescast.data.files import plain, present, read_frame, read_json, write_json
from salescast.errors import GateRefused, NoChampionError
from salescast.evaluation import measurements
from salescast.evaluation.backtest import CHALLENGER, served_by
from salescast.evaluation.controls import twins
from salescast.evaluation.gate import Decision, Evidence, Measured, decide
from salescast.features import point_in_time as feature
from salescast.ledger.journal import Decided
from salescast.ledger.ledger import Ledger
from salescast.monitoring.alarms import alarm
from salescast.registry import Registry, Version, read_model
from salescast.settings import Settings
from salescast.stages import dossier
from salescast.stages.backtesting import scored
from salescast.stages.configured import gate_policy, open_registry, recipe
from salescast.stages.progress import steps

COMPARED = ("champion_version", "verdict", "checks")  # what makes a decision another one
TWIN_ORIGINS = 13  # the newest, served by one fit: the twin is fitted for the gate alone


def gate(settings: Settings) -> dict[str, Any]:
    """Judge the challenger against the baselines and the champion, and record the decision."""
    registry = open_registry(settings)
    number = read_json(settings.build / "registered.json", "register")["version"]
    challenger, champion = registry.version(number), registry.version("champion")
    if challenger is None:
        raise NoChampionError("the challenger is not in the registry; run `salescast train` again")
    rival = champion if champion and champion.number != number else None
    tables = store.read_all(settings.data)
    evidence = _evidence(settings, registry, tables, (challenger, rival))
    decision = decide(evidence, gate_policy(settings))
    if _record(settings, registry, (challenger, champion), decision):
        dossier.write(settings, registry, challenger, tables)
    verdict = "promote" if decision.promote else "refuse: " + "; ".join(decision.reasons)
    return decision.as_dict() | {"version": number, "summary": verdict}


def raise_refusal(decision: dict[str, Any]) -> None:
    """Raise GateRefused with the reasons where the decision is to refuse."""
    if decision["verdict"] != "promote":
        reasons = "; ".join(c["reason"] for c in decision["checks"] if not c["passed"])
        raise GateRefused(f"version {decision['version']} is refused: {reasons}")


def _evidence(
    settings: Settings,
    registry: Registry,
    tables: Tables,
    versions: tuple[Version, Version | None],
) -> Evidence:
    """Return the evidence on `versions` = (challenger, champion; None where there is no other)."""
    challenger, champion = versions
    rows = read_frame(settings.build / "features.parquet", "features")
    predictions = read_frame(settings.build / "predictions.parquet", "backtest")
    tested = sorted(pd.Timestamp(origin) for origin in predictions["origin"].unique())
    last = tested[-TWIN_ORIGINS:]
    happened, happened_until_now = (feature.past(tables, d) for d in (last[0], last_day(tables)))
    steps.debug("fits twins with other weather and with shuffled outcomes")
    controls = twins(rows, happened, happened_until_now, last, recipe(settings, tables))
    champion_rows = None
    if champion:
        steps.debug("scores the champion")
        served = _champion_rows(settings, registry, champion, tables, tested)
        champion_rows = scored(tables, served)
    payload = registry.model(challenger)
    return Evidence(
        scored(tables, pd.concat([predictions, controls], ignore_index=True)),
        champion_rows,
        read_json(settings.build / "quality.json", "validate")["status"],
        _weather(rows[rows["origin"].isin(tested)]),
        _measured(settings, tables, rows, predictions, payload),
    )


def _weather(rows: pd.DataFrame) -> str:
    """Return which weather the challenger uses: none, issued or climatology."""
    if rows["rain_mm"].isna().all():
        return "none"
    return "issued" if rows["issued_at"].notna().any() else "climatology"


def _champion_rows(
    settings: Settings,
    registry: Registry,
    champion: Version,
    tables: Tables,
    tested: list[pd.Timestamp],
) -> pd.DataFrame:
    """Return the champion out of sample: its own backtest, then its model on later origins."""
    past = pd.read_parquet(registry.artifact(champion, "predictions.parquet"))
    past = past[(past["model"] == CHALLENGER) & past["origin"].isin(tested)]
    payload = registry.model(champion)
    contract = payload["contract"]
    later = [origin for origin in tested if origin >= pd.Timestamp(contract["origin"])]
    if not later:
        return past
    rows = feature.build(tables, later, settings.forecast.horizon, contract["weather"])
    fresh = served_by(payload["model"], rows, recipe(settings, tables), CHALLENGER)
    return pd.concat([past, fresh], ignore_index=True)


def _measured(
    settings: Settings,
    tables: Tables,
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    payload: dict[str, Any],
) -> Measured:
    """Return what is measured on the registry's copy of the model, at sampled origins."""
    path = present(settings.build / "model.skops", "train")
    batch = read_model(path, trusted=settings.model.trusted_types)
    judged = predictions.loc[predictions["model"] == CHALLENGER, "origin"]
    first, last = judged.min(), judged.max()
    trained_on = pd.Timestamp(payload["contract"]["origin"])
    until = str(payload["model"].trained_until_)
    steps.debug("measures the model")
    return Measured(
        poisoned=measurements.poisoned_share(payload, tables, [first, last]),
        skewed=measurements.skewed_share(payload, batch, tables, rows, [first, trained_on]),
        refit=measurements.refit_change(payload, rows, predictions),
        trained_until=until,
        stale_days=float((last_day(tables) - pd.Timestamp(until)).days),
        model_mb=path.stat().st_size / 1e6,
        rows_per_second=measurements.rows_per_second(payload, rows),
    )


def _record(
    settings: Settings,
    registry: Registry,
    versions: tuple[Version, Version | None],
    decision: Decision,
) -> bool:
    """Add the decision to the ledger, to build/ and to the run; return whether it is the first.

    A decision never replaces another: `decision-N.json` of the run is decision N of the ledger. A
    version that has served keeps the tags and the dossier of the decision it was promoted on.
    """
    challenger, champion = versions
    entry: Decided = {
        "kind": "gate",
        "model_version": str(challenger.number),
        "champion_version": str(champion.number) if champion else None,
        "verdict": decision.as_dict()["verdict"],
        "checks": plain(decision.as_dict()["checks"]),
        "origin": pd.Timestamp(challenger.tags["origin"]),
    }
    with Ledger(settings.ledger_url) as ledger:
        newest = _newest_decision(ledger, challenger.number)
        if newest is None or any(newest[key] != dict(entry)[key] for key in COMPARED):
            ledger.record_decision(**entry)
            newest = _newest_decision(ledger, challenger.number)
        served = str(challenger.number) in set(ledger.promotions()["model_version"])
        if not decision.promote:
            reasons = {"reasons": list(decision.reasons)}
            refused = alarm("training_refused", f"version {challenger.number}", reasons)
            ledger.record_alarms([refused | {"origin": entry["origin"]}])
    result = _as_written(newest or {})
    write_json(settings.build / "decision.json", result)
    name = f"decision-{result['decision_id']}.json"
    registry.log_artifact(challenger, write_json(settings.build / "decisions" / name, result))
    if not served:
        registry.tag(challenger, "gate", result["verdict"])
        registry.tag(challenger, "gate_decision", str(result["decision_id"]))
    return not served


def decision_of(settings: Settings, version: int | None = None) -> dict[str, Any]:
    """Return the gate's newest decision in the ledger on a version, or on the last one judged here.

    Raises GateRefused where the ledger has none, or another than build/decision.json.
    """
    written = read_json(settings.build / "decision.json", "gate") if version is None else None
    number = version if written is None else written["version"]
    with Ledger(settings.ledger_url) as ledger:
        newest = _newest_decision(ledger, number)
    if newest is None:
        raise GateRefused(
            f"the ledger has no decision on version {number}; run `salescast stage gate`"
        )
    decision = _as_written(newest)
    if written not in (None, decision):
        raise GateRefused(
            f"decision.json differs from decision {decision['decision_id']} in the ledger; run "
            "`salescast stage gate` again"
        )
    return decision


def _newest_decision(ledger: Ledger, version: int | None) -> dict[str, Any] | None:
    rows = ledger.decisions()
    rows = rows[(rows["kind"] == "gate") & (rows["model_version"] == str(version))].astype(object)
    newest = rows.where(rows.notna(), None).tail(1).to_dict("records")
    return {str(name): value for name, value in newest[0].items()} if newest else None


def _as_written(newest: dict[str, Any]) -> dict[str, Any]:
    """Return a decision of the ledger as decision.json has it."""
    champion = newest["champion_version"]
    return {
        "verdict": newest["verdict"],
        "checks": newest["checks"],
        "version": int(newest["model_version"]),
        "champion": int(champion) if champion else None,
        "decision_id": int(newest["decision_id"]),
    }
