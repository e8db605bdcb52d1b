"""Register: log the training run and register its model as the challenger."""

import hashlib
import json
import subprocess
from importlib.metadata import version as installed
from typing import Any

from salescast.data import versions
from salescast.data.files import present, read_frame, read_json, write_json
from salescast.evaluation.backtest import CHALLENGER
from salescast.models.forecaster import forecast
from salescast.registry import Candidate, read_model
from salescast.release.bundle import MATTERS
from salescast.settings import Settings
from salescast.stages.configured import open_registry
from salescast.stages.packing import write_draft

ARTIFACTS = (
    "importance.json",
    "scorecard.json",
    "scorecard.html",
    "predictions.parquet",
    "quality.json",
    "plots",
)
EXAMPLE_ROWS = 5
SECTIONS = ("forecast", "features", "model", "backtest")  # of config.toml, logged as parameters


def register(settings: Settings) -> dict[str, Any]:
    """Log the run and register its model as the challenger."""
    build = settings.build
    path = present(build / "model.skops", "train")
    payload = read_model(path, trusted=settings.model.trusted_types)
    rows = read_frame(build / "features.parquet", "features")
    newest = rows[rows["origin"] == rows["origin"].max()]
    example = newest.head(EXAMPLE_ROWS).astype({"lead_time": float})
    draft = write_draft(settings, payload, example)
    contract = payload["contract"]
    levels = contract["quantiles"], contract["critical"]
    card = read_json(build / "scorecard.json", "backtest")["models"][CHALLENGER]
    candidate = Candidate(
        model=payload,
        params=_params(settings),
        metrics={name: value for name, value in card["overall"].items() if value is not None},
        metrics_by_lead=_by_lead(card["by_lead"]),
        tags=_tags(settings, payload),
        artifacts=[*(build / name for name in ARTIFACTS if (build / name).exists()), draft],
        input_example=example,
        output_example=forecast(payload["model"], example, *levels),
        requirements=[f"{name}=={installed(name)}" for name in MATTERS],
    )
    version = open_registry(settings).log(candidate)
    result = {"version": version.number, "run_id": version.run_id}
    write_json(build / "registered.json", result)
    summary = f"version {version.number} of {settings.product.model}, alias challenger"
    return {**result, "summary": summary}


def _params(settings: Settings) -> dict[str, Any]:
    values = settings.model_dump(include=set(SECTIONS))
    return {
        f"{section}.{key}": value for section in SECTIONS for key, value in values[section].items()
    }


def _by_lead(leads: dict[str, dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Return name of a score + "_by_lead" → lead time → value."""
    result: dict[str, dict[int, float]] = {}
    for lead, scores in leads.items():
        for name, value in scores.items():
            if value is not None:
                result.setdefault(f"{name}_by_lead", {})[int(lead)] = value
    return result


def _tags(settings: Settings, payload: dict[str, Any]) -> dict[str, str]:
    data_version = versions.data_version(settings.data)
    params = json.dumps(_params(settings), default=str, sort_keys=True)
    commit = _git_commit(settings)
    key = hashlib.sha256(f"{data_version}|{params}|{commit}".encode()).hexdigest()[:20]
    return {
        "git_commit": commit,
        "data_version": data_version,
        "quality_verdict": read_json(settings.build / "quality.json", "validate")["status"],
        "trained_until": payload["model"].trained_until_,
        "origin": payload["contract"]["origin"],
        "train_key": key,
    }


def _git_commit(settings: Settings) -> str:
    """Return the commit of the code's checkout, or "none" outside of one."""
    command = ["git", "-C", str(settings.root), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        return "none"
    return answer.stdout.strip() or "none"
