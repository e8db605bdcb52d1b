"""Where rows come from: raw in, contract tables out.

A feed delivers the rows that became known before `until`, at least those known since `since`; None
asks for all. What is stored already is left out later, by `delivery.new_rows`.
Another package adds a kind of feed by an entry point of the group `salescast.feeds`.
"""

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pandas as pd

from salescast import settings
from salescast.contract.schema import TABLES
from salescast.data.delivery import Feed

WEATHER = ("weather_observed", "weather_forecast")
_WARM_UP = pd.Timedelta(days=14)  # of weather before the first sale


def open_feed(section: settings.Feed, root: Path) -> Feed:
    """Return the feed that the section chooses; relative folders lie in `root`.

    Raises ConfigError where the choice lacks something or contradicts itself.
    """
    for plugin in entry_points(group="salescast.feeds", name=section.kind):
        feed: Feed = plugin.load()(section)
        return feed
    if section.weather:
        return _with_open_meteo(section, root)
    return _own_tables(section, root, tuple(TABLES))


def _own_tables(section: settings.Feed, root: Path, tables: Sequence[str]) -> Feed:
    if section.kind == "files":
        from salescast.data import file_feed

        chosen = section.files
        form = file_feed.FileFormat(
            chosen.separator, chosen.decimal, chosen.encoding, chosen.names, chosen.columns
        )
        return file_feed.feed(root / chosen.folder, tables, form)
    from salescast.data import sql_feed

    return sql_feed.feed(section.sql.url, section.sql.queries, tables, section.sql.columns)


def _with_open_meteo(section: settings.Feed, root: Path) -> Feed:
    from salescast.data import open_meteo

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
        tables.update(open_meteo.fetch(service, places, begin, until))
        return tables

    return deliver
