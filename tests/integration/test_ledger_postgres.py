"""The ledger keeps the same promises on PostgreSQL."""

import pytest

from salescast.ledger.database import open_engine
from tests.unit.ledger.test_ledger import (  # noqa: F401 - collected again, here with PostgreSQL's `url`
    ledger,
    test_a_decision_comes_back_with_its_checks,
    test_a_forecast_without_an_issue_has_none_afterwards,
    test_a_ledger_of_another_version_is_left_alone,
    test_a_number_that_is_none_becomes_null_in_a_check,
    test_a_recorded_forecast_cannot_be_changed,
    test_an_alarm_comes_back_with_its_evidence,
    test_an_alarm_rings_once_per_name_origin_and_subject,
    test_an_empty_ledger_has_the_dtypes_of_a_full_one,
    test_decisions_keep_their_order,
    test_every_float_comes_back_bit_for_bit,
    test_forecasts_come_back_as_they_went_in,
    test_late_double_shuffled_and_revised_outcomes_end_like_orderly_ones,
    test_many_writers_of_a_new_ledger_lose_nothing,
    test_outcomes_can_be_seen_as_they_were_known_on_a_day,
    test_outcomes_come_back_as_they_went_in,
    test_recording_a_forecast_again_does_nothing,
    test_recording_an_outcome_again_does_nothing,
)
from tests.unit.ledger.test_ledger_truth import (  # noqa: F401 - likewise
    test_a_clock_that_steps_back_does_not_undo_a_correction,
    test_ten_thousand_messy_outcomes_score_bit_for_bit_like_orderly_ones,
)


@pytest.fixture
def url(postgres_url):
    """URL of an empty PostgreSQL database, without naming a driver."""
    return postgres_url.replace("postgresql+psycopg://", "postgresql://")


def test_no_driver_need_be_named(url):
    """The one that is installed is taken."""
    assert open_engine(url).url.drivername == "postgresql+psycopg"
