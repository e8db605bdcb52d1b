"""The real shop's scorecard: every article and all together, against baselines and the blind twin.

The shop's files are not part of the repository: SALESCAST_REAL_DATA names their folder.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from bench.retail import FOLDER, Figure, publish
from salescast.data.store import read_all
from salescast.evaluation.backtest import BLIND, CHALLENGER
from salescast.evaluation.inference import interval, paired, unit_means
from salescast.models import BASELINES
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES
from salescast.stages.backtesting import scored

SCRIPT = Path(__file__).parent.parent / "docs" / "how-to" / "uk_gift_retailer.py"
SHOP = FOLDER / "real"
RIVALS = (BLIND, *BASELINES)


def learned() -> tuple[Settings, dict[str, Any]]:
    """Map the shop's files, take them in, and backtest; return the scorecard."""
    subprocess.run([sys.executable, SCRIPT, SHOP], check=True)  # noqa: S603 - ours
    os.environ["SALESCAST_CONFIG"] = str(SHOP / "config.toml")
    settings = read_settings()
    for stage in ("ingest", "validate", "features"):
        print(f"{stage}: {STAGES[stage](settings)['summary']}", file=sys.stderr)
    return settings, STAGES["backtest"](settings)["scorecard"]


def saved(rows: pd.DataFrame, rival: str) -> tuple[float, float, float]:
    """Return the share of the rival's cost that we save, and its 95 % interval over origins."""
    model_rows, rival_rows = (rows[rows["model"] == name] for name in (CHALLENGER, rival))
    base = rival_rows["cost"].mean()
    low, high = interval(unit_means("origin", paired(model_rows, rival_rows), "saved"), 0.025)
    return float(1 - model_rows["cost"].mean() / base), low / base, high / base


def totals(rows: pd.DataFrame) -> dict[str, float]:
    """Return per model the WAPE of what all articles together sell on a day."""
    days = rows.groupby(["model", "origin", "date"])[["mean", "actual"]].sum()
    error = (days["mean"] - days["actual"]).abs().groupby("model").sum()
    return dict(error / days["actual"].groupby("model").sum())


def by_item(card: dict[str, Any]) -> pd.DataFrame:
    """Return each article's scores, and its cost against the rivals'."""
    models = card["models"]
    table = pd.DataFrame(models[CHALLENGER]["by_item"]).T[["cost", "wape", "bias", "coverage_80"]]
    for rival in RIVALS:
        rival_rows = pd.Series({k: of["cost"] for k, of in models[rival]["by_item"].items()})
        table[f"÷ {rival}"] = table["cost"] / rival_rows
    return table.sort_values("cost", ascending=False)


def figures(card: dict[str, Any], rows: pd.DataFrame) -> list[Figure]:
    """Return the scores of every model, and what ours saves against each rival."""
    found, together = [], totals(rows)
    for name in (CHALLENGER, *RIVALS):
        of = card["models"][name]["overall"]
        found += [
            Figure(f"{name}: cost", of["cost_per_year"], "GBP/year"),
            Figure(f"{name}: WAPE of the median", of["wape"], "share"),
            Figure(f"{name}: WQL", of["wql"], "share"),
            Figure(f"{name}: bias", of["bias"], "share"),
            Figure(f"{name}: inside p10…p90", of["coverage_80"], "share"),
            Figure(f"{name}: WAPE of the total, of the mean", together[name], "share"),
        ]
    for rival in RIVALS:
        names = ("saved against", "95 % from, against", "95 % to, against")
        values = saved(rows, rival)
        found += [Figure(f"{n} {rival}", v, "share") for n, v in zip(names, values, strict=True)]
    return found


def main() -> int:
    """Measure, publish, and say whether weather earns its place."""
    settings, card = learned()
    predictions = pd.read_parquet(settings.build / "predictions.parquet")
    rows = scored(read_all(settings.data), predictions)
    print(by_item(card).round(3).to_string(), "\n")
    publish("real", figures(card, rows))
    _, low, high = saved(rows, BLIND)
    earns = "earns its place" if low > 0 else "does not surely earn its place"
    print(
        f"\nWeather {earns} here: it saves {low:+.1%} to {high:+.1%} of the blind twin's cost, and "
        "as no forecasts were archived it is climatology, the season in other words."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
