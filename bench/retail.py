"""What the benches share: a simulated world, its truth, scores against the oracle, the figures.

True demand and the oracle are asked here and in tests alone; no model sees them.
"""

import json
import resource
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from godatamarkets import Retailer, oracle
from godatamarkets.catalogue import EMBEDDED_END, START
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.contract.schema import Tables
from salescast.evaluation import backtest
from salescast.evaluation.backtest import CHALLENGER, Recipe
from salescast.features import point_in_time
from salescast.ordering.orders import newsvendor_cost, unit_costs
from salescast.settings import read_settings
from salescast.stages.configured import recipe
from salescast.stages.feature_table import origins

SEEDS = (101, 202, 303)  # of the bench; nothing is tuned on them
BANDS = {"1-3": (1, 3), "4-7": (4, 7), "8-14": (8, 14)}
ORACLE = "oracle"
SERIES = ["store_id", "item_id"]
DAY = [*SERIES, "date"]
KEY = [*SERIES, "origin", "date"]
CONFIG = Path(__file__).parent.parent / "config.toml"
FOLDER = CONFIG.parent / "build" / "bench"


@dataclass(frozen=True)
class World:
    """A simulated retailer, what he delivered, and how the product would forecast for him.

    `rows`: features of all training origins and those `tested`; `truth`: demand as it was;
    `best`: the oracle's predictions; `past`: `features.past` of a cutoff, remembered.
    """

    tables: Tables
    rows: pd.DataFrame
    tested: Sequence[pd.Timestamp]
    refit_every: int
    recipe: Recipe
    truth: pd.DataFrame
    best: pd.DataFrame
    past: Callable[[pd.Timestamp], pd.DataFrame]


def world(
    size: Any,
    seed: int,
    change: Callable[[dict[str, Any]], Tables] = lambda tables: tables,
    *,
    process: str = "base",
    levels: Sequence[float] = (),
) -> World:
    """Simulate three years; `change` alters the tables as delivered.

    `process`: the simulator's world; `levels`: quantiles beside the configured ones.
    """
    retailer, settings = Retailer(size, seed, world=process), read_settings(CONFIG)
    delivered = retailer.deliver(START, EMBEDDED_END)
    tables = change({name: conform(name, rows) for name, rows in delivered.items()})
    trained, tested = origins(settings, tables)
    how = recipe(settings, tables)
    how = replace(how, quantiles=tuple(sorted({*how.quantiles, *levels})))
    best = oracle.as_issued(retailer, tested, how.quantiles, settings.forecast.horizon)
    return World(
        tables,
        point_in_time.build(tables, [*trained, *tested], settings.forecast.horizon),
        tested,
        settings.backtest.refit_every,
        how,
        oracle.true_demand(retailer, START, EMBEDDED_END)[[*DAY, "demand"]],
        best.rename(columns={"critical": "stock_target"}).assign(model=ORACLE),
        cache(lambda cutoff: point_in_time.past(tables, cutoff)),
    )


def blind(seen: World) -> World:
    """Return the same world for one who is told no weather at all."""
    days = seen.rows["origin"].unique()
    horizon = int(seen.rows["lead_time"].max())
    return replace(seen, rows=point_in_time.build(seen.tables, days, horizon, "none"))


def predicted(seen: World, kind: str, name: str) -> pd.DataFrame:
    """Return what a model of the product predicts at the tested origins, under `name`."""
    how = replace(seen.recipe, kind=kind)
    found = backtest.run(seen.rows, seen.past, seen.tested, seen.refit_every, how)
    return found[found["model"] == CHALLENGER].assign(model=name)


def blocks(seen: World) -> list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]:
    """Return (rows known, past, rows to serve) of each fit of the backtest."""
    found = []
    for start in range(0, len(seen.tested), seen.refit_every):
        block = list(seen.tested[start : start + seen.refit_every])
        known = seen.rows[seen.rows["origin"] < block[0]]
        served = seen.rows[seen.rows["origin"].isin(block)]
        found.append((known, seen.past(block[0]), served))
    return found


