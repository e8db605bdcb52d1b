"""Everything a team runs, as ordinary processes: MLflow, Prefect, a worker, the API.

`python -m scripts.up up` starts them, waits until each answers, deploys the flows of prefect.yaml
with their automations and prints where to look; `… down` stops them all. Logs and process ids lie
in build/up. UP_PREFECT_PORT, UP_MLFLOW_PORT and serving.port choose other ports; UP_POSTGRES_URL
(an SQLAlchemy address whose user may create databases) takes the place of SQLite.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

import httpx
import sqlalchemy

from salescast.doctor.machine import listens
from salescast.errors import ConfigError, SalescastError, StoreUnavailableError
from salescast.settings import Settings, read_settings
from scripts.deploying import asking, deploy, end, has_worker, make_pool, unfinished

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "up"
PIDS = FOLDER / "pids.json"
HOST = "127.0.0.1"
PATIENCE = 180.0  # seconds; a slow machine starts Prefect in sixty
GRACE = 10.0  # seconds to end by itself; Prefect's worker may need more, and loses nothing
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
DATABASES = ("prefect", "mlflow", "ledger")


@dataclass(frozen=True)
class Service:
    """One process: its command and the address that answers when it is healthy."""

    name: str
    command: tuple[str, ...]
    health: str


def ports(settings: Settings) -> Mapping[str, tuple[int, str]]:
    """Return service → (port, what chooses another one)."""
    return {
        "mlflow": (int(os.environ.get("UP_MLFLOW_PORT", "5000")), "UP_MLFLOW_PORT"),
        "prefect": (int(os.environ.get("UP_PREFECT_PORT", "4200")), "UP_PREFECT_PORT"),
        "api": (settings.serving.port, "SALESCAST_SERVING__PORT"),
    }


def taken(chosen: Mapping[str, tuple[int, str]]) -> list[str]:
    """Return a complaint per port that something listens on already."""
    return [
        f"port {port} of {name} is taken; choose another one with {variable}"
        for name, (port, variable) in chosen.items()
        if listens(HOST, port)
    ]


def databases(settings: Settings) -> Mapping[str, str]:
    """Return name → SQLAlchemy address; PostgreSQL's databases are made where they are missing."""
    server = os.environ.get("UP_POSTGRES_URL", "")
    if not server:
        registry = settings.mlflow_uri if settings.mlflow_uri.startswith("sqlite") else ""
        registry = registry or f"sqlite:///{settings.build / 'mlflow.db'}"
        prefect = f"sqlite+aiosqlite:///{FOLDER / 'prefect.db'}"
        return {"prefect": prefect, "mlflow": registry, "ledger": settings.ledger_url}
    url = sqlalchemy.make_url(server)
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        there = set(connection.scalars(sqlalchemy.text("SELECT datname FROM pg_database")))
        for name in DATABASES:
            if f"salescast_{name}" not in there:
                connection.execute(sqlalchemy.text(f"CREATE DATABASE salescast_{name}"))
    engine.dispose()
    drivers = {"prefect": "asyncpg", "mlflow": "psycopg2", "ledger": "psycopg"}
    made = {n: url.set(drivername=f"postgresql+{d}", database=f"salescast_{n}")
            for n, d in drivers.items()}  # fmt: skip
    return {name: one.render_as_string(hide_password=False) for name, one in made.items()}


def environment(settings: Settings, kept: Mapping[str, str]) -> dict[str, str]:
    """Return the variables under which every process runs."""
    chosen = ports(settings)
    return os.environ | {
        "PREFECT_HOME": str(FOLDER / "prefect"),
        "PREFECT_API_URL": f"http://{HOST}:{chosen['prefect'][0]}/api",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": kept["prefect"],
        # In memory, the turn of a run that dies with its server would never be given back.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_LOGGING_EXTRA_LOGGERS": "salescast",
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{chosen['mlflow'][0]}",
        "SALESCAST_STORES__LEDGER_URL": kept["ledger"],
        "SALESCAST_CONFIG": str(settings.root / "config.toml"),
        "PWD": str(ROOT),  # as a shell sets it; prefect.yaml asks for it
    }


def services(settings: Settings, kept: Mapping[str, str]) -> Sequence[Service]:
    """Return what is started, Prefect first."""
    python = sys.executable
    mlflow, prefect, api = (str(port) for port, _ in ports(settings).values())
    store = ("--backend-store-uri", kept["mlflow"], "--workers", "1")
    artifacts = ("--artifacts-destination", settings.artifacts_uri)
    server = (python, "-m", "mlflow", "server", "--host", HOST, "--port", mlflow)
    return (
        Service(
            "prefect",
            (python, "-m", "prefect", "server", "start", "--host", HOST, "--port", prefect),
            f"http://{HOST}:{prefect}/api/health",
        ),
        Service("mlflow", (*server, *store, *artifacts), f"http://{HOST}:{mlflow}/health"),
        Service(
            "api",
            (python, "-c", "from salescast.cli import main; main()", "serve", "--port", api),
            f"http://{HOST}:{api}/healthz/live",
        ),
    )


