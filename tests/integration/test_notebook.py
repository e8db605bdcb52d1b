"""The notebook runs as it is committed, and shows what its text claims."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs/notebook/first_regression.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    """Return the cells of the notebook."""
    document: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    return list(document["cells"])


@pytest.fixture(scope="module")
def results(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Run every code cell in order and return the variables."""
    import matplotlib as mpl

    mpl.use("Agg")
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    return names


def test_the_notebook_is_committed_without_outputs(cells: list[dict[str, Any]]) -> None:
    """A diff of the notebook shows what somebody wrote, not what a run printed."""
    assert [cell["id"] for cell in cells if cell.get("outputs")] == []


def test_rain_sells_umbrellas(results: dict[str, Any]) -> None:
    """A wet day sells about three times as much as a dry one."""
    units = results["units_by_rain"]
    assert 2.5 < units["wet"] / units["dry"] < 4


def test_the_regression_beats_the_rule_in_use_with_observed_rain(results: dict[str, Any]) -> None:
    """The error falls by a quarter."""
    assert results["wape_regression"] == pytest.approx(0.75 * results["wape_rule"], rel=0.1)


def test_the_gain_is_lost_with_the_weather_as_issued(results: dict[str, Any]) -> None:
    """A week ahead the regression is worse than the rule, and forecasts too much."""
    week = results["scores"][7]
    assert week["WAPE"] > results["wape_rule"]
    assert week["bias"] > 0.2


def test_each_link_of_the_notebook_leads_somewhere(cells: list[dict[str, Any]]) -> None:
    """The rooms that solve each problem are there."""
    text = "".join("".join(cell["source"]) for cell in cells)
    links = re.findall(r"\]\((\S+?)\)", text)
    links += [f"../../{name}" for name in re.findall(r"`(src/\S+?)`", text)]
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []
