"""A version on trial forecasts beside the champion, and life decides about it."""

from copy import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from api.serving import load
from salescast.contract.schema import as_of
from salescast.data import store, versions
from salescast.errors import DataQualityError, GateRefused
from salescast.evaluation.live_comparison import canary_stores
from salescast.features.point_in_time import build, past
from salescast.ledger.ledger import Ledger
from salescast.models import make
from salescast.models.forecaster import Forecaster, forecast
from salescast.ordering.replenishment import learn_dependence, recent_demand
from salescast.release import Release, Releases, Trial, encode, example_of, read_trial, write_trial
from salescast.settings import Settings, read_settings
from salescast.stages import STAGES
from salescast.stages.canary import start, stop
from tests.builders import FIRST, make_tables
from tests.integration.test_promotion import log_version
from tests.releases import CONTRACT, make_files, serve_release, skops_bytes
from tests.workspaces import make_workspace, record_decision

ORIGIN = FIRST + pd.Timedelta(days=149)
DAY = pd.Timedelta(days=1)
SHARE = 0.3  # of two stores: version 3 gets s1


def made_release(factor: float, version: str) -> dict[str, bytes]:
    """Return the files of a release that expects `factor` times what there is to expect."""
    tables = make_tables(150)
    rows = build(tables, pd.date_range(ORIGIN - 60 * DAY, ORIGIN, freq="6D"))
    happened = past(tables, ORIGIN)
    model = make("integrated", {}, 1).fit(rows, happened)
    dependence = learn_dependence(model, rows, recent_demand(model, happened))
    model = _scaled(model, factor)
    answers = forecast(model, rows.head(3), CONTRACT["quantiles"], CONTRACT["critical"])
    payload = {
        "model": model,
        "contract": CONTRACT,
        "dependence": vars(dependence).copy(),
    }
    examples = encode(example_of(rows.head(3), answers))
    files = make_files("weekday_mean", version)
    return files | {"model.skops": skops_bytes(payload), "examples.json": examples}


def _scaled(model: Forecaster, factor: float) -> Forecaster:
    response = model.response_
    chain = response.chain + np.log(factor) * (np.arange(len(response.chain)) == 0)
    scaled = copy(model)
    scaled.response_ = replace(response, chain=chain)
    return scaled


@pytest.fixture(scope="module")
def releases() -> dict[str, dict[str, bytes]]:
    """Return an honest release, version 2, and one that expects four times too much, version 3."""
    return {"2": made_release(1.0, "2"), "3": made_release(4.0, "3")}


@pytest.fixture
def settings(tmp_path, releases) -> Settings:
    """Return a workspace with data, and both releases published; version 2 is the champion."""
    made = read_settings(make_workspace(tmp_path / "shop", {}) / "config.toml")
    store.append(made.data, as_of(make_tables(200), ORIGIN))
    serve_release(made, "2", releases["2"])
    digest = Releases(made.releases).publish("3", releases["3"])
    write_trial(made.releases, Trial("3", digest, SHARE))
    return made


def live(settings: Settings, days: int) -> None:
    """Forecast on so many days, and let the forecasts come true."""
    for day in range(days):
        store.append(settings.data, as_of(make_tables(200), ORIGIN + day * DAY))
        STAGES["forecast"](settings)
    store.append(settings.data, as_of(make_tables(200), ORIGIN + (days + 14) * DAY))


def recorded(settings: Settings, *, shadow: bool) -> set[tuple[str, str]]:
    """Return which store has forecasts of which version."""
    with Ledger(settings.ledger_url) as ledger:
        rows = ledger.forecasts(shadow=shadow)
    return set(zip(rows["store_id"], rows["model_version"], strict=True))


def test_a_canary_serves_its_stores_and_the_rest_stays_in_the_shadow(settings):
    """Every series has a forecast of both versions; one of them is served."""
    STAGES["forecast"](settings)
    assert canary_stores(["s1", "s2"], SHARE, "3") == ["s1"]
    assert recorded(settings, shadow=False) == {("s1", "3"), ("s2", "2")}
    assert recorded(settings, shadow=True) == {("s1", "2"), ("s2", "3")}


