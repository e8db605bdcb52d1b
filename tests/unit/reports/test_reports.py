"""What the pages say, and how they are written."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from salescast.errors import StoreUnavailableError
from salescast.evaluation.backtest import scorecard
from salescast.monitoring.live_scores import live_scorecard
from salescast.reports import write_monitoring, write_scorecard
from salescast.reports.pages import totals

QUANTILES = (0.1, 0.5, 0.9)
COST = {"challenger": 1.0, "weekday_mean": 2.0, "seasonal_naive": 4.0}


def make_scored(models: tuple[str, ...] = tuple(COST), store: str = "s1") -> pd.DataFrame:
    """Return scored rows of two origins, three leads and two items per model."""
    leads = [1, 2, 3]
    origins = pd.to_datetime(["2024-03-04", "2024-03-05"])
    names = ["model", "item_id", "origin", "lead_time"]
    grid = pd.MultiIndex.from_product([models, ["u1", "u2"], origins, leads], names=names)
    rows = grid.to_frame(index=False)
    rows["date"] = rows["origin"] + pd.to_timedelta(rows["lead_time"], unit="D")
    rows["store_id"], rows["season"], rows["rain"] = store, "spring", "dry"
    rows["sold_out"] = False
    rows["actual"] = 4.0
    rows["p10"], rows["p50"], rows["p90"] = 2.0, 4.0 + rows["lead_time"] / 4, 7.0
    rows["mean"] = rows["p50"]
    rows["cost"] = rows["model"].map(COST).fillna(1.0)
    return rows


def make_card(store: str = "s1") -> dict[str, Any]:
    """Return the scorecard of `make_scored`."""
    return scorecard(make_scored(store=store), QUANTILES)


def make_summary(scored: pd.DataFrame, **parts: Any) -> dict[str, Any]:
    """Return a monitoring summary of live rows."""
    live = live_scorecard(scored, scored, QUANTILES)
    return {
        "origin": "2024-03-09",
        "live": live,
        "drift": {"level": 0.1, "rain_mm": 0.4},
        "drift_threshold": 0.25,
        "open_alarms": [],
    } | parts


def make_alarm(**parts: Any) -> dict[str, Any]:
    """Return an alarm about drift."""
    alarm = {"name": "input_drift", "severity": "ticket", "subject": "rain_mm", "state": "open"}
    alarm |= {"origin": "2024-03-01", "day": None, "person": None, "reason": None}
    return alarm | {"evidence": {"psi": 0.4, "threshold": 0.25}} | parts


def _scorecard(tmp_path: Path, card: dict[str, Any], currency: str = "USD") -> str:
    return write_scorecard(card, tmp_path / "scorecard.html", currency).read_text("utf-8")


def _monitoring(tmp_path: Path, summary: dict[str, Any], scored: pd.DataFrame) -> str:
    return write_monitoring(summary, scored, tmp_path / "report.html").read_text("utf-8")


def _words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


class _Tags(HTMLParser):
    """Collects tags and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_scorecard_leads_with_money_saved_against_both_baselines(tmp_path: Path) -> None:
    """Two series, a dollar a day against two and four: 730 and 2,192 dollars a year."""
    page = _words(_scorecard(tmp_path, make_card()))
    first = page[page.index("What the forecasts are worth", 200) : page.index("Money")]
    assert re.search(r"against the 8-week weekday mean \$730 .* seasonal naive \$2,192", first)


def test_a_dearer_model_loses_money(tmp_path: Path) -> None:
    """A page that only knows savings would flatter."""
    card = make_card()
    card["models"]["challenger"]["overall"]["cost_per_year"] = 5000.0
    assert "Lost a year against the seasonal naive $2,078" in _words(_scorecard(tmp_path, card))


def test_money_carries_the_currency_of_the_settings(tmp_path: Path) -> None:
    """Pounds are not dollars."""
    page = _scorecard(tmp_path, make_card(), "GBP")
    assert "£730" in page
    assert "$" not in _words(page)


def test_the_scorecard_names_each_store_and_item(tmp_path: Path) -> None:
    """Each segment has a row headed by its name."""
    heads = re.findall(r'<th scope="row">(\w+)</th>', _scorecard(tmp_path, make_card()))
    assert heads[-5:] == ["s1", "u1", "u2", "spring", "dry"]


