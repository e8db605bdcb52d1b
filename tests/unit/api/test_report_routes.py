"""Reports over HTTP."""

import base64

import pytest

from api.keys import create_key
from tests.serving import SECRET, ask, check_problem
from tests.unit.api.test_access import make_app


@pytest.fixture
def written(app, tmp_path):
    """Return the application after a run that wrote the monitoring report."""
    (tmp_path / "build").mkdir(exist_ok=True)
    (tmp_path / "build" / "report.html").write_text("<h1>Monitoring</h1>", "utf-8")
    return app


def test_the_reports_that_exist_are_listed_and_can_be_read(written):
    """As pages that run no script."""
    (link,) = ask(written, "GET", "/v1/reports").json()["reports"]
    page = ask(written, "GET", link["address"])

    assert link["title"] == "Monitoring report"
    assert (page.status_code, page.text) == (200, "<h1>Monitoring</h1>")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("name", "status"), [("dossier", 404), (SECRET, 422), ("..%2fapi_keys.json", 422)]
)
def test_no_other_file_can_be_read(written, name, status):
    """Neither a report that was never written nor anything else below build/."""
    answer = ask(written, "GET", f"/reports/{name}")

    assert answer.status_code == status
    check_problem(answer)


def test_a_browser_sends_the_key_as_a_password(tmp_path):
    """It cannot send a bearer token when it follows a link."""
    app, path = make_app(tmp_path)
    (tmp_path / "build").mkdir(exist_ok=True)
    (tmp_path / "build" / "report.html").write_text("x", "utf-8")
    secret, _ = create_key(path, "ann", ["read"], 1)
    basic = base64.b64encode(f"ann:{secret}".encode()).decode()

    refused = ask(app, "GET", "/reports/monitoring")
    allowed = ask(app, "GET", "/reports/monitoring", headers={"Authorization": f"Basic {basic}"})

    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Basic realm="key"')
    assert allowed.status_code == 200
