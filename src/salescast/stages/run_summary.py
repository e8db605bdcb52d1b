"""The results of a life cycle, for a person and for a machine."""

from collections.abc import Iterator
from typing import Any

from salescast.data.files import read_json
from salescast.settings import Settings

FILES = {  # what the summary shows, the file in build/ and the stage that writes it
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
    version = read_json(build / "version.json", "version")["data_version"]
    return (
        {"workspace": str(settings.root), "data_version": version}
        | result
        | {"live": result["live"]["live"]}
    )


def describe(result: dict[str, Any], settings: Settings) -> str:
    """Return the summary a person reads, a screenful of text."""
    quality, currency = result["quality"], settings.product.currency
    paragraphs = [
        [
            f"data      version {result['data_version']}",
            f"{quality['rows_checked']:,} rows, {quality['status'].replace('_', ' ')}",
        ],
        _inventory(result["scorecard"], currency),
        _scorecard(result["scorecard"], currency),
        [*_gate(result["decision"])],
        [_live(result["live"])],
        _forecast(result["answer"]),
        [f"orders    {result['orders']['summary']}"],
        _links(settings),
    ]
    return "\n\n".join("\n          ".join(lines) for lines in paragraphs)


def _inventory(card: dict[str, Any], currency: str) -> list[str]:
    if not card["inventory"]:
        return ["inventory not simulated: the cutoffs lie further apart than the forecast reaches"]
    model, planner = card["inventory"]["challenger"], card["inventory"]["planner"]
    saved = planner["cost_per_year"] - model["cost_per_year"]
    ratio, low, high = (1 - model[f"of_planner_{k}"] for k in ("ratio", "high", "low"))
    return [
        f"inventory our orders save {saved:,.0f} {currency} a year against the old rule:",
        f"{ratio:.0%} [{low:.0%}, {high:.0%}] of its {planner['cost_per_year']:,.0f}, simulated",
    ]


def _scorecard(card: dict[str, Any], currency: str) -> list[str]:
    origins, series = len(card["origins"]), card["series"]
    leads = len(card["models"]["challenger"]["by_lead"])
    lines = [
        f"scorecard {origins} origins × {leads} leads × {series} series, scored as served",
        f"{'':12}{currency + ' a year':>16}{'WAPE':>8}{'bias':>8}{'in p10…p90':>12}",
    ]
    for name, title in MODELS:
        scores = card["models"][name]["overall"]
        lines.append(
            f"{title:12}{scores['cost_per_year']:>16,.0f}{scores['wape']:>8.3f}"
            f"{scores['bias']:>+8.1%}{scores['coverage_80']:>12.1%}"
        )
    for name, title in MODELS[1:]:
        mean, low, high = (card["saved"][name][key] for key in ("mean", "low", "high"))
        lines.append(
            f"saved against {title}: {mean:,.0f} {currency} a year [{low:,.0f}, {high:,.0f}]"
        )
    return lines


def _gate(decision: dict[str, Any]) -> Iterator[str]:
    checks = decision["checks"]
    passed = sum(check["passed"] for check in checks)
    yield (
        f"gate      {decision['verdict']} version {decision['version']}: "
        f"{passed} of {len(checks)} checks passed"
    )
    yield from (f"refused: {check['reason']}" for check in checks if not check["passed"])


def _live(live: dict[str, Any]) -> str:
    if not live["overall"]:
        return "live      no served forecast has an outcome yet"
    overall = live["overall"]
    return (
        f"live      {live['matured']:.0%} of {live['forecasts']:,} served forecasts have an "
        f"outcome: WAPE {overall['wape']:.3f}, bias {overall['bias']:+.1%}"
    )


def _forecast(answer: dict[str, Any]) -> list[str]:
    first = answer["forecasts"][0]
    week = "  ".join(f"{day['date'][5:]} {day['mean']:.1f}" for day in first["days"][:7])
    most = max(first["days"], key=lambda day: abs(day["because"]["weather"]))
    series = f"{first['store_id']} × {first['item_id']}"
    return [
        f"forecast  {series}, units a day, by version {answer['model_version']}",
        f"{week} …",
        f"weather on {most['date'][5:]}: {most['because']['weather']:+.1f} units",
        f"receipt {first['receipt_id']}",
    ]


def _links(settings: Settings) -> list[str]:
    build = settings.build
    return [
        f"look at   {build / 'report.html'}",
        f"{build / 'scorecard.html'}",
        f"{build / 'data_docs' / 'index.html'}",
        f"mlflow ui --backend-store-uri {settings.mlflow_uri}",
        f"make serve, then http://{settings.serving.host}:{settings.serving.port}/",
    ]
