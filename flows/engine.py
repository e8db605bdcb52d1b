"""What runs a stage: a plain call here, a Prefect task in `on_prefect`."""

import logging
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from salescast.settings import Scale, Settings
from salescast.stages import PARTITIONED, STAGES, Result
from salescast.stages.partitions import Mapper, in_order
from salescast.stages.progress import progress

Run = Callable[..., Result]

log = logging.getLogger("salescast")


def inline(settings: Settings) -> Run:
    """Return a `run` that calls the stage in this process, without Prefect."""
    mapper = workers(settings.scale)

    def run(name: str, **options: Any) -> Result:
        if name in PARTITIONED:
            options["mapper"] = mapper
        return STAGES[name](settings, **options)

    return logged(run)


def workers(scale: Scale) -> Mapper:
    """Return what works through partitions, without Prefect; `dask` needs it."""
    if scale.runner == "dask" and scale.partitions > 1:
        log.warning("scale.runner = dask needs --engine prefect; partitions run one after another")
    if scale.partitions == 1 or scale.runner in {"inline", "dask"}:
        return in_order

    def mapper(work: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        with _executor(scale) as executor:
            return list(executor.map(work, values))

    return mapper


def _executor(scale: Scale) -> Executor:
    if scale.runner == "threads":
        return ThreadPoolExecutor(scale.workers)
    # A fork of a process that has threads may hang: each worker starts a new interpreter.
    return ProcessPoolExecutor(scale.workers, multiprocessing.get_context("spawn"))


def logged(run: Run) -> Run:
    """Return `run`, logging each stage's name, seconds and summary when it is done."""

    def run_and_log(name: str, **options: Any) -> Result:
        start = time.perf_counter()
        with progress(name) if log.isEnabledFor(logging.INFO) else nullcontext():
            result = run(name, **options)
        log.info("%-9s %5.1f s  %s", name, time.perf_counter() - start, result["summary"])
        return result

    return run_and_log
