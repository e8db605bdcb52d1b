"""`config.toml` and the environment, read once by a shell and passed on.

The folder that holds the file is the workspace: it also has `data/` and `build/`.
`SALESCAST_CONFIG=…/config.toml` chooses another one; `SALESCAST_SECTION__KEY` overrides a key.
A variable without `__`, such as an orchestrator's SALESCAST_PORT, is no setting.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from salescast.errors import ConfigError
from salescast.models import KINDS

CONFIG_VARIABLE = "SALESCAST_CONFIG"
PREFIX = "SALESCAST_"
API_KEY_VARIABLE = "SALESCAST_API_KEY"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Product(_Section):
    """Names of the product and the retailer."""

    name: str
    retailer: str
    currency: str
    model: str


# simulated: from here
class GodatamarketsFeed(_Section):
    """The simulated retailer."""

    size: Literal["small", "demo"] = "demo"
    seed: int = 7
    embedded_until: date = date(2024, 12, 29)
    faults: tuple[str, ...] = ()


# simulated: to here
Columns = Mapping[str, Mapping[str, str | dict[str, Any]]]
"""Where columns come from, by table and contract column."""


class FilesFeed(_Section):
    """CSV or Parquet files, in the contract's columns or mapped to them."""

    folder: Path = Path("inbox")
    separator: str = Field(",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    encoding: str = "utf-8"
    names: Mapping[str, str] = Field(default_factory=dict)
    columns: Columns = Field(default_factory=dict)


class SqlFeed(_Section):
    """Any database SQLAlchemy reads."""

    url: str = Field("", repr=False)
    queries: Mapping[str, str] = Field(default_factory=dict)
    columns: Columns = Field(default_factory=dict)


class OpenMeteoFeed(_Section):
    """Weather, observed and as issued."""

    archive_url: str
    previous_runs_url: str
    timeout_seconds: float = Field(30.0, gt=0)
    requests_per_minute: int = Field(300, gt=0)


class Feed(_Section):
    """Where rows come from."""

    kind: Literal["godatamarkets", "files", "sql"]
    weather: Literal["", "open_meteo"] = ""
    godatamarkets: GodatamarketsFeed = GodatamarketsFeed()  # simulated
    files: FilesFeed = FilesFeed()
    sql: SqlFeed = SqlFeed()
    open_meteo: OpenMeteoFeed


class Quality(_Section):
    """What deliveries are checked for, where it differs from the suites."""

    checks: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)


class Forecast(_Section):
    """How far ahead, and which quantiles."""

    horizon: int = Field(14, ge=1, le=14)
    quantiles: tuple[float, ...]

    @model_validator(mode="after")
    def _rising(self) -> "Forecast":
        rising = all(a < b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False))
        if not rising or not all(0 < q < 1 for q in self.quantiles) or 0.5 not in self.quantiles:
            raise ValueError("quantiles must rise between 0 and 1 and include 0.5")
        return self


class Features(_Section):
    """Which weather the model uses, and how much history."""

    weather: Literal["issued", "observed", "none"]
    origin_every_days: int = Field(5, ge=1)
    history_days: int = Field(1100, ge=90)


class Model(_Section):
    """The kind of model and its parameters."""

    kind: str
    seed: int
    recent_days: float = Field(56, ge=7)
    drift: float = Field(1.0, gt=0)
    departure: float = Field(1.0, gt=0)
    since: date | None = None
    solver: Literal["newton", "scikit-learn"] = "newton"

    @field_validator("since", mode="before")
    @classmethod
    def _nothing(cls, value: object) -> object:
        return value or None

    iterations: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    max_leaf_nodes: int = Field(ge=2)
    min_samples_leaf: int = Field(ge=1)
    l2_regularization: float = Field(ge=0)
    estimator: str = ""
    estimator_params: dict[str, Any] = {}
    estimator_space: dict[str, tuple[int | float, int | float]] = {}
    trusted_types: tuple[str, ...] = ()

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"choose one of {', '.join(KINDS)}")
        return kind

    @model_validator(mode="after")
    def _estimator_is_named(self) -> "Model":
        if self.kind == "estimator" and "." not in self.estimator:
            raise ValueError('estimator must be the import path of a class, as "package.Class"')
        for name, (low, high) in self.estimator_space.items():
            if not 0 < low < high or name not in self.estimator_params:
                raise ValueError(
                    f"estimator_space: {name} needs 0 < low < high, and where to start from in "
                    "estimator_params"
                )
        return self


class Costs(_Section):
    """When orders are placed and what they are charged."""

    review_weekday: int = Field(ge=0, le=6)
    review_days: int = Field(ge=1)
    delivery_days: int = Field(ge=1)
    held: Literal["every_close", "cycle_end"]
    budget: float = Field(0.0, ge=0)
    capacity: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _one_limit(self) -> "Costs":
        if self.budget and self.capacity:
            raise ValueError("name a budget or a capacity, not both; 0 is none")
        return self


class Backtest(_Section):
    """How many origins are scored, and how far apart."""

    cutoffs: int = Field(ge=1)
    every_days: int = Field(ge=1)
    refit_every: int = Field(ge=1)


class Gate(_Section):
    """The bounds that a challenger must keep to be promoted."""

    min_origins: int = Field(ge=1)
    max_bias: float = Field(gt=0)
    min_saving: float = Field(ge=0)
    promotion_error: float = Field(gt=0, le=0.5)
    coverage_80: tuple[float, float]
    trial_days: int = Field(ge=0)
    segment_margin: float = Field(ge=0)
    max_foresight: float = Field(gt=0)
    max_refit_change: float = Field(gt=0)
    max_stale_days: int = Field(ge=0)
    max_model_mb: float = Field(gt=0)
    min_rows_per_second: float = Field(gt=0)
    approval: bool


