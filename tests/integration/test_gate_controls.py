"""Models that must not pass: each spoilt in one way, refused by the check meant for it.

One small retailer, one honest recipe; every control spoils the recipe's data, its forecasts or
the model, on its way through the same examination.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

from godatamarkets import Retailer
from godatamarkets.catalogue import EMBEDDED_END, START
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.contract.schema import Tables, last_day
from salescast.evaluation.backtest import (
    CHALLENGER,
    Recipe,
    fits,
    outcomes,
    predictions_of,
    served_by,
)
from salescast.evaluation.controls import (
    differing,
    foresighted,
    future_poison,
    poisoned,
    twins,
)
from salescast.evaluation.gate import Evidence, Measured, Policy, decide
from salescast.features import point_in_time
from salescast.models import make
from salescast.models.forecaster import Forecaster, forecast
from salescast.models.response import uncensor
from salescast.ordering.orders import unit_costs
from salescast.settings import read_settings
from salescast.stages.configured import gate_policy, recipe
from tests.workspaces import CONFIG

CUTOFFS, HISTORY = 26, 500
MEASURED = Measured(0.0, 0.0, 0.03, "2024-12-29", 0.0, 0.02, 5000.0)


@dataclass(frozen=True)
class Shop:
    """A small retailer, the honest recipe and what the gate saw of it."""

    tables: Tables
    rows: pd.DataFrame
    tested: list[pd.Timestamp]
    recipe: Recipe
    policy: Policy
    happened: pd.DataFrame
    recent: pd.DataFrame
    model: Forecaster
    predictions: pd.DataFrame

    def served(self, model: Forecaster, rows: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return what a model would have served as the challenger."""
        served = self.rows[self.rows["origin"].isin(self.tested)] if rows is None else rows
        return served_by(model, served, self.recipe, CHALLENGER)

    def scored(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Return predictions with their outcomes and costs."""
        costs = unit_costs(schema.latest("items", self.tables["items"]))
        return outcomes(predictions, uncensor(self.recent), costs)

    def refused(
        self,
        challenger: pd.DataFrame | None = None,
        champion: pd.DataFrame | None = None,
        measured: Measured = MEASURED,
    ) -> list[str]:
        """Return the checks that a challenger with these predictions fails."""
        rest = self.predictions[self.predictions["model"] != CHALLENGER]
        forecasts = self.predictions[self.predictions["model"] == CHALLENGER]
        all_of = pd.concat(
            [forecasts if challenger is None else challenger, rest], ignore_index=True
        )
        rival = None if champion is None else self.scored(champion)
        evidence = Evidence(self.scored(all_of), rival, "accepted", "issued", measured)
        return [check.name for check in decide(evidence, self.policy).checks if not check.passed]


@pytest.fixture(scope="module")
def shop() -> Shop:
    """Examine the honest recipe on a year of the small retailer."""
    settings = read_settings(CONFIG)
    delivered = Retailer("small", 7).deliver(START, EMBEDDED_END)
    tables = {name: conform(name, rows) for name, rows in delivered.items()}
    last, how = last_day(tables), recipe(settings, tables)
    tested = [last - pd.Timedelta(days=14 + 7 * i) for i in reversed(range(CUTOFFS))]
    trained = [last - pd.Timedelta(days=15 * i) for i in range(HISTORY // 15)]
    rows = point_in_time.build(tables, sorted({*trained, *tested}))
    happened, recent = (point_in_time.past(tables, day) for day in (tested[0], last))
    fitted = fits(rows, lambda _: happened, tested, CUTOFFS, how)
    found = [predictions_of(fitted, how), twins(rows, happened, recent, tested, how)]
    model = fitted[0].model
    return Shop(
        tables,
        rows,
        tested,
        how,
        gate_policy(settings),
        happened,
        recent,
        model,
        pd.concat(found, ignore_index=True),
    )


def learned(shop: Shop, happened: pd.DataFrame, rows: pd.DataFrame | None = None) -> Forecaster:
    """Return the recipe fitted on other outcomes or other rows."""
    rows = shop.rows if rows is None else rows
    known = rows[rows["origin"] < shop.tested[0]]
    return make(shop.recipe.kind, shop.recipe.params, shop.recipe.seed).fit(known, happened)


def ask(shop: Shop, build):
    """Return the question of the future-poison control, asked of features made by `build`."""

    def asked(tables: Tables, origin: pd.Timestamp):
        built = build(tables, origin)
        how = shop.recipe
        return [
            point_in_time.past(tables, origin),
            forecast(shop.model, built, how.quantiles, how.critical),
        ]

    return asked


def test_the_honest_recipe_passes_every_check(shop):
    """Otherwise the refusals below would prove nothing."""
    assert shop.refused() == []


def test_two_identical_models_are_no_promotion(shop):
    """On a tie the champion stays."""
    champion = shop.served(shop.model)
    assert shop.refused(champion=champion) == ["beats_champion"]


def test_a_truly_better_model_is_promoted(shop):
    """Over a champion that is told no weather."""
    blind = shop.predictions[shop.predictions["model"] == "blind"]
    assert shop.refused(champion=blind.assign(model=CHALLENGER)) == []


def test_a_leaked_feature_is_refused_by_the_poisoned_future(shop):
    """What will be sold has slipped into the column of promotions."""

    def leaky(tables, origin):
        rows, sales = point_in_time.build(tables, [origin]), tables["sales"]
        ahead = sales[(sales["date"] > origin) & (sales["date"] <= origin + pd.Timedelta(days=14))]
        names = ["store_id", "item_id"]
        sold = ahead.groupby(names)["units"].mean()
        promo = (sold / (sold + 100)).rename("promo").reset_index()
        return rows.drop(columns="promo").merge(promo, on=names)

    changed = future_poison(ask(shop, leaky), shop.tables, [shop.tested[-1]])
    assert changed > 0
    assert shop.refused(measured=replace(MEASURED, poisoned=changed)) == ["future_poison"]


def test_honest_features_do_not_feel_a_poisoned_future(shop):
    """The control itself raises no false alarm, bit for bit."""

    def honest(tables, origin):
        return point_in_time.build(tables, [origin])

    assert future_poison(ask(shop, honest), shop.tables, shop.tested[::12]) == 0.0


def test_poison_spares_what_was_known(shop):
    """Only what became known after the close is garbage."""
    origin = shop.tested[0]
    dirty = schema.as_of(poisoned(shop.tables, origin), origin)
    clean = schema.as_of(shop.tables, origin)
    assert all(
        differing(dirty[name].reset_index(drop=True), rows.reset_index(drop=True)) == 0
        for name, rows in clean.items()
    )


def test_observed_weather_in_the_test_window_is_better_than_plausible(shop):
    """Served the weather that came instead of the issue."""
    served = shop.rows[shop.rows["origin"].isin(shop.tested)].reset_index(drop=True)
    leaked = shop.served(shop.model, foresighted(served, shop.recent))
    assert shop.refused(leaked) == ["plausible"]


def test_actual_units_among_the_features_are_below_count_noise(shop):
    """Whoever knows the outcome errs less than counting allows."""
    forecasts = shop.served(shop.model)
    key = ["store_id", "item_id", "date"]
    actual = (
        forecasts[key].merge(shop.recent, on=key, how="left")["units"].fillna(forecasts["mean"])
    )
    columns = [name for name in forecasts if name == "mean" or name.startswith("p")]
    perfect = forecasts.assign(**dict.fromkeys([*columns, "stock_target"], actual.to_numpy()))
    assert "count_noise" in shop.refused(perfect)


def test_a_shuffled_target_is_refused_by_the_baselines(shop):
    """A model trained on outcomes in random order is dearer than last week's sales."""
    order = np.random.default_rng(99).permutation(len(shop.happened))
    names = ["units", "sold_out"]
    values = {name: shop.happened[name].to_numpy()[order] for name in names}
    trained = learned(shop, shop.happened.assign(**values))
    assert "beats_weekday_mean" in shop.refused(shop.served(trained))


def test_a_noise_model_is_dearer_than_the_weekday_mean(shop):
    """Means and quantiles thrown about at random."""
    forecasts, rng = shop.served(shop.model), np.random.default_rng(1)
    noise = np.exp(rng.normal(0, 1.0, len(forecasts)))
    columns = [
        name for name in forecasts if name in {"mean", "stock_target"} or name.startswith("p")
    ]
    noisy = forecasts.assign(**{name: forecasts[name] * noise for name in columns})
    assert "beats_weekday_mean" in shop.refused(noisy)


def test_a_stale_model_is_refused_by_freshness(shop):
    """It learned until two months before the newest day."""
    old = replace(MEASURED, trained_until="2024-10-29", stale_days=61.0)
    assert shop.refused(measured=old) == ["freshness"]


@pytest.mark.parametrize("factor", [0.25, 0.6, 2.5])
def test_miscalibrated_intervals_are_refused_by_coverage(shop, factor):
    """Intervals too narrow or too wide; means and orders are unchanged."""
    forecasts = shop.served(shop.model)
    levels = [name for name in forecasts if name.startswith("p") and name[1:].isdigit()]
    levels = {
        name: np.maximum(forecasts["p50"] + (forecasts[name] - forecasts["p50"]) * factor, 0.0)
        for name in levels
    }
    assert shop.refused(forecasts.assign(**levels)) == ["coverage_80"]


def test_a_model_worse_in_one_store_only_is_refused_there(shop):
    """Cheaper than the blind champion in sum; one store gets orders three times too large."""
    forecasts = shop.served(shop.model)
    blind = shop.predictions[shop.predictions["model"] == "blind"]
    quiet = forecasts.groupby("store_id")["mean"].sum().idxmin()
    there = (forecasts["store_id"] == quiet).to_numpy()
    spoilt = forecasts.assign(
        stock_target=np.where(there, 3 * forecasts["stock_target"], forecasts["stock_target"])
    )
    assert "no_store_worse" in shop.refused(spoilt, blind.assign(model=CHALLENGER))


def test_a_refit_on_corrupted_units_disagrees_with_the_judged_fit(shop):
    """The last weeks were delivered in dozens: what would be released is not what was judged."""
    late = shop.recent["date"] > shop.tested[-1] - pd.Timedelta(days=28)
    units = shop.recent["units"].where(~late, shop.recent["units"] * 12)
    refit = shop.served(learned(shop, shop.recent.assign(units=units)))
    judged = shop.served(shop.model)
    apart = float((refit["mean"] - judged["mean"]).abs().sum() / judged["mean"].sum())
    assert shop.refused(measured=replace(MEASURED, refit=apart)) == ["refit_agrees"]


@pytest.mark.parametrize("factor", [0.88, 1.12])
def test_biased_means_are_refused_even_if_orders_are_right(shop, factor):
    """An eighth too low or too high: no cost shows it, because orders follow the quantiles."""
    forecasts = shop.served(shop.model)
    assert shop.refused(forecasts.assign(mean=forecasts["mean"] * factor)) == ["bias"]


def test_a_model_trained_on_corrupted_units_is_biased(shop):
    """Everything it learned from was delivered in pairs counted as two thirds."""
    shrunk = shop.happened.assign(units=(shop.happened["units"] * 2) // 3)
    assert "bias" in shop.refused(shop.served(learned(shop, shrunk)))


def test_a_number_that_is_none_is_refused(shop):
    """A single NaN among thousands of forecasts."""
    forecasts = shop.served(shop.model)
    assert shop.refused(forecasts.assign(mean=forecasts["mean"].where(forecasts.index != 7))) == [
        "finite"
    ]


def test_a_tiny_evaluation_window_is_refused(shop):
    """Three origins."""
    few = shop.predictions[shop.predictions["origin"].isin(shop.tested[-3:])]
    small = replace(shop, predictions=few)
    assert small.refused() == ["origins"]