def judged(seen: World, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return predictions and the oracle's with `actual` demand, `cost`, and the oracle's mean."""
    costs = unit_costs(schema.latest("items", seen.tables["items"]))
    rows = pd.concat([predictions, seen.best], ignore_index=True)
    rows = rows.drop(columns="demand").merge(seen.truth.rename(columns={"demand": "actual"}))
    rows = rows.merge(costs, on="item_id")
    names = ("actual", "stock_target", "underage", "overage")
    rows["cost"] = newsvendor_cost(*(rows[name].to_numpy(float) for name in names))
    return rows.merge(seen.best[[*KEY, "mean"]].rename(columns={"mean": "best_mean"}), on=KEY)


def against_oracle(rows: pd.DataFrame, quantiles: Sequence[float]) -> pd.DataFrame:
    """Return one row of scores per model, each on the oracle's answers to the same questions.

    cost, rmse, wql, wape: ratios to the oracle's; `bias` against the oracle's mean; `coverage`:
    80 % coverage minus the oracle's; the same per lead band, and the worst item's coverage.
    """
    best = rows[rows["model"] == ORACLE]
    table = {}
    for name, model_rows in rows.groupby("model"):
        same = best if len(model_rows) == len(best) else best.merge(model_rows[KEY], on=KEY)
        scores = _compared(model_rows, same, quantiles)
        for band, (first, last) in BANDS.items():
            within = [part[part["lead_time"].between(first, last)] for part in (model_rows, same)]
            part = _compared(*within, quantiles)
            scores |= {f"{score} {band}": part[score] for score in ("cost", "bias", "coverage")}
        items = [
            _compared(part, same[same["item_id"] == item], quantiles)["coverage"]
            for item, part in model_rows.groupby("item_id")
        ]
        table[str(name)] = scores | {"coverage worst item": max(items, key=abs)}
    return pd.DataFrame(table).T


def _compared(
    model_rows: pd.DataFrame, best: pd.DataFrame, quantiles: Sequence[float]
) -> dict[str, float]:
    a, b = (backtest.scores(part, quantiles) for part in (model_rows, best))
    ratios = {name: a[name] / b[name] for name in ("cost", "rmse", "wql", "wape")}
    return ratios | {
        "bias": float(model_rows["mean"].sum() / model_rows["best_mean"].sum() - 1.0),
        "coverage": a["coverage_80"] - b["coverage_80"],
        "money": a["cost"],
    }


def run_json(*command: str | Path) -> dict[str, float]:
    """Run a command and return the JSON of its last line."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def peak_gb() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def too_good(scores: Mapping[str, Any]) -> bool:
    """Tell whether a model beats the best possible: then it has seen what it cannot know."""
    return bool(scores["rmse"] < 0.97 or scores["cost"] < 0.98)


@dataclass(frozen=True)
class Figure:
    """One measured number; `bar` reads "≤ 1.03", or is empty where nothing is promised."""

    name: str
    value: float
    unit: str = "ratio"
    bar: str = ""

    @property
    def holds(self) -> bool:
        """Tell whether the value keeps what the bar asks."""
        if not self.bar:
            return True
        sign, limit = self.bar.split()
        return bool(self.value <= float(limit) if sign == "≤" else self.value >= float(limit))


def publish(name: str, figures: Iterable[Figure]) -> bool:
    """Print the figures, write them to build/bench/NAME.json; tell whether all bars hold."""
    found = list(figures)
    width = max(len(figure.name) for figure in found)
    for figure in found:
        verdict = ("holds" if figure.holds else "MISSED") if figure.bar else ""
        value = f"{figure.value:12.4g} {figure.unit:10s}"
        print(f"{figure.name:{width}s} {value} {figure.bar:8s} {verdict}".rstrip())
    FOLDER.mkdir(parents=True, exist_ok=True)
    plain = [{**vars(f), "value": round(float(f.value), 6), "holds": f.holds} for f in found]
    text = json.dumps({"figures": plain}, indent=2, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return all(figure.holds for figure in found)
