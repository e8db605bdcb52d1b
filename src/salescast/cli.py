"""The command line: translates, decides nothing."""

import json
import logging
import os
import socket
import sys
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from salescast.errors import ConfigError, SalescastError
from salescast.settings import CONFIG_VARIABLE, PREFIX, Settings, read_settings

log = logging.getLogger("salescast")
app = typer.Typer(
    help="Sales forecasts from weather forecasts, from raw data to orders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


keys = typer.Typer(help="Keys of the API's callers.", no_args_is_help=True)
app.add_typer(keys, name="keys")


class Scope(StrEnum):
    """What a key may do."""

    read = "read"
    write = "write"


class Engine(StrEnum):
    """Who runs the steps."""

    prefect = "prefect"
    inline = "inline"


EngineOption = Annotated[Engine, typer.Option(help="Who runs the steps.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, alone.")]
UrlOption = Annotated[str | None, typer.Option(metavar="URL", help="A service to ask.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE")]

QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "salescast",  # our lines are on its pages, too
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # … and its own lines only there
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TQDM_DISABLE": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # its 20 are few for a slow disk
}
"""How the libraries beneath us should behave; what the environment says already, stays."""


@app.callback()
def prepare() -> None:
    """Sales forecasts from weather forecasts, from raw data to orders."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


@cache
def command_line() -> typer.Typer:
    """Return the commands of the product and of the packages installed with it."""
    for plugin in entry_points(group="salescast.commands"):
        app.command(plugin.name)(plugin.load())
    return app


def main() -> None:
    """Run the command; an error of ours is one line on stderr and its exit code."""
    try:
        command_line()()
    except SalescastError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if error.name not in {"api", "flows"}:
            raise
        reason = f"the wheel has no {error.name}/; run this in a checkout or in the image"
        _fail(reason, SalescastError.exit_code)
    except OSError as error:  # a full or read-only disk, wherever a library meets it
        _fail(f"{error}; free space or allow writing, then run again", SalescastError.exit_code)


def _fail(reason: str, code: int) -> NoReturn:
    sys.stderr.write(f"error: {' '.join(reason.split())}\n")
    raise SystemExit(code) from None


def _flow(name: str, engine: Engine, settings: Settings, **options: Any) -> dict[str, Any]:
    """Run the flow `name` and return its result."""
    if engine is Engine.inline:
        from flows.engine import inline
        from flows.lifecycle import FLOWS

        return FLOWS[name](inline(settings), **options)
    logging.getLogger("salescast").info("prefect   starting …")
    from flows import on_prefect

    options = {key: value for key, value in options.items() if value is not None}
    done: dict[str, Any] = getattr(on_prefect, name)(settings.root / "config.toml", **options)
    return done


def print_result(result: dict[str, Any], *, as_json: bool, text: str = "") -> None:
    """Print a result for people, or as JSON alone."""
    from salescast.data.files import plain

    typer.echo(json.dumps(plain(result)) if as_json else text or result["summary"])


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


@app.command()
def run(
    workspace: Annotated[
        Path, typer.Option(help="Where to run; a copy of this one is made there. '.' runs here.")
    ] = Path("build/run"),
    engine: EngineOption = Engine.prefect,
    as_json: JsonOption = False,
) -> None:
    """Run the whole life cycle, and end with a forecast served over HTTP."""
    from salescast.stages import run_summary
    from salescast.stages.ingestion import open_workspace, rehearsal

    settings = open_workspace(read_settings(), workspace)
    start, end = rehearsal(settings)
    _flow("lifecycle", engine, settings, start=start, end=end)
    result = run_summary.collect(settings)
    print_result(result, as_json=as_json, text=run_summary.describe(result, settings))


@app.command()
def ingest(
    until: Day = None,
    commit: Annotated[bool, typer.Option(help="Commit the moved data.dvc to git.")] = False,
    engine: EngineOption = Engine.inline,
    as_json: JsonOption = False,
) -> None:
    """Fetch what became known up to a day (default: today), check it and version it."""
    from salescast.stages.ingestion import commit_data

    settings = read_settings()
    result = _flow("ingest", engine, settings, until=_day(until))
    if commit:
        commit_data(settings, result["summary"])
    print_result(result, as_json=as_json)


@app.command()
def train(
    search: Annotated[int, typer.Option(min=0, help="Trials of hyperparameters first.")] = 0,
    engine: EngineOption = Engine.inline,
    as_json: JsonOption = False,
) -> None:
    """Train, backtest and judge a challenger; exit code 3 where the gate refuses it."""
    from salescast.stages.adaptation import adapt
    from salescast.stages.gating import raise_refusal
    from salescast.stages.tuning import tune

    settings = read_settings()
    if search:
        found = tune(settings, search)
        logging.getLogger("salescast").info(found["summary"])
        os.environ.update(found["variables"])
        settings = read_settings()
    result = _flow("train", engine, adapt(settings))
    print_result(result, as_json=as_json)
    raise_refusal(result)


@app.command()
def promote(
    version: Annotated[int | None, typer.Argument(help="Default: the last judged one.")] = None,
    approve: Annotated[str | None, typer.Option(metavar="REASON", help="For the journal.")] = None,
    probe: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the judged challenger the champion; a failed probe rolls back."""
    from salescast.stages.promotion import promote as change

    print_result(change(read_settings(), version, approve, probe), as_json=as_json)


