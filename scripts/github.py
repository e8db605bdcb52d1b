"""One comment on a pull request, by GitHub's API.

In a workflow GitHub sets GITHUB_API_URL and GITHUB_REPOSITORY; the step passes the token.
"""

import os
from typing import Any

import httpx

from salescast.errors import ConfigError, StoreUnavailableError

NEEDED = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
TIMEOUT = 30.0  # seconds


def client() -> httpx.Client:
    """Return a client of this repository's API.

    Raises ConfigError naming the variables that are missing.
    """
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not set: this runs in a GitHub workflow")
    return httpx.Client(
        base_url=f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/",
        headers={"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"},
        timeout=TIMEOUT,
    )


def request(github: httpx.Client, method: str, path: str, **options: Any) -> Any:
    """Return GitHub's answer; raise StoreUnavailableError with its reason where it refuses."""
    try:
        reply = github.request(method, path, **options)
    except httpx.TransportError as error:
        raise StoreUnavailableError(f"GitHub does not answer: {error}") from error
    if reply.is_error:
        raise StoreUnavailableError(f"{method} {path}: {reply.status_code} {reply.text[:200]}")
    return reply.json()


def pull_request(github: httpx.Client, commit: str) -> int | None:
    """Return the number of the open pull request whose head is `commit`, or None."""
    pulls = request(github, "GET", f"commits/{commit}/pulls")
    numbers = [
        pull["number"]
        for pull in pulls
        if pull["state"] == "open" and pull["head"]["sha"] == commit
    ]
    return int(numbers[0]) if numbers else None


def comment(github: httpx.Client, number: int, body: str) -> None:
    """Write `body` on a pull request, in place of the bot comment with the same first line."""
    mark = body.splitlines()[0]
    for page in range(1, 11):  # a thousand comments
        comments = request(github, "GET", f"issues/{number}/comments?per_page=100&page={page}")
        for old in comments:
            if old["body"].startswith(mark) and old["user"]["type"] == "Bot":
                request(github, "PATCH", f"issues/comments/{old['id']}", json={"body": body})
                return
        if len(comments) < 100:
            break
    request(github, "POST", f"issues/{number}/comments", json={"body": body})
