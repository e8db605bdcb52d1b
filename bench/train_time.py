"""Time and memory to train on a million rows, beside mlforecast + LightGBM on the same rows.

Each fit runs in a process of its own, so that its peak memory is its own.
"""

import json
import sys
import time
from pathlib import Path

import pandas as pd

from bench.retail import FOLDER, Figure, peak_gb, publish, run_json, world
from godatamarkets.catalogue import EMBEDDED_END
from salescast.models import make
from salescast.settings import read_settings

COPIES = 7  # of the demo's stores, each under a name of its own: 1.1 million series-days
INPUT = FOLDER / "train-time"


def prepare() -> None:
    """Write the rows both train on."""
    seen = world("demo", 7)
    happened = seen.past(EMBEDDED_END)
    INPUT.mkdir(parents=True, exist_ok=True)
    for name, rows in (("happened", happened), ("rows", seen.rows)):
        copies = [rows.assign(store_id=rows["store_id"] + f"~{c}") for c in range(COPIES)]
        key = [c for c in ("store_id", "item_id", "origin", "date") if c in rows]
        pd.concat(copies).sort_values(key).to_parquet(INPUT / f"{name}.parquet", index=False)


def train_product() -> dict[str, float]:
    """Fit the product's model; seconds, rows and peak memory in GB."""
    how = read_settings(FOLDER.parent.parent / "config.toml").model
    rows, happened = (pd.read_parquet(INPUT / f"{n}.parquet") for n in ("rows", "happened"))
    before = time.perf_counter()
    make("integrated", how.model_dump(), how.seed).fit(rows, happened)
    return {"seconds": time.perf_counter() - before, "rows": len(happened), "peak_gb": peak_gb()}


def figures() -> list[Figure]:
    """Measure both, one after the other."""
    prepare()
    product = run_json(sys.executable, "-m", "bench.train_time", "product")
    script = Path(__file__).with_name("peers.py")
    peer = run_json(FOLDER / ".venv" / "bin" / "python", script, "train", INPUT)
    assert product["rows"] == peer["rows"]
    ratio = product["seconds"] / peer["seconds"]
    return [
        Figure("training: rows", product["rows"], "rows", "≥ 1000000"),
        Figure("training: time ÷ mlforecast + LightGBM", ratio, bar="≤ 1.5"),
        Figure("training: time", product["seconds"], "s"),
        Figure("training: peak memory", product["peak_gb"], "GB"),
        Figure("training: mlforecast + LightGBM, time", peer["seconds"], "s"),
        Figure("training: mlforecast + LightGBM, peak memory", peer["peak_gb"], "GB"),
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["product"]:
        print(json.dumps(train_product()))
    else:
        sys.exit(0 if publish("train-time", figures()) else 1)