@app.command()
def rollback(
    to: Annotated[int | None, typer.Option(help="Default: the champion before.")] = None,
    probe: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an earlier champion its place back."""
    from salescast.stages.promotion import rollback as restore

    print_result(restore(read_settings(), to, probe), as_json=as_json)


@app.command()
def canary(
    version: Annotated[int | None, typer.Argument(help="A registered version.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of stores; 0: the shadow.")] = 0.0,
    stop: Annotated[bool, typer.Option("--stop", help="End the trial.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Try a version beside the champion, end the trial, or judge it by what came true."""
    from salescast.stages.canary import canary as judge
    from salescast.stages.canary import start
    from salescast.stages.canary import stop as end

    settings = read_settings()
    if stop:
        result = end(settings)
    elif version is not None:
        result = start(settings, version, share)
    else:
        result = judge(settings)
    print_result(result, as_json=as_json)


@app.command()
def forecast(engine: EngineOption = Engine.inline, as_json: JsonOption = False) -> None:
    """Forecast every series with the champion and propose orders, into the ledger."""
    print_result(_flow("forecast", engine, read_settings()), as_json=as_json)


@app.command()
def monitor(engine: EngineOption = Engine.inline, as_json: JsonOption = False) -> None:
    """Score what was served, look for drift, write the report."""
    print_result(_flow("monitor", engine, read_settings()), as_json=as_json)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Default: serving.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: serving.port.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes on one port.")] = 1,
) -> None:
    """Serve the champion over HTTP."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from api.protocol import PatientProtocol

    if host:  # the application protects itself where it can be reached from elsewhere
        os.environ[f"{PREFIX}SERVING__HOST"] = host
    settings = read_settings()
    os.environ[CONFIG_VARIABLE] = str(settings.root / "config.toml")
    listener = _listen(settings.serving.host, settings.serving.port if port is None else port)
    log.info("serving on http://%s:%d", *listener.getsockname()[:2])
    config = uvicorn.Config(
        "api.main:create_app",
        factory=True,
        http=PatientProtocol,
        log_level="warning",
        server_header=False,
        workers=workers,
    )
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:  # a worker that dies is replaced
        Multiprocess(config, [listener]).run()


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; uvicorn itself would say less, and say it as a log line."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error}; stop what listens there, or choose "
            "another one with --host and --port or in [serving] of config.toml"
        ) from error


@app.command()
def doctor(
    reap: Annotated[bool, typer.Option(help="End runs that a killed process left open.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for what is known to go wrong on a machine, and say how to mend it."""
    from dataclasses import asdict

    from salescast import doctor as practice

    settings = read_settings()
    if reap:
        log.info("ended %d runs", practice.stores.reap(settings))
    findings = list(practice.examine(settings))
    bad = [one.name for one in findings if not one.well]
    told = {"findings": [asdict(one) for one in findings], "bad": bad}
    print_result(told, as_json=as_json, text=practice.describe(findings))
    if bad:
        raise typer.Exit(1)


@app.command()
def receipt(
    receipt_id: str,
    replay: Annotated[bool, typer.Option("--replay", help="Make it again, bit for bit.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the forecast that a receipt stands for, as it was served."""
    from salescast.stages import receipts

    read = receipts.replay if replay else receipts.read_receipt
    print_result(read(read_settings(), receipt_id), as_json=as_json)


@keys.command("create")
def create_key(
    name: str,
    scope: Annotated[list[Scope], typer.Option(help="May be given twice.")] = [Scope.read],  # noqa: B006 - Typer's way
    days: Annotated[int, typer.Option(min=1, max=3650, help="Until it expires.")] = 365,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, once: only its digest is kept."""
    from api.keys import create_key as create

    secret, made = create(read_settings().api_keys, name, scope, days)
    result = {
        "key": secret,
        "key_id": made.key_id,
        "expires_at": made.expires_at,
        "summary": secret,
    }
    print_result(result, as_json=as_json)


@keys.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys there are; none can be read back."""
    from api.keys import read_keys, utc_now

    now = utc_now()
    rows = [
        {name: value for name, value in vars(key).items() if name != "digest"}
        | {"live": key.lives(now)}
        for key in read_keys(read_settings().api_keys)
    ]
    lines = [
        f"{row['key_id']}  {row['name']}  {'+'.join(row['scopes'])}  until {row['expires_at']}"
        + ("" if row["live"] else "  ended")
        for row in rows
    ]
    print_result({"keys": rows, "summary": "\n".join(lines) or "no keys"}, as_json=as_json)


@keys.command("revoke")
def revoke_key(key_id: str, as_json: JsonOption = False) -> None:
    """End a key; within a second it opens nothing any more."""
    from api.keys import revoke_key as revoke

    ended = revoke(read_settings().api_keys, key_id)
    summary = f"{ended.key_id} ({ended.name}) is revoked"
    print_result(
        {"key_id": ended.key_id, "revoked_at": ended.revoked_at, "summary": summary},
        as_json=as_json,
    )


@app.command()
def stage(name: str, as_json: JsonOption = False) -> None:
    """Run one stage of the life cycle by name."""
    _stage(name, as_json=as_json)


def _stage(name: str, *, as_json: bool) -> None:
    from salescast.stages import run_stage

    print_result(run_stage(name, read_settings()), as_json=as_json)
