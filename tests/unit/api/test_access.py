"""Hosts, keys, scopes and rates, as the settings ask for them."""

import pytest
from starlette.datastructures import Headers

from api.access import MAX_CALLERS, Access, Refused, access, is_loopback
from api.keys import create_key, revoke_key
from api.main import create_app
from salescast.settings import read_settings
from tests.conftest import ROOT
from tests.serving import RECEIPTS, Always, ask, check_problem, make_orders, small_snapshot

SETTINGS = read_settings(ROOT / "config.toml")
SNAPSHOT = small_snapshot()


def serving(**changes):
    """Return the settings of the service, with changes."""
    return SETTINGS.serving.model_copy(update=changes)


def make_app(tmp_path, **changes):
    """Return an application over a small snapshot, protected unless changed."""
    changes = {"protect": "on"} | changes
    settings = SETTINGS.model_copy(update={"root": tmp_path, "serving": serving(**changes)})
    app = create_app(settings)
    app.state.serving = Always(SNAPSHOT)
    return app, settings.api_keys


def bearer(secret):
    """Return the header that carries a key."""
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("path", ["/v1/model", "/metrics"])
def test_without_a_key_a_protected_service_says_nothing(tmp_path, path):
    """Nor with a wrong one; the answer does not tell them apart."""
    app, _ = make_app(tmp_path)

    for headers in ({}, bearer("sc_00000000_x"), {"Authorization": "Basic eDp5"}):
        answer = ask(app, "GET", path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        check_problem(answer)


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready", "/docs", "/openapi.json"])
def test_probes_and_the_reference_need_no_key(tmp_path, path):
    """They tell nothing that is worth one."""
    assert ask(make_app(tmp_path)[0], "GET", path).status_code == 200


def test_a_key_opens_what_its_scopes_say(tmp_path):
    """To read is not to write."""
    app, path = make_app(tmp_path)
    keys = [create_key(path, scope, [scope], 1)[0] for scope in ("read", "write", "orders")]

    codes = [
        ask(app, method, url, headers=bearer(secret)).status_code
        for secret in keys
        for method, url in (
            ("GET", "/v1/orders"),
            ("POST", "/v1/outcomes"),
            ("POST", "/v1/orders/decisions"),
        )
    ]

    assert codes == [200, 403, 403, 403, 415, 403, 403, 403, 415]


def test_a_revoked_key_opens_nothing(tmp_path):
    """As soon as the file is read anew."""
    app, path = make_app(tmp_path)
    secret, made = create_key(path, "planner", ["read"], 1)
    assert ask(app, "GET", "/v1/model", headers=bearer(secret)).status_code == 200

    revoke_key(path, made.key_id)
    app.state.access._read = (float("-inf"), 0)

    assert ask(app, "GET", "/v1/model", headers=bearer(secret)).status_code == 401


def test_a_damaged_key_file_opens_nothing(tmp_path):
    """Rather closed than open."""
    app, path = make_app(tmp_path)
    secret, _ = create_key(path, "planner", ["read"], 1)
    path.write_text("{")

    assert ask(app, "GET", "/v1/model", headers=bearer(secret)).status_code == 401


@pytest.mark.parametrize(
    ("host", "protect", "expected"),
    [
        ("127.0.0.1", "auto", False),
        ("::1", "auto", False),
        ("localhost", "auto", False),
        ("0.0.0.0", "auto", True),
        ("example.org", "auto", True),
        ("127.0.0.1", "on", True),
        ("0.0.0.0", "off", False),
    ],
)
def test_a_service_that_others_can_reach_is_protected(tmp_path, host, protect, expected):
    """Unless somebody decided otherwise."""
    assert access(serving(host=host, protect=protect), tmp_path).protected is expected


@pytest.mark.parametrize(
    ("hosts", "header", "expected"),
    [
        ((), "127.0.0.1:8000", 200),
        ((), "localhost", 200),
        ((), "[::1]:8000", 200),
        ((), "LOCALHOST:1", 200),
        ((), "evil.example", 421),
        ((), "127.0.0.1.evil.example", 421),
        ((), "", 421),
        (("shop.example",), "shop.example", 200),
        (("shop.example",), "127.0.0.1", 421),
        (("*",), "anything", 200),
    ],
)
def test_a_service_answers_to_its_names_alone(tmp_path, hosts, header, expected):
    """A page on another site cannot reach it by giving its address a name."""
    app, _ = make_app(tmp_path, protect="off", allowed_hosts=hosts)

    answer = ask(app, "GET", "/healthz/live", headers={"Host": header})

    assert answer.status_code == expected


def test_elsewhere_than_on_loopback_any_name_will_do(tmp_path):
    """Keys protect it there."""
    assert access(serving(host="0.0.0.0"), tmp_path).hosts is None
    assert is_loopback("127.8.8.8")


def admit(rules, now, address="10.0.0.1", path="/v1/model"):
    """Return what a caller without a key hears: status and headers."""
    try:
        return 200, rules.admit({"path": path, "client": (address, 1)}, Headers(), now)
    except Refused as no:
        return no.status, no.headers


def test_who_asks_too_often_is_told_when_to_come_back(tmp_path):
    """A third of sixty a minute: after three at once the next may come in a second."""
    rules = Access(tmp_path / "none", protected=True, hosts=None, per_minute=3)

    answers = [admit(rules, 0.0) for _ in range(4)]

    assert [status for status, _ in answers] == [401, 401, 401, 429]
    assert answers[0][1]["RateLimit"] == '"minute";r=2;t=20'
    assert answers[3][1]["Retry-After"] == "20"
    assert admit(rules, 20.0)[0] == 401
    assert admit(rules, 20.0, address="10.0.0.2")[0] == 401


def test_a_limited_caller_sees_its_rate_in_each_answer(tmp_path):
    """Also where the answer is a problem."""
    app, path = make_app(tmp_path, requests_per_minute=2)
    secret, _ = create_key(path, "planner", ["read"], 1)

    answers = [ask(app, "GET", "/v1/model", headers=bearer(secret)) for _ in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"minute";q=2;w=60'
    assert answers[0].headers["ratelimit"].startswith('"minute";r=1;')
    check_problem(answers[2])


def test_callers_beyond_number_are_forgotten(tmp_path):
    """Memory does not grow with addresses."""
    rules = Access(tmp_path / "none", protected=True, hosts=None, per_minute=3)

    for number in range(MAX_CALLERS + 10):
        admit(rules, 0.0, address=str(number))

    assert len(rules._left) == MAX_CALLERS


def test_no_rate_means_no_limit(tmp_path):
    """requests_per_minute = 0."""
    rules = Access(tmp_path / "none", protected=True, hosts=None, per_minute=0)

    assert {admit(rules, 0.0)[0] for _ in range(1000)} == {401}


def test_no_secret_reaches_the_log(tmp_path, caplog):
    """The caller is named by the key's id."""
    import logging

    app, path = make_app(tmp_path)
    secret, made = create_key(path, "planner", ["read"], 1)
    log = logging.getLogger("salescast.api")
    log.propagate = True
    try:
        with caplog.at_level(logging.INFO, "salescast.api"):
            ask(app, "GET", f"/v1/series?store_id={secret}", headers=bearer(secret))
    finally:
        log.propagate = False

    assert f'"caller": "key {made.key_id}"' in caplog.text
    assert secret not in caplog.text


def test_the_document_of_a_protected_service_asks_for_a_key(tmp_path):
    """And one that is not, does not."""
    protected, bare = (
        make_app(tmp_path)[0].openapi(),
        make_app(tmp_path, protect="off")[0].openapi(),
    )

    assert protected["paths"]["/v1/model"]["get"]["security"] == [{"key": []}]
    assert "401" in protected["paths"]["/v1/model"]["get"]["responses"]
    assert "security" not in bare["paths"]["/v1/model"]["get"]


def test_a_decision_bears_the_name_of_the_key(tmp_path):
    """Whatever name the body has."""
    app, path = make_app(tmp_path)
    app.state.ledger.record_orders(make_orders())
    secret, _ = create_key(path, "ann-desk", ["orders"], 1)
    decision = {"receipt_id": RECEIPTS[0], "revision": 0, "action": "approve"}
    body = {"planner": "Bob", "decisions": [decision]}

    answer = ask(app, "POST", "/v1/orders/decisions", json=body, headers=bearer(secret))

    assert answer.status_code == 200
    assert app.state.ledger.order_decisions()["planner"].tolist() == ["ann-desk"]
