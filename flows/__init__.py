"""When, in which order, and with which retries the stages run.

Each flow is a plain function of `run`, which runs one stage by name. `engine.inline` runs it as
a function call, `on_prefect` as a task: the order is written once, and both do the same.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flows.deploy import deploy
from flows.forecast import forecast
from flows.ingest import ingest
from flows.lifecycle import lifecycle
from flows.monitor import monitor
from flows.train import train

FLOWS: Mapping[str, Callable[..., dict[str, Any]]] = {
    flow.__name__: flow for flow in (ingest, train, deploy, forecast, monitor, lifecycle)
}
