"""What the settings describe, as objects of the other packages."""

import dataclasses

import pandas as pd

from salescast.contract.schema import Tables
from salescast.data.files import missing_step
from salescast.errors import NoChampionError
from salescast.evaluation.backtest import Recipe
from salescast.evaluation.gate import Policy
from salescast.ledger import Spool
from salescast.ordering.orders import Cycle, item_costs
from salescast.registry import Registry
from salescast.release import Bundle, Releases
from salescast.settings import Settings

WEEK = 7  # days: where origins lie closer, the gate sums savings by outcome date


def open_registry(settings: Settings) -> Registry:
    """Return the model registry of this workspace."""
    return Registry(
        settings.mlflow_uri,
        settings.product.model,
        settings.artifacts,
        settings.artifacts_uri,
        settings.model.trusted_types,
    )


def open_releases(settings: Settings) -> Releases:
    """Return the folder of promoted releases."""
    return Releases(settings.releases, settings.model.trusted_types)


def open_spool(settings: Settings) -> Spool:
    """Return the rows that wait for the ledger."""
    return Spool(settings.build / "spool", settings.ledger_url)


def record(settings: Settings, **tables: pd.DataFrame) -> bool:
    """Write forecasts, shadow forecasts or orders into the ledger; return whether it has them."""
    return open_spool(settings).record(tables, champion_sequence(settings))


def champion_sequence(settings: Settings) -> int:
    """Return the number of the promotion that serves, 0 where nothing was promoted."""
    try:
        return open_releases(settings).champion().sequence
    except NoChampionError:
        return 0


def champion_release(settings: Settings) -> Bundle:
    """Return the release that serves; raise NoChampionError where none was promoted."""
    releases = open_releases(settings)
    try:
        return releases.read(releases.champion())
    except NoChampionError as error:
        step = missing_step(settings.build, "promote").replace("stage promote", "promote")
        raise NoChampionError(f"no version was promoted yet; run `{step}` first") from error


def recipe(settings: Settings, tables: Tables) -> Recipe:
    """Return how the model is made, from the settings and the items' costs."""
    costs = item_costs(tables)
    return Recipe(
        settings.model.kind,
        settings.model.model_dump(mode="json"),
        settings.model.seed,
        settings.forecast.quantiles,
        dict(zip(costs["item_id"], costs["critical_ratio"], strict=True)),
    )


def order_cycle(settings: Settings) -> Cycle:
    """Return how often orders are placed, how long they take and when holding is charged."""
    return Cycle(settings.costs.review_days, settings.costs.delivery_days, settings.costs.held)


def gate_policy(settings: Settings) -> Policy:
    """Return the bounds of the gate."""
    unit = "origin" if settings.backtest.every_days >= WEEK else "date"
    names = {field.name for field in dataclasses.fields(Policy)}
    bounds = settings.gate.model_dump(include=names)
    return Policy(**bounds, unit=unit)
