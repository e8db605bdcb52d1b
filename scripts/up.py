"""Everything a team runs, as ordinary processes: MLflow, Prefect, a worker, the API.

`python -m scripts.up up` starts them, waits until each answers, deploys the flows of prefect.yaml
with their automations and prints the addresses; `… down` stops them all. Logs and process ids are
in build/up. UP_PREFECT_PORT, UP_MLFLOW_PORT and serving.port choose other ports; UP_POSTGRES_URL
(an SQLAlchemy address whose user may create databases) takes the place of SQLite.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import sqlalchemy

from salescast.doctor.machine import listens
from salescast.errors import ConfigError, SalescastError, StoreUnavailableError
from salescast.settings import Settings, read_settings
from salescast.stages.progress import progress
from scripts.prefect_api import (
    connect,
    create_pool,
    deploy,
    has_worker,
    mark_crashed,
    unfinished_runs,
)

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "up"
PIDS = FOLDER / "pids.json"
HOST = "127.0.0.1"
START_SECONDS = 180.0  # a slow machine starts Prefect in sixty
REPORT_SECONDS = 8.0  # a person waits no longer than this without a line
STOP_SECONDS = 10.0  # then a process is killed; Prefect's worker may need more, and loses nothing
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
DRIVERS = {"prefect": "asyncpg", "mlflow": "psycopg2", "ledger": "psycopg"}


@dataclass(frozen=True)
class Service:
    """One process: its command and the address that answers when it is healthy."""

    name: str
    command: tuple[str, ...]
    health: str = ""


def ports(settings: Settings) -> Mapping[str, int]:
    """Return the port of each service.

    Raises ConfigError where something listens on one, naming the variable that chooses another.
    """
    ports = {
        "mlflow": int(os.environ.get("UP_MLFLOW_PORT", "5000")),
        "prefect": int(os.environ.get("UP_PREFECT_PORT", "4200")),
        "api": settings.serving.port,
    }
    for name, port in ports.items():
        if listens(HOST, port):
            variable = "SALESCAST_SERVING__PORT" if name == "api" else f"UP_{name.upper()}_PORT"
            raise ConfigError(f"port {port} of {name} is taken; choose another one with {variable}")
    return ports


def databases(settings: Settings) -> Mapping[str, str]:
    """Return name → SQLAlchemy address; PostgreSQL's databases are created where missing."""
    server = os.environ.get("UP_POSTGRES_URL", "")
    if not server:
        in_file = f"sqlite:///{settings.build / 'mlflow.db'}"
        registry = settings.mlflow_uri if settings.mlflow_uri.startswith("sqlite") else in_file
        prefect = f"sqlite+aiosqlite:///{FOLDER / 'prefect.db'}"
        return {"prefect": prefect, "mlflow": registry, "ledger": settings.ledger_url}
    url = sqlalchemy.make_url(server)
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        existing = set(connection.scalars(sqlalchemy.text("SELECT datname FROM pg_database")))
        for name in DRIVERS:
            if f"salescast_{name}" not in existing:
                connection.execute(sqlalchemy.text(f"CREATE DATABASE salescast_{name}"))
    engine.dispose()
    return {
        name: url.set(
            drivername=f"postgresql+{driver}", database=f"salescast_{name}"
        ).render_as_string(hide_password=False)
        for name, driver in DRIVERS.items()
    }


