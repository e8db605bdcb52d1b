"""The repository agrees with itself: what is written in two places says the same in both."""

import ast
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from salescast import errors
from salescast.settings import Settings

ROOT = Path(__file__).parent.parent
HEAVY = {"dvc", "fastapi", "great_expectations", "matplotlib", "mlflow", "prefect", "sqlalchemy"}


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [p for name in listed.stdout.split("\0") if name and (p := ROOT / name).is_file()]


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", _read("Makefile"), re.MULTILINE)) | {
        f"bench-{path.stem.replace('_', '-')}" for path in ROOT.glob("bench/[a-z]*.py")
    }


def _commands(tool: str) -> set[str]:
    """Return what follows `$ tool` in the console blocks of the prose."""
    prose = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    blocks = [
        block
        for path in prose
        for block in re.findall(r"```console\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    ]
    return set(re.findall(rf"^\$ (?:\S*/)?{tool} ([a-z-]+)", "\n".join(blocks), re.MULTILINE))


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        elif prefix:  # `root` is no key: it is where the file lies
            yield prefix + name


def _configured(key: str) -> object:
    value: object = tomllib.loads(_read("config.toml"))
    for part in key.split("."):
        assert isinstance(value, dict), key
        value = value[part]
    return value


def _documented() -> dict[str, object]:
    """Return key → default as the tables of configuration.md have them."""
    found: dict[str, object] = {}
    section = ""
    for line in _read("docs/reference/configuration.md").splitlines():
        if heading := re.match(r"## `\[(.+)\]`", line):
            section = heading[1]
        elif row := re.match(r"\| `(\w+)` \| `(.*?)` \|", line):
            found[f"{section}.{row[1]}"] = tomllib.loads(f"value = {row[2]}")["value"]
    return found


DOMAIN = ("contract", "features", "models", "ordering", "evaluation", "monitoring")


def _core() -> list[str]:
    """Return the modules of the domain, which know nothing of frameworks."""
    source = ROOT / "src"
    paths = [path for name in DOMAIN for path in (source / "salescast" / name).glob("[a-z]*.py")]
    return [".".join(path.relative_to(source).with_suffix("").parts) for path in paths]


def _api() -> list[str]:
    return [f"api.{path.stem}" for path in (ROOT / "api").glob("[a-z]*.py")] or ["api"]


def test_each_make_command_in_the_prose_is_a_target() -> None:
    """Whoever copies a make command from the documentation gets what it promises."""
    assert _commands("make") <= _targets()


def test_each_make_target_says_what_it_does() -> None:
    """`make` lists every target that is meant to be typed."""
    undocumented = re.findall(r"^([a-z-]+):(?!.*## )", _read("Makefile"), re.MULTILINE)
    assert undocumented == []


def test_each_key_stands_in_the_reference() -> None:
    """The reference names each key once, and none that is no more."""
    assert _documented().keys() == set(_keys(Settings))


# simulated: from here
def test_config_toml_has_the_defaults_of_the_reference() -> None:
    """Until a fork's owner chooses others."""
    assert _documented() == {key: _configured(key) for key in _keys(Settings)}


# simulated: to here


def test_each_key_is_used() -> None:
    """No key can be turned without effect: some code besides the settings reads its name."""
    sources = [*(ROOT / "src").rglob("*.py"), *ROOT.glob("flows/*.py")]
    sources += ROOT.glob("api/*.py")
    code = "\n".join(p.read_text("utf-8") for p in sources if p.name != "settings.py")
    unused = [k for k in _keys(Settings) if not re.search(rf"\b{k.rsplit('.')[-1]}\b", code)]
    assert unused == []


def test_dvc_runs_the_reproducible_stages() -> None:
    """The stages of dvc.yaml are those of the one table, each by its own name."""
    from salescast.stages import REPRODUCIBLE

    stages = yaml.safe_load(_read("dvc.yaml"))["stages"]
    expected = {name: f"salescast stage {name}" for name in REPRODUCIBLE}
    assert {name: stage["cmd"] for name, stage in stages.items()} == expected


def test_dvc_depends_on_sources_that_exist() -> None:
    """A dependency that was renamed no longer triggers anything."""
    stages = yaml.safe_load(_read("dvc.yaml"))["stages"].values()
    sources = {d for stage in stages for d in stage["deps"] if d.startswith("src/")}
    assert {source for source in sources if not (ROOT / source).exists()} == set()


def test_lock_pins_each_package_by_hash() -> None:
    """What is installed is what was reviewed."""
    packages = re.findall(r"^[a-z0-9].*(?:\n    .*)*", _read("requirements.lock"), re.MULTILINE)
    assert [p.splitlines()[0] for p in packages if "==" not in p or "--hash=sha256:" not in p] == []


def test_lock_names_no_address() -> None:
    """Each installation asks the index it is configured for."""
    assert "://" not in _read("requirements.lock")


def test_no_file_names_a_registry_or_a_folder_of_one_machine() -> None:
    """What is committed works behind any mirror and in any folder."""
    hosts = rb"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|anaconda\.org|proxy\.golang\.org"
    local = re.compile(hosts + rb"|(?<![\w.*~}])/(?:work|home|root|Users)/")
    found = [(path.name, m[0]) for path in _tracked() if (m := local.search(path.read_bytes()))]
    assert found == []


def test_the_drawing_of_the_errors_holds_each_error() -> None:
    """The family drawn at the top of errors.py is the family below it."""
    drawn = re.findall(r"^ {4}(?:[├└]── )?(\w+)", errors.__doc__ or "", re.MULTILINE)
    classes = [n.name for n in ast.parse(inspect.getsource(errors)).body if hasattr(n, "bases")]
    assert sorted(drawn) == sorted(classes)


def test_the_index_lists_each_decision() -> None:
    """A decision that the index forgets is not found."""
    listed = re.findall(r"^\| \[(\d{4})\]\((\S+)\)", _read("docs/adr/README.md"), re.MULTILINE)
    files = sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [name for _, name in listed] == files
    assert [number for number, _ in listed] == [name[:4] for name in files]


def test_each_link_in_the_prose_leads_somewhere() -> None:
    """Relative links of the documentation point at files that exist."""
    prose = [p for p in _tracked() if p.suffix == ".md"]
    links = [
        (path, link)
        for path in prose
        for link in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", path.read_text("utf-8"))
    ]
    assert [f"{p.name}: {link}" for p, link in links if not (p.parent / link).exists()] == []


def test_the_changelog_has_a_place_for_this_version() -> None:
    """A change is either released under its version or not yet released."""
    version = tomllib.loads(_read("pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## \[(?:Unreleased|{version})\]", _read("CHANGELOG.md"), re.MULTILINE)


def test_ci_runs_what_a_person_can_run() -> None:
    """Each step of each workflow is a make target or .ci/run."""
    allowed = {f"make {target}" for target in _targets()} | {".ci/run"}
    assert {step["run"] for step in _steps() if "run" in step} <= allowed


def test_ci_pins_each_action_by_its_hash() -> None:
    """A tag that somebody moves changes nothing here."""
    used = [step["uses"] for step in _steps() if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def _steps() -> list[dict[str, str]]:
    workflows = [yaml.safe_load(p.read_text("utf-8")) for p in ROOT.glob(".github/workflows/*.yml")]
    return [step for one in workflows for job in one["jobs"].values() for step in job["steps"]]


def test_ci_grants_nothing_that_a_job_does_not_ask_for() -> None:
    """Each workflow begins with no permission at all."""
    workflows = {p.name: p.read_text("utf-8") for p in ROOT.glob(".github/workflows/*.yml")}
    assert [n for n, text in workflows.items() if "\npermissions: {}\n" not in text] == []


def test_the_ci_script_can_be_executed() -> None:
    """A checkout keeps the bit that lets .ci/run run."""
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize(
    ("modules", "welcome"),
    [(_core(), set()), (_api(), {"fastapi", "sqlalchemy"})],
    ids=["core", "api"],
)
def test_importing_stays_light(modules: list[str], welcome: set[str]) -> None:
    """No framework is loaded by a mere import of the core or the api."""
    script = f"import sys, {', '.join(modules)}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (HEAVY - welcome) & set(loaded.stdout.split()) == set()
