"""The gate promotes what is better and refuses the rest, each for its own reason."""

import numpy as np
import pandas as pd
import pytest

from salescast.backtest import saving
from salescast.gate import Policy, decide
from salescast.metrics import bootstrap

POLICY = Policy(min_origins=8, max_bias=0.15, coverage_80=(0.7, 0.95), tolerance=0.0, seed=1)


def make_scored(model: str, cost: float, origins: int = 12, **columns: object) -> pd.DataFrame:
    """Return scored rows of a model that costs `cost` a series-day, give or take."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2024-01-07", periods=origins, freq="7D")
    rows = pd.DataFrame({"origin": days.repeat(50)})
    rows["model"], rows["actual"] = model, rng.poisson(5, len(rows)).astype(float)
    rows["mean"], rows["p10"], rows["p90"] = 5.0, 2.0, 8.0
    rows["cost"] = cost * rng.gamma(2, 0.5, len(rows))
    return rows.assign(**columns)


def make_match(cost: float = 1.0, **columns: object) -> pd.DataFrame:
    """Return a challenger and two baselines that cost 1.5 and 1.3."""
    return pd.concat(
        [
            make_scored("challenger", cost, **columns),
            make_scored("seasonal_naive", 1.5, origins=columns.get("origins", 12)),
            make_scored("weekday_mean", 1.3, origins=columns.get("origins", 12)),
        ],
        ignore_index=True,
    )


def failed(decision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


def test_a_cheaper_calibrated_challenger_is_promoted():
    """It beats both baselines and there is no champion."""
    assert decide(make_match(), None, "accepted", POLICY).promote


@pytest.mark.parametrize(
    ("match", "check"),
    [
        (make_match(cost=1.4), "beats_weekday_mean"),
        (make_match(cost=2.0), "beats_seasonal_naive"),
        (make_match(mean=6.5), "bias"),
        (make_match(mean=3.5), "bias"),
        (make_match(p10=5.0, p90=5.0), "coverage_80"),
        (make_match(p10=0.0, p90=99.0), "coverage_80"),
        (make_match(mean=np.nan), "finite"),
        (make_match(origins=5), "origins"),
    ],
)
def test_each_fault_is_refused_by_the_check_meant_for_it(match, check):
    """Dear, biased, mis-calibrated, not a number, hardly examined."""
    assert check in failed(decide(match, None, "accepted", POLICY))


def test_rejected_data_are_refused():
    """Whatever the scores say."""
    assert failed(decide(make_match(), None, "rejected", POLICY)) == ["data_quality"]


def test_a_dearer_challenger_than_the_champion_is_refused():
    """The reason names the ratio."""
    champion = make_scored("challenger", 0.9)
    decision = decide(make_match(), champion, "accepted", POLICY)
    assert failed(decision) == ["no_worse_than_champion"]
    assert "× the champion on the same 12 origins" in decision.reasons[0]


def test_a_champion_without_common_origins_is_no_comparison():
    """Promotion needs the same origins."""
    champion = make_scored("challenger", 9.0, origins=12)
    champion["origin"] += pd.Timedelta(days=3)
    decision = decide(make_match(), champion, "accepted", POLICY)
    assert "only 0 origins are common" in decision.reasons[0]


def test_no_rows_at_all_are_refused():
    """An empty backtest proves nothing."""
    assert not decide(make_match().head(0), None, "accepted", POLICY).promote


def test_a_saving_by_luck_in_one_origin_is_not_sure():
    """One lucky week among many losing ones leaves the lower bound below zero."""
    assert bootstrap([-1.0] * 11 + [14.0], [0.05], seed=1)[0] < 0


def test_saving_is_positive_when_ours_is_cheaper():
    """Theirs − ours, per origin."""
    ours, theirs = make_scored("a", 1.0), make_scored("b", 2.0)
    assert all(value > 0 for value in saving(ours, theirs))
