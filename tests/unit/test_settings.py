"""Settings are what file and environment say, and nothing misspelt passes in silence."""

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from salescast.errors import ConfigError
from salescast.settings import read_settings

CONFIG = Path(__file__).parent.parent.parent / "config.toml"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of a copy of config.toml in a folder of its own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return shutil.copy(CONFIG, tmp_path / "config.toml")


def edit(config: Path, old: str, new: str) -> None:
    """Replace one line of the file."""
    text = config.read_text("utf-8")
    assert old in text
    config.write_text(text.replace(old, new, 1), "utf-8")


def test_the_workspace_is_where_the_file_lies(config):
    """Data, ledger and registry lie beside config.toml unless it says otherwise."""
    settings = read_settings(config)

    assert settings.data == config.parent / "data"
    assert settings.ledger_url == f"sqlite:///{config.parent / 'build' / 'ledger.db'}"
    assert settings.mlflow_uri == f"sqlite:///{config.parent / 'build' / 'mlflow.db'}"


def test_the_environment_wins_over_the_file(config, monkeypatch):
    """`SALESCAST_SECTION__KEY` overrides one key and leaves its neighbours."""
    monkeypatch.setenv("SALESCAST_SERVING__PORT", "9001")

    serving = read_settings(config).serving

    assert (serving.host, serving.port) == ("127.0.0.1", 9001)


def test_the_variable_names_another_workspace(config, monkeypatch):
    """`SALESCAST_CONFIG` chooses the file, as an argument does."""
    monkeypatch.setenv("SALESCAST_CONFIG", str(config))

    assert read_settings().root == config.parent


def test_mlflows_own_variable_wins_over_the_file(config, monkeypatch):
    """Whoever has set MLFLOW_TRACKING_URI means it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")

    assert read_settings(config).mlflow_uri == "http://127.0.0.1:1"


def test_settings_cannot_be_changed(config):
    """What a stage was given stays what it was given."""
    settings = read_settings(config)

    with pytest.raises(ValidationError, match="frozen"):
        settings.serving.port = 1  # type: ignore[misc]


@pytest.mark.parametrize("secret", ["STORES__LEDGER_URL", "STORES__MLFLOW_URI", "FEED__SQL__URL"])
def test_a_secret_is_not_shown(config, monkeypatch, secret):
    """A log line with the settings in it holds no password."""
    monkeypatch.setenv(f"SALESCAST_{secret}", "postgresql://me:hush@db/x")

    assert "hush" not in repr(read_settings(config))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port = 8000", "prot = 8000", r"serving\.prot: unknown key"),
        ("port = 8000", 'port = "x"', r"serving\.port: Input should be a valid integer"),
        ("port = 8000", "port = 70000", r"serving\.port: .* less than or equal to 65535"),
        ("[product]", 'root = "/tmp"\n[product]', "root: unknown key"),
        ("[serving]", "[severing]", "severing: unknown key"),
        ('retailer = "GoDataMarkets"', "", r"product\.retailer: Field required"),
        (
            "[model]\nkind = ",
            '[model]\nkind = "magic" # ',
            r"model\.kind: .*choose one of integrated, boosting",
        ),
        ("horizon = 14", "horizon = 15", r"forecast\.horizon: .* less than or equal to 14"),
        ("0.4, 0.5, 0.6", "0.4, 0.6", "forecast: .* include 0.5"),
        ("0.4, 0.5, 0.6", "0.5, 0.4, 0.6", "forecast: .* must rise"),
        ("port = 8000", "port 8000", "not valid TOML: .*line"),
        ("port = 8000", "port = 1\nport = 2", "not valid TOML"),
    ],
)
def test_a_wrong_key_is_an_error_naming_file_key_and_what_is_expected(config, old, new, message):
    """One line that says where to look."""
    edit(config, old, new)

    with pytest.raises(ConfigError, match=message) as raised:
        read_settings(config)

    assert str(config) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SALESCAST_FOO__BAR", "1", "environment: SALESCAST_FOO__BAR: unknown key"),
        ("SALESCAST_SERVNG__PORT", "1", "environment: SALESCAST_SERVNG__PORT: unknown key"),
        ("SALESCAST_SERVING__PROT", "1", "SALESCAST_SERVING__PROT: unknown key"),
        ("SALESCAST_SERVING__PORT", "many", "SALESCAST_SERVING__PORT: .*valid integer"),
        ("SALESCAST_FORECAST__QUANTILES", "0.5,0.9", "SALESCAST_FORECAST__QUANTILES: .*as JSON"),
        ("SALESCAST_FORECAST__QUANTILES", "[0.5", "QUANTILES: not valid JSON"),
    ],
)
def test_a_wrong_variable_is_an_error_naming_it(config, monkeypatch, variable, value, message):
    """A misspelt override does not silently leave the default."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError, match=message):
        read_settings(config)


@pytest.mark.parametrize("variable", ["SALESCAST_NO_SKIPS", "SALESCAST_PORT", "SALESCAST_ROOT"])
def test_a_variable_without_two_underscores_is_no_setting(config, monkeypatch, variable):
    """Tests and orchestrators set variables of their own."""
    monkeypatch.setenv(variable, "tcp://10.0.0.1:80")

    settings = read_settings(config)

    assert (settings.serving.port, settings.root) == (8000, config.parent)


def test_a_file_with_a_byte_order_mark_is_read(config):
    """Some editors on Windows put one in front."""
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes())

    assert read_settings(config).serving.port == 8000


def test_a_missing_file_is_an_error_saying_how_to_name_it(tmp_path):
    """Run in the wrong folder: the fix is in the message."""
    with pytest.raises(ConfigError, match=r"config\.toml: no such file; set SALESCAST_CONFIG"):
        read_settings(tmp_path / "config.toml")


def test_a_folder_in_place_of_the_file_is_an_error_of_ours(tmp_path):
    """What cannot be read is said to be so."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path)


def test_a_file_in_another_encoding_is_an_error_of_ours(config):
    """Latin-1 is not UTF-8."""
    config.write_bytes(config.read_bytes().replace(b"GoDataMarkets", b"Caf\xe9"))

    with pytest.raises(ConfigError, match="not valid TOML"):
        read_settings(config)


def test_a_horizon_too_short_for_the_orders_is_refused(config):
    """Eight days are to be protected; seven forecast days cannot tell what for."""
    edit(config, "horizon = 14", "horizon = 7")
    with pytest.raises(ConfigError, match=r"8 days are to be protected.* forecast\.horizon is 7"):
        read_settings(config)


def test_a_budget_and_a_capacity_exclude_each_other(config):
    """One shadow price belongs to one limit."""
    edit(config, "budget = 0.0", "budget = 10.0")
    edit(config, "capacity = 0.0", "capacity = 10.0")
    with pytest.raises(ConfigError, match=r"costs: .*name a budget or a capacity"):
        read_settings(config)
