"""Who serves is decided once, by the journal; registry and release folder follow it."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pandas as pd
import pytest

from salescast.data.files import write_json
from salescast.errors import (
    DataQualityError,
    GateRefused,
    NoChampionError,
    ProbeFailed,
    PromotionConflict,
    StoreUnavailableError,
)
from salescast.ledger.ledger import Ledger
from salescast.registry import Candidate
from salescast.release import Release, Releases, encode, example_of
from salescast.settings import read_settings
from salescast.stages import probe, promotion
from salescast.stages.configured import open_registry
from salescast.stages.promotion import follow_journal, promote, rollback
from tests.conftest import ROOT
from tests.releases import make_files
from tests.workspaces import make_workspace, record_decision

ATTEMPTS = int(os.environ.get("SOAK_PROMOTIONS", "3"))
PROMOTERS = 4
FRAME = pd.DataFrame({"level": [1.5]})


@pytest.fixture(scope="module")
def registered(tmp_path_factory):
    """Return a workspace whose registry holds four judged versions, none of them promoted."""
    root = make_workspace(tmp_path_factory.mktemp("promotion") / "shop", {})
    settings = read_settings(root / "config.toml")
    for number in range(1, PROMOTERS + 1):
        log_version(settings, number)
    return settings


@pytest.fixture
def settings(registered, tmp_path):
    """Return a copy of it: registry, artifacts and all."""
    shutil.copytree(registered.root, tmp_path / "shop")
    database = tmp_path / "shop" / "build" / "mlflow.db"
    move(database, str(registered.root), str(tmp_path / "shop"))
    return read_settings(tmp_path / "shop" / "config.toml")


def move(database, old, new):
    """Let a copied registry name its own files."""
    import sqlite3

    with sqlite3.connect(database) as found:
        for table, column in PLACES:
            found.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
    found.close()


PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


KINDS = {1: "weekday_mean", 2: "seasonal_naive", 3: "boosting", 4: "integrated"}


def log_version(settings, number):
    """Register a version with all that a release needs, and a decision to promote it."""
    files, folder = make_files(KINDS[number], str(number)), settings.build / "release"
    folder.mkdir(parents=True, exist_ok=True)
    drafted = ("climatology", "contract", "costs", "environment", "examples")
    for name in (*(f"{part}.json" for part in drafted), "fallback.skops"):
        (folder / name).write_bytes(files[name])
    records = [write_json(settings.build / f"{name}.json", {}) for name in ("scorecard", "quality")]
    record_decision(settings, number)
    model = settings.build / "model.skops"
    model.write_bytes(files["model.skops"])
    from salescast.registry import read_model

    tags = {"train_key": str(number), "data_version": "a.dir"}
    made = Candidate(
        read_model(model), {}, {}, {}, tags, [*records, folder], FRAME, FRAME, ["numpy"]
    )
    assert open_registry(settings).log(made).number == number


def journal(settings):
    """Return the changes of the champion, oldest first."""
    with Ledger(settings.ledger_url) as ledger:
        return ledger.promotions()


def seen(settings):
    """Return who serves: by the journal, the release folder and the registry."""
    champion = open_registry(settings).version("champion")
    last = journal(settings).iloc[-1]["model_version"]
    return last, Releases(settings.releases).champion().version, str(champion.number)


def test_a_promotion_is_journaled_published_and_registered(settings):
    """All three say the same, and the journal says why."""
    result = promote(settings, 1, "the planners asked for it")
    row = journal(settings).iloc[0]
    assert seen(settings) == ("1", "1", "1")
    assert result["summary"] == "version 1 is the champion; no service runs"
    assert (row["kind"], row["reason"]) == ("promote", "the planners asked for it")
    assert row["approver"]


def test_the_release_lies_beside_its_run(settings):
    """Whoever looks at MLflow finds what is served, and its digest."""
    promote(settings, 1)
    registry = open_registry(settings)
    made = registry.version(1)
    digest = made.tags["release_sha256"]
    assert (registry.artifact(made, f"1-{digest[:16]}") / "manifest.json").exists()


def test_nothing_is_promoted_before_a_person_approves(settings, monkeypatch):
    """With gate.approval a passed gate is not enough; the message says what to type."""
    monkeypatch.setenv("SALESCAST_GATE__APPROVAL", "true")
    asked = read_settings(settings.root / "config.toml")
    with pytest.raises(GateRefused, match="salescast promote 1 --approve"):
        promote(asked, 1, approve=" ")
    assert journal(asked).empty


def test_an_approval_is_journaled_with_who_and_why(settings, monkeypatch):
    """Once approved, promoting again asks nobody."""
    monkeypatch.setenv("SALESCAST_GATE__APPROVAL", "true")
    asked = read_settings(settings.root / "config.toml")
    promote(asked, 1, approve="looks right", approver="ada")
    promote(asked, 1)
    rows = journal(asked)
    assert rows[["approver", "reason"]].to_numpy().tolist() == [["ada", "looks right"]]


def test_a_refused_version_is_not_promoted_whoever_approves(settings):
    """An approval comes after the gate, not instead of it."""
    check = {"name": "bias", "passed": False, "reason": "bias is +40%"}
    record_decision(settings, 1, "refuse", [check])
    with pytest.raises(GateRefused, match="bias"):
        promote(settings, approve="I want it")
    assert journal(settings).empty


def test_a_decision_that_differs_from_the_ledgers_is_refused(settings):
    """An edited file promotes nothing."""
    check = {"name": "bias", "passed": False, "reason": "bias is +40%"}
    record_decision(settings, 1, "refuse", [check])
    path = settings.build / "decision.json"
    path.write_text(path.read_text("utf-8").replace("refuse", "promote"), "utf-8")
    with pytest.raises(GateRefused, match="differs from decision"):
        promote(settings)
    assert journal(settings).empty


def test_a_version_compared_with_another_champion_is_not_promoted(settings):
    """What the gate compared it with serves no longer: it has to be judged anew."""
    promote(settings, 1)
    promote(settings, 2)
    record_decision(settings, 3, champion=1)
    with pytest.raises(PromotionConflict, match="version 2 serves now"):
        promote(settings)
    assert seen(settings) == ("2", "2", "2")


def test_a_rollback_restores_the_champion_before_and_once_more_goes_forward(settings):
    """The way back is a change like any other."""
    for number in (1, 2):
        promote(settings, number)
    there = rollback(settings)["version"], seen(settings)
    back = rollback(settings)["version"], seen(settings)
    assert (there, back) == ((1, ("1", "1", "1")), (2, ("2", "2", "2")))
    assert journal(settings)["kind"].tolist() == ["promote", "promote", "rollback", "rollback"]


def test_a_rollback_reaches_any_version_that_served(settings):
    """But none that never did: that would be a promotion without a gate."""
    for number in (1, 2, 3):
        promote(settings, number)
    assert rollback(settings, to=1)["version"] == 1
    with pytest.raises(NoChampionError, match="versions that served: 1, 2, 3"):
        rollback(settings, to=4)
    assert seen(settings) == ("1", "1", "1")


def test_nobody_rolls_back_to_a_damaged_release(settings):
    """The champion stays, and the message says what is damaged."""
    for number in (1, 2):
        promote(settings, number)
    folder = next(settings.releases.glob("1-*"))
    (folder / "model.skops").write_bytes(b"")
    with pytest.raises(DataQualityError, match=r"model\.skops"):
        rollback(settings)
    assert seen(settings) == ("2", "2", "2")


def test_promoting_the_champion_again_mends_its_release(settings):
    """The journal says nothing new; the folder is as it should be."""
    promote(settings, 1)
    folder = next(settings.releases.glob("1-*"))
    (folder / "model.skops").write_bytes(b"")
    promote(settings, 1)
    releases = Releases(settings.releases)
    assert releases.read(releases.champion()).version == "1"
    assert seen(settings) == ("1", "1", "1")


def test_a_lost_release_of_the_first_champion_is_published_again(settings):
    """It was compared with no champion, which is no reason to refuse it now."""
    with Ledger(settings.ledger_url) as ledger:
        ledger.record_decision(
            kind="gate",
            model_version="1",
            champion_version=None,
            verdict="promote",
            checks=[],
            origin=pd.Timestamp("2024-12-29"),
        )
    promote(settings, 1)
    shutil.rmtree(settings.releases)
    promote(settings, 1)
    assert seen(settings) == ("1", "1", "1")
    assert len(journal(settings)) == 1


def test_a_promotion_that_died_after_the_journal_is_finished_by_the_next_call(
    settings, monkeypatch
):
    """The journal decides; whatever comes next brings the others up to it."""
    promote(settings, 1)

    def die(*_):
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "_shadow_previous", die)
        with pytest.raises(SystemExit):
            promote(settings, 2)
    assert seen(settings) == ("2", "1", "1")
    promote(settings, 2)
    assert seen(settings) == ("2", "2", "2")
    assert len(journal(settings)) == 2


def test_a_rollback_works_while_the_registry_is_away(settings, monkeypatch):
    """Services are served first; the aliases follow when MLflow is back."""
    for number in (1, 2):
        promote(settings, number)
    away = str(settings.build / "none" / "mlflow.db")
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{away}")
        (settings.build / "none").write_text("no folder")
        assert rollback(settings)["version"] == 1
    assert seen(settings) == ("1", "1", "2")
    with Ledger(settings.ledger_url) as ledger:
        follow_journal(settings, ledger)
    assert seen(settings) == ("1", "1", "1")


# One process imports, its four children race.
RACE = """
import json, os, random, sys
import mlflow, mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store
from salescast.errors import PromotionConflict
from salescast.settings import read_settings
from salescast.stages.promotion import rollback

