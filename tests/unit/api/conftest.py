"""The application that unit tests of the API call."""

import pytest

from api.main import create_app
from salescast.settings import read_settings
from tests.builders import make_items
from tests.conftest import ROOT
from tests.serving import Always, small_snapshot

SNAPSHOT = small_snapshot(items=make_items(pack_size=12))


@pytest.fixture
def app(tmp_path):
    """Return the application over a small snapshot and a ledger of its own."""
    settings = read_settings(ROOT / "config.toml").model_copy(update={"root": tmp_path})
    app = create_app(settings)
    app.state.serving = Always(SNAPSHOT)
    return app
