"""Forecasts of other libraries, in an environment of their own: means.

Run by bench/forecast.py as `peers.py FOLDER` in build/bench/.venv, and by bench/train_time.py
as `peers.py train FOLDER`, by bench/scale.py as `peers.py scale FOLDER`. Reads history.parquet
(unique_id, ds, y, covariates) and served.parquet (unique_id, origin, ds, covariates); writes
NAME.parquet (unique_id, origin, ds, mean).
"""

import json
import resource
import sys
import time
from pathlib import Path

import lightgbm
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean
from statsforecast import StatsForecast
from statsforecast.models import AutoETS
from utilsforecast.preprocessing import fill_gaps

COVARIATES = ["price_ratio", "promo", "christmas"]
COVARIATES += ["rain_probability", "rain_mm", "storm", "spell", "temp_anomaly"]
STATIC = ["store", "item"]
HORIZON, EVERY, REFIT = 14, 7, 13
RECALL = 120  # days that the longest lag and rolling mean need
MANY, ETS_SAMPLE, ETS_DAYS = 50, 7, 730  # of many, every seventh: all would take minutes a seed
TREES = {"n_estimators": 300, "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 50}


def learner(**options: object) -> MLForecast:
    """Return LightGBM on lags, rolling means and the covariates, recursive over the leads."""
    trees = lightgbm.LGBMRegressor(objective="poisson", verbosity=-1, seed=7, **TREES, **options)
    return MLForecast(
        models={"mean": trees},
        freq="D",
        lags=[1, 7, 14, 21, 28],
        lag_transforms={1: [RollingMean(7), RollingMean(28), RollingMean(56)]},
        date_features=["dayofweek"],
    )


def with_static(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows with store and item as categories."""
    parts = rows["unique_id"].str.split("|", expand=True)
    return rows.assign(**{n: parts[i].astype("category") for i, n in enumerate(STATIC)})


def mlforecast(history: pd.DataFrame, served: pd.DataFrame) -> pd.DataFrame:
    """Fit where the product refits, forecast at each origin."""
    history, parts = with_static(history), []
    origins = sorted(served["origin"].unique())
    for start in range(0, len(origins), REFIT):
        model = learner()
        model.fit(history[history["ds"] <= origins[start]], static_features=STATIC)
        for origin in origins[start : start + REFIT]:
            recent = history["ds"].between(origin - pd.Timedelta(days=RECALL), origin)
            ahead = served[served["origin"] == origin].drop(columns="origin")
            part = model.predict(HORIZON, new_df=history[recent], X_df=ahead)
            parts.append(part.assign(origin=origin))
    return pd.concat(parts)


def auto_ets(history: pd.DataFrame, windows: int) -> pd.DataFrame:
    """Return forecasts, of a sample where there are many series; smoothing goes on between fits."""
    names = sorted(history["unique_id"].unique())
    names = names[:: ETS_SAMPLE if len(names) > MANY else 1]
    late = history["ds"] > history["ds"].max() - pd.Timedelta(days=ETS_DAYS)
    sample = history.loc[history["unique_id"].isin(names) & late, ["unique_id", "ds", "y"]]
    ets = StatsForecast(models=[AutoETS(season_length=7, alias="mean")], freq="D", n_jobs=1)
    forecasts = ets.cross_validation(
        h=HORIZON, df=sample, step_size=EVERY, n_windows=windows, refit=REFIT
    )
    return forecasts.rename(columns={"cutoff": "origin"})


def main(folder: Path) -> None:
    """Read, forecast, write."""
    history = pd.read_parquet(folder / "history.parquet")
    served = pd.read_parquet(folder / "served.parquet")
    forecasts = {
        "mlforecast": mlforecast(history, served),
        "AutoETS": auto_ets(history, served["origin"].nunique()),
    }
    for name, rows in forecasts.items():
        rows["mean"] = rows["mean"].clip(lower=0.0)
        rows[["unique_id", "origin", "ds", "mean"]].to_parquet(folder / f"{name}.parquet")


def train(folder: Path) -> dict[str, float]:
    """Fit to what happened, its features made before; seconds, rows and peak memory in GB."""
    named, rows = history_of(folder)
    model = learner()
    features, target = model.preprocess(named, static_features=STATIC, return_X_y=True)
    before = time.perf_counter()
    model.fit_models(features, target)
    return spent(before) | {"rows": rows}


def scale(folder: Path) -> dict[str, float]:
    """Make features, fit, and forecast what lies ahead; seconds and peak memory in GB."""
    named, _ = history_of(folder)
    ahead = identified(pd.read_parquet(folder / "ahead.parquet"))[["unique_id", "ds", *COVARIATES]]
    model = learner()
    before = time.perf_counter()
    model.fit_models(*model.preprocess(named, static_features=STATIC, return_X_y=True))
    model.predict(HORIZON, X_df=ahead)
    return spent(before)


def spent(before: float) -> dict[str, float]:
    """Return seconds since a moment, and peak memory in GB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": time.perf_counter() - before, "peak_gb": peak}


def identified(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows under the names that the library wants."""
    rows = rows.rename(columns={"date": "ds", "units": "y"})
    return rows.assign(unique_id=rows["store_id"].astype(str) + "|" + rows["item_id"].astype(str))


def history_of(folder: Path) -> tuple[pd.DataFrame, int]:
    """Return what happened, closed days as zeros, and how many days there were."""
    rows = identified(pd.read_parquet(folder / "happened.parquet"))
    each_day = fill_gaps(rows[["unique_id", "ds", "y", *COVARIATES]], freq="D").fillna(0.0)
    return with_static(each_day), len(rows)


if __name__ == "__main__":
    if sys.argv[1] == "train":
        print(json.dumps(train(Path(sys.argv[2]))))
    elif sys.argv[1] == "scale":
        print(json.dumps(scale(Path(sys.argv[2]))))
    else:
        main(Path(sys.argv[1]))
