"""What the gate measures on a model does not depend on what else the machine does."""

import time

import pandas as pd
import pytest

from salescast.evaluation import measurements

PAYLOAD = {"contract": {"horizon": 14}}
ROWS = pd.DataFrame({"lead_time": range(1, 15)})


@pytest.mark.parametrize("slowdown", [1, 16])
def test_a_busy_machine_is_no_slow_model(monkeypatch: pytest.MonkeyPatch, slowdown: int) -> None:
    """Model and reference take 16 times as long: the speed is the same."""
    clock = {"now": 0.0}

    def work(seconds: float) -> None:
        clock["now"] += slowdown * seconds

    monkeypatch.setattr(time, "process_time", lambda: clock["now"])
    monkeypatch.setattr(measurements, "_forecast", lambda *_: work(0.020))
    monkeypatch.setattr(measurements, "_reference_computation", lambda: work(0.004))
    assert measurements.rows_per_second(PAYLOAD, ROWS) == pytest.approx(14 / 0.020)
