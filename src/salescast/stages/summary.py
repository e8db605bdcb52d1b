"""What a life cycle came to, for a person and for a machine."""

from typing import Any

from salescast.data.files import read_json
from salescast.settings import Settings

ROWS = (("challenger", "our model"), ("weekday_mean", "8-week mean"), ("seasonal_naive", "naive"))


def collect(settings: Settings) -> dict[str, Any]:
    """Return what the stages wrote, in one dictionary."""
    build = settings.build
    return {
        "workspace": str(settings.root),
        "data_version": read_json(build / "version.json", "version")["data_version"],
        "quality": read_json(build / "quality.json", "validate"),
        "scorecard": read_json(build / "scorecard.json", "backtest"),
        "decision": read_json(build / "decision.json", "gate"),
        "live": read_json(build / "monitoring.json", "monitor")["live"],
        "orders": read_json(build / "orders.json", "order"),
        "answer": read_json(build / "answer.json", "answer"),
    }


def describe(result: dict[str, Any], settings: Settings) -> str:
    """Return the summary a person reads, a screenful of text."""
    quality, card = result["quality"], result["scorecard"]
    parts = [
        f"data      version {result['data_version']}",
        f"          {quality['rows_checked']:,} rows, {quality['status'].replace('_', ' ')}",
        "",
        _shelves(card, settings.product.currency),
        _table(card, settings.product.currency),
        "",
        _gate(result["decision"]),
        _live(result["live"]),
        "",
        _forecast(result["answer"]),
        f"orders    {result['orders']['summary']}",
        "",
        _where(settings),
    ]
    return "\n".join(parts)


def _shelves(card: dict[str, Any], currency: str) -> str:
    if not card["inventory"]:
        return "shelves   not simulated: the cutoffs lie further apart than the forecast reaches"
    ours, theirs = card["inventory"]["challenger"], card["inventory"]["planner"]
    saved = theirs["cost_per_year"] - ours["cost_per_year"]
    return (
        f"shelves   {saved:,.0f} {currency} a year saved against the status-quo planner: "
        f"{1 - ours['of_planner_ratio']:.0%} of his\n"
        f"          {theirs['cost_per_year']:,.0f} "
        f"[{1 - ours['of_planner_high']:.0%}, {1 - ours['of_planner_low']:.0%}], "
        "simulated on the backtest's demand\n"
    )


def _table(card: dict[str, Any], currency: str) -> str:
    lines = [
        f"scorecard {len(card['origins'])} origins × 14 leads × {card['series']} series, as served",
        f"          {'':12}{currency + ' a year':>16}{'WAPE':>8}{'bias':>8}{'in p10…p90':>12}",
    ]
    for name, title in ROWS:
        of = card["models"][name]["overall"]
        lines.append(
            f"          {title:12}{of['cost_per_year']:>16,.0f}{of['wape']:>8.3f}"
            f"{of['bias']:>+8.1%}{of['coverage_80']:>12.1%}"
        )
    for name, title in ROWS[1:]:
        saved = card["saved"][name]
        lines.append(
            f"          saved against {title}: {saved['mean']:,.0f} {currency} a year "
            f"[{saved['low']:,.0f}, {saved['high']:,.0f}]"
        )
    return "\n".join(lines)


def _gate(decision: dict[str, Any]) -> str:
    passed = sum(check["passed"] for check in decision["checks"])
    failed = [f"\n          refused: {c['reason']}" for c in decision["checks"] if not c["passed"]]
    return (
        f"gate      {decision['verdict']} version {decision['version']}: "
        f"{passed} of {len(decision['checks'])} checks passed" + "".join(failed)
    )


def _live(live: dict[str, Any]) -> str:
    if not live["overall"]:
        return "live      nothing has matured yet"
    overall = live["overall"]
    return (
        f"live      {live['matured']:.0%} of {live['forecasts']:,} served forecasts matured: "
        f"WAPE {overall['wape']:.3f}, bias {overall['bias']:+.1%}"
    )


def _forecast(answer: dict[str, Any]) -> str:
    first = answer["forecasts"][0]
    days = "  ".join(f"{day['date'][5:]} {day['mean']:.1f}" for day in first["days"][:7])
    most = max(first["days"], key=lambda day: abs(day["because"]["weather"]))
    return (
        f"forecast  {first['store_id']} × {first['item_id']}, units a day, by version "
        f"{answer['model_version']}\n          {days} …\n          weather on {most['date'][5:]}: "
        f"{most['because']['weather']:+.1f} units\n          receipt {first['receipt_id']}"
    )


def _where(settings: Settings) -> str:
    build = settings.build
    return "\n".join(
        [
            f"look at   {build / 'report.html'}",
            f"          {build / 'scorecard.html'}",
            f"          {build / 'data_docs' / 'index.html'}",
            f"          mlflow ui --backend-store-uri {settings.mlflow_uri}",
            f"          make serve, then http://{settings.serving.host}:{settings.serving.port}/",
        ]
    )
