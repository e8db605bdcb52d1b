"""The machine and what is installed on it."""

import re
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from packaging.requirements import Requirement

from salescast.doctor.finding import Finding
from salescast.settings import Settings

OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 3  # .venv 1, a run's workspace and caches 1, as much again to swap them whole
REASONS = {
    "fastapi": "Prefect 3.8 cannot deploy from 0.151 on and not start from 0.155 on",
    "sqlalchemy": "2.1 ends Prefect's ephemeral server in CancelledErrors",
    "pandas": "the tables are pandas 3's",
}
STRANGERS = {
    "evidently": "declares no cap and cannot be imported on pandas 3",
    "mlforecast": "needs pandas < 3",
    "statsforecast": "needs pandas < 3",
    "skforecast": "needs pandas < 3",
    "alibi-detect": "needs pandas < 3",
    "bentoml": "downgrades what we need",
    "mlserver": "downgrades what we need",
    "nannyml": "pins an old lightgbm and needs Python < 3.13",
    "prefect-great-expectations": "is unmaintained and pins an old Prefect",
    "whylogs": "is unmaintained and pins an old pandas",
}


def python(_: Settings) -> Finding:
    """See whether this Python is a supported one."""
    found = sys.version_info[:2]
    summary = f"Python {sys.version.split()[0]}"
    if OLDEST <= found <= NEWEST:
        return Finding("python", summary)
    return Finding(
        "python", summary, "install 3.11, 3.12 or 3.13, then: make setup PYTHON=python3.13"
    )


def installed(name: str) -> str | None:
    """Return the installed version of a package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def versions(_: Settings) -> Finding:
    """Compare what is installed with the ranges that pyproject.toml allows, and why."""
    wrong = []
    for text in requires("salescast") or []:
        wanted = Requirement(text)
        found = installed(wanted.name)
        if found and not wanted.specifier.contains(found, prereleases=True):
            reason = REASONS.get(wanted.name, "")
            allowed = f"allowed is {wanted.specifier}"
            wrong.append(f"{wanted.name} {found}, {allowed}" + (f": {reason}" if reason else ""))
    if wrong:
        return Finding("versions", "; ".join(sorted(set(wrong))), "rm -rf .venv && make setup")
    return Finding("versions", "what is installed is within the allowed ranges")


def lock(settings: Settings) -> Finding:
    """Compare what is installed with requirements.lock."""
    path = settings.root / "requirements.lock"
    if not path.exists():
        return Finding("lock", "no requirements.lock in this workspace")
    other = [
        f"{name} {found} instead of {wanted}"
        for name, wanted in locked(path).items()
        if (found := installed(name)) and found != wanted
    ]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        return Finding("lock", ", ".join(other[:3]) + more, "touch requirements.lock && make setup")
    return Finding("lock", "what is installed is what requirements.lock says")


def locked(path: Path) -> Mapping[str, str]:
    """Return name → version of the lock's lines that apply to this Python."""
    return dict(_locked(path.read_text(encoding="utf-8")))


def _locked(text: str) -> Iterator[tuple[str, str]]:
    for line in re.findall(r"^[a-z0-9][^\\\n]*", text, re.MULTILINE):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate():
            yield wanted.name, str(wanted.specifier).removeprefix("==")


def strangers(_: Settings) -> Finding:
    """Look for packages that cannot live beside ours."""
    found = [f"{name} {why}" for name, why in STRANGERS.items() if installed(name)]
    if not found:
        return Finding("strangers", "no package that is known to clash")
    names = " ".join(name.split()[0] for name in found)
    mend = f"give them an environment of their own; here: uv pip uninstall {names}"
    return Finding("strangers", "; ".join(found), mend)


def space(settings: Settings) -> Finding:
    """See whether the disk has room: a full one ends a stage half-way."""
    free = shutil.disk_usage(settings.root).free / 1e9
    summary = f"{free:.1f} GB free beside {settings.root.name}/"
    if free >= NEEDED_GB:
        return Finding("space", summary)
    return Finding("space", summary, f"free {NEEDED_GB} GB; `make clean` removes build/ and caches")


def port(settings: Settings) -> Finding:
    """See whether the API's port is free, or ours."""
    host, number = settings.serving.host, settings.serving.port
    if not number or not listens(host, number):
        return Finding("port", f"{host}:{number} is free")
    if _is_ours(f"http://{host}:{number}/healthz/live"):
        return Finding("port", f"{host}:{number} is served by salescast")
    mend = "stop what listens there, or set serving.port or SALESCAST_SERVING__PORT"
    return Finding("port", f"{host}:{number} is taken by something else", mend)


def listens(host: str, number: int, seconds: float = 2.0) -> bool:
    """Tell whether something accepts connections there."""
    try:
        with socket.create_connection((host, number), timeout=seconds):
            return True
    except OSError:
        return False


def _is_ours(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as reply:  # noqa: S310 - http, built above
            return bool(reply.status == 200)
    except (URLError, OSError, ValueError):
        return False
