"""The picture of the pipeline is what the code does, and what dvc.yaml says."""

import re

import pytest

from salescast.reports.graph import columns, draw
from salescast.stages import REPRODUCIBLE, STAGES
from scripts import pictures


def test_a_box_stands_right_of_all_that_lead_to_it() -> None:
    """The longest way from the start decides the column."""
    edges = {("a", "b"): ["x"], ("b", "c"): ["x"], ("a", "c"): ["x"]}
    assert columns(["a", "b", "c"], edges) == {"a": 0, "b": 1, "c": 2}


def test_names_and_notes_are_escaped() -> None:
    """What stands in a name can not become a part of the page."""
    drawn = draw(["<script>"], {}, {"<script>": "<b>"}, '"')
    assert "<script>" not in drawn
    assert "<b>" not in drawn


@pytest.mark.parametrize("name", REPRODUCIBLE)
def test_a_stage_touches_what_dvc_yaml_says(name: str) -> None:
    """What its code reads is a dependency of the stage in DVC, and what it writes is an output."""
    seen, said = pictures._touched(STAGES[name]), pictures._dvc()[name]
    outs = {out for kind in ("outs", "metrics", "plots") for out in pictures._named(said, kind)} | {
        "build/data_docs",
        "build/scorecard.html",
    }  # pages for people: DVC need not keep them
    assert {thing.rstrip("/") for thing in seen.reads} <= set(said["deps"])
    assert seen.writes <= outs


def test_each_stage_is_drawn_with_what_it_hands_over() -> None:
    """The page has a box per stage, and the releases hand the champion to the forecast."""
    drawn = pictures.picture()
    assert re.findall(r'data-name="(\w+)"', drawn) == list(STAGES)
    assert "promote → forecast: the releases" in drawn


def test_the_catalogue_knows_who_writes_and_who_reads() -> None:
    """Whoever changes the features learns whom to ask."""
    rows = {thing: (written, read) for thing, written, read, _ in pictures.catalogue()}
    written, read = rows["build/model.skops"]
    assert written == "train"
    assert "register" in read
    assert "backtest" in rows["build/features.parquet"][1]


def test_the_page_loads_nothing() -> None:
    """It works from a folder, without a network."""
    told = re.sub(r'xmlns="[^"]*"', "", pictures.html())
    assert not re.search(r"https?://|src=", told)
