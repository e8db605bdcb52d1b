"""A change's worth is told in money, and a report can say nothing but a report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from salescast.data import store, versions
from salescast.data.files import write_frame
from salescast.errors import DataQualityError
from salescast.settings import Settings, read_settings
from scripts import pr_report, verdict
from tests.builders import days, make_tables
from tests.workspaces import make_workspace

SIDE = {
    "commit": "0" * 40,
    "data": "1" * 32 + ".dir",
    "cost_per_year": 1000.0,
    "wape": 0.5,
    "bias": 0.01,
    "coverage_80": 0.8,
    "seconds": 9.0,
}
REPORT: dict[str, Any] = {
    "currency": "USD",
    "origins": 26,
    "base": SIDE,
    "head": SIDE | {"commit": "2" * 40, "cost_per_year": 900.0},
    "change": [-100.0, -150.0, -50.0],
    "added": [],
    "removed": [],
    "changed": [],
    "segments": [{"kind": "by_item", "name": "u1", "before": 10.0, "after": 5.0}],
}
NASTY = "[click](javascript:alert(1)) @everyone <img src=x> `"


def _read(folder: Path, report: object) -> verdict.Report:
    path = folder / "report.json"
    path.write_text(json.dumps(report))
    return verdict.read_report(path)


def test_the_first_sentence_is_money_with_its_interval(tmp_path: Path) -> None:
    """A reviewer reads what the change costs a year, how surely, and on what."""
    told = verdict.render(_read(tmp_path, REPORT)).splitlines()
    assert told[0] == verdict.MARK
    assert "-100 USD a year [-150, -50]: cheaper, surely" in told[1]
    assert any("unchanged" in line for line in told if line.startswith("API contract"))
    assert "| item `u1` | 10 | 5 | -5 |" in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([-2.0, -3.0, -1.0], "cheaper, surely"),
        ([2.0, 1.0, 3.0], "dearer, surely"),
        ([1.0, -1.0, 3.0], "no sure difference"),
        ([0.0, 0.0, 0.0], "the forecasts are the same"),
    ],
)
def test_the_verdict_is_what_the_interval_says(
    tmp_path: Path, change: list[float], words: str
) -> None:
    """Only an interval on one side of nothing is sure."""
    assert _read(tmp_path, REPORT | {"change": change}).verdict == words


@pytest.mark.parametrize(
    "part",
    [
        {"currency": NASTY},
        {"added": [NASTY]},
        {"segments": [{"kind": "by_item", "name": NASTY, "before": 1.0, "after": 2.0}]},
        {"head": SIDE | {"commit": NASTY}},
        {"head": SIDE | {"wape": "0.5"}},
        {"change": [float("nan"), 0.0, 0.0]},
        {"note": "hello"},
    ],
)
def test_what_is_no_number_or_name_is_refused(tmp_path: Path, part: dict[str, Any]) -> None:
    """A pull request's job can not speak through the comment, and is not quoted."""
    with pytest.raises(DataQualityError) as refusal:
        _read(tmp_path, REPORT | part)
    assert "click" not in str(refusal.value)


def test_a_link_is_no_report(tmp_path: Path) -> None:
    """An artifact can not make the privileged job read another file."""
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "report.json").symlink_to(tmp_path / "secret")
    with pytest.raises(DataQualityError, match="link"):
        verdict.read_report(tmp_path / "report.json")


def test_the_contract_names_what_was_added_removed_and_changed() -> None:
    """Whoever calls the API learns what would break."""
    old = {"paths": {"/a": {"get": {}}, "/b": {"get": {"x": 1}}}}
    new = {"paths": {"/b": {"get": {"x": 2}}, "/c": {"post": {}}}}
    assert pr_report.contract(old, new) == {
        "added": ["POST /c"],
        "removed": ["GET /a"],
        "changed": ["GET /b"],
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a workspace with tables of 60 days."""
    root = make_workspace(tmp_path / "shop", {})
    store.append(root / "data", make_tables(60))
    return read_settings(root / "config.toml")


def _predict(settings: Settings, units: float, first: int) -> Settings:
    """Write predictions of `units` for three origins, the first of them after `first` days."""
    origins = days(60)[[first, first + 7, first + 14]]
    names = [["s1", "s2"], ["u1", "u2"], origins, range(1, 8)]
    grid = pd.MultiIndex.from_product(names, names=["store_id", "item_id", "origin", "lead_time"])
    rows = grid.to_frame(index=False)
    rows["date"] = rows["origin"] + pd.to_timedelta(rows["lead_time"], unit="D")
    levels = settings.forecast.quantiles
    for level in levels:
        rows[f"p{round(100 * level):02}"] = units
    columns = {"model": "challenger", "mean": units, "stock_target": units, "rain_mm": 0.0}
    write_frame(settings.build / "predictions.parquet", rows.assign(**columns))
    return settings


def _other(settings: Settings) -> Settings:
    folder = settings.root.parent / "base"
    versions.init_workspace(folder, settings.root)
    return read_settings(folder / "config.toml")


def test_a_worse_forecast_is_dearer_on_the_origins_both_share(settings: Settings) -> None:
    """Ordering nothing costs more than ordering what is wanted; one origin is the base's alone."""
    base = _predict(_other(settings), 4.0, first=20)
    head = _predict(settings, 0.0, first=27)
    found = pr_report.compare(base, head, ("0" * 40, "1" * 40))
    mean, low, high = found["change"]
    assert found["origins"] == 2
    assert 0 < low <= mean <= high
    assert np.isclose(found["head"]["cost_per_year"] - found["base"]["cost_per_year"], mean)
    assert found["base"]["data"] == found["head"]["data"]


def test_two_sides_without_a_common_origin_are_no_comparison(settings: Settings) -> None:
    """Numbers of other days would look like an effect of the change."""
    base = _predict(_other(settings), 4.0, first=20)
    with pytest.raises(DataQualityError, match="share no origin"):
        pr_report.compare(base, _predict(settings, 4.0, first=21), ("0" * 40, "1" * 40))
