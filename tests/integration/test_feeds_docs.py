"""The how-to's examples are configurations that load."""

import re
import tomllib
from pathlib import Path

import pytest

from salescast.settings import read_settings

ROOT = Path(__file__).parents[2]
HOW_TO = (ROOT / "docs" / "how-to" / "bring-your-data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", HOW_TO, flags=re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_how_to_is_a_valid_configuration(tmp_path, example):
    """In place of the shipped sections of the same name, each example is accepted."""
    config = (ROOT / "config.toml").read_text(encoding="utf-8")
    for section in re.findall(r"^\[(.+)\]$", example, flags=re.MULTILINE):
        config = re.sub(rf"^\[{section}\]\n(?:(?!\[).*\n)*", "", config, flags=re.MULTILINE)
    config = re.sub(r"^queries = .*$", "", config, flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(f"{config}\n{example}", encoding="utf-8")

    chosen = read_settings(path).feed

    assert chosen.kind == tomllib.loads(example)["feed"]["kind"]
