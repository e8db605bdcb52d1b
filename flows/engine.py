"""What runs a stage: a plain call here, a Prefect task in `on_prefect`."""

import logging
import time
from collections.abc import Callable
from typing import Any

from salescast.settings import Settings
from salescast.stages import STAGES, Result

Run = Callable[..., Result]

log = logging.getLogger("salescast")


def inline(settings: Settings) -> Run:
    """Return a `run` that calls the stage in this process, without Prefect."""

    def run(name: str, **options: Any) -> Result:
        return STAGES[name](settings, **options)

    return telling(run)


def telling(run: Run) -> Run:
    """Return `run`, logging each stage's name, seconds and sentence when it is done."""

    def told(name: str, **options: Any) -> Result:
        start = time.perf_counter()
        result = run(name, **options)
        log.info("%-9s %5.1f s  %s", name, time.perf_counter() - start, result["says"])
        return result

    return told
