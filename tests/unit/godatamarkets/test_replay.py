"""A replay's accounts: the same shelves for all, faults found by their alarms."""

import numpy as np
import pandas as pd

from godatamarkets.replay import detection, policies
from salescast.monitoring.alarms import SEVERITY
from salescast.ordering.orders import Cycle

START = pd.Timestamp("2025-01-05")
FAULT = {
    "name": "competitor",
    "start": "2025-02-01",
    "end": "2025-03-01",
    "expected": ["demand_shift"],
}


def make_market(days=28):
    """Return two series that want two units a day, four weeks before and `days` after a review."""
    series = pd.DataFrame({"store_id": "s1", "item_id": ["u1", "u2"], "pack_size": 1})
    series = series.assign(underage=6.0, overage=1.0)
    demand = np.full((2, 28 + days), 2.0)
    return policies.Market(series, demand, 28, np.array([2.0, 2.0]), Cycle(7, 2))


def make_alarm(day, name="demand_shift", severity="page"):
    """Return an alarm of the journal."""
    return {"day": day, "name": name, "severity": severity}


def test_a_named_scenario_begins_after_a_third_of_the_days():
    """A bare name leaves time for a calm start; one with a date says it all itself."""
    faults = detection.scenario_faults(
        ["competitor", "calm", "gauge_unit@2025-03-01:days=3"], START, 90
    )
    assert faults == ("competitor@2025-02-04", "gauge_unit@2025-03-01:days=3")


def test_the_scenario_year_spreads_its_faults_over_the_days():
    """Each kind of trouble gets its season."""
    faults = detection.scenario_faults(["year"], START, 365)
    assert len(faults) == len(detection.MIX)
    assert faults[0] == "truncated_file@2025-02-10"


def test_every_expected_alarm_exists():
    """No scenario waits for a name that monitoring never says."""
    assert {name for names in detection.EXPECTED.values() for name in names} <= set(SEVERITY)


def test_orders_that_just_meet_demand_leave_little_to_pay():
    """Whoever orders a week's demand each week pays less than who orders none."""
    market = make_market()
    shelves = {
        "enough": market.simulate(policies.recorded_orders([np.array([14.0, 14.0])] * 4)),
        "none": market.simulate(policies.recorded_orders([np.zeros(2)] * 4)),
    }
    costs = policies.policy_costs(market, shelves)
    assert costs["enough"]["cost"] < costs["none"]["cost"]
    assert costs["enough"]["fill_rate"] > 0.9


def test_the_planner_looks_back_four_weeks_and_orders_for_nine_days():
    """9 × 1.25 days of two units a day, less what is there."""
    market = make_market()
    assert list(policies.planner_orders(market)(0, np.array([2.0, 0.0]))) == [21.0, 23.0]


def test_a_fault_is_found_by_the_first_alarm_of_its_name():
    """Alarms before it and of other names do not count."""
    raised = [
        make_alarm("2025-01-20"),
        make_alarm("2025-02-03", name="input_drift", severity="ticket"),
        make_alarm("2025-02-09"),
    ]
    (found,) = detection.detections([FAULT], raised)
    assert (found["alarm"], found["days"]) == ("demand_shift", 8)


def test_a_fault_nobody_notices_is_faults_as_such():
    """No alarm, no day."""
    (found,) = detection.detections([FAULT], [])
    assert found["days"] is None


def test_pages_without_a_fault_behind_them_are_false():
    """Tickets are not: nobody is woken by them."""
    raised = [
        make_alarm("2025-01-20"),
        make_alarm("2025-01-21", severity="ticket"),
        make_alarm("2025-02-09"),
    ]
    assert detection.false_alarms([FAULT], raised) == raised[:1]
