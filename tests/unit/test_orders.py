"""Costs turn quantiles into money."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from salescast.errors import DataQualityError
from salescast.orders import newsvendor_cost, unit_costs
from tests.builders import make_items


def test_critical_ratio_weighs_a_lost_sale_against_a_day_on_the_shelf():
    """Margin 5 + goodwill 1 against 1 a day: 6 ÷ 7."""
    assert unit_costs(make_items(1))["critical_ratio"].item() == pytest.approx(6 / 7)


def test_an_item_without_margin_is_named():
    """No order is worth placing, so the costs must be wrong."""
    items = make_items(2, unit_cost=[5.0, 30.0])
    with pytest.raises(DataQualityError, match="table items: u2: price − cost"):
        unit_costs(items)


def test_cost_is_underage_below_and_overage_above():
    """Two short at 3 each; one left at 1."""
    cost = newsvendor_cost(np.array([5.0, 2.0]), np.array([3.0, 3.0]), *np.array([[3.0], [1.0]]))
    assert cost.tolist() == [6.0, 1.0]


@given(st.floats(0.5, 20), st.floats(0.5, 9), st.floats(0.5, 9))
def test_stocking_the_critical_quantile_is_cheapest(mean, underage, overage):
    """No other quantity costs less under the true distribution."""
    demand = np.arange(120.0)
    chance = poisson.pmf(demand, mean)

    def expected(stock: float) -> float:
        costs = newsvendor_cost(demand, np.full_like(demand, stock), underage, overage)
        return float(chance @ costs)

    best = poisson.ppf(underage / (underage + overage), mean)
    assert expected(best) <= min(expected(s) for s in range(60)) + 1e-9