class Monitoring(_Section):
    """When the monitor raises alarms and asks for training."""

    drift_threshold: float = Field(gt=0)
    live_days: int = Field(ge=1)
    evidence: float = Field(9.5, gt=0)
    shift: float = Field(0.3, gt=0, lt=1)
    tolerance: float = Field(0.05, ge=0, lt=0.5)
    cooldown_days: int = Field(14, ge=1)
    retrain_days: int = Field(91, ge=1)
    wait_days: int = Field(14, ge=1)
    adapt_days: int = Field(28, ge=15)
    notify: tuple[str, ...] = Field((), repr=False)


class Serving(_Section):
    """Where the API listens, who may use it, and how it stops."""

    host: str
    port: int = Field(ge=0, le=65535)
    protect: Literal["auto", "on", "off"] = "auto"
    requests_per_minute: int = Field(600, ge=0)
    allowed_hosts: tuple[str, ...] = ()
    drain_seconds: float = Field(1.0, ge=0)


class Scale(_Section):
    """Into how many partitions the stores are split, and what works through them."""

    partitions: int = Field(1, ge=1)
    runner: Literal["inline", "threads", "processes", "dask"] = "inline"
    workers: int = Field(2, ge=1)
    scheduler: str = ""


class Stores(_Section):
    """Where ledger, releases and registry are; empty means in `build/`."""

    ledger_url: str = Field("", repr=False)
    releases: str = ""
    mlflow_uri: str = Field("", repr=False)
    artifacts: str = ""


class Settings(_Section):
    """All settings, frozen; unknown keys are refused."""

    root: Path
    product: Product
    feed: Feed
    quality: Quality = Quality()
    forecast: Forecast
    features: Features
    model: Model
    costs: Costs
    backtest: Backtest
    gate: Gate
    monitoring: Monitoring
    serving: Serving
    scale: Scale = Scale()
    stores: Stores

    @model_validator(mode="after")
    def _forecast_reaches(self) -> "Settings":
        needed = self.costs.review_days + self.costs.delivery_days - 1
        if needed > self.forecast.horizon:
            raise ValueError(
                f"costs.review_days + costs.delivery_days - 1 = {needed} days are to be protected, "
                f"but forecast.horizon is {self.forecast.horizon}; order more often or look further"
            )
        return self

    @property
    def data(self) -> Path:
        """Where the versioned tables lie."""
        return self.root / "data"

    @property
    def build(self) -> Path:
        """Where everything derived is written."""
        return self.root / "build"

    @property
    def artifacts(self) -> Path:
        """Where a registry without a server keeps its files, and where downloads go."""
        return self.build / "mlartifacts"

    @property
    def artifacts_uri(self) -> str:
        """Where the registry's files go: an address such as s3://bucket/path, or that folder."""
        return self.stores.artifacts or self.artifacts.resolve().as_uri()

    @property
    def api_keys(self) -> Path:
        """Where the digests of the API's keys lie."""
        return self.build / "api_keys.json"

    @property
    def releases(self) -> Path:
        """Where promoted releases lie, for services to take them from."""
        return self.root / (self.stores.releases or "build/releases")

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.stores.ledger_url or f"sqlite:///{self.build / 'ledger.db'}"

    @property
    def mlflow_uri(self) -> str:
        """Where MLflow keeps runs and models."""
        chosen = os.environ.get("MLFLOW_TRACKING_URI") or self.stores.mlflow_uri
        return chosen or f"sqlite:///{self.build / 'mlflow.db'}"


def read_settings(config: Path | str | None = None) -> Settings:
    """Return the settings of `config` (default: `$SALESCAST_CONFIG`, then ./config.toml).

    Raises ConfigError naming each wrong key and what is expected there.
    """
    path = Path(config or os.environ.get(CONFIG_VARIABLE) or "config.toml").resolve()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; set {CONFIG_VARIABLE} or change folder") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    if "root" in values:
        raise ConfigError(f"{path}: root: unknown key; the folder of the file is the workspace")
    _override(values)
    try:
        return Settings(root=path.parent, **values)
    except ValidationError as error:
        raise ConfigError("; ".join(_complaint(path, one) for one in error.errors())) from error


def _override(values: dict[str, Any]) -> None:
    """Replace keys by the variables SALESCAST_SECTION__KEY; lists and tables are JSON."""
    for variable, text in os.environ.items():
        *sections, key = variable.upper().removeprefix(PREFIX).lower().split("__")
        if not variable.upper().startswith(PREFIX) or not sections:
            continue
        table = values
        for name in sections:
            table = table.setdefault(name, {})
        try:
            table[key] = json.loads(text) if text[:1] in ("[", "{") else text
        except ValueError as error:
            raise ConfigError(f"environment: {variable}: not valid JSON: {error}") from error


def _complaint(path: Path, error: Any) -> str:
    names = [str(part) for part in error["loc"]]
    name, unknown = PREFIX + "__".join(names).upper(), error["type"] == "extra_forbidden"
    overrides = [v for v in os.environ if v == name or (unknown and v.startswith(f"{name}__"))]
    where = f"environment: {overrides[0]}" if overrides else f"{path}: {'.'.join(names)}"
    if unknown:
        return f"{where}: unknown key; docs/reference/configuration.md lists them all"
    return f"{where}: {error['msg']}" + (" (write lists and tables as JSON)" if overrides else "")
