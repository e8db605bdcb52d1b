"""Where rows come from: raw in, contract tables out.

A feed answers one question: which rows became known in [since, until)? `since` None asks for all.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from salescast import settings
from salescast.errors import ConfigError  # simulated
from salescast.schema import TABLES, conform

Feed = Callable[[pd.Timestamp | None, pd.Timestamp], dict[str, pd.DataFrame]]

WEATHER = ("weather_observed", "weather_forecast")
ALWAYS_KNOWN = pd.Timestamp("1970-01-01")
_WARM_UP = pd.Timedelta(days=14)  # of weather before the first sale


def open_feed(section: settings.Feed, root: Path) -> Feed:
    """Return the feed that the section chooses; relative folders lie in `root`.

    Raises ConfigError where the choice lacks something or contradicts itself.
    """
    # simulated: from here
    if section.kind == "godatamarkets":
        if section.weather:
            raise ConfigError(
                f"feed.weather = {section.weather!r} needs feed.kind files or sql: "
                "simulated customers only know the simulated weather"
            )
        from salescast.feeds import godatamarkets

        simulated = section.godatamarkets
        return godatamarkets.feed(simulated.size, simulated.seed, simulated.faults)
    # simulated: to here
    if section.weather:
        return _with_open_meteo(section, root)
    return _own_tables(section, root, tuple(TABLES))


def fill_known(table: str, raw: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return `raw` as contract rows; where it does not say when a row became known, assume it.

    A dated row is taken as known one second before its day ends, a store or an item as known
    always. Raises DataQualityError naming `source`, column and row.
    """
    known = TABLES[table].known
    if known in raw or known in TABLES[table].key:
        return conform(table, raw, source)
    rows = conform(table, raw.assign(**{known: ALWAYS_KNOWN}), source)
    if "date" in rows:
        rows[known] = rows["date"] + pd.Timedelta(days=1) - pd.Timedelta(seconds=1)
    return rows


def known_between(
    table: str, rows: pd.DataFrame, since: pd.Timestamp | None, until: pd.Timestamp
) -> pd.DataFrame:
    """Return the rows known in [since, until), and with them those known always.

    A store added to a file without moments must not be missed; storing twice is harmless.
    """
    known = rows[TABLES[table].known]
    fresh = known < until
    if since is not None:
        fresh &= (known >= since) | (known == ALWAYS_KNOWN)
    return rows[fresh].reset_index(drop=True)


def _own_tables(section: settings.Feed, root: Path, tables: Sequence[str]) -> Feed:
    if section.kind == "files":
        from salescast.feeds import files

        return files.feed(root / section.files.folder, tables)
    from salescast.feeds import sql

    return sql.feed(section.sql.url, section.sql.queries, tables)


def _with_open_meteo(section: settings.Feed, root: Path) -> Feed:
    from salescast.feeds import open_meteo

    retail = _own_tables(section, root, tuple(name for name in TABLES if name not in WEATHER))
    stores = _own_tables(section, root, ("stores",))
    chosen = section.open_meteo
    service = open_meteo.Service(
        chosen.archive_url,
        chosen.previous_runs_url,
        chosen.timeout_seconds,
        chosen.requests_per_minute,
    )

    def deliver(since: pd.Timestamp | None, until: pd.Timestamp) -> dict[str, pd.DataFrame]:
        tables = retail(since, until)
        places = stores(None, until)["stores"]
        begin = since if since is not None else min([*tables["sales"]["date"], until]) - _WARM_UP
        return tables | open_meteo.fetch(service, places, begin, until)

    return deliver
