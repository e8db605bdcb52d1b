"""What tests may need beyond Python, git and make; where it is missing they skip and say why.

`SALESCAST_NO_SKIPS=1` (set by .ci/run) turns every skip into a failure of the whole run.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.postgres import empty_database

ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# A test run by hand, without make, reports usage to nobody either.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

# What tests read is priced in dollars, whatever a fork's owner chooses.
os.environ["SALESCAST_PRODUCT__CURRENCY"] = "USD"

# No deadline: shared machines are slow now and then. In CI the same examples each time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("repeatable" if os.environ.get("CI") else "local")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """URL of an empty PostgreSQL database, dropped after the test."""
    with empty_database() as url:
        yield url


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets, which are not part of the repository."""
    folder = (ROOT / os.environ.get("SALESCAST_REAL_DATA", "../shared/real")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name their folder in SALESCAST_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of an installed Chromium or Chrome."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked as a soak, unless the variable that its mark names is set."""
    left = [item for item in items if _asks(item) not in {"", *os.environ}]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _asks(item: pytest.Item) -> str:
    marker = item.get_closest_marker("soak")
    return str(marker.args[0]) if marker else ""


def _forbidden_skips(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("SALESCAST_NO_SKIPS") or reporter is None:
        return 0  # also in the workers of xdist, which have no reporter of their own
    return len(reporter.stats.get("skipped", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped something although nothing may be skipped."""
    if _forbidden_skips(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say why a run without failures failed; pytest's own summary lists the reasons."""
    count = _forbidden_skips(config)
    if count:
        terminalreporter.section(f"{count} skipped, although SALESCAST_NO_SKIPS is set", red=True)
