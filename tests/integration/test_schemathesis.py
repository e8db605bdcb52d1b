"""Requests made up from our own OpenAPI: each answer is one that the document promises.

`make soak-schemathesis` makes up thousands in every phase; here is a sample.
"""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.serving import make_app, served

EXAMPLES = os.environ.get("SOAK_SCHEMATHESIS")
PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing,stateful"
SOAKED = 5000
HOOKS = "tests.schemathesis_hooks"
CONFIG = """
[checks.positive_data_acceptance]  # a valid decision may come too late: 412, or lack If-Match: 428
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "428", "429", "5xx"]
"""


def test_no_made_up_request_finds_an_answer_that_is_not_documented(tmp_path):
    """All checks of schemathesis: status, content type, schema, 5xx, refusal of what is wrong."""
    app = make_app(tmp_path)
    log = logging.getLogger("salescast.api")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with served(app) as url:
            done = schemathesis(f"{url}/openapi.json", tmp_path)
    finally:
        log.setLevel(level)

    cases = re.search(r"([\d,]+) generated", done.stdout)
    assert done.returncode == 0, done.stdout[-5000:]
    assert cases
    assert int(cases[1].replace(",", "")) >= (SOAKED if EXAMPLES else 50)


def schemathesis(document: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run it on the document; the hooks let it ask for what is there."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", document]
    options = {
        "--phases": PHASES,
        "--checks": "all",
        "--max-examples": EXAMPLES or "3",
        "--seed": "1",
        "--generation-database": "none",
        "--suppress-health-check": "all",
    }
    (folder / "schemathesis.toml").write_text(CONFIG, "utf-8")
    words = [word for pair in options.items() for word in pair]
    return subprocess.run(
        [*command, *words, "--no-color"],
        cwd=folder,  # it keeps what it found there
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