def race(me, attempts):
    settings, rng, told = read_settings(), random.Random(me), []
    for attempt in range(attempts):
        reason = f"{me}/{attempt}"
        try:
            rollback(settings, to=rng.randint(1, 4), reason=reason)
            told.append([reason, "done"])
        except PromotionConflict:
            told.append([reason, "conflict"])
    (settings.build / f"told-{me}.json").write_text(json.dumps(told))

children = []
for me in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        try:
            race(me, int(sys.argv[2]))
        except BaseException as error:
            sys.stderr.write(repr(error))
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def race(settings):
    """Let four processes change the champion at once; return what each was told."""
    command = [sys.executable, "-c", RACE, str(PROMOTERS), str(ATTEMPTS)]
    environment = os.environ | {"SALESCAST_CONFIG": str(settings.root / "config.toml")}
    subprocess.run(command, env=environment, cwd=ROOT, check=True)
    entries = [json.loads(path.read_text()) for path in settings.build.glob("told-*.json")]
    return [line for one in entries for line in one]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_racing_promoters_leave_one_champion_and_lose_no_decision(settings, database, request):
    """`make soak-promotions`: a thousand attempts. Every attempt came through once or was told."""
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
        request.getfixturevalue("monkeypatch").setenv("SALESCAST_STORES__LEDGER_URL", url)
        settings = read_settings(settings.root / "config.toml")
        for number in range(1, PROMOTERS + 1):
            record_decision(settings, number)
    for number in range(1, PROMOTERS + 1):
        promote(settings, number)
    attempts = race(settings)
    rows = journal(settings)
    made, reasons = rows["model_version"].tolist(), Counter(rows["reason"][PROMOTERS:])
    came_through = {name for name, result in attempts if result == "done"}
    assert rows["sequence"].tolist() == list(range(1, len(rows) + 1))
    assert rows["replaced_version"].tolist()[1:] == made[:-1]
    assert set(reasons) <= came_through
    assert set(reasons.values()) <= {1}
    assert len(attempts) == PROMOTERS * ATTEMPTS
    assert seen(settings) == (made[-1],) * 3


