"""The command line: translates, decides nothing."""

import getpass
import json
import logging
import os
import socket
import sys
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points, version
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


keys = typer.Typer(help="Manage the keys of the API's callers.", no_args_is_help=True)
app.add_typer(keys, name="keys")
alarms = typer.Typer(help="List, acknowledge and resolve alarms.", invoke_without_command=True)
app.add_typer(alarms, name="alarms")


class Scope(StrEnum):
    """What a key may do."""

    read = "read"
    write = "write"
    orders = "orders"


class Engine(StrEnum):
    """What runs the steps."""

    prefect = "prefect"
    inline = "inline"


EngineOption = Annotated[
    Engine, typer.Option(help="Run the steps as Prefect tasks, or inline in this process.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON only.")]
ProbeOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Check that this service answers with the new champion."),
]
DateOption = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="Last day to fetch; default: today."),
]

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
"""How the libraries should behave; a variable that is set already stays."""


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"salescast {version('salescast')}")
        raise typer.Exit


@app.callback()
def prepare(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
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
    """Run the command; print an expected error as one line on stderr, and exit with its code."""
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
        from flows import FLOWS
        from flows.engine import inline

        return FLOWS[name](inline(settings), **options)
    log.info("prefect   starting …")
    from salescast.stages.progress import progress

    with progress("prefect"):
        from flows import on_prefect

        result: dict[str, Any] = getattr(on_prefect, name)(settings.root / "config.toml", **options)
    return result


def _print_flow(result: dict[str, Any], *, as_json: bool) -> None:
    """Print a flow's result as JSON; for people its stages have logged it already."""
    if as_json:
        print_result(result, as_json=True)


def print_result(result: dict[str, Any], *, as_json: bool, text: str = "") -> None:
    """Print a result for people, or as JSON alone."""
    from salescast.data.files import plain

    typer.echo(json.dumps(plain(result)) if as_json else text or result["summary"])


@app.command()
def run(
    workspace: Annotated[
        Path, typer.Option(help="Folder to run in, made as a copy of this one; '.' runs here.")
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
def status(as_json: JsonOption = False) -> None:
    """Show data, champion, last runs, open alarms, and what to do next."""
    from salescast.stages.status import status as state

    print_result(state(read_settings()), as_json=as_json)


@app.command()
def ingest(
    until: DateOption = None,
    commit: Annotated[bool, typer.Option(help="Commit the new data.dvc to git.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be stored; write nothing.")] = False,
    engine: EngineOption = Engine.inline,
    as_json: JsonOption = False,
) -> None:
    """Fetch what became known up to a day (default: today), check it and version it.

    Exit code 4: stored, but rows were quarantined or files were not read; the lines name them.
    """
    from salescast.stages import ingestion

    settings, day = read_settings(), until.date() if until else None
    if dry_run:
        result = ingestion.ingest(settings, day, dry_run=True)
        files = [f"  {file}: {rows:,} rows" for file, rows in result.get("rows_read", {}).items()]
        text = "\n".join([f"dry run: {result['summary']}", *files])
        print_result(result, as_json=as_json, text=text)
    else:
        result = _flow("ingest", engine, settings, until=day)
        if commit:
            ingestion.commit_data(settings, result["summary"].splitlines()[0])
        _print_flow(result, as_json=as_json)
    if result.get("quarantined") or result.get("left_out"):
        raise typer.Exit(4)


@app.command()
def template(folder: Annotated[Path, typer.Argument(help="Where to put them.")]) -> None:
    """Write every table as CSV with two example rows, to fill with data of your own."""
    from salescast.data.template import write_template

    for file in write_template(folder):
        typer.echo(file)


@app.command()
def train(
    search: Annotated[int, typer.Option(min=0, help="Trials of a search first.")] = 0,
    engine: EngineOption = Engine.inline,
    as_json: JsonOption = False,
) -> None:
    """Train, backtest and judge a challenger; exit code 3 where the gate refuses it."""
    from salescast.stages.adaptation import adapt
    from salescast.stages.gating import raise_refusal
    from salescast.stages.progress import progress
    from salescast.stages.tuning import tune

    settings = read_settings()
    if search:
        with progress("search"):
            best = tune(settings, search)
        log.info(best["summary"])
        os.environ.update(best["variables"])
        settings = read_settings()
    result = _flow("train", engine, adapt(settings))
    _print_flow(result, as_json=as_json)
    raise_refusal(result)


@app.command()
def promote(
    version: Annotated[int | None, typer.Argument(help="Default: the one judged last.")] = None,
    approve: Annotated[str | None, typer.Option(metavar="REASON", help="Why you agree.")] = None,
    probe: ProbeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the judged challenger the champion; roll back if a service does not take it."""
    from salescast.stages.promotion import promote as change

    print_result(change(read_settings(), version, approve, probe), as_json=as_json)


@app.command()
def rollback(
    to: Annotated[int | None, typer.Option(help="Version; default: the champion before.")] = None,
    probe: ProbeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an earlier champion the champion again."""
    from salescast.stages.promotion import rollback as restore

    print_result(restore(read_settings(), to, probe), as_json=as_json)


@app.command()
def canary(
    version: Annotated[int | None, typer.Argument(help="Registered version to try.")] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of stores; 0: none.")] = 0.0,
    stop: Annotated[bool, typer.Option("--stop", help="End the trial.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a trial of a version next to the champion, end it, or judge it by its outcomes."""
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
    _print_flow(_flow("forecast", engine, read_settings()), as_json=as_json)


@app.command()
def monitor(engine: EngineOption = Engine.inline, as_json: JsonOption = False) -> None:
    """Score what was served, look for drift, write the report."""
    _print_flow(_flow("monitor", engine, read_settings()), as_json=as_json)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Default: serving.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Default: serving.port.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes on the port.")] = 1,
) -> None:
    """Serve the champion over HTTP."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from api.guard import PatientProtocol

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
    """Return a listening socket; raise ConfigError where the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error}; stop what listens there, or choose "
            "another address with --host and --port or in [serving] of config.toml"
        ) from error


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(help="A new folder.")], as_json: JsonOption = False
) -> None:
    """Copy ledger, registry, releases and data into a folder, while everything runs."""
    from salescast.stages.backup import backup as copy

    print_result(copy(read_settings(), destination), as_json=as_json)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A folder that `backup` wrote.")],
    probe: ProbeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in place of what is here, after checking it; stop the services before."""
    from salescast.stages.backup import restore as put_back

    print_result(put_back(read_settings(), source, probe), as_json=as_json)


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=2, help="Champions to keep, the last ones.")] = 5,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; default: only list.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List old releases and damaged files that nobody needs, or remove them."""
    from salescast.stages.pruning import prune as remove_old

    print_result(remove_old(read_settings(), keep, remove=yes), as_json=as_json)


@app.command()
def doctor(
    reap: Annotated[bool, typer.Option(help="End runs that a killed process left open.")] = False,
    deep: Annotated[bool, typer.Option(help="Compare ledger, releases, registry, data.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check this machine and workspace for known problems, and say how to fix them."""
    from salescast import doctor as checks

    settings = read_settings()
    if reap:
        log.info("runs ended: %d", checks.reap(settings))
    result = checks.diagnose(settings, deep=deep)
    print_result(result, as_json=as_json)
    if result["bad"]:
        raise typer.Exit(1)


ReasonArgument = Annotated[str, typer.Argument(help="Why; the ledger keeps it.")]
AlarmArgument = Annotated[str, typer.Argument(help="Id of the alarm, as `alarms` prints it.")]


@alarms.callback()
def open_alarms(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the open and acknowledged alarms, or handle one."""
    if context.invoked_subcommand is None:
        list_alarms(resolved=False, as_json=as_json)


@alarms.command("list")
def list_alarms(
    resolved: Annotated[bool, typer.Option("--all", help="Resolved ones as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the alarms that are not resolved."""
    from salescast.ledger import alarm_handling
    from salescast.ledger.ledger import Ledger

    with Ledger(read_settings().ledger_url) as ledger:
        rows = alarm_handling.list_alarms(ledger, resolved=resolved)
    text = alarm_handling.describe(rows) or "no open alarm"
    print_result({"alarms": rows, "summary": text}, as_json=as_json)


@alarms.command("ack")
def acknowledge_alarm(
    alarm_id: AlarmArgument, reason: ReasonArgument, as_json: JsonOption = False
) -> None:
    """Acknowledge an alarm: you have seen it and are on it."""
    _change_alarm(alarm_id, "acknowledge", reason, as_json=as_json)


@alarms.command("resolve")
def resolve_alarm(
    alarm_id: AlarmArgument, reason: ReasonArgument, as_json: JsonOption = False
) -> None:
    """Resolve an alarm: what caused it is over, or it was a false one."""
    _change_alarm(alarm_id, "resolve", reason, as_json=as_json)


def _change_alarm(alarm_id: str, kind: str, reason: str, *, as_json: bool) -> None:
    from salescast.ledger.alarm_handling import change_alarm
    from salescast.ledger.ledger import Ledger

    with Ledger(read_settings().ledger_url) as ledger:
        state = change_alarm(ledger, alarm_id, kind, getpass.getuser(), reason)
    result = {"alarm_id": alarm_id, "state": state, "summary": f"{alarm_id} is {state}"}
    print_result(result, as_json=as_json)


@app.command()
def receipt(
    receipt_id: Annotated[str, typer.Argument(help="The receipt_id of a forecast.")],
    replay: Annotated[bool, typer.Option("--replay", help="Compute it again and compare.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the forecast of a receipt, as it was served."""
    from salescast.stages import receipts

    read = receipts.replay if replay else receipts.read_receipt
    print_result(read(read_settings(), receipt_id), as_json=as_json)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who will use it.")],
    scope: Annotated[list[Scope], typer.Option(help="May be given twice.")] = [Scope.read],  # noqa: B006 - Typer's way
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it expires.")] = 365,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, once: only its digest is kept."""
    from api.keys import create_key as create

    secret, key = create(read_settings().api_keys, name, scope, days)
    result = {"key": secret, "key_id": key.key_id, "expires_at": key.expires_at}
    print_result(result | {"summary": secret}, as_json=as_json)


@keys.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys; their secrets cannot be read back."""
    from api.keys import read_keys, utc_now

    now = utc_now()
    rows = [
        {name: value for name, value in vars(key).items() if name != "digest"}
        | {"live": key.is_live(now)}
        for key in read_keys(read_settings().api_keys)
    ]
    lines = [
        f"{row['key_id']}  {row['name']}  {'+'.join(row['scopes'])}  until {row['expires_at']}"
        + ("" if row["live"] else "  ended")
        for row in rows
    ]
    print_result({"keys": rows, "summary": "\n".join(lines) or "no keys"}, as_json=as_json)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `keys list` prints it.")],
    as_json: JsonOption = False,
) -> None:
    """Revoke a key; within a second the API refuses it."""
    from api.keys import revoke_key as revoke

    key = revoke(read_settings().api_keys, key_id)
    result = {"key_id": key.key_id, "revoked_at": key.revoked_at}
    summary = f"{key.key_id} ({key.name}) is revoked"
    print_result(result | {"summary": summary}, as_json=as_json)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="Name of the stage, such as features.")],
    as_json: JsonOption = False,
) -> None:
    """Run one stage of the life cycle by name."""
    from salescast.stages import run_stage
    from salescast.stages.progress import progress

    with progress(name):
        result = run_stage(name, read_settings())
    print_result(result, as_json=as_json)
