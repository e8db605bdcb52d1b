"""Rules as Great Expectations suites: the judge, and the Data Docs."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.contract.schema import DTYPES, TABLES, Column
from salescast.quality.rules import Rule

_TYPES = {"flag": "bool"}  # the library compares the type of a value, not of the column


def judge(frames: Mapping[str, pd.DataFrame], rules: tuple[Rule, ...]) -> dict[str, bool]:
    """Return for each rule's name whether its frame meets it; nothing measured meets it.

    Judges the extremes of each measure, in one frame of two rows: a range holds for all rows if
    it holds for the smallest and the largest. An expectation costs milliseconds whatever its
    rows, and on aggregates least; a replay judges hundreds of deliveries.
    """
    extremes = {rule.name: _extremes(frames[rule.frame][rule.column]) for rule in rules}
    measured = {name: pair for name, pair in extremes.items() if pair[0] == pair[0]}
    verdicts = dict.fromkeys(extremes, True)
    if measured:
        data = _batches(_open_context(), "delivery")
        import great_expectations as gx

        batch = data.get_batch({"dataframe": pd.DataFrame(measured)})
        bounds = [bound for rule in rules if rule.name in measured for bound in _bounds(rule)]
        suite = gx.ExpectationSuite(name="delivery", expectations=bounds)
        for result in batch.validate(suite, result_format="BOOLEAN_ONLY").results:
            verdicts[result.expectation_config.kwargs["column"]] &= bool(result.success)
    return verdicts


def _extremes(values: pd.Series) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _bounds(rule: Rule) -> list[Any]:
    from great_expectations.expectations import (
        ExpectColumnMaxToBeBetween,
        ExpectColumnMinToBeBetween,
    )

    bounds: list[Any] = []
    if rule.minimum is not None:
        bounds.append(ExpectColumnMinToBeBetween(column=rule.name, min_value=rule.minimum))
    if rule.maximum is not None:
        bounds.append(ExpectColumnMaxToBeBetween(column=rule.name, max_value=rule.maximum))
    return bounds


def judge_with_docs(
    frames: Mapping[str, pd.DataFrame], rules: tuple[Rule, ...]
) -> tuple[dict[str, bool], Any]:
    """Return the same, types and missing values judged too, and the context that remembers it."""
    context = _open_context()
    import great_expectations as gx

    verdicts: dict[str, bool] = {rule.name: True for rule in rules}
    for name, frame in frames.items():
        ours = [rule for rule in rules if rule.frame == name]
        suite = context.suites.add(_suite(name, ours, structure=name in TABLES))
        data = _batches(context, name)
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=data, suite=suite)
        )
        summary = {"result_format": "SUMMARY", "partial_unexpected_count": 5}
        verdicts |= _by_name(
            definition.run(batch_parameters={"dataframe": frame}, result_format=summary)
        )
    return verdicts, context


def write_data_docs(context: Any, folder: Path) -> Path:
    """Write the Data Docs of the last validation, in place of earlier ones; return the index."""
    shutil.rmtree(folder, ignore_errors=True)
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder.resolve()),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    if "quality" in context.get_site_names():
        context.delete_data_docs_site("quality")
    context.add_data_docs_site("quality", site)
    context.build_data_docs(site_names=["quality"])
    return folder / "index.html"


def _open_context() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(project_config=config, mode="ephemeral")


def _batches(context: Any, name: str) -> Any:
    source = context.data_sources.add_pandas(name)
    return source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name)


def _suite(name: str, rules: list[Rule], *, structure: bool = False) -> Any:
    import great_expectations as gx

    expectations = [_expectation(rule) for rule in rules]
    if structure:
        expectations += [e for column in TABLES[name].columns for e in _structure(name, column)]
    return gx.ExpectationSuite(name=name, expectations=expectations)


def _expectation(rule: Rule) -> Any:
    from great_expectations.expectations import ExpectColumnValuesToBeBetween

    return ExpectColumnValuesToBeBetween(
        column=rule.column,
        min_value=rule.minimum,
        max_value=rule.maximum,
        description=f"{rule.name}: {rule.column} ({rule.meaning}) {between(rule)}",
        meta={"name": rule.name},
    )


def between(rule: Rule) -> str:
    """Return the allowed range in words."""
    if rule.maximum is None:
        return f"at least {rule.minimum:g}"
    if rule.minimum is None:
        return f"at most {rule.maximum:g}"
    return f"between {rule.minimum:g} and {rule.maximum:g}"


def _structure(table: str, column: Column) -> list[Any]:
    from great_expectations.expectations import (
        ExpectColumnValuesToBeOfType,
        ExpectColumnValuesToNotBeNull,
    )

    kind = f"{table}_{column.name}_is_{column.kind}"
    present = f"{table}_{column.name}_present"
    expectations = [
        ExpectColumnValuesToBeOfType(
            column=column.name,
            type_=_TYPES.get(column.kind, DTYPES[column.kind]),
            description=f"{kind}: {column.name} ({column.meaning})",
            meta={"name": kind},
        )
    ]
    if not column.nullable:
        expectations.append(
            ExpectColumnValuesToNotBeNull(
                column=column.name,
                description=f"{present}: {column.name} ({column.meaning}) is never missing",
                meta={"name": present},
            )
        )
    return expectations


def _by_name(result: Any) -> dict[str, bool]:
    return {r.expectation_config.meta["name"]: bool(r.success) for r in result.results}
