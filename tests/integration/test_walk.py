"""The walk of docs/explanation/architecture.md is complete: no file in between goes unmentioned."""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from salescast.settings import read_settings
from salescast.stages import STAGES
from tests.releases import release
from tests.workspaces import LAST, make_workspace

ROOT = Path(__file__).parents[2]
PRODUCT = f"{ROOT / 'src/salescast'}/"
NO_VALUES = {  # files that run, too, but change no value of the row → what they do instead
    "contract/schema.py": "declares the tables; selects rows by the moment they became known",
    "data/feeds.py": "opens the feed that is configured",
    "data/files.py": "reads and writes files",
    "data/strict.py": "reads JSON",
    "data/versions.py": "names the data version",
    "ledger/": "keeps forecasts and orders",
    "quality/": "measures and judges; the checkpoint is in the walk",
    "release/bundle.py": "reads the release",
    "release/manifest.py": "reads the release",
    "release/payload.py": "reads the release",
    "release/releases.py": "reads the release",
    "release/trial.py": "chooses between champion and canary",
    "settings.py": "holds the settings",
    "models/point_models.py": "the blind twin of the release made here",
    "stages/": "reads, calls, writes",
}


@contextmanager
def executed_files() -> Iterator[set[str]]:
    """Collect the files of the product whose functions run within the block."""
    files: set[str] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PRODUCT) and code.co_name != "<module>":
            files.add(code.co_filename.removeprefix(PRODUCT))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield files
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def test_the_walk_names_each_file_that_computes_a_value_of_a_row(tmp_path: Path) -> None:
    """From a CSV to an order, with the default model."""
    settings = read_settings(make_workspace(tmp_path / "shop") / "config.toml")
    release(settings, "integrated")

    with executed_files() as files:
        STAGES["ingest"](settings, until=LAST.date())
        STAGES["forecast"](settings)
        STAGES["order"](settings)

    page = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
    walk = set(re.findall(r"^\| (?:\d+|–) \| `src/salescast/(\S+)`", page, re.MULTILINE))
    others = {name for name in files - walk if not name.startswith(tuple(NO_VALUES))}
    assert others == set()
