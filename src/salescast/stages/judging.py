"""From a fitted model to a judged challenger: registered, then accepted or refused."""

import hashlib
import json
import subprocess
from importlib.metadata import version as installed
from typing import Any

import pandas as pd

from salescast.data import store, versions
from salescast.data.files import plain, present, read_frame, read_json, write_json
from salescast.errors import GateRefused, NoChampionError
from salescast.evaluation.backtest import CHALLENGER
from salescast.evaluation.gate import Decision, decide
from salescast.ledger.ledger import Decided, Ledger
from salescast.models.forecaster import from_payload, predict
from salescast.monitoring.alarms import alarm
from salescast.registry import Candidate, Registry, Version, read_model
from salescast.settings import Settings
from salescast.stages import dossier
from salescast.stages.examination import gather, policy
from salescast.stages.packing import write_draft

REQUIREMENTS = ("numpy", "pandas", "scikit-learn", "scipy", "skops")
ARTIFACTS = (
    "importance.json",
    "scorecard.json",
    "scorecard.html",
    "predictions.parquet",
    "quality.json",
    "plots",
)


def open_registry(settings: Settings) -> Registry:
    """Return the model registry of this workspace."""
    return Registry(
        settings.mlflow_uri,
        settings.product.model,
        settings.artifacts,
        settings.artifacts_uri,
        settings.model.trusted_types,
    )


def register(settings: Settings) -> dict[str, Any]:
    """Log the run and register its model as the challenger."""
    build = settings.build
    payload = read_model(
        present(build / "model.skops", "train"), trusted=settings.model.trusted_types
    )
    rows = read_frame(build / "features.parquet", "features")
    example = rows[rows["origin"] == rows["origin"].max()].head(5).astype({"lead_time": float})
    draft = write_draft(settings, payload, example)
    contract = payload["contract"]
    card = read_json(build / "scorecard.json", "backtest")["models"][CHALLENGER]
    candidate = Candidate(
        model=payload,
        params=_params(settings),
        metrics=_numbers(card["overall"]),
        metrics_by_lead=_by_lead(card["by_lead"]),
        tags=_tags(settings, payload),
        artifacts=[*(build / name for name in ARTIFACTS if (build / name).exists()), draft],
        input_example=example,
        output_example=predict(
            from_payload(payload["model"]), example, contract["quantiles"], contract["critical"]
        ),
        requirements=[f"{name}=={installed(name)}" for name in REQUIREMENTS],
    )
    made = open_registry(settings).log(candidate)
    write_json(build / "registered.json", {"version": made.number, "run_id": made.run_id})
    return {
        "version": made.number,
        "run_id": made.run_id,
        "summary": f"version {made.number} of {settings.product.model}, alias challenger",
    }


def _params(settings: Settings) -> dict[str, Any]:
    sections = ("forecast", "features", "model", "backtest")
    values = settings.model_dump(include=set(sections))
    return {f"{part}.{key}": value for part in sections for key, value in values[part].items()}


def _numbers(scores: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value is not None}


def _by_lead(leads: dict[str, dict[str, Any]]) -> dict[str, dict[int, float]]:
    names = next(iter(leads.values())).keys()
    return {
        f"{name}_by_lead": {
            int(lead): scores[name] for lead, scores in leads.items() if scores[name] is not None
        }
        for name in names
    }


def _tags(settings: Settings, payload: dict[str, Any]) -> dict[str, str]:
    data_version = versions.data_version(settings.data)
    params = json.dumps(_params(settings), default=str, sort_keys=True)
    commit = git_commit(settings)
    key = hashlib.sha256(f"{data_version}|{params}|{commit}".encode()).hexdigest()[:20]
    return {
        "git_commit": commit,
        "data_version": data_version,
        "quality_verdict": read_json(settings.build / "quality.json", "validate")["status"],
        "trained_until": payload["model"]["trained_until"],
        "origin": payload["contract"]["origin"],
        "train_key": key,
    }


def git_commit(settings: Settings) -> str:
    """Return the commit of the code's checkout, or "none" outside of one."""
    command = ["git", "-C", str(settings.root), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return "none"
    return answer.stdout.strip() or "none"


def gate(settings: Settings) -> dict[str, Any]:
    """Judge the challenger against the baselines and the champion, and record the decision."""
    registry = open_registry(settings)
    number = read_json(settings.build / "registered.json", "register")["version"]
    challenger, champion = registry.version(number), registry.version("champion")
    if challenger is None:
        raise NoChampionError("the challenger is not in the registry; run `salescast train` again")
    rival = champion if champion and champion.number != number else None
    tables = store.read_all(settings.data)
    evidence = gather(settings, registry, tables, (challenger, rival))
    decision = decide(evidence, policy(settings))
    _record(settings, registry, (challenger, champion), decision)
    dossier.write(settings, registry, challenger, tables)
    word = "promote" if decision.promote else "refuse: " + "; ".join(decision.reasons)
    return decision.as_dict() | {"version": number, "summary": word}


def _record(
    settings: Settings,
    registry: Registry,
    versions: tuple[Version, Version | None],
    decision: Decision,
) -> None:
    challenger, champion = versions
    against = champion.number if champion else None
    summary = decision.as_dict() | {"version": challenger.number, "champion": against}
    path = write_json(settings.build / "decision.json", summary)
    registry.log_artifact(challenger, path)
    registry.tag(challenger, "gate", summary["verdict"])
    decided: Decided = {
        "kind": "gate",
        "model_version": str(challenger.number),
        "champion_version": str(champion.number) if champion else None,
        "verdict": summary["verdict"],
        "checks": plain(summary["checks"]),
        "origin": pd.Timestamp(challenger.tags["origin"]),
    }
    with Ledger(settings.ledger_url) as ledger:
        if not _stands(ledger, decided):
            ledger.record_decision(**decided)
        if not decision.promote:
            why = {"reasons": list(decision.reasons)}
            refused = alarm("training_refused", f"version {challenger.number}", why)
            ledger.record_alarms([refused | {"origin": decided["origin"]}])


def _stands(ledger: Ledger, decided: Decided) -> bool:
    """Tell whether the version's newest decision of the gate is this one, check by check."""
    known = ledger.decisions()
    last = known[(known["kind"] == "gate") & (known["model_version"] == decided["model_version"])]
    if last.empty:
        return False
    newest = last.iloc[-1]
    rival = None if pd.isna(newest["champion_version"]) else newest["champion_version"]
    return (rival, newest["checks"]) == (decided["champion_version"], decided["checks"])


def raise_refusal(decision: dict[str, Any]) -> None:
    """Raise GateRefused with the reasons where the decision is to refuse."""
    if decision["verdict"] != "promote":
        reasons = "; ".join(c["reason"] for c in decision["checks"] if not c["passed"])
        raise GateRefused(f"version {decision['version']} is refused: {reasons}")
