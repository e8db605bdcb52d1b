"""A product of one's own: this repository with another name and without the simulated retailer.

`new NAME DEST` makes it, with a history of its own: one commit, which the branch `upstream` keeps.
`update UPSTREAM`, in the fork, makes the same from what is new here, commits it on `upstream` and
merges that, so that git sees what both sides changed since.
What goes: the paths of GONE, and what stands between comments that say so ("simulated").
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

from salescast.errors import ConfigError, SalescastError

ROOT = Path(__file__).parent.parent
RECORD = ".fork.json"
GONE = (  # of the simulated retailer, of its data, and what is told of them
    *("src/godatamarkets", "bench", "tests/unit/bench"),
    *("data.dvc", "dvc.lock", "sample-remote", ".dvc/plots", "docs/images"),
    *("tests/unit/godatamarkets", "tests/unit/data/test_feeds.py", "tests/clones.py"),
    *("tests/integration/test_oracle.py", "tests/integration/test_quality_faults.py"),
    *("tests/integration/test_bench_small.py", "tests/integration/test_dvc_repro.py"),
    *("tests/integration/test_gate_controls.py"),
    *("tests/integration/test_fork.py", "tests/integration/test_twins.py"),
    *("tests/integration/test_hostile.py", "tests/integration/test_replay.py"),
    *("tests/e2e/test_lifecycle.py", "tests/e2e/test_uk_gift_retailer.py"),
    *("docs/tutorial.md", "docs/reference/simulator.md", "docs/explanation/forecast-quality.md"),
    *("docs/explanation/as-issued-weather.md", "docs/explanation/orders.md"),
    "docs/explanation/a-year.md",
    *("docs/how-to/bring-real-data.md", "docs/how-to/uk_gift_retailer.py"),
    *("docs/notebook", "tests/integration/test_notebook.py"),
    "docs/adr/0006-which-model.md",
)
KEPT = {"LICENSE", "requirements.lock", "fork.py"}  # as they are
PLAIN = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".dvc", "", ".html", ".js", ".css"}
FROM, TO = (f"[^\\n]*simulated: {word} here[^\\n]*\\n" for word in ("from", "to"))
BLOCK = re.compile(f"^{FROM}.*?^{TO}", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^.*  # simulated\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)[^)]*\)")
DVC_CONFIG = "[core]\n    analytics = false\n    check_update = false\n"
README = """# {title}

{name} forecasts, made from a reference application for machine learning in production.

## Before the first forecast, decide

- [ ] **What is one row?** Put `stores`, `items`, `sales` and `weather_observed` as CSV into
  `inbox/` ([how](docs/how-to/bring-your-data.md)). Correct `src/salescast/contract/schema.py` where
  your columns, units or possible values differ.
- [ ] **What drives demand, and what is known ahead of it?** `src/salescast/features/`.
- [ ] **What does a miss cost?** `unit_cost`, `holding_cost_per_day`, `goodwill_cost` of your items;
  `[costs]` in `config.toml` says when you order.
- [ ] **What must a model show?** `[gate]` in `config.toml`.
- [ ] **What are your data allowed to do?** `src/salescast/quality/`: rules across tables and days.
- [ ] **Where is it kept?** `dvc remote add --default NAME URL`, `[stores]`, and the settings of
  your repository ([how](docs/how-to/ship.md)).
- [ ] **Who owns what?** [People and process](docs/explanation/people-and-process.md).

## Run it

```console
$ make doctor
$ make run
$ make check test
```

## Later

```console
$ make update-from-upstream
```

takes over what is new where this came from (`.fork.json` says from where and which commit) and
merges it with what you changed.
"""


def new(name: str, destination: Path) -> int:
    """Make the fork in `destination`, as one commit; return how many files it has.

    Raises ConfigError for a name that is none, or a destination that is not empty.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,30}", name):
        raise ConfigError(f"NAME={name}: use small letters, digits and hyphens")
    if destination.exists() and any(destination.iterdir()):
        raise ConfigError(f"DEST={destination} is not empty; name a new folder")
    record = {"name": name, "upstream": _origin(), "commit": git(ROOT, "rev-parse", "HEAD")}
    make_tree(ROOT, destination, record)
    git(destination, "init", "--quiet", "--initial-branch", "main")
    _commit(destination, f"Begin {name} from {record['commit'][:10]}")
    git(destination, "branch", "upstream")
    return len(git(destination, "ls-files").splitlines())


def _origin() -> str:
    """Return the address this was cloned from; a folder of one machine is none."""
    found = git(ROOT, "remote", "get-url", "origin") if git(ROOT, "remote") else ""
    return found if "://" in found or "@" in found else ""


