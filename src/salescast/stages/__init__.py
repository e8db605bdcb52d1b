"""The steps of the life cycle, each: settings → read → pure function → write.

`STAGES` is the one table that `dvc.yaml`, the flows and the command line run. A stage takes the
settings and plain options, writes under `build/` (ingest: `data/`) and returns a small dictionary
of plain values; its key "summary" is the sentence a person reads.
"""

from collections.abc import Callable, Mapping
from typing import Any

from salescast.errors import ConfigError
from salescast.settings import Settings
from salescast.stages.canary import canary
from salescast.stages.feature_table import features
from salescast.stages.forecasting import answer, forecast, order
from salescast.stages.ingestion import ingest, validate, version
from salescast.stages.judging import gate, register
from salescast.stages.promotion import promote
from salescast.stages.training import backtest, train
from salescast.stages.watching import monitor

Result = dict[str, Any]

REPRODUCIBLE: Mapping[str, Callable[..., Result]] = {
    "validate": validate,
    "features": features,
    "backtest": backtest,
    "train": train,
}
"""Stages that depend on files and settings alone: the ones `dvc repro` runs."""

STAGES: Mapping[str, Callable[..., Result]] = {
    "ingest": ingest,
    "version": version,
    **REPRODUCIBLE,
    "register": register,
    "gate": gate,
    "promote": promote,
    "forecast": forecast,
    "order": order,
    "answer": answer,
    "monitor": monitor,
    "canary": canary,
}

PARTITIONED = ("features", "forecast")
"""Stages that take `each`, which works through partitions of stores (`partitions.Each`)."""


def run_stage(name: str, settings: Settings) -> Result:
    """Run one stage; raise ConfigError for a name that is none."""
    if name not in STAGES:
        raise ConfigError(f"no stage {name!r}; there are {', '.join(STAGES)}")
    return STAGES[name](settings)
