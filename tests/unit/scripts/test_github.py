"""What the workflows write on GitHub, against a small server that keeps what it is told."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from salescast.errors import StoreUnavailableError
from scripts import github

MARK = "<!-- report -->"


class Kept(ThreadingHTTPServer):
    """GitHub's part in it: lists by path, and everything written."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.written: list[tuple[str, str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Kept

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, reply = 200, self.server.lists.get(path, [])
        if path.endswith("/refused"):
            status = 403
        if self.command != "GET":
            binary = self.headers["Content-Type"] == "application/octet-stream"
            told = content if binary else json.loads(content)
            self.server.written.append((self.command, self.path, told))
            upload = f"http://127.0.0.1:{self.server.server_port}/upload{{?name,label}}"
            reply = {"id": 9, "upload_url": upload}  # type: ignore[assignment] # a release
        text = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the library's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Return the running server."""
    with Kept() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Return a client of that server, as a workflow's environment describes it."""
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{kept.server_port}")
    monkeypatch.setenv("GITHUB_REPOSITORY", "us/shop")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    with github.client() as found:
        yield found


def test_the_first_report_is_a_new_comment(client: httpx.Client, kept: Kept) -> None:
    """Where we said nothing yet, we say it."""
    github.comment(client, 7, f"{MARK}\nnew")
    assert kept.written == [
        ("POST", "/repos/us/shop/issues/7/comments", {"body": f"{MARK}\nnew"}),
    ]


def test_a_later_report_replaces_our_comment_and_nobody_elses(
    client: httpx.Client, kept: Kept
) -> None:
    """One comment per pull request; a person's copy of ours stays as it is."""
    kept.lists["/repos/us/shop/issues/7/comments"] = [
        {"id": 1, "body": f"{MARK}\nold", "user": {"type": "User"}},
        {"id": 2, "body": f"{MARK}\nold", "user": {"type": "Bot"}},
    ]
    github.comment(client, 7, f"{MARK}\nnew")
    assert [(method, path) for method, path, _ in kept.written] == [
        ("PATCH", "/repos/us/shop/issues/comments/2")
    ]


def test_the_pull_request_is_the_one_whose_head_was_run(client: httpx.Client, kept: Kept) -> None:
    """A commit that merely occurs in another pull request is not its head."""
    kept.lists["/repos/us/shop/commits/abc/pulls"] = [
        {"number": 3, "head": {"sha": "def"}},
        {"number": 4, "head": {"sha": "abc"}},
    ]
    assert github.pull_request(client, "abc") == 4


def test_one_broken_night_after_another_is_one_issue(client: httpx.Client, kept: Kept) -> None:
    """An issue that is open already is not opened again."""
    assert github.issue(client, "broken", "see the log")
    kept.lists["/repos/us/shop/issues"] = [{"title": "broken"}]
    assert not github.issue(client, "broken", "see the log")
    assert len(kept.written) == 1


def test_a_release_is_a_draft_until_its_last_file_is_there(
    client: httpx.Client, kept: Kept, tmp_path: Path
) -> None:
    """Nobody downloads half a release."""
    wheel = tmp_path / "shop.whl"
    wheel.write_bytes(b"wheel")
    github.release(client, "v1", [wheel])
    assert [(path, told) for _, path, told in kept.written[1:]] == [
        ("/upload?name=shop.whl", b"wheel"),
        ("/repos/us/shop/releases/9", {"draft": False}),
    ]
    assert kept.written[0][2]["draft"]


def test_a_refusal_is_told_with_its_status(client: httpx.Client) -> None:
    """What GitHub says reaches the log."""
    with pytest.raises(StoreUnavailableError, match="403"):
        github.ask(client, "GET", "refused")


def test_outside_a_workflow_the_missing_variables_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target that writes on GitHub says so where there is none."""
    for name in github.NEEDED:
        monkeypatch.delenv(name, raising=False)
    assert github.main(["issue", "broken"]) == 2
    assert "GITHUB_TOKEN" in capsys.readouterr().err
