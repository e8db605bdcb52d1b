"""A product of one's own: this repository with another name and without the simulated retailer.

`new NAME DEST` makes it, with a new history: one commit, which the branch `upstream` keeps.
`update UPSTREAM`, in the fork, makes the same from the newest upstream commit, commits it on
`upstream` and merges that, so that git sees what both sides changed since.
The paths of fork_removes.txt are left out, and every block between comments that say "simulated".
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Template

from salescast.errors import ConfigError, SalescastError

ROOT = Path(__file__).parent.parent
RECORD = ".fork.json"
README = Path(__file__).with_name("templates") / "fork_readme.md.jinja"
REMOVED = Path(__file__).with_name("fork_removes.txt").read_text("utf-8").split()
KEPT = {"LICENSE", "requirements.lock", "fork_removes.txt", "fork.py"}  # never rewritten
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".dvc", "", ".html", ".js", ".css"}
TEXT |= {".jinja", ".txt"}
FROM, TO = (f"[^\\n]*simulated: {word} here[^\\n]*\\n" for word in ("from", "to"))
BLOCK = re.compile(f"^{FROM}.*?^{TO}", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^.*  # simulated\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n"


def new(name: str, destination: Path) -> int:
    """Make the fork in `destination`, as one commit; return the number of its files.

    Raises ConfigError for an impossible name, or a destination that is not empty.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,30}", name):
        raise ConfigError(f"NAME={name}: use small letters, digits and hyphens")
    if destination.exists() and any(destination.iterdir()):
        raise ConfigError(f"DEST={destination} is not empty; name a new folder")
    origin = git(ROOT, "remote", "get-url", "origin") if git(ROOT, "remote") else ""
    is_remote = "://" in origin or "@" in origin  # a folder is of use on this machine alone
    commit = git(ROOT, "rev-parse", "HEAD")
    make_tree(
        ROOT,
        destination,
        {"name": name, "upstream": origin if is_remote else "", "commit": commit},
    )
    git(destination, "init", "--quiet", "--initial-branch", "main")
    _commit(destination, f"Begin {name} from {commit[:10]}")
    git(destination, "branch", "upstream")
    return len(git(destination, "ls-files").splitlines())


def update(upstream: str) -> str:
    """Merge the newest upstream commit into this fork; return that commit.

    Raises ConfigError where this is no fork, has uncommitted changes, or the merge has conflicts.
    """
    if not (ROOT / RECORD).exists():
        raise ConfigError(f"no {RECORD} here: this is no fork")
    if git(ROOT, "status", "--porcelain"):
        raise ConfigError("commit or stash your changes first")
    record = json.loads((ROOT / RECORD).read_text("utf-8"))
    address = upstream or record["upstream"]
    if not address:
        raise ConfigError("upstream is unknown: set UPSTREAM=path-or-url")
    if Path(address).is_dir():
        address = Path(address).resolve().as_uri()
    with tempfile.TemporaryDirectory() as folder:
        source, branch = Path(folder, "upstream"), Path(folder, "branch")
        git(ROOT, "clone", "--quiet", "--depth", "1", address, str(source))
        record |= {"commit": git(source, "rev-parse", "HEAD")}
        git(ROOT, "worktree", "add", "--quiet", str(branch), "upstream")
        try:
            git(branch, "rm", "-r", "--quiet", ".")
            script = [sys.executable, "-m", "scripts.fork", "tree", str(branch), json.dumps(record)]
            environment = os.environ | {"PYTHONPATH": f"{source / 'src'}{os.pathsep}{source}"}
            subprocess.run(script, cwd=source, env=environment, check=True)  # noqa: S603 - upstream's own
            _commit(branch, f"Take over {record['commit'][:10]}")
        finally:
            git(ROOT, "worktree", "remove", "--force", str(branch))
    git(ROOT, "merge", "--quiet", "--no-edit", "upstream")
    return str(record["commit"])


