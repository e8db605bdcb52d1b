"""A fresh clone of HEAD, as a newcomer has it, made small enough to work with in a test."""

import os
import subprocess
from pathlib import Path

from pyarrow import parquet

ROOT = Path(__file__).parent.parent
SMALL = {  # the simulated retailer's size "small": a part of what is embedded
    "store_id": [
        f"{city}-{number}" for city in ("london", "seattle", "glasgow") for number in "123"
    ],
    "item_id": ["u1", "u2"],
    "location_id": ["london", "seattle", "glasgow"],
}


def clone_head(target: Path) -> Path:
    """Clone the last commit; its data are not pulled yet."""
    source = ["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri()]
    subprocess.run([*source, str(target)], check=True)
    return target


def code_of(clone: Path) -> dict[str, str]:
    """Return the environment in which Python runs the clone's code, not this checkout's."""
    return os.environ | {"PYTHONPATH": f"{clone / 'src'}{os.pathsep}{clone}"}


def shrink(data: Path) -> None:
    """Keep the 18 series of the size "small" in every file."""
    for path in data.rglob("*.parquet"):
        names = SMALL.keys() & set(parquet.read_schema(path).names)
        conditions = [(name, "in", SMALL[name]) for name in sorted(names)]
        rows = parquet.ParquetFile(path).read()
        parquet.write_table(rows.filter(parquet.filters_to_expression(conditions)), path)


def git_status(folder: Path) -> str:
    """Return what `git status` has to report: nothing, where all is as committed."""
    command = ["git", "status", "--short"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