def environment(
    settings: Settings, port: Mapping[str, int], urls: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables under which every process runs."""
    return os.environ | {
        "PREFECT_HOME": str(FOLDER / "prefect"),
        "PREFECT_API_URL": f"http://{HOST}:{port['prefect']}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": urls["prefect"],
        # In memory, the slot of a run that dies with its server would never be released.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_LOGGING_EXTRA_LOGGERS": "salescast",
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{port['mlflow']}",
        "SALESCAST_STORES__LEDGER_URL": urls["ledger"],
        "SALESCAST_CONFIG": str(settings.root / "config.toml"),
        "PWD": str(ROOT),  # as a shell sets it; prefect.yaml reads it
    }


def services(
    settings: Settings, port: Mapping[str, int], urls: Mapping[str, str]
) -> Sequence[Service]:
    """Return what is started, Prefect first."""
    module = (sys.executable, "-m")
    address = {name: ("--host", HOST, "--port", str(number)) for name, number in port.items()}
    stores = ("--backend-store-uri", urls["mlflow"], "--workers", "1")
    artifacts = ("--artifacts-destination", settings.artifacts_uri)
    serve = (sys.executable, "-c", "from salescast.cli import main; main()", "serve")
    return (
        Service(
            "prefect",
            (*module, "prefect", "server", "start", *address["prefect"]),
            f"http://{HOST}:{port['prefect']}/api/health",
        ),
        Service(
            "mlflow",
            (*module, "mlflow", "server", *address["mlflow"], *stores, *artifacts),
            f"http://{HOST}:{port['mlflow']}/health",
        ),
        Service(
            "api",
            (*serve, "--port", str(port["api"])),
            f"http://{HOST}:{port['api']}/healthz/live",
        ),
    )


def worker() -> Service:
    """Return the worker; it is healthy once it has registered with the server."""
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", "salescast")
    return Service("worker", (*command, "--limit", "1", "--name", "up"))


def up(settings: Settings) -> str:
    """Start everything, deploy, and return the addresses.

    Raises ConfigError where a port is taken or it runs already, StoreUnavailableError with the last
    lines of the log where a process does not start; the others are stopped then.
    """
    if running():
        raise ConfigError("it runs already; `make down` stops it")
    port = ports(settings)
    FOLDER.mkdir(parents=True, exist_ok=True)
    urls = databases(settings)
    try:
        start_all(services(settings, port, urls), environment(settings, port, urls))
    except BaseException:
        down()
        raise
    kind = "PostgreSQL" if urls["mlflow"].startswith("postgresql") else "SQLite"
    lines = [
        f"{title:10}http://{HOST}:{port[name]}"
        for name, title in (("prefect", "Prefect"), ("mlflow", "MLflow"), ("api", "API"))
    ]
    lines.append(f"stored in {kind}; logs in {FOLDER.relative_to(ROOT)}; `make down` stops it all")
    return "\n".join(lines)


def start_all(processes: Sequence[Service], variables: Mapping[str, str]) -> None:
    """Start the services, deploy as soon as Prefect answers, and wait until all are healthy."""
    prefect, *others = processes
    for service in processes:
        start(service, variables)
    await_health(prefect)
    with connect(variables["PREFECT_API_URL"]) as api:
        create_pool(api)
        dead = unfinished_runs(
            api
        )  # the server has only just started: these died with the last one
        start(worker(), variables)
        _report("flows     are being deployed …")
        with progress("flows"):
            deploy(variables)
        mark_crashed(api, dead)  # after the automations exist, which repeat crashed runs
        for service in others:
            await_health(service)
        _wait("worker", lambda: has_worker(api))


def start(service: Service, variables: Mapping[str, str]) -> None:
    """Start a process in a new session and record its id."""
    with (FOLDER / f"{service.name}.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            service.command,
            cwd=ROOT,
            env=dict(variables),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    PIDS.write_text(json.dumps(running() | {service.name: process.pid}), encoding="utf-8")


def await_health(service: Service) -> None:
    """Wait until it answers; raise StoreUnavailableError with the end of its log if it stops."""
    _wait(service.name, lambda: answers(service.health))


def _wait(name: str, healthy: Callable[[], bool]) -> None:
    start, reported = time.monotonic(), 0.0
    deadline = start + START_SECONDS
    while not healthy():
        seconds = time.monotonic() - start
        if seconds - reported > REPORT_SECONDS:
            reported = seconds
            _report(f"{name:10}has been starting for {seconds:.0f} s …")
        time.sleep(0.3)  # first: /proc has no command line of a process that has just begun
        if name not in running() or time.monotonic() > deadline:
            log = (FOLDER / f"{name}.log").read_text("utf-8", errors="replace")
            raise StoreUnavailableError(f"{name} did not start: {log[-800:].strip()}")
    _report(f"{name:10}is ready")


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def answers(url: str) -> bool:
    """Return whether the address answers with success."""
    try:
        with urlopen(url, timeout=5):  # noqa: S310 - our own servers; httpx reads CAs each time
            return True
    except (OSError, HTTPException):
        return False


def running() -> dict[str, int]:
    """Return the recorded processes that are alive and of this environment."""
    recorded = json.loads(PIDS.read_text("utf-8")) if PIDS.exists() else {}
    return {name: pid for name, pid in recorded.items() if _is_alive(pid)}


def _is_alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child that has ended stays in /proc until it is waited for
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return sys.executable.encode() in command  # the id may belong to another process by now


def down() -> list[str]:
    """Stop all running processes and return their names."""
    processes = running()
    for pid in reversed(processes.values()):
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in processes.values():
        _signal(pid, signal.SIGKILL)  # the rest of its session
    PIDS.unlink(missing_ok=True)
    return list(processes)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def main(arguments: Sequence[str]) -> int:
    """Start or stop and return the exit code."""
    try:
        match arguments:
            case ["up"]:
                print(up(read_settings()))
            case ["down"]:
                print(f"stopped: {', '.join(down()) or 'nothing was running'}")
            case _:
                raise ConfigError("usage: up or down")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