def make_tree(source: Path, target: Path, record: Mapping[str, str]) -> None:
    """Write the files of a fork of `source`, as committed there, into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    git(source, "--work-tree", str(target.resolve()), "checkout", "HEAD", "--", ".")
    git(source, "reset", "--quiet")
    for name in REMOVED:
        path = target / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for path in target.rglob("*"):
        if path.is_file() and path.suffix in TEXT and path.name not in KEPT | {".git"}:
            _rewrite(path, record["name"])
    _write_own_files(target, record)
    for path in target.rglob("*.md"):
        _unlink(path)
    for command in (["check", "--fix"], ["format"]):  # imports that nothing uses any more
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache"]
        subprocess.run(ruff, cwd=target, check=False, capture_output=True)  # noqa: S603


def _rewrite(path: Path, name: str) -> None:
    """Leave out what is simulated and put the product's name in."""
    names = {
        "GoDataMarkets": name.capitalize(),
        "umbrella sales": f"{name} sales",
        "umbrella-sales": f"{name}-sales",
        '"src/godatamarkets", ': "",
        '"godatamarkets", ': "",
        "`godatamarkets`, ": "",
        "godatamarkets | ": "",
        '"godatamarkets"': '"files"',
    }
    text = path.read_text(encoding="utf-8")
    rewritten = LINE.sub("", BLOCK.sub("", text))
    for old, replacement in names.items():
        rewritten = rewritten.replace(old, replacement)
    if rewritten != text:
        path.write_text(re.sub(r"\n{4,}", "\n\n\n", rewritten), encoding="utf-8")


def _write_own_files(target: Path, record: Mapping[str, str]) -> None:
    name, commit = record["name"].capitalize(), record["commit"][:10]
    readme = Template(README.read_text("utf-8"), autoescape=False, keep_trailing_newline=True)
    index = f"# {name}\n\nForecasts of {record['name']} sales. The README has the checklist.\n"
    files = {
        "README.md": readme.render(name=name),
        "docs/index.md": index,
        "CHANGELOG.md": f"# Changelog\n\n## [Unreleased]\n\n- Begin from {commit}.\n",
        ".dvc/config": DVC_CONFIG,
        RECORD: json.dumps(dict(record), indent=2) + "\n",
    }
    for path, text in files.items():
        (target / path).write_text(text, encoding="utf-8")
    for path, line in {"docs/adr/README.md": "0006-which", "mkdocs.yml": "tutorial.md"}.items():
        lines = (target / path).read_text("utf-8").splitlines(keepends=True)
        (target / path).write_text("".join(x for x in lines if line not in x), encoding="utf-8")


def _unlink(path: Path) -> None:
    """Turn links to removed files into plain text."""
    text = path.read_text(encoding="utf-8")
    path.write_text(
        LINK.sub(lambda link: link[0] if (path.parent / link[2]).exists() else link[1], text),
        encoding="utf-8",
    )


def _commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    if git(folder, "status", "--porcelain"):
        git(folder, "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints, or raise ConfigError with its reason."""
    process = subprocess.run(  # noqa: S603 - fixed commands
        ["git", "-C", str(folder), *arguments],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        reason = (process.stderr or process.stdout).strip()
        raise ConfigError(f"git {arguments[0]} in {folder}: {reason}")
    return process.stdout.strip()


def main(arguments: Sequence[str]) -> int:
    """Make or update a fork and return the exit code."""
    try:
        match arguments:
            case ["new", name, destination]:
                count = new(name, Path(destination).resolve())
                print(f"{destination}: {count} files, one commit; its README has the checklist")
            case ["tree", folder, record]:
                make_tree(ROOT, Path(folder), json.loads(record))
            case ["update", upstream]:
                print(f"merged {update(upstream)[:10]}; next: make check test")
            case _:
                raise ConfigError("usage: new NAME DEST, or update UPSTREAM")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
