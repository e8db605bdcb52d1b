"""The comment on a pull request, against a small server that records requests."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from salescast.errors import ConfigError, StoreUnavailableError
from scripts import github

ROOT = Path(__file__).parents[3]
MARK = "<!-- report -->"


class Kept(ThreadingHTTPServer):
    """GitHub's API: lists by path, and a record of everything written."""

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
        reply = self.server.lists.get(path, [])
        status = 403 if path.endswith("/refused") else 200
        if self.command != "GET":
            self.server.written.append((self.command, self.path, json.loads(content)))
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
    """Without a comment of ours there is a new one."""
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
        {"number": 2, "state": "closed", "head": {"sha": "abc"}},
        {"number": 3, "state": "open", "head": {"sha": "def"}},
        {"number": 4, "state": "open", "head": {"sha": "abc"}},
    ]
    assert github.pull_request(client, "abc") == 4


def test_a_refusal_is_an_error_with_its_status(client: httpx.Client) -> None:
    """GitHub's reason reaches the log."""
    with pytest.raises(StoreUnavailableError, match="403"):
        github.request(client, "GET", "refused")


def test_outside_a_workflow_the_missing_variables_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A target that writes on GitHub says so where there is none."""
    for name in github.NEEDED:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="GITHUB_TOKEN"):
        github.client()


def test_one_broken_night_after_another_is_one_issue(tmp_path: Path) -> None:
    """`make nightly-issue` opens no second issue with the title of an open one."""
    opened = _nightly_issue(tmp_path, "Another title")
    assert "--title The newest dependencies break something" in opened
    assert "issue create" not in _nightly_issue(tmp_path, "The newest dependencies break something")


def _nightly_issue(folder: Path, title: str) -> str:
    """Run the target with a `gh` that lists one issue; return the commands it was given."""
    log, command = folder / "log", folder / "gh"
    log.write_text("")
    command.write_text(f'#!/bin/sh\necho "$*" >>{log}\n[ "$2" = create ] || echo "{title}"\n')
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    make = ["make", "nightly-issue"]
    subprocess.run(make, cwd=ROOT, env=environment, check=True, capture_output=True)
    return log.read_text()
