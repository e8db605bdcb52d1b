"""Checks of the machine and of what is installed on it."""

import re
import shutil
import socket
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import NamedTuple

import httpx
from packaging.requirements import Requirement

from salescast.release.bundle import installed
from salescast.settings import Settings

OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 3  # .venv 1, a run's workspace and caches 1, as much again to swap them whole
REASONS = {
    "fastapi": "Prefect 3.8 cannot deploy from 0.151 on and not start from 0.155 on",
    "sqlalchemy": "2.1 ends Prefect's ephemeral server in CancelledErrors",
    "pandas": "the tables are pandas 3's",
}
CONFLICTS = {
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


class Finding(NamedTuple):
    """The result of a check; `fix` is empty where all is well."""

    summary: str
    fix: str = ""


def python(_: Settings) -> Finding:
    """Check that this Python is a supported one."""
    summary = f"Python {sys.version.split()[0]}"
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return Finding(summary)
    return Finding(summary, "install 3.11, 3.12 or 3.13, then: make setup PYTHON=python3.13")


def versions(_: Settings) -> Finding:
    """Compare what is installed with the ranges that pyproject.toml allows."""
    wrong = set()
    for text in requires("salescast") or []:
        allowed = Requirement(text)
        found = installed(allowed.name)
        if found and not allowed.specifier.contains(found, prereleases=True):
            reason = REASONS.get(allowed.name)
            complaint = f"{allowed.name} {found}, allowed is {allowed.specifier}"
            wrong.add(f"{complaint}: {reason}" if reason else complaint)
    if wrong:
        return Finding("; ".join(sorted(wrong)), "rm -rf .venv && make setup")
    return Finding("the installed packages are within the allowed ranges")


def lock(settings: Settings) -> Finding:
    """Compare what is installed with requirements.lock."""
    path = settings.root / "requirements.lock"
    if not path.exists():
        return Finding("no requirements.lock in this workspace")
    different = [
        f"{name} {found} instead of {locked}"
        for name, locked in _locked(path).items()
        if (found := installed(name)) and found != locked
    ]
    if not different:
        return Finding("the installed packages are those of requirements.lock")
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    return Finding(", ".join(different[:3]) + more, "touch requirements.lock && make setup")


def _locked(path: Path) -> dict[str, str]:
    """Return name → version of the lock's lines that apply to this Python."""
    lines = re.findall(r"^[a-z0-9][^\\\n]*", path.read_text(encoding="utf-8"), re.MULTILINE)
    pins = [Requirement(line) for line in lines]
    return {
        pin.name: str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def conflicts(_: Settings) -> Finding:
    """Look for packages that cannot be installed together with ours."""
    found = {name: reason for name, reason in CONFLICTS.items() if installed(name)}
    if not found:
        return Finding("no package that is known to clash")
    fix = f"install them elsewhere; here: uv pip uninstall {' '.join(found)}"
    return Finding("; ".join(f"{name} {reason}" for name, reason in found.items()), fix)


def space(settings: Settings) -> Finding:
    """Check that the disk has room: a full one ends a stage half-way."""
    free = shutil.disk_usage(settings.root).free / 1e9
    fix = f"free {NEEDED_GB} GB; `make clean` removes build/ and caches"
    return Finding(f"{free:.1f} GB free for {settings.root.name}/", fix if free < NEEDED_GB else "")


def port(settings: Settings) -> Finding:
    """Check that the API's port is free, or already serves this API."""
    host, number = settings.serving.host, settings.serving.port
    if not number or not listens(host, number):
        return Finding(f"{host}:{number} is free")
    if _is_healthy(f"http://{host}:{number}/healthz/live"):
        return Finding(f"{host}:{number} is served by salescast")
    fix = "stop what listens there, or set serving.port or SALESCAST_SERVING__PORT"
    return Finding(f"{host}:{number} is taken by something else", fix)


def listens(host: str, number: int, seconds: float = 2.0) -> bool:
    """Return whether something accepts connections there."""
    try:
        with socket.create_connection((host, number), timeout=seconds):
            return True
    except OSError:
        return False


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
