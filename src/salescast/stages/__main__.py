"""`python -m salescast.stages NAME` runs one stage, as `dvc.yaml` does."""

import sys

from salescast.errors import SalescastError
from salescast.settings import read_settings
from salescast.stages import run_stage


def main(name: str) -> int:
    """Run the stage and return the exit code."""
    try:
        result = run_stage(name, read_settings())
    except SalescastError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return error.exit_code
    sys.stderr.write(f"{name}: {result['summary']}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
