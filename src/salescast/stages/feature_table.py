"""From tables to the point-in-time table of every origin, whole or partition by partition."""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from salescast.contract.schema import Tables, last_day
from salescast.data import store, versions
from salescast.data.files import join_runs, write_frame, write_runs
from salescast.errors import NotEnoughHistoryError
from salescast.evaluation.backtest import cutoffs
from salescast.features import point_in_time as feature
from salescast.features.knowledge import LEVEL_DAYS
from salescast.settings import Settings
from salescast.stages.partitions import Mapper, Partition, in_order, pool


def origins(settings: Settings, tables: Tables) -> tuple[list[pd.Timestamp], list[pd.Timestamp]]:
    """Return the training origins and the backtest's, each oldest first.

    Raises NotEnoughHistoryError when the history is shorter than the backtest and one exposure.
    """
    last, plan = last_day(tables), settings.backtest
    first = tables["sales"]["date"].min() + pd.Timedelta(days=LEVEL_DAYS)
    first = max(first, last - pd.Timedelta(days=settings.features.history_days))
    tested = cutoffs(last, plan.cutoffs, plan.every_days, settings.forecast.horizon)
    if tested[0] <= first:
        needed = (last - tested[0]).days + LEVEL_DAYS + 1
        raise NotEnoughHistoryError(
            f"sales begin on {tables['sales']['date'].min():%Y-%m-%d}; a backtest of "
            f"{plan.cutoffs} cutoffs needs more than {needed} days; lower backtest.cutoffs"
        )
    step = pd.Timedelta(days=settings.features.origin_every_days)
    count = int((last - first) / step) + 1
    return [last - step * i for i in reversed(range(count))], tested


def features(settings: Settings, mapper: Mapper = in_order) -> dict[str, Any]:
    """Build the point-in-time table of every training and backtest origin.

    `mapper` works through the partitions, where the settings cut the chain into some.
    """
    versions.require_files(settings.root)
    path = settings.build / "features.parquet"
    if settings.scale.partitions == 1:
        tables = store.read_all(settings.data)
        trained, tested = origins(settings, tables)
        rows = build_rows(settings, tables, trained, tested)
        write_frame(path, rows)
        counts = [_counted(rows)]
    else:
        trained, tested = origins(settings, store.read_days(settings.data))
        every = sorted({*trained, *tested})
        parts, chain = pool(settings, every, settings.forecast.horizon, mapper)
        counts = mapper(partial(_partition, settings, trained, tested, chain), parts)
        join_runs(path, {_file(settings, part): part.origins for part in parts})
    count, known, blind = (sum(column) for column in zip(*counts, strict=True))
    return {
        "rows": count,
        "origins": len({*trained, *tested}),
        "summary": f"{count:,} rows from {len({*trained, *tested})} origins, "
        f"{_weather_source(known / count, without=blind == count)}",
    }


def _partition(
    settings: Settings,
    trained: list[pd.Timestamp],
    tested: list[pd.Timestamp],
    chain: pd.DataFrame,
    part: Partition,
) -> tuple[int, int, int]:
    """Write the features of a partition, an origin after the other; return what `_counted` does."""
    trained, tested = ([d for d in days if d in part.origins] for days in (trained, tested))
    tables = store.read_part(settings.data, part.store_ids)
    rows = build_rows(settings, tables, trained, tested, chain)
    write_runs(_file(settings, part), rows, "origin")
    return _counted(rows)


def _file(settings: Settings, part: Partition) -> Path:
    return settings.build / "partitions" / f"features-{part.number}.parquet"


def _counted(rows: pd.DataFrame) -> tuple[int, int, int]:
    """Return how many rows there are, with weather as issued, and without any weather."""
    return len(rows), int(rows["issued_at"].notna().sum()), int(rows["rain_mm"].isna().sum())


def build_rows(
    settings: Settings,
    tables: Tables,
    trained: list[pd.Timestamp],
    tested: list[pd.Timestamp],
    chain: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the features of the origins; the naive twin learns from other weather than served."""
    horizon, weather = settings.forecast.horizon, settings.features.weather
    if weather != "observed":
        return feature.build(tables, [*trained, *tested], horizon, weather, chain)
    learned = sorted({*trained} - {*tested})
    rows = [feature.build(tables, tested, horizon, "issued", chain)] if tested else []
    if learned:
        rows.append(feature.build(tables, learned, horizon, "observed", chain))
    return pd.concat(rows).sort_values("origin", kind="stable", ignore_index=True)


def _weather_source(issued: float, *, without: bool) -> str:
    """Return which weather the features use; `issued`: share of rows with weather as issued."""
    if without:
        return "no weather (features.weather = none)"
    if issued == 0:
        return "no issued forecasts: weather is climatology"
    return "weather as issued" + ("" if issued == 1 else f" in {issued:.0%}, else climatology")