def update(upstream: str) -> str:
    """Merge what is new upstream into this fork; return the commit it is now at.

    Raises ConfigError where this is no fork, has uncommitted changes, or the merge needs a person.
    """
    if not (ROOT / RECORD).exists():
        raise ConfigError(f"no {RECORD} here: this is no fork")
    if git(ROOT, "status", "--porcelain"):
        raise ConfigError("commit or put away your changes first")
    record = json.loads((ROOT / RECORD).read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "upstream"), Path(folder, "made")
        where = upstream or record["upstream"]
        if not where:
            raise ConfigError("say where upstream is: UPSTREAM=path-or-url")
        git(ROOT, "clone", "--quiet", "--depth", "1", _address(where), str(source))
        record |= {"commit": git(source, "rev-parse", "HEAD")}
        git(ROOT, "worktree", "add", "--quiet", str(made), "upstream")
        try:
            _replace_all(made)
            script = [sys.executable, "-m", "scripts.fork", "tree", str(made), json.dumps(record)]
            environment = os.environ | {"PYTHONPATH": f"{source / 'src'}{os.pathsep}{source}"}
            subprocess.run(script, cwd=source, env=environment, check=True)  # noqa: S603 - upstream's own
            _commit(made, f"Take over {record['commit'][:10]}")
        finally:
            git(ROOT, "worktree", "remove", "--force", str(made))
    git(ROOT, "merge", "--quiet", "--no-edit", "upstream")
    return str(record["commit"])


def _address(where: str) -> str:
    return Path(where).resolve().as_uri() if Path(where).is_dir() else where


def _replace_all(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def make_tree(source: Path, target: Path, record: Mapping[str, str]) -> None:
    """Write the files of a fork of `source`, as committed there, into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    git(source, "--work-tree", str(target.resolve()), "checkout", "HEAD", "--", ".")
    git(source, "reset", "--quiet")
    for gone in GONE:
        path = target / gone
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    files = [p for p in target.rglob("*") if p.is_file() and ".git" not in p.parts[-2:-1]]
    for path in files:
        if path.suffix in PLAIN and path.name not in KEPT:
            _rewrite(path, record["name"])
    _begin(target, record)
    for path in target.rglob("*.md"):
        _unlink(path)
    _tidy(target)


def _rewrite(path: Path, name: str) -> None:
    text = path.read_text(encoding="utf-8")
    new_text = LINE.sub("", BLOCK.sub("", text))
    for old, fresh in _words(name).items():
        new_text = new_text.replace(old, fresh)
    if new_text != text:
        path.write_text(re.sub(r"\n{4,}", "\n\n\n", new_text), encoding="utf-8")


def _words(name: str) -> Mapping[str, str]:
    return {
        "GoDataMarkets": name.capitalize(),
        "umbrella sales": f"{name} sales",
        "umbrella-sales": f"{name}-sales",
        '"src/godatamarkets", ': "",
        '"godatamarkets", ': "",
        "`godatamarkets`, ": "",
        "godatamarkets | ": "",
        '"godatamarkets"': '"files"',
    }


def _begin(target: Path, record: Mapping[str, str]) -> None:
    name = record["name"]
    (target / "README.md").write_text(
        README.format(title=name.capitalize(), name=name.capitalize()), encoding="utf-8"
    )
    index = f"# {name.capitalize()}\n\nForecasts of {name} sales. The README has the checklist.\n"
    (target / "docs/index.md").write_text(index, encoding="utf-8")
    log = f"# Changelog\n\n## [Unreleased]\n\n- Begun from {record['commit'][:10]}.\n"
    (target / "CHANGELOG.md").write_text(log, encoding="utf-8")
    (target / ".dvc/config").write_text(DVC_CONFIG, encoding="utf-8")
    (target / RECORD).write_text(json.dumps(dict(record), indent=2) + "\n", encoding="utf-8")
    decisions = target / "docs/adr/README.md"
    kept = [line for line in decisions.read_text("utf-8").splitlines() if "0006-which" not in line]
    decisions.write_text("\n".join(kept) + "\n", encoding="utf-8")
    site = target / "mkdocs.yml"
    text = site.read_text("utf-8").replace("  - Tutorial: tutorial.md\n", "")
    site.write_text(text, encoding="utf-8")


def _unlink(path: Path) -> None:
    """Keep the words of links to what is gone."""
    text = path.read_text(encoding="utf-8")
    told = LINK.sub(lambda m: m[0] if (path.parent / m[2]).exists() else m[1], text)
    if told != text:
        path.write_text(told, encoding="utf-8")


def _tidy(target: Path) -> None:
    """Remove the imports that nothing uses any more."""
    for words in (["check", "--fix"], ["format"]):
        command = [sys.executable, "-m", "ruff", *words, "--quiet", "--no-cache"]
        subprocess.run(command, cwd=target, check=False, capture_output=True)  # noqa: S603


def _commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    if git(folder, "status", "--porcelain"):
        git(folder, "commit", "--quiet", "--message", message)


def git(folder: Path, *words: str) -> str:
    """Return what git prints, or raise ConfigError with its reason."""
    done = subprocess.run(  # noqa: S603 - our own words
        ["git", "-C", str(folder), *words],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(f"git {words[0]} in {folder}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def main(words: Sequence[str]) -> int:
    """Make or update a fork and return the exit code."""
    try:
        match words:
            case ["new", name, destination]:
                count = new(name, Path(destination).resolve())
                print(f"{destination}: {count} files, one commit; its README has the checklist")
            case ["tree", folder, record]:
                make_tree(ROOT, Path(folder), json.loads(record))
            case ["update", upstream]:
                print(f"up to {update(upstream)[:10]}; now: make check test")
            case _:
                raise ConfigError("say new NAME DEST or update UPSTREAM")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
