"""A change's worth is stated in money, and a report holds numbers alone."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from salescast.data import store, versions
from salescast.data.files import write_frame
from salescast.errors import DataQualityError
from salescast.evaluation.backtest import SEGMENTS
from salescast.settings import Settings, read_settings
from scripts import pr_comment, pr_report
from tests.builders import days, make_tables
from tests.workspaces import make_workspace

COMMIT = "2" * 40
SCORES = {"cost_per_year": 1000.0, "wape": 0.5, "bias": 0.01, "coverage_80": 0.8, "seconds": 9.0}
ITEMS = {"cheaper": 2, "dearer": 0, "largest_saving": -80.0, "largest_increase": 0.0}
REPORT: dict[str, Any] = {
    "commit": COMMIT,
    "origins": 26,
    "base": SCORES,
    "head": SCORES | {"cost_per_year": 900.0},
    "change": [-100.0, -150.0, -50.0],
    "same_data": True,
    "api": {"added": 1, "removed": 0, "changed": 0},
    "segments": {"by_item": ITEMS},
}
NASTY = "[click](javascript:alert(1)) @everyone <img src=x> `"


def _read(folder: Path, report: object, commit: str = COMMIT) -> pr_comment.Report:
    path = folder / "report.json"
    path.write_text(json.dumps(report))
    return pr_comment.read_report(path, commit)


def test_the_first_sentence_is_money_with_its_interval(tmp_path: Path) -> None:
    """A reviewer reads what the change costs a year, how certain that is, and on what data."""
    lines = pr_comment.render(_read(tmp_path, REPORT), "USD").splitlines()
    assert lines[0] == pr_comment.MARK
    assert "-100 USD a year [-150, -50]: significantly cheaper" in lines[1]
    assert "API: 1 added, 0 removed, 0 changed." in lines
    assert "| item | 2 | 0 | -80 | +0 |" in lines


@pytest.mark.parametrize(
    ("change", "conclusion"),
    [
        ([-2.0, -3.0, -1.0], "significantly cheaper"),
        ([2.0, 1.0, 3.0], "significantly dearer"),
        ([1.0, -1.0, 3.0], "no significant difference"),
        ([0.0, 0.0, 0.0], "the forecasts are the same"),
    ],
)
def test_the_conclusion_follows_from_the_interval(
    tmp_path: Path, change: list[float], conclusion: str
) -> None:
    """Only an interval on one side of zero is significant."""
    assert _read(tmp_path, REPORT | {"change": change}).conclusion == conclusion


@pytest.mark.parametrize(
    "part",
    [
        {"segments": {NASTY: ITEMS}},
        {"segments": {"by_item": ITEMS | {"name": "u1"}}},
        {"api": {"added": [NASTY], "removed": 0, "changed": 0}},
        {"commit": NASTY},
        {"head": SCORES | {"wape": "0.5"}},
        {"change": [float("nan"), 0.0, 0.0]},
        {"currency": "USD"},
        {"note": "hello"},
    ],
)
def test_other_content_than_numbers_is_refused(tmp_path: Path, part: dict[str, Any]) -> None:
    """A pull request's job can not put words into the comment, and is not quoted."""
    with pytest.raises(DataQualityError) as refusal:
        _read(tmp_path, REPORT | part)
    assert "click" not in str(refusal.value)


def test_a_report_on_another_commit_is_refused(tmp_path: Path) -> None:
    """The comment states the head of the pull request, not a commit that the file names."""
    with pytest.raises(DataQualityError, match="another commit"):
        _read(tmp_path, REPORT, "3" * 40)


def test_a_link_is_no_report(tmp_path: Path) -> None:
    """An artifact can not make the privileged job read another file."""
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "report.json").symlink_to(tmp_path / "secret")
    with pytest.raises(DataQualityError, match="link"):
        pr_comment.read_report(tmp_path / "report.json", COMMIT)


def test_the_kinds_of_segments_are_those_of_the_backtest() -> None:
    """A new kind of segment reaches the comment only when it is listed."""
    assert get_args(pr_comment.Kind) == tuple(SEGMENTS)


def test_the_contract_names_what_was_added_removed_and_changed() -> None:
    """Whoever calls the API learns what would break."""
    old = {"paths": {"/a": {"get": {}}, "/b": {"get": {"x": 1}}}}
    new = {"paths": {"/b": {"get": {"x": 2}}, "/c": {"post": {}}}}
    assert pr_report.api_changes(old, new) == {
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
    """Ordering nothing costs more than ordering the demand; one origin is the base's alone."""
    base = _predict(_other(settings), 4.0, first=20)
    head = _predict(settings, 0.0, first=27)
    report = pr_report.compare(base, head)
    mean, low, high = report["change"]
    assert report["origins"] == 2
    assert mean > 0
    assert low <= mean <= high  # two origins are not enough history: the interval is infinite
    assert np.isclose(report["head"]["cost_per_year"] - report["base"]["cost_per_year"], mean)
    assert report["same_data"]
    assert report["segments"]["by_item"]["dearer"] == 2


def test_two_sides_without_a_common_origin_are_no_comparison(settings: Settings) -> None:
    """Numbers of other days would look like an effect of the change."""
    base = _predict(_other(settings), 4.0, first=20)
    with pytest.raises(DataQualityError, match="share no origin"):
        pr_report.compare(base, _predict(settings, 4.0, first=21))
