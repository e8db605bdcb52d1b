"""The gate promotes what is better and refuses the rest, each for its own reason."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from salescast.evaluation.gate import Evidence, Measured, Policy, decide
from salescast.evaluation.inference import lower_bound, paired, unit_means, worse_segments

POLICY = Policy(
    min_origins=13,
    min_saving=0.005,
    promotion_error=0.05,
    max_bias=0.08,
    coverage_80=(0.75, 0.85),
    segment_margin=0.05,
    max_foresight=0.7,
    max_refit_change=0.25,
    max_stale_days=7,
    max_model_mb=10.0,
    min_rows_per_second=100.0,
    unit="origin",
)
MEASURED = Measured(
    poisoned=0.0,
    skewed=0.0,
    refit=0.03,
    trained_until="2024-06-30",
    stale_days=0.0,
    model_mb=0.1,
    rows_per_second=5000.0,
)
COSTS = {
    "seasonal_naive": 1.5,
    "weekday_mean": 1.3,
    "blind": 1.1,
    "foresighted": 0.7,
}


def make_scored(model="challenger", cost=1.0, origins=26, freq="7D", **columns):
    """Return scored rows of four series that cost `cost` a series-day, give or take."""
    rng = np.random.default_rng(5)
    days = pd.date_range("2024-01-07", periods=origins, freq=freq)
    grid = pd.MultiIndex.from_product(
        [["s1", "s2"], ["u1", "u2"], days, range(1, 15)],
        names=["store_id", "item_id", "origin", "lead_time"],
    )
    rows = grid.to_frame(index=False)
    rows["date"] = rows["origin"] + pd.to_timedelta(rows["lead_time"], unit="D")
    rows["model"], rows["actual"] = model, rng.poisson(5, len(rows)).astype(float)
    rows["mean"], rows["p10"], rows["p50"], rows["p90"] = 5.0, 2.0, 5.0, 8.0
    rows["sold_out"] = False
    rows["cost"] = cost * rng.gamma(2, 0.5, len(rows))
    return rows.assign(**columns)


def make_evidence(champion=None, quality="accepted", weather="issued", **columns):
    """Return the evidence on a challenger that is better than all but perfect foresight."""
    when = {name: columns[name] for name in ("origins", "freq") if name in columns}
    scored = [make_scored(**columns), *(make_scored(m, c, **when) for m, c in COSTS.items())]
    return Evidence(pd.concat(scored, ignore_index=True), champion, quality, weather, MEASURED)


def measured(**values):
    """Return good evidence but for what was measured on the model itself."""
    return replace(make_evidence(), measured=replace(MEASURED, **values))


def failed(decision):
    """Return the names of the checks that failed."""
    return [check.name for check in decision.checks if not check.passed]


def test_a_cheaper_calibrated_challenger_is_promoted():
    """It beats both baselines and its blind twin, and there is no champion."""
    assert failed(decide(make_evidence(), POLICY)) == []


@pytest.mark.parametrize(
    ("evidence", "check"),
    [
        (make_evidence(mean=6.5), "bias"),
        (make_evidence(mean=3.5), "bias"),
        (make_evidence(p10=5.0, p90=5.0), "coverage_80"),
        (make_evidence(p10=0.0, p90=99.0), "coverage_80"),
        (make_evidence(mean=np.nan), "finite"),
        (make_evidence(cost=np.inf), "finite"),
        (make_evidence(origins=5), "origins"),
        (make_evidence(p50=1.0), "contract"),
        (make_evidence(p10=-1.0), "contract"),
        (make_evidence(cost=0.75), "plausible"),
        (make_evidence(quality="rejected"), "data_quality"),
        (measured(poisoned=0.01), "future_poison"),
        (measured(skewed=0.01), "serving_skew"),
        (measured(refit=0.5), "refit_agrees"),
        (measured(stale_days=30.0), "freshness"),
        (measured(model_mb=11.0), "size"),
        (measured(rows_per_second=5.0), "speed"),
    ],
)
def test_each_fault_is_refused_by_exactly_the_check_meant_for_it(evidence, check):
    """Nothing else complains, so that the reason leads to the cause."""
    assert failed(decide(evidence, POLICY)) == [check]


def test_a_missing_measurement_is_no_passed_check():
    """What is not a number fails every bound."""
    values = ("poisoned", "skewed", "refit", "stale_days", "model_mb", "rows_per_second")
    decision = decide(measured(**dict.fromkeys(values, np.nan)), POLICY)
    assert len(failed(decision)) == len(values)


def test_errors_smaller_than_counts_allow_are_an_alarm():
    """A forecast that is exact to the unit has seen the count."""
    evidence = make_evidence()
    seen = evidence.scored.assign(mean=evidence.scored["actual"] + 0.1)
    assert failed(decide(replace(evidence, scored=seen), POLICY)) == ["count_noise"]


def test_a_challenger_as_dear_as_its_blind_twin_should_be_the_blind_one():
    """The reason says which key to set."""
    decision = decide(make_evidence(cost=1.1), POLICY)
    assert failed(decision) == ["weather_earns_its_place"]
    assert 'set features.weather = "none"' in decision.reasons[0]


@pytest.mark.parametrize("weather", ["none", "climatology"])
def test_without_issued_weather_there_is_no_twin_to_beat(weather):
    """The check passes and says why."""
    decision = decide(make_evidence(weather=weather, cost=1.2), POLICY)
    values = {check.name: check.value for check in decision.checks}
    assert failed(decision) == []
    assert values["weather_earns_its_place"] == {"none": "blind"}.get(weather, weather)


def test_a_challenger_dearer_than_a_baseline_is_refused_by_it():
    """The weekday mean costs 1.3, the seasonal naive 1.5."""
    assert "beats_weekday_mean" in failed(decide(make_evidence(cost=1.4), POLICY))
    assert "beats_seasonal_naive" in failed(decide(make_evidence(cost=1.6), POLICY))


def test_a_truly_better_challenger_is_promoted():
    """A tenth cheaper than the champion, on the same origins."""
    assert decide(make_evidence(champion=make_scored(cost=1.1)), POLICY).promote


def test_an_identical_challenger_is_not_promoted():
    """On a tie the champion stays."""
    decision = decide(make_evidence(champion=make_scored()), POLICY)
    assert failed(decision) == ["beats_champion"]
    assert "the champion stays" in decision.reasons[0]


def test_a_saving_too_small_to_matter_is_a_tie():
    """Clearly cheaper, but by less than half a percent."""
    decision = decide(make_evidence(champion=make_scored(cost=1.004)), POLICY)
    assert failed(decision) == ["beats_champion"]


def test_a_challenger_worse_in_one_store_only_is_refused_there():
    """Cheaper in all, clearly dearer in s2."""
    rows = make_scored(cost=0.8)
    rows.loc[rows["store_id"] == "s2", "cost"] *= 1.4
    evidence = make_evidence(champion=make_scored(), cost=0.9)
    others = evidence.scored[evidence.scored["model"] != "challenger"]
    evidence = replace(evidence, scored=pd.concat([rows, others]))
    decision = decide(evidence, replace(POLICY, max_foresight=9.0))
    assert failed(decision) == ["no_store_worse"]
    assert "s2 (" in decision.reasons[0]


def test_a_champion_without_common_origins_is_no_comparison():
    """Promotion needs the same origins."""
    champion = make_scored(cost=9.0)
    champion[["origin", "date"]] += pd.Timedelta(days=3)
    assert "0 common origins" in decide(make_evidence(champion), POLICY).reasons[0]


def test_a_new_store_does_not_tilt_the_comparison():
    """What the champion never forecast is left out on both sides."""
    champion = make_scored(cost=1.1)
    known = champion[champion["store_id"] == "s1"]
    rows = make_scored()
    rows.loc[rows["store_id"] == "s2", "cost"] *= 50
    assert paired(rows, known)["store_id"].unique().tolist() == ["s1"]


def test_no_rows_at_all_are_refused():
    """An empty backtest proves nothing."""
    empty = replace(make_evidence(), scored=make_evidence().scored.head(0))
    assert {"contract", "finite", "origins"} & set(failed(decide(empty, POLICY)))


def test_a_decision_is_the_same_each_time():
    """Nothing of the clock or of chance is in it."""
    assert decide(make_evidence(), POLICY) == decide(make_evidence(), POLICY)


def test_a_saving_by_luck_in_one_origin_is_not_sure():
    """One lucky week among many losing ones leaves the lower bound below zero."""
    assert lower_bound([-1.0] * 12 + [15.0], 0.05) < 0


def test_origins_a_day_apart_are_compared_by_the_days_they_forecast():
    """All of them share days with all others; four weeks of days still tell a clear saving."""
    daily = {"origins": 13, "freq": "D"}
    champion = make_scored("champion", 1.6, **daily)
    evidence = make_evidence(champion, **daily)

    assert failed(decide(evidence, replace(POLICY, unit="date"))) == []


def test_the_mean_by_day_is_that_of_all_rows():
    """The first and last days have fewer rows, and count for as much less."""
    rows = make_scored(origins=5, freq="D")
    assert np.mean(unit_means("date", rows, "cost")) == pytest.approx(rows["cost"].mean())


def test_among_many_segments_chance_alone_condemns_few():
    """Equal models, 10 stores, 20 times: Holm's correction holds the error of all together."""
    rows = pd.concat([make_scored().assign(store_id=f"s{i}") for i in range(10)])
    rows = rows.drop_duplicates(["store_id", "item_id", "origin", "date"])
    condemned = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        one, other = (rows.assign(cost=rng.gamma(2, 0.5, len(rows))) for _ in range(2))
        condemned += worse_segments(paired(one, other), 0.0, "origin", 0.05)["worse"].any()
    assert condemned <= 3
