"""The wheel can be installed beside anything."""

import subprocess
import sys
import zipfile

from tests.conftest import ROOT

OURS = {"godatamarkets", "salescast"}


def test_the_wheel_brings_no_top_level_package_but_its_own(tmp_path):
    """A package of a common name, `api`, would overwrite somebody else's."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    packages = {name for name in names if not name.endswith(".dist-info")}
    assert "salescast" in packages
    assert packages <= OURS
