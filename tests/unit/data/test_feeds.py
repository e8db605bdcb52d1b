"""The configuration chooses the feed."""

import pandas as pd
import pytest

from salescast.data.feeds import open_feed
from salescast.errors import ConfigError
from salescast.settings import Feed, FilesFeed, OpenMeteoFeed
from tests.builders import make_tables

SERVICE = OpenMeteoFeed(archive_url="http://localhost", previous_runs_url="http://localhost")


def test_relative_folders_lie_in_the_workspace(tmp_path):
    """`feed.files.folder` is relative to config.toml."""
    (tmp_path / "mine").mkdir()
    for table, rows in make_tables(3).items():
        rows.to_csv(tmp_path / "mine" / f"{table}.csv", index=False)
    section = Feed(kind="files", files=FilesFeed(folder="mine"), open_meteo=SERVICE)

    delivered = open_feed(section, tmp_path)(None, pd.Timestamp("2100-01-01"))

    assert len(delivered["sales"]) == 12


def test_simulated_sales_refuse_real_weather(tmp_path):
    """Simulated customers do not open umbrellas in London's real rain."""
    section = Feed(kind="godatamarkets", weather="open_meteo", open_meteo=SERVICE)

    with pytest.raises(ConfigError, match=r"feed\.weather"):
        open_feed(section, tmp_path)
