"""The steps of the life cycle, each: settings → read → pure function → write.

`STAGES` is the one table that `dvc.yaml`, the flows and the command line run. A stage takes the
settings and plain options, writes under `build/` (ingest: `data/`) and returns a small dictionary
of plain values; its key "summary" is the sentence a person reads.
"""

from collections.abc import Callable, Mapping
from typing import Any

from salescast.errors import ConfigError
from salescast.settings import Settings
from salescast.stages.answering import answer
from salescast.stages.backtesting import backtest
from salescast.stages.canary import canary
from salescast.stages.feature_table import features
from salescast.stages.forecasting import forecast
from salescast.stages.gating import gate
from salescast.stages.ingestion import ingest, validate, version
from salescast.stages.live_monitoring import monitor
from salescast.stages.order_proposal import order
from salescast.stages.promotion import promote
from salescast.stages.registration import register
from salescast.stages.training import train

Result = dict[str, Any]
Stage = Callable[..., Result]

REPRODUCIBLE: Mapping[str, Stage] = {
    stage.__name__: stage for stage in (validate, features, backtest, train)
}
"""Stages that depend on files and settings alone: the ones `dvc repro` runs."""

STAGES: Mapping[str, Stage] = {
    stage.__name__: stage
    for stage in (
        ingest,
        version,
        *REPRODUCIBLE.values(),
        register,
        gate,
        promote,
        forecast,
        order,
        answer,
        monitor,
        canary,
    )
}

PARTITIONED = ("features", "forecast")
"""Stages that take `mapper`, which works through partitions of stores (`partitions.Mapper`)."""


def run_stage(name: str, settings: Settings) -> Result:
    """Run one stage; raise ConfigError for a name that is none."""
    if name not in STAGES:
        raise ConfigError(f"no stage {name!r}; there are {', '.join(STAGES)}")
    return STAGES[name](settings)