def test_orders_rest_on_the_version_that_serves_the_store(settings):
    """Who expects four times too much orders more."""
    STAGES["forecast"](settings)
    STAGES["order"](settings)
    orders = pd.read_parquet(settings.build / "orders.parquet").set_index(["store_id", "item_id"])
    assert (orders.loc["s1", "model_version"] == "3").all()
    assert (orders.loc["s1", "expected_demand"] > 2.5 * orders.loc["s2", "expected_demand"]).all()


def test_the_service_answers_with_each_stores_own_version(settings):
    """The answer is the champion's; the forecast says who made it."""
    shelf = Releases(settings.releases)
    champion = shelf.read(shelf.champion())
    snapshot = load(settings, champion, versions.data_version(settings.data))
    assert snapshot.provenance["model_version"] == "2"
    assert b'"model_version":"3"' in snapshot.forecasts["s1", "u1"].json
    assert b'"model_version":"2"' in snapshot.forecasts["s2", "u1"].json


def test_a_challenger_that_is_surely_dearer_is_withdrawn(settings):
    """The champion serves all stores again; journal and alarm say why."""
    live(settings, 8)
    found = STAGES["canary"](settings)
    assert found["verdict"] == "withdraw"
    assert read_trial(settings.releases) is None
    with Ledger(settings.ledger_url) as ledger:
        assert list(ledger.alarms()["name"]) == ["withdrawn"]
        assert list(ledger.decisions()["verdict"]) == ["withdraw"]


def test_a_few_days_change_nothing(settings):
    """However much dearer they are."""
    live(settings, 2)
    assert STAGES["canary"](settings)["verdict"] == "undecided"
    assert read_trial(settings.releases).version == "3"


def test_a_damaged_release_on_trial_never_serves_and_is_withdrawn(settings):
    """The champion serves alone, without an outage."""
    trial = read_trial(settings.releases)
    (settings.releases / trial.release.folder / "model.skops").write_bytes(b"damaged")
    STAGES["forecast"](settings)
    assert recorded(settings, shadow=False) == {("s1", "2"), ("s2", "2")}
    assert STAGES["canary"](settings)["verdict"] == "withdraw"


def test_a_damaged_trial_is_named_and_can_be_stopped(settings):
    """The error says what to do."""
    (settings.releases / "trial").write_text("{")
    with pytest.raises(DataQualityError, match="canary --stop"):
        read_trial(settings.releases)
    stop(settings)
    assert read_trial(settings.releases) is None


@pytest.fixture(scope="module")
def judged(tmp_path_factory, releases) -> Settings:
    """Return a workspace with an honest champion and a judged version that is four times off."""
    root = make_workspace(tmp_path_factory.mktemp("trial") / "shop", {})
    settings = read_settings(root / "config.toml")
    store.append(settings.data, as_of(make_tables(200), ORIGIN))
    for number in (1, 2):
        log_version(settings, number)
    return settings


def test_a_version_is_started_watched_and_rolled_back_to(judged, releases):
    """Promoted over a better one, the worse champion gives its place back by itself."""
    shelf = Releases(judged.releases)
    with Ledger(judged.ledger_url) as ledger:
        after = 0
        for version, files in (("1", releases["2"]), ("2", releases["3"])):
            about = make_files("weekday_mean", version)["about.json"]
            digest = shelf.publish(version, files | {"about.json": about})
            row = {"kind": "promote", "model_version": version, "digest": digest, "reason": "test"}
            before = "1" if version == "2" else None
            after = ledger.record_promotion(after, **row, replaced_version=before)
            shelf.point(Release(after, version, digest))
        first = ledger.promotions()["digest"].iloc[0]
    assert start(judged, 1, 0.0)["summary"] == "version 1 is in the shadow"
    write_trial(judged.releases, Trial("1", first, 0.0))  # this one's model forecasts well
    live(judged, 8)

    found = STAGES["canary"](judged)

    assert found["verdict"] == "withdraw"
    assert shelf.champion().version == "1"
    with Ledger(judged.ledger_url) as ledger:
        assert ledger.promotions()["reason"].iloc[-1].startswith("in production: ")


def test_a_refused_version_stays_in_the_shadow(judged):
    """It may be looked at, but serves nobody."""
    record_decision(judged, 1, "refuse")
    with pytest.raises(GateRefused, match="--share 0 keeps it in the shadow"):
        start(judged, 1, 0.1)