@contextmanager
def service(status, **answers):
    """Serve fixed answers, as JSON by path; yield the address."""

    class Fixed(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path.rpartition("/")[2], {})).encode())

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Fixed) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_service_that_refuses_the_release_brings_the_old_one_back(settings, monkeypatch):
    """It keeps the last good release; the promotion is undone, and the journal says why."""
    monkeypatch.setattr(probe, "REFUSED_SECONDS", 0.1)
    promote(settings, 1)
    old = Releases(settings.releases).champion().digest
    answers = {"model": {"release": old}, "ready": {"degraded": ["last_good"]}}
    with (
        service(200, **answers) as url,
        pytest.raises(ProbeFailed, match=r"did not take version 2.*rolled back to version 1"),
    ):
        promote(settings, 2, url=url)
    assert seen(settings) == ("1", "1", "1")
    assert journal(settings).iloc[-1]["reason"].startswith("probe: ")


def test_a_service_that_asks_for_a_key_is_not_probed(settings):
    """Without a key nobody can compare its answers; that is no reason to take the release back."""
    with service(401) as url:
        summary = promote(settings, 1, url=url)["summary"]
    assert "SALESCAST_API_KEY" in summary
    assert seen(settings) == ("1", "1", "1")


def test_a_service_of_another_workspace_does_not_hinder_a_promotion(settings, monkeypatch):
    """It happens to listen at the configured address; its releases are not ours."""
    monkeypatch.setattr(probe, "REFUSED_SECONDS", 0.1)
    with service(200, model={"release": "ab" * 32}) as url:
        monkeypatch.setenv("SALESCAST_SERVING__PORT", url.rpartition(":")[2])
        summary = promote(read_settings(settings.root / "config.toml"), 1)["summary"]
    assert "serves no release of this workspace" in summary


def test_a_release_folder_of_another_ledger_is_not_followed(settings):
    """Its changes are numbered by somebody else; which came last cannot be known."""
    promote(settings, 1)
    Releases(settings.releases).point(Release(9, "1", "0" * 64))
    with pytest.raises(StoreUnavailableError, match="belongs to another ledger"):
        promote(settings, 2)


def test_examples_survive_their_way_through_json():
    """A release compares its answers with them, so not one bit may change."""
    frame = pd.DataFrame(
        {
            "x": [0.1 + 0.2, float("nan")],
            "day": pd.to_datetime(["2024-01-01", None]).as_unit("us"),
            "id": ["a", "b"],
            "n": [1, 2],
            "closed": [True, False],
        }
    )
    from salescast.release.bundle import _frame

    back = _frame(json.loads(encode(example_of(frame, frame)))["rows"])
    pd.testing.assert_frame_equal(back[list(frame)], frame, check_exact=True)
