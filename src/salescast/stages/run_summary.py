"""The results of a life cycle, for a person and for a machine."""

from typing import Any

from salescast.data.files import read_json
from salescast.reports.rendering import TEMPLATES, render
from salescast.settings import Settings

FILES = {  # what the summary shows: the file in build/ and the stage that writes it
    "quality": ("quality.json", "validate"),
    "scorecard": ("scorecard.json", "backtest"),
    "decision": ("decision.json", "gate"),
    "live": ("monitoring.json", "monitor"),
    "orders": ("orders.json", "order"),
    "answer": ("answer.json", "answer"),
}
MODELS = (("challenger", "our model"), ("weekday_mean", "8-week mean"), ("seasonal_naive", "naive"))


def collect(settings: Settings) -> dict[str, Any]:
    """Return what the stages wrote, in one dictionary."""
    build = settings.build
    result = {key: read_json(build / name, stage) for key, (name, stage) in FILES.items()}
    version = read_json(build / "version.json", "version")
    result |= version | {"workspace": str(settings.root), "live": result["live"]["live"]}
    return result


def describe(result: dict[str, Any], settings: Settings) -> str:
    """Return the summary a person reads, a screenful of text."""
    days = result["answer"]["forecasts"][0]["days"]
    return render(
        TEMPLATES / "run.txt",
        **result,
        models=MODELS,
        week="  ".join(f"{day['date'][5:]} {day['mean']:.1f}" for day in days[:7]),
        most=max(days, key=lambda day: abs(day["because"]["weather"])),
        currency=settings.product.currency,
        build=settings.build,
        mlflow_uri=settings.mlflow_uri,
        address=f"{settings.serving.host}:{settings.serving.port}",
    ).rstrip()
