"""`make bench-scale`: 1,000 to 10,000 series of two years: features, training, 14-day forecasts.

The chain is the demo's, copied under names and places of its own: more stores, the same items.
Each stage runs in a process of its own, so that its peak memory is its own; partitions run one
after another in it. Training origins lie five days apart, as configured; those of the backtest
are built beside them. The stage `train` fits the model and its blind twin.
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from bench.retail import CONFIG, FOLDER, Figure, peak_gb, publish, run_json
from flows.engine import inline
from godatamarkets import Retailer
from godatamarkets.catalogue import START
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.data import store
from salescast.features import point_in_time
from salescast.registry import read_model
from salescast.release import Release, Releases, encode
from salescast.settings import Settings, read_settings
from salescast.stages.packing import DRAFT, write_draft

COPIES = (7, 21, 70)  # of the demo's 144 series
PARTITION = 84  # stores, 504 series
DAYS = 730
STAGES = ("features", "train", "forecast")
COVARIATES = ["price_ratio", "promo", "christmas"]
COVARIATES += ["rain_probability", "rain_mm", "storm", "spell", "temp_anomaly"]
Spent = Mapping[str, float]


def folder(copies: int) -> Path:
    """Return the workspace of one size."""
    return FOLDER / "scale" / str(copies)


def prepare(copies: int) -> None:
    """Store two years of the copies, a month of knowledge at a time."""
    shutil.rmtree(folder(copies), ignore_errors=True)
    folder(copies).mkdir(parents=True)
    retailer = Retailer("demo", 7)
    delivered = retailer.deliver(START, START + pd.Timedelta(days=DAYS - 1))
    del delivered["stock"]  # neither features nor forecasts look at it
    tables = {name: conform(name, rows) for name, rows in delivered.items()}
    series = tables["sales"].drop_duplicates(["store_id", "item_id"])
    stores = series["store_id"].nunique() * copies
    text = re.sub(
        r"^partitions = 1\b",
        f"partitions = {max(stores // PARTITION, 1)}",
        CONFIG.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    (folder(copies) / "config.toml").write_text(text, "utf-8")
    month = {n: rows[schema.TABLES[n].known_at].dt.to_period("M") for n, rows in tables.items()}
    for each in sorted(set(pd.concat([m.drop_duplicates() for m in month.values()]))):
        part = {name: rows[month[name] == each] for name, rows in tables.items()}
        store.append(folder(copies) / "data", {n: _copied(n, r, copies) for n, r in part.items()})


def _copied(table: str, rows: pd.DataFrame, copies: int) -> pd.DataFrame:
    names = [name for name in ("store_id", "location_id") if name in rows]
    if table == "items":
        return rows
    each = [rows.assign(**{n: rows[n] + f"~{c:02d}" for n in names}) for c in range(copies)]
    return pd.concat(each, ignore_index=True)


def release(settings: Settings) -> None:
    """Let what was trained serve, without registry or gate."""
    rows = pq.ParquetFile(settings.build / "features.parquet").read_row_group(0).to_pandas()
    payload = read_model(settings.build / "model.skops")
    draft = write_draft(settings, payload, rows.head(14))
    files = {path.name: path.read_bytes() for path in draft.iterdir()}
    files["model.skops"] = (settings.build / "model.skops").read_bytes()
    about = {"name": "scale", "version": "1", "run_id": "none", "git_commit": None}
    about |= {"trained_until": payload["model"].trained_until_, "trained_on": "", DRAFT: None}
    plain = {"about": about, "decision": {}, "scorecard": {}, "quality": {}}
    files |= {f"{name}.json": encode(value) for name, value in plain.items()}
    shelf = Releases(settings.releases)
    shelf.point(Release(1, "1", shelf.publish("1", files)))


def hand_over(settings: Settings) -> None:
    """Write what the other library gets: each day sold, its features made, and those ahead."""
    tables = store.read_all(settings.data)
    last = schema.last_day(tables)
    names = ["store_id", "item_id", "date", *COVARIATES]
    point_in_time.past(tables, last)[[*names, "units"]].to_parquet(
        settings.root / "happened.parquet"
    )
    ahead = point_in_time.build(tables, [last])
    ahead[names].to_parquet(settings.root / "ahead.parquet")


def stage(settings: Settings, name: str) -> dict[str, float]:
    """Run one stage here; seconds and peak memory in GB."""
    run = inline(settings)
    before = time.perf_counter()
    run(name)
    seconds = time.perf_counter() - before
    return {"seconds": seconds, "peak_gb": peak_gb()}


def _apart(*words: str) -> dict[str, float]:
    return run_json(sys.executable, "-m", "bench.scale", *words)


def measure(copies: int) -> dict[str, Spent]:
    """Return what each stage spends on one size, and what the other library does."""
    size = str(copies)
    _apart("prepare", size)
    found: dict[str, Spent] = {name: _apart("stage", size, name) for name in STAGES[:2]}
    _apart("release", size)
    found[STAGES[2]] = _apart("stage", size, STAGES[2])
    _apart("hand-over", size)
    script = Path(__file__).with_name("peers.py")
    found["peer"] = run_json(FOLDER / ".venv" / "bin" / "python", script, "scale", folder(copies))
    print(copies, json.dumps(found), file=sys.stderr, flush=True)
    shutil.rmtree(folder(copies))
    return found


def figures() -> Iterator[Figure]:
    """Measure size after size."""
    spent = {copies * 144: measure(copies) for copies in COPIES}
    whole = {n: sum(each[name]["seconds"] for name in STAGES) for n, each in spent.items()}
    least, most = min(spent), max(spent)
    yield Figure("series × days", most * DAYS, "rows", "≥ 7300000")
    yield Figure("time: slope of log time on log series", _slope(whole), "slope", "≤ 1.1")
    for name in ("features", "forecast"):
        grown = spent[most][name]["peak_gb"] / spent[least][name]["peak_gb"]
        yield Figure(f"{name}: peak memory, {most} ÷ {least} series", grown, bar="≤ 1.2")
    pooled = _slope({n: each["train"]["peak_gb"] for n, each in spent.items()})
    yield Figure("train, pooled: slope of log peak memory", pooled, "slope", "≤ 1.1")
    peer = spent[most]["peer"]
    yield Figure("time ÷ mlforecast + LightGBM", whole[most] / peer["seconds"])
    peak = max(spent[most][name]["peak_gb"] for name in STAGES)
    yield Figure("peak memory ÷ mlforecast + LightGBM", peak / peer["peak_gb"])
    for n, each in spent.items():
        for name, one in each.items():
            yield Figure(f"{n} series, {name}: time a series", one["seconds"] / n * 1e3, "ms")
            yield Figure(
                f"{n} series, {name}: peak memory a series", one["peak_gb"] / n * 1e3, "MB"
            )


def _slope(values: Mapping[int, float]) -> float:
    return float(np.polyfit(np.log(list(values)), np.log(list(values.values())), 1)[0])


def main(words: list[str]) -> int:
    """Do one step in this process, or measure all."""
    if not words:
        return 0 if publish("scale", figures()) else 1
    steps: Mapping[str, Callable[[Settings], None]] = {"release": release, "hand-over": hand_over}
    spent: Mapping[str, float] = {}
    if words[0] == "prepare":
        prepare(int(words[1]))
    else:
        settings = read_settings(folder(int(words[1])) / "config.toml")
        if words[0] == "stage":
            spent = stage(settings, words[2])
        else:
            steps[words[0]](settings)
    print(json.dumps(spent))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
