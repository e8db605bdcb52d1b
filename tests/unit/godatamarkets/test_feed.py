"""The feed delivers what became known between two moments."""

import pandas as pd
import pytest

from godatamarkets.feed import Simulation
from salescast.contract.schema import TABLES
from salescast.errors import ConfigError
from tests.unit.godatamarkets.builders import digest, half_year

MIDNIGHT = pd.Timestamp("2022-07-01")


def test_the_first_fetch_brings_everything():
    """`since` None is the retailer's first day."""
    assert digest(Simulation("small", 7, ()).fetch(None, MIDNIGHT)) == digest(half_year())


@pytest.mark.parametrize("table", TABLES)
def test_a_later_fetch_brings_what_is_new(table: str):
    """Rows known at or after `since` and before `until`, to the hour."""
    since = pd.Timestamp("2022-05-02 22:30")
    known = Simulation("small", 7, ()).fetch(since, pd.Timestamp("2022-05-04"))[table][
        TABLES[table].known_at
    ]
    expected = half_year()[table][TABLES[table].known_at]
    expected = expected[(expected >= since) & (expected < pd.Timestamp("2022-05-04"))]
    assert sorted(known) == sorted(expected)


@pytest.mark.parametrize("table", TABLES)
def test_a_fetch_of_no_time_brings_no_rows(table: str):
    """Asking again brings nothing new, in the contract's columns."""
    rows = Simulation("small", 7, ()).fetch(MIDNIGHT, MIDNIGHT)[table]
    assert rows.empty
    assert list(rows) == list(TABLES[table].names)


def test_faults_reach_the_feed():
    """What is configured to go wrong does."""
    fetched = Simulation("small", 7, ["truncated_file@2022-03-01"]).fetch(None, MIDNIGHT)
    assert digest(fetched) == digest(half_year("truncated_file@2022-03-01"))


def test_a_misspelt_fault_is_a_configuration_error():
    """It names the section and the choices."""
    with pytest.raises(ConfigError, match=r"feed.godatamarkets: fault .*known are"):
        Simulation("small", 7, ["flood@2022-03-01"])
