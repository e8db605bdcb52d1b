"""The dashboard asks for what the API tells."""

import json
import re
from pathlib import Path

from api.prometheus import Metrics

BOARD = Path(__file__).parents[3] / "docs" / "how-to" / "grafana.json"


def test_every_metric_on_the_dashboard_is_exposed():
    """A renamed metric would leave a panel empty, and nobody would notice."""
    panels = json.loads(BOARD.read_text("utf-8"))["panels"]
    asked = {
        name
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"salescast_\w+", target["expr"])
    }
    metrics = Metrics()
    metrics.count({"route": None, "method": "GET"}, 200, 0.01)
    metrics_text = metrics.render(None).decode()
    assert asked
    assert not [name for name in asked if not re.search(rf"^{name}\b", metrics_text, re.MULTILINE)]
