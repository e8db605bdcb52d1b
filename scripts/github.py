"""What the workflows write on GitHub: one comment, one issue, one release.

`python -m scripts.github issue TITLE` and `… release TAG FILE…`; in a workflow GitHub sets the
variables GITHUB_API_URL, GITHUB_REPOSITORY, …; the token is given by the step.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from salescast.errors import ConfigError, SalescastError, StoreUnavailableError

NEEDED = ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
PATIENCE = 30.0  # seconds


def client() -> httpx.Client:
    """Return a client of this repository's API.

    Raises ConfigError naming the variables that are missing.
    """
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not set: this target writes on GitHub, from there")
    return httpx.Client(
        base_url=f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/",
        headers={"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}"},
        timeout=PATIENCE,
    )


def ask(github: httpx.Client, method: str, path: str, **options: Any) -> Any:
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
    found = ask(github, "GET", f"commits/{commit}/pulls")
    numbers = [one["number"] for one in found if one["head"]["sha"] == commit]
    return int(numbers[0]) if numbers else None


def comment(github: httpx.Client, number: int, body: str) -> None:
    """Write `body` as our comment of a pull request; its first line is how we know ours again."""
    mark = body.splitlines()[0]
    for page in range(1, 11):  # a thousand comments
        found = ask(github, "GET", f"issues/{number}/comments?per_page=100&page={page}")
        for one in found:
            if one["body"].startswith(mark) and one["user"]["type"] == "Bot":
                ask(github, "PATCH", f"issues/comments/{one['id']}", json={"body": body})
                return
        if len(found) < 100:
            break
    ask(github, "POST", f"issues/{number}/comments", json={"body": body})


def issue(github: httpx.Client, title: str, body: str) -> bool:
    """Open an issue, unless one with this title is open already; tell whether it was opened."""
    opened = ask(github, "GET", "issues?state=open&per_page=100")
    if title in {one["title"] for one in opened}:
        return False
    ask(github, "POST", "issues", json={"title": title, "body": body})
    return True


def release(github: httpx.Client, tag: str, files: Sequence[Path]) -> None:
    """Publish a release of `tag` with the files: a draft until the last of them is there."""
    described = {"tag_name": tag, "name": tag, "draft": True, "generate_release_notes": True}
    made = ask(github, "POST", "releases", json=described)
    upload = made["upload_url"].partition("{")[0]
    for path in files:
        kind = {"Content-Type": "application/octet-stream"}
        content = path.read_bytes()
        ask(github, "POST", f"{upload}?name={path.name}", content=content, headers=kind)
    ask(github, "PATCH", f"releases/{made['id']}", json={"draft": False})


def main(words: Sequence[str]) -> int:
    """Do what the words say and return the exit code."""
    server, repository, run = (
        os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    )
    try:
        with client() as github:
            match words:
                case ["issue", title]:
                    where = f"{server}/{repository}/actions/runs/{run}"
                    opened = issue(github, title, f"The log says what broke: {where}")
                    print("opened" if opened else "there is one already")
                case ["release", tag, *files]:
                    release(github, tag, [Path(name) for name in files])
                    print(f"released {tag}")
                case _:
                    raise ConfigError(f"{' '.join(words)}: say issue TITLE or release TAG FILE…")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