def worker() -> Service:
    """Return the worker; it is healthy when the server has heard of it."""
    command = (sys.executable, "-m", "prefect", "worker", "start", "--pool", "salescast")
    return Service("worker", (*command, "--limit", "1", "--name", "up"), "")


def up(settings: Settings) -> str:
    """Start everything, deploy, and return where to look.

    Raises ConfigError where a port is taken or it runs already, StoreUnavailableError with the last
    lines of the log where a process does not come up; what was started is stopped then.
    """
    if running():
        raise ConfigError("it runs already; `make down` stops it")
    complaints = taken(ports(settings))
    if complaints:
        raise ConfigError("; ".join(complaints))
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = databases(settings)
    variables = environment(settings, kept)
    try:
        bring_up(services(settings, kept), variables)
    except BaseException:
        down()
        raise
    return told(settings, kept)


def bring_up(wanted: Sequence[Service], variables: Mapping[str, str]) -> None:
    """Start the services, deploy as soon as Prefect answers, and wait until all are healthy."""
    prefect, *others = wanted
    for service in wanted:
        start(service, variables)
    await_health(prefect)
    with asking(variables["PREFECT_API_URL"]) as api:
        make_pool(api)
        dead = unfinished(api)  # nothing has run since the server stopped: what ran then is dead
        start(worker(), variables)
        deploy(variables)
        end(api, dead)  # with the automations in place, which repeat what crashed
        for service in others:
            await_health(service)
        await_worker(api)


def start(service: Service, variables: Mapping[str, str]) -> None:
    """Start a process in a session of its own and note its id."""
    with (FOLDER / f"{service.name}.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            service.command, cwd=ROOT, env=dict(variables), stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    PIDS.write_text(json.dumps(running() | {service.name: process.pid}), encoding="utf-8")


def await_health(service: Service) -> None:
    """Wait until it answers; raise StoreUnavailableError with its last words where it ends."""
    deadline = time.monotonic() + PATIENCE
    while not answers(service.health):
        time.sleep(0.3)  # first: a process just begun has no words in /proc for an instant
        if service.name not in running() or time.monotonic() > deadline:
            raise StoreUnavailableError(
                f"{service.name} did not come up: {last_words(service.name)}"
            )


def answers(url: str) -> bool:
    """Tell whether the address answers with success."""
    try:
        with urlopen(url, timeout=5):  # noqa: S310 - our own servers; httpx reads CAs each time
            return True
    except (OSError, HTTPException):
        return False


def last_words(name: str) -> str:
    """Return the end of a process's log."""
    return (FOLDER / f"{name}.log").read_text("utf-8", errors="replace")[-800:].strip()


def await_worker(api: httpx.Client) -> None:
    """Wait until the server has heard of the worker."""
    deadline = time.monotonic() + PATIENCE
    while not has_worker(api):
        if "worker" not in running() or time.monotonic() > deadline:
            raise StoreUnavailableError(f"the worker did not come up: {last_words('worker')}")
        time.sleep(0.3)


def told(settings: Settings, kept: Mapping[str, str]) -> str:
    """Return the addresses a person opens."""
    chosen = ports(settings)
    stored = "PostgreSQL" if kept["mlflow"].startswith("postgresql") else "SQLite"
    return "\n".join(
        [
            f"Prefect   http://{HOST}:{chosen['prefect'][0]}",
            f"MLflow    http://{HOST}:{chosen['mlflow'][0]}",
            f"API       http://{HOST}:{chosen['api'][0]}",
            f"kept in   {stored}; logs in {FOLDER.relative_to(ROOT)}; `make down` stops it all",
        ]
    )


def running() -> dict[str, int]:
    """Return the noted processes that are alive and ours."""
    noted = json.loads(PIDS.read_text("utf-8")) if PIDS.exists() else {}
    return {name: pid for name, pid in noted.items() if _is_ours(pid)}


def _is_ours(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours that ended is no process any more
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return sys.executable.encode() in words  # an id may have been given to somebody else


def down() -> list[str]:
    """Stop what runs, all at once, and return the names."""
    found = running()
    for pid in reversed(found.values()):
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while running() and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in found.values():
        _signal(pid, signal.SIGKILL)  # what is left of its session
    PIDS.unlink(missing_ok=True)
    return list(found)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


def main(words: Sequence[str]) -> int:
    """Start or stop and return the exit code."""
    try:
        match words:
            case ["up"]:
                print(up(read_settings()))
            case ["down"]:
                print(f"stopped: {', '.join(down()) or 'nothing was running'}")
            case _:
                raise ConfigError("say up or down")
    except SalescastError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