def test_names_from_the_data_are_escaped(tmp_path: Path) -> None:
    """A store called like a script stays a name."""
    page = _scorecard(tmp_path, make_card(store="<script>alert(1)</script>"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_alarms_are_escaped(tmp_path: Path) -> None:
    """Whatever an alarm quotes from the data is text."""
    scored = make_scored(("live",))
    alarm = make_alarm(severity='"><b>', subject="<img src=x>", evidence={"<i>": "<u>"})
    page = _monitoring(tmp_path, make_summary(scored, open_alarms=[alarm]), scored)
    assert not {"b", "img", "i", "u"} & {tag for tag, _ in _Tags(page).found}


def test_scores_that_are_not_known_are_dashes(tmp_path: Path) -> None:
    """A null of scorecard.json and a NaN are shown alike, and drawn nowhere."""
    card = make_card()
    card["models"]["challenger"]["by_lead"]["2"]["wape"] = None
    card["models"]["challenger"]["overall"]["wape"] = float("nan")
    card["models"]["weekday_mean"]["overall"]["cost_per_year"] = None
    assert "nan" not in _words(_scorecard(tmp_path, card)).lower()


def test_a_scorecard_read_from_json_makes_the_same_page(tmp_path: Path) -> None:
    """Leads are in their numeric order, however the keys were sorted."""
    card = make_card()
    leads = card["models"]["challenger"]["by_lead"]
    card["models"]["challenger"]["by_lead"] = dict(sorted(leads.items(), reverse=True))
    assert _scorecard(tmp_path, card) == _scorecard(tmp_path, make_card())


@pytest.mark.parametrize("kind", ["scorecard", "monitoring"])
def test_the_same_input_makes_the_same_bytes(tmp_path: Path, kind: str) -> None:
    """Nothing of the clock, of memory or of the folder gets into a page."""
    scored = make_scored(("live",))
    pages = [
        _scorecard(tmp_path / name, make_card())
        if kind == "scorecard"
        else _monitoring(tmp_path / name, make_summary(scored), scored)
        for name in ("one", "two")
    ]
    assert pages[0] == pages[1]


def _pages(tmp_path: Path) -> list[str]:
    scored = make_scored(("live",))
    summary = make_summary(scored, open_alarms=[make_alarm()])
    return [_scorecard(tmp_path, make_card()), _monitoring(tmp_path, summary, scored)]


def test_pages_load_nothing_and_run_nothing(tmp_path: Path) -> None:
    """A page opens from a mail attachment on an island."""
    for page in _pages(tmp_path):
        tags = _Tags(page).found
        assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags}
        links = [v for _, attrs in tags for k, v in attrs.items() if k in ("src", "xlink:href")]
        assert all(link and link.startswith("#") for link in links)


def test_each_drawing_has_words_and_each_table_a_caption(tmp_path: Path) -> None:
    """Who cannot see a drawing hears its figures."""
    for page in _pages(tmp_path):
        tags = _Tags(page).found
        drawings = [attrs for tag, attrs in tags if tag == "svg" and "aria-hidden" not in attrs]
        assert drawings
        assert all(re.search(r"\d", attrs["aria-label"] or "") for attrs in drawings)
        names = [tag for tag, _ in tags]
        assert names.count("table") == names.count("caption") > 0


def test_drawings_take_their_colours_from_the_page(tmp_path: Path) -> None:
    """A colour fixed in a drawing would be unreadable in light or in dark."""
    for page in _pages(tmp_path):
        drawings = "".join(re.findall(r"<svg role.*?</svg>", page, re.DOTALL))
        assert re.findall(r"#[0-9a-f]{6}\b", drawings) == []


def test_ids_are_unique_on_a_page(tmp_path: Path) -> None:
    """Drawings beside each other must not clip by each other's shapes."""
    for page in _pages(tmp_path):
        ids = [attrs["id"] for _, attrs in _Tags(page).found if "id" in attrs]
        assert len(ids) == len(set(ids))


def test_an_alarm_shows_severity_subject_and_evidence(tmp_path: Path) -> None:
    """Severity is a word, not only a colour."""
    scored = make_scored(("live",))
    page = _monitoring(tmp_path, make_summary(scored, open_alarms=[make_alarm()]), scored)
    assert re.search(
        r"ticket +input drift : rain_mm, open since 2024-03-01 +\(psi 0.400, threshold 0.250\)",
        _words(page),
    )


def test_drift_says_how_many_inputs_are_beyond_the_threshold(tmp_path: Path) -> None:
    """One of two inputs has moved by more than 0.25."""
    scored = make_scored(("live",))
    assert "Drift of 2 inputs, 1 beyond 0.25" in _monitoring(tmp_path, make_summary(scored), scored)


def test_monitoring_before_anything_matured_says_so(tmp_path: Path) -> None:
    """The first day of a deployment has a page, too."""
    scored = make_scored(("live",))
    served, none = scored, scored.head(0)
    live = live_scorecard(served, none, QUANTILES)
    page = _monitoring(tmp_path, make_summary(scored, live=live, drift={}), none)
    assert _words(page).count("Nothing has matured yet.") == 2
    assert "There is no earlier year to compare with yet" in page


def test_totals_count_each_day_once_by_its_newest_forecast() -> None:
    """Two forecasts of one day are not two days of sales."""
    days = totals(make_scored(("live",)))
    day = days[days["date"] == pd.Timestamp("2024-03-06")].iloc[0]
    assert (day["mean"], day["actual"]) == (2 * 4.25, 2 * 4.0)  # two items at lead 1, not at 2


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """A full disk or a folder in the way costs the new page only."""
    blocked = tmp_path / "folder" / "scorecard.html"
    blocked.mkdir(parents=True)
    with pytest.raises(StoreUnavailableError, match=r"cannot write .*scorecard\.html"):
        write_scorecard(make_card(), blocked, "USD")
    assert list(blocked.parent.iterdir()) == [blocked]


def test_extreme_scores_are_drawn(tmp_path: Path) -> None:
    """An exploded model still gets its page."""
    card = make_card()
    for of in card["models"]["challenger"]["by_lead"].values():
        of["wape"] = np.float64(1e12)
    assert "1000000000000.00 at lead 3" in _scorecard(tmp_path, card)


def test_the_scorecard_shows_which_policy_is_cheapest(tmp_path: Path) -> None:
    """Half of the planner's cost is stated in money, and in a table of all policies."""
    per = {"low": 900.0, "high": 1100.0, "fill_rate": 0.9}
    of = {"of_planner_ratio": 0.5, "of_planner_low": 0.4, "of_planner_high": 0.6}
    costs = {"challenger": 1000.0, "planner": 2000.0}
    inventory = {name: {"cost_per_year": cost} | per | of for name, cost in costs.items()}
    card = make_card() | {"inventory": inventory}
    page = _words(_scorecard(tmp_path, card))
    saved = "against the planner $1,000 50.0% of the planner's cost; 80 % interval 40.0% to 60.0%"
    assert saved in page.replace("&#39;", "'")
    assert "status-quo planner" in page
