"""Great Expectations for our checks: an expectation, two actions, the checkpoint.

Importing this module imports Great Expectations, which takes seconds: only judging does it.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import pandas as pd

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported

import great_expectations as gx
from great_expectations.checkpoint import UpdateDataDocsAction
from great_expectations.checkpoint.actions import ValidationAction
from great_expectations.compatibility.pydantic import PrivateAttr
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.pandas_datasource import DataFrameAsset
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from salescast.data.files import write_json
from salescast.quality.suites import MEANINGS, Range, Rule, outside
from salescast.quality.verdict import Verdict, write_quarantine


class RowsOutside(TableMetricProvider):  # type: ignore[misc]
    """The metric: how many rows of the batch have a measure outside its range, and of how many."""

    metric_name = "salescast.rows_outside"
    value_keys = ("ranges",)

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, execution_engine: Any, **named: Any) -> tuple[int, int]:  # noqa: N805
        frame, _, _ = execution_engine.get_compute_domain(named["metric_domain_kwargs"], "table")
        return int(outside(frame, named["metric_value_kwargs"]["ranges"]).sum()), len(frame)


class ExpectMeasuresInRange(BatchExpectation):  # type: ignore[misc]
    """Expect every row to have each measure within its range; unknown values pass.

    A measure is a column of the contract, or one computed beside it: a price against the series'
    usual one, rows of the day against its weekday's history, the surprise of a dry run.
    """

    ranges: dict[str, Range]
    metric_dependencies: ClassVar = ("salescast.rows_outside",)
    success_keys: ClassVar = ("ranges",)

    def _validate(self, metrics: dict[str, Any], **_rest: Any) -> dict[str, Any]:
        failing, rows = metrics["salescast.rows_outside"]
        counts = {"element_count": rows, "unexpected_count": failing}
        return {"success": failing == 0, "result": counts}


class _VerdictAction(ValidationAction):  # type: ignore[misc]
    """An action that writes the verdict to `path`; `run_checkpoint` sets how to get it."""

    path: str
    _verdict_of: Callable[[Any], Verdict] = PrivateAttr()


class QuarantineAction(_VerdictAction):
    """Write the quarantined rows, or all of a rejected delivery, with their reasons."""

    type: Literal["quarantine"] = "quarantine"

    def run(self, checkpoint_result: Any, action_context: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the files written."""
        files = write_quarantine(self._verdict_of(checkpoint_result), Path(self.path))
        return {"files": [str(file) for file in files]}


class ReportAction(_VerdictAction):
    """Write the verdict as JSON: alarms, and what people are notified of, are made from it."""

    type: Literal["report"] = "report"

    def run(self, checkpoint_result: Any, action_context: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the file written."""
        write_json(Path(self.path), self._verdict_of(checkpoint_result).as_dict())
        return {"file": self.path}


class FrameAsset(DataFrameAsset):
    """One frame of a delivery: a checkpoint passes the same parameters to all its assets."""

    def build_batch_request(self, options: Any = None, *rest: Any, **named: Any) -> Any:
        """Return the request for the frame of this asset's name."""
        frame = options["dataframe"][self.name]
        return super().build_batch_request({"dataframe": frame}, *rest, **named)


class Outputs(NamedTuple):
    """Where the actions write: quarantined rows, the verdict, Data Docs; empty is nowhere."""

    quarantine: str = ""
    report: str = ""
    docs: str = ""


@lru_cache(maxsize=4)
def open_checkpoint(rules: tuple[Rule, ...], frames: tuple[str, ...], outputs: Outputs) -> Any:
    """Return the checkpoint that judges `frames`, built once a process in a context of its own."""
    context = _open_context(outputs.docs)
    source = context.data_sources.add_pandas("delivery")
    definitions = []
    for frame in frames:
        asset = source._add_asset(FrameAsset(name=frame))  # noqa: SLF001 - no public way for a subclass
        lines = [_expectation(rule) for rule in rules if rule.frame == frame]
        definition = gx.ValidationDefinition(
            name=frame,
            data=asset.add_batch_definition_whole_dataframe(frame),
            suite=context.suites.add(gx.ExpectationSuite(name=frame, expectations=lines)),
        )
        definitions.append(context.validation_definitions.add(definition))
    return context.checkpoints.add(
        gx.Checkpoint(
            name="delivery",
            validation_definitions=definitions,
            actions=[*_actions(outputs)],
            result_format="BASIC",
        )
    )


def run_checkpoint(
    checkpoint: Any, frames: Mapping[str, pd.DataFrame], verdict_of: Callable[[Any], Verdict]
) -> Verdict:
    """Judge the frames, take the checkpoint's actions, and return the verdict.

    `verdict_of` makes it from which check passed, by name.
    """
    verdicts: list[Verdict] = []

    def conclude(result: Any) -> Verdict:
        if not verdicts:
            verdicts.append(verdict_of(_passed(result)))
        return verdicts[0]

    actions = [action for action in checkpoint.actions if isinstance(action, _VerdictAction)]
    for action in actions:
        action._verdict_of = conclude  # noqa: SLF001 - private: not part of its configuration
    verdict = conclude(checkpoint.run(batch_parameters={"dataframe": frames}))
    for action in actions:
        del action._verdict_of  # noqa: SLF001 - it holds the delivery
    return verdict


def _expectation(rule: Rule) -> ExpectMeasuresInRange:
    spans = ", ".join(
        f"{measure} ({MEANINGS[measure]}) {low:g} … {high:g}"
        for measure, (low, high) in rule.ranges.items()
    )
    return ExpectMeasuresInRange(
        ranges=rule.ranges,
        severity=rule.severity,
        description=f"{rule.name}: {spans}",
        meta={"name": rule.name},
    )


def _actions(outputs: Outputs) -> Iterator[ValidationAction]:
    if outputs.quarantine:
        yield QuarantineAction(name="quarantine", path=outputs.quarantine)
    if outputs.report:
        yield ReportAction(name="report", path=outputs.report)
    if outputs.docs:
        yield UpdateDataDocsAction(name="docs", site_names=["quality"])


def _open_context(docs: str) -> Any:
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": docs}
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": backend,
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        data_docs_sites={"quality": site} if docs else {},
        analytics_enabled=False,
    )
    return gx.get_context(project_config=config, mode="ephemeral")


def _passed(result: Any) -> dict[str, bool]:
    return {
        line.expectation_config.meta["name"]: bool(line.success)
        for suite in result.run_results.values()
        for line in suite.results
    }
