"""The scorecard and the metrics."""

from api.schemas import Scorecard
from tests.serving import SECRET, ask


def test_the_scorecard_holds_the_backtest_and_what_came_true(app, tmp_path):
    """Of the champion, and of the last `salescast monitor`."""
    (tmp_path / "build").mkdir(exist_ok=True)
    (tmp_path / "build" / "monitoring.json").write_text('{"live": {"matured": 1.0}}')

    found = Scorecard.model_validate_json(ask(app, "GET", "/v1/scorecard").content)

    assert (found.backtest, found.live) == ({"models": {}}, {"matured": 1.0})


def test_numbers_for_prometheus_are_few_whatever_is_asked(app):
    """A route is counted by its pattern, what has none under one name."""
    for path in (f"/{SECRET}", f"/v1/forecasts/{SECRET}/u1", "/v1/forecasts/s1/u1"):
        ask(app, "GET", path)
    ask(app, SECRET, "/v1/model")

    text = ask(app, "GET", "/metrics").text

    assert SECRET not in text
    assert 'route="/v1/forecasts/{store_id}/{item_id}",status="200"} 1.0' in text
    assert "salescast_ready 1.0" in text
    assert "salescast_model_version 3.0" in text
