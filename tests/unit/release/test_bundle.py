"""A release is read as it was made, or not at all: whatever was done to it, no code of it runs."""

import io
import json
import os
import pickle
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from salescast.contract.schema import empty
from salescast.errors import DataQualityError, NoChampionError
from salescast.models.forecaster import Forecaster
from salescast.release import NAMES, Releases, encode, issue_all, open_bundle, read_bundle
from salescast.release.issuing import issue
from salescast.release.payload import MANIFEST, parse_model, seal
from salescast.release.releases import Release
from tests.builders import make_tables
from tests.releases import CONTRACT, make_files, skops_bytes

CORRUPTIONS = int(os.environ.get("SOAK_BUNDLES", "400"))


@pytest.fixture
def folder(tmp_path):
    """Return a published release, and its digest."""
    digest = Releases(tmp_path).publish("1", make_files("boosting"))
    return tmp_path / Release(1, "1", digest).folder, digest


def put(folder: Path, files: dict[str, bytes], manifest: bytes | None = None) -> str:
    """Write files as a release whose manifest fits them, as an insider would; return its digest."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sealed, digest = seal(files)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(sealed if manifest is None else manifest)
    if manifest is not None:
        import hashlib

        digest = hashlib.sha256(manifest).hexdigest()
    return digest


@pytest.mark.parametrize("kind", ["weekday_mean", "boosting", "integrated"])
def test_a_release_forecasts_as_the_model_that_went_into_it(tmp_path, kind):
    """Bit for bit, after all the checks."""
    files = make_files(kind)
    digest = Releases(tmp_path).publish("1", files)
    bundle = read_bundle(tmp_path / Release(1, "1", digest).folder, digest)
    made = issue_all(bundle, make_tables(), "a.dir")
    assert made["receipt_id"].nunique() == 4
    assert {tuple(reasons) for reasons in made["degraded"]} == {()}


def test_the_same_files_are_the_same_release(tmp_path):
    """Published twice, there is one folder; the digest names the content."""
    releases = Releases(tmp_path)
    digests = {releases.publish("1", make_files()) for _ in range(2)}
    assert len(digests) == 1
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 1


def test_a_damaged_release_is_repaired_by_publishing_it_again(folder, tmp_path):
    """The damaged one is set aside, as evidence."""
    path, digest = folder
    (path / "model.skops").write_bytes(b"")
    Releases(tmp_path).publish("1", make_files("boosting"))
    assert read_bundle(path, digest).digest == digest
    assert (tmp_path / f".damaged-{path.name}" / "model.skops").read_bytes() == b""


def test_an_older_promotion_does_not_overtake_a_newer_one(tmp_path):
    """A slow process that writes last changes nothing."""
    releases = Releases(tmp_path)
    for sequence in (1, 3, 2):
        releases.point(Release(sequence, str(sequence), "0" * 64))
    assert releases.champion().sequence == 3


def test_without_a_pointer_there_is_no_champion(tmp_path):
    """Nothing was promoted, or the folder is another one."""
    with pytest.raises(NoChampionError, match="champion"):
        Releases(tmp_path / "none").champion()


def test_a_damaged_pointer_is_refused_at_every_bit(tmp_path):
    """It never names another release than was meant."""
    releases = Releases(tmp_path)
    releases.point(Release(7, "3", "ab" * 32))
    whole = (tmp_path / "champion").read_bytes()
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        (tmp_path / "champion").write_bytes(content)
        try:
            assert releases.champion() == Release(7, "3", "ab" * 32), bit  # white space
        except DataQualityError:
            continue


# What a bundle has to do without


def test_without_a_history_of_weather_the_releases_climatology_stands_in():
    """Places keep their seasons; with nothing known the model would believe in eternal sun."""
    tables = make_tables()
    gone = tables | {name: empty(name) for name in ("weather_observed", "weather_forecast")}
    bundle = open_bundle(make_files("integrated"), "d")
    made, usual = issue_all(bundle, gone, "a.dir"), issue_all(bundle, tables, "a.dir")
    assert {tuple(reasons) for reasons in made["degraded"]} == {("weather_climatology",)}
    assert abs(made["mean"].sum() / usual["mean"].sum() - 1) < 0.2


def test_a_place_without_any_weather_is_forecast_by_the_blind_twin():
    """And says so, on each of its days; the other places are not touched."""
    tables = make_tables()
    gone = {
        name: tables[name][tables[name]["location_id"] != "p2"]
        for name in ("weather_observed", "weather_forecast")
    }
    climate = json.loads(make_files()["climatology.json"])
    files = make_files("integrated", climatology=encode({"p1": climate["p1"]}))
    bundle = open_bundle(files, "d")
    made, usual = (issue_all(bundle, t, "a.dir") for t in (tables | gone, tables))
    blind = made["store_id"] == "s2"
    assert {"blind_model" in reasons for reasons in made[blind]["degraded"]} == {True}
    assert {"blind_model" in reasons for reasons in made[~blind]["degraded"]} == {False}
    pd.testing.assert_frame_equal(made[~blind], usual[~blind], check_exact=True)


def test_a_number_that_is_not_finite_is_forecast_by_the_blind_twin(monkeypatch):
    """The whole series, so that its days agree with each other."""
    bundle = open_bundle(make_files("weekday_mean"), "d")

    def spoiled(model, rows, *rest):
        made = issue(model, rows, *rest)
        if model is bundle.model:
            made.loc[3, "mean"] = np.nan
        return made

    monkeypatch.setattr("salescast.release.issuing.issue", spoiled)
    made = issue_all(bundle, make_tables(), "a.dir")
    assert sum("blind_model" in reasons for reasons in made["degraded"]) == 14
    assert np.isfinite(made["mean"]).all()


# Corruptions: what disks, copies and interrupted transfers do


def shuffled(content: bytes, rng: random.Random) -> bytes:
    """Return content with one to eight bits flipped."""
    harmed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        harmed[rng.randrange(len(harmed))] ^= 1 << rng.randrange(8)
    return bytes(harmed)


def zeroed(content: bytes, rng: random.Random) -> bytes:
    """Return content that ends in zeros, as after a crash of the file system."""
    at = rng.randrange(len(content))
    return content[:at] + bytes(len(content) - at)


CONTENT = {
    "bits": shuffled,
    "truncated": lambda content, rng: content[: rng.randrange(len(content))],
    "longer": lambda content, rng: content + rng.randbytes(rng.randrange(1, 99)),
    "zeros": zeroed,
}
PLACES = ("swapped", "of another", "missing", "extra", "renamed")


def corrupt(folder: Path, other: Path, rng: random.Random) -> str:
    """Do one thing to a release, and return what."""
    one, two = (folder / n for n in rng.sample(sorted(p.name for p in folder.iterdir()), 2))
    before, kind = one.read_bytes(), rng.choice((*CONTENT, "bits", "bits", *PLACES))
    if kind in CONTENT:
        one.write_bytes(CONTENT[kind](before, rng))
    elif kind == "swapped":
        one.write_bytes(two.read_bytes())
        two.write_bytes(before)
    elif kind == "of another":
        one.write_bytes((other / one.name).read_bytes())
    elif kind == "extra":
        (folder / f"{rng.randrange(10**6)}{one.suffix}").write_bytes(before)
    else:
        one.rename(
            folder / f"{one.name}.{rng.randrange(10)}"
            if kind == "renamed"
            else folder.parent / "gone"
        )
    return f"{kind} {one.name}"


def test_no_corruption_is_loaded(folder, tmp_path):
    """Each is refused by name; `make soak-bundles` tries ten thousand."""
    path, digest = folder
    files = make_files("integrated", "2")
    other = tmp_path / Release(1, "2", Releases(tmp_path).publish("2", files)).folder
    whole = {one.name: one.read_bytes() for one in path.iterdir()}
    rng = random.Random(7)
    tried = 0
    while tried < CORRUPTIONS:
        what = corrupt(path, other, rng)
        now = {one.name: one.read_bytes() for one in path.iterdir()}
        if now != whole:
            tried += 1
            with pytest.raises(DataQualityError):
                pytest.fail(f"loaded after: {what}") if read_bundle(path, digest) else None
        for name in now.keys() | whole.keys():
            if name not in whole:
                (path / name).unlink()
            elif now.get(name) != whole[name]:
                (path / name).write_bytes(whole[name])
    assert read_bundle(path, digest).version == "1"


# Hostile releases: everything fits the manifest, as if by somebody with access


class Evil:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        """Name the mark."""
        self.mark = mark

    def __reduce__(self):
        """Ask for code to run."""
        return os.system, (f"touch {self.mark}",)


def zipped(parts: dict[str, bytes] | list[tuple[str, bytes]]) -> bytes:
    """Return an archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items() if isinstance(parts, dict) else parts:
            file.writestr(name, content)
    return stream.getvalue()


def parts_of(content: bytes) -> dict[str, bytes]:
    """Return what an archive holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


MODEL = make_files("boosting")["model.skops"]


def schema_with(change) -> bytes:
    """Return a model whose schema was changed."""
    parts = parts_of(MODEL)
    schema = json.loads(parts["schema.json"])
    schema = change(schema) or schema
    return zipped(parts | {"schema.json": json.dumps(schema).encode()})


def node(module, name, loader, **more):
    """Return a change that puts a foreign node into the payload."""

    def change(schema):
        entry = {"__module__": module, "__class__": name, "__loader__": loader, "__id__": 999_999}
        schema["content"]["evil"] = entry | {"content": {}} | more
        schema["key_types"]["content"].append(schema["key_types"]["content"][0])

    return change


def text(value):
    """Return the node of a text."""
    entry = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode"}
    return entry | {"content": json.dumps(value), "is_json": True, "__id__": 999_998}


def array_with(content: bytes) -> bytes:
    """Return a model one of whose arrays is replaced."""
    parts = parts_of(MODEL)
    name = next(name for name in parts if name.endswith(".npy"))
    return zipped(parts | {name: content})


def header(text: str, version: bytes = b"\x01\x00", body: bytes = b"") -> bytes:
    """Return a .npy file with this header."""
    line = text.encode() + b" " * (63 - (len(text) + 10) % 64) + b"\n"
    size = len(line).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + size + line + body


def trees_with(change) -> bytes:
    """Return a model whose first tree, or its bins, were changed."""
    payload = parse_model(MODEL, "m")
    trees = payload["model"].pipeline_.named_steps["trees"]
    change(trees, trees._predictors[0][0])
    return skops_bytes(payload)


def set_node(field, value):
    """Return a change of the first node of the first tree."""

    def change(_, tree):
        tree.nodes = tree.nodes.copy()
        tree.nodes[field][0] = value

    return change


def categorical_node(_, tree):
    """Let the first node ask for a category that no bitset holds."""
    tree.nodes = tree.nodes.copy()
    tree.nodes["is_categorical"][0], tree.nodes["bitset_idx"][0] = 1, 4_000_000
    tree.nodes["feature_idx"][0] = 0  # categorical features come first


def lying_size() -> bytes:
    """Return an archive whose directory says that a part is small; it is not."""
    content = bytearray(zipped({"schema.json": b" " * 10_000_000}))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (100).to_bytes(4, "little")
    return bytes(content)


def plain_payload(**changes) -> bytes:
    """Return a model file of a payload that says other things."""
    payload = parse_model(make_files("weekday_mean")["model.skops"], "m")
    return skops_bytes(payload | changes)


def mean_model(**changes) -> Forecaster:
    """Return the plain model with changes."""
    model = parse_model(make_files("weekday_mean")["model.skops"], "m")["model"]
    vars(model).update(changes)
    return model


def setattr_of(path, value):
    """Return a change that sets an attribute of the estimator."""
    return lambda trees, _: setattr(trees, path, value)


MODELS = {
    "a pickle": lambda mark: pickle.dumps(Evil(mark)),
    "a pickle in an archive": lambda mark: zipped(
        {"schema.json": b"{}", "1.pkl": pickle.dumps(Evil(mark))}
    ),
    "a pickle as an array": lambda mark: array_with(pickle.dumps(Evil(mark))),
    "a pickle inside an array": lambda mark: array_with(
        header(
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            body=pickle.dumps(Evil(mark)),
        )
    ),
    "code in an array's header": lambda mark: array_with(
        header(f"{{'descr': __import__('os').system('touch {mark}'), 'shape': (1,)}}")
    ),
    "an array of terabytes": lambda _: array_with(
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }")
    ),
    "an array of negative length": lambda _: array_with(
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", body=bytes(8))
    ),
    "an array with a long header": lambda _: array_with(header("{" + " " * 60_000 + "}")),
    "an array of another version": lambda _: array_with(header("{}", b"\x03\x00")),
    "a name that climbs out": lambda _: zipped(parts_of(MODEL) | {"../../evil.npy": b"x"}),
    "an absolute name": lambda _: zipped(parts_of(MODEL) | {"/tmp/evil.npy": b"x"}),
    "a program beside the arrays": lambda _: zipped(parts_of(MODEL) | {"evil.py": b"x"}),
    "a name twice": lambda _: zipped([*parts_of(MODEL).items(), ("schema.json", b"{}")]),
    "a bomb": lambda _: zipped(parts_of(MODEL) | {f"{i}.npy": bytes(30_000_000) for i in range(5)}),
    "a lie about its size": lambda _: lying_size(),
    "more parts than trees have": lambda _: zipped({f"{i}.npy": b"" for i in range(20_001)}),
    "half an archive": lambda _: MODEL[: len(MODEL) // 2],
    "no schema": lambda _: zipped({"1.npy": b""}),
    "a schema without an end": lambda _: zipped({"schema.json": b"[" * 200_000}),
    "a schema with a name twice": lambda _: zipped(
        parts_of(MODEL) | {"schema.json": b'{"protocol": 2,' + parts_of(MODEL)["schema.json"][1:]}
    ),
    "a schema with NaN": lambda _: schema_with(lambda s: s | {"x": float("nan")}),
    "an older protocol": lambda _: schema_with(lambda s: s | {"protocol": 0}),
    "no protocol": lambda _: schema_with(lambda s: {k: v for k, v in s.items() if k != "protocol"}),
    "a call of the system": lambda mark: schema_with(node("posix", "system", "FunctionNode")),
    "an evaluation": lambda _: schema_with(node("builtins", "eval", "FunctionNode")),
    "a process": lambda _: schema_with(node("subprocess", "Popen", "ObjectNode")),
    "a reduction": lambda _: schema_with(node("posix", "system", "ReduceNode")),
    "a method": lambda _: schema_with(node("builtins", "str", "MethodNode")),
    "an operator": lambda _: schema_with(node("operator", "attrgetter", "OperatorFuncNode")),
    "a foreign type": lambda _: schema_with(node("os", "PathLike", "TypeNode")),
    "a mapped file": lambda _: schema_with(node("numpy", "memmap", "NdArrayNode", type="numpy")),
    "a class of ours nobody reviewed": lambda _: schema_with(
        node("salescast.ledger.ledger", "Ledger", "ObjectNode")
    ),
    "a reviewed type read otherwise": lambda _: schema_with(
        node("sklearn.utils.validation", "check_array", "ReduceNode")
    ),
    "a partial of the system": lambda _: schema_with(
        node(
            "functools",
            "partial",
            "PartialNode",
            content={
                "func": {
                    "__module__": "posix",
                    "__class__": "system",
                    "__loader__": "FunctionNode",
                },
                "args": text("x"),
                "kwds": text("x"),
                "namespace": text(None),
            },
        )
    ),
    "a node without a loader": lambda _: schema_with(
        lambda s: s["content"].update(evil={"__class__": "dict", "__module__": "builtins"})
    ),
    "a list": lambda _: zipped({"schema.json": b"[]"}),
    "a child beyond the tree": lambda _: trees_with(set_node("left", 4_000_000)),
    "a child that is its parent": lambda _: trees_with(set_node("right", 0)),
    "a feature that is not there": lambda _: trees_with(set_node("feature_idx", 10_000)),
    "a feature before the first": lambda _: trees_with(set_node("feature_idx", -7)),
    "a category that is not there": lambda _: trees_with(categorical_node),
    "a value that is not finite": lambda _: trees_with(set_node("value", np.inf)),
    "no nodes": lambda _: trees_with(lambda _, tree: setattr(tree, "nodes", tree.nodes[:0])),
    "bitsets of another shape": lambda _: trees_with(
        lambda _, tree: setattr(tree, "raw_left_cat_bitsets", np.zeros((4, 1), np.uint32))
    ),
    "a category beyond its bitset": lambda _: trees_with(
        lambda trees, _: trees._bin_mapper.bin_thresholds_.__setitem__(0, np.array([9e6]))
    ),
    "features without bins": lambda _: trees_with(setattr_of("n_features_in_", 3)),
    "several trees an iteration": lambda _: trees_with(setattr_of("n_trees_per_iteration_", 3)),
    "a base that is not finite": lambda _: trees_with(
        setattr_of("_baseline_prediction", np.array([[np.nan]]))
    ),
    "an encoder in a model's place": lambda _: skops_bytes(
        {"model": parse_model(MODEL, "m")["model"].pipeline_.named_steps["trees"]._preprocessor}
    ),
    "values in a model's place": lambda _: plain_payload(model={"kind": "__class__"}),
    "parts of no model": lambda _: plain_payload(model=mean_model(dispersion_={"trees": "x"})),
    "another contract": lambda _: plain_payload(contract=CONTRACT | {"horizon": 7}),
    "no model": lambda _: plain_payload(model=None),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("place", ["model.skops", "fallback.skops"])
def test_a_hostile_model_is_not_loaded_and_runs_no_code(tmp_path, make, place):
    """Although manifest and digest fit: whoever could write them could not make us run theirs."""
    mark = tmp_path / "mark"
    content = make(mark)
    contract_free = content == MODELS["another contract"](mark) and place == "fallback.skops"
    digest = put(tmp_path / "r", make_files() | {place: content})
    if not contract_free:  # the twin is asked under the model's contract, whatever its own says
        with pytest.raises(DataQualityError):
            read_bundle(tmp_path / "r", digest)
    assert not mark.exists()


def listed(**changes) -> bytes:
    """Return a manifest with changes."""
    manifest = json.loads(seal(make_files())[0])
    return json.dumps(manifest | changes).encode()


FILES = json.loads(listed())["files"]
MANIFESTS = {
    "empty": b"",
    "no JSON": b"\x80\x04N.",
    "a list": b"[]",
    "null": b"null",
    "a name twice": b'{"files": {},' + listed()[1:],
    "a file twice": listed().replace(b'"files": {', b'"files": {"about.json": {},'),
    "an absolute path": listed(files=FILES | {"/etc/passwd": {}}),
    "a path that climbs out": listed(files=FILES | {"../about.json": FILES["about.json"]}),
    "a file too few": listed(files={k: v for k, v in FILES.items() if k != "model.skops"}),
    "another format": listed(format=2),
    "one more thing": listed(run="evil.py"),
    "no digests": listed(files=dict.fromkeys(FILES)),
    "a size that is a lie": listed(
        files=FILES | {"about.json": FILES["about.json"] | {"bytes": 1}}
    ),
    "huge": listed(run="x" * 100_000),
    "deep": b"[" * 60_000,
}


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
def test_a_hostile_manifest_is_refused(tmp_path, manifest):
    """Although its digest fits."""
    with pytest.raises(DataQualityError, match=r"manifest|damaged"):
        read_bundle(tmp_path / "r", put(tmp_path / "r", make_files(), manifest))


def replace_by(make):
    """Return harm that replaces a file of a release."""

    def harm(folder: Path):
        path = folder / "about.json"
        kept = path.rename(folder.parent / "kept.json")
        make(path, kept)

    return harm


FOLDERS = {
    "a link to the same content": replace_by(lambda path, kept: path.symlink_to(kept)),
    "a pipe": replace_by(lambda path, _: os.mkfifo(path)),
    "a folder": replace_by(lambda path, _: path.mkdir()),
    "a device": replace_by(lambda path, _: path.symlink_to("/dev/zero")),
    "a gigabyte": replace_by(
        lambda path, _: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**30)
    ),
    "a program": lambda folder: (folder / "sitecustomize.py").write_text("raise SystemExit"),
    "a hidden file": lambda folder: (folder / ".evil").write_text(""),
    "a folder in it": lambda folder: (folder / "__pycache__").mkdir(),
    "a link in its own place": lambda folder: (
        folder.rename(folder.with_name("x")) and folder.symlink_to(folder.with_name("x"))
    ),
}


@pytest.mark.parametrize("harm", FOLDERS.values(), ids=FOLDERS)
def test_a_hostile_folder_is_refused(tmp_path, harm):
    """Links, pipes and devices are not followed, whatever their content; nothing may be added."""
    digest = put(tmp_path / "r", make_files())
    harm(tmp_path / "r")
    with pytest.raises(DataQualityError):
        read_bundle(tmp_path / "r", digest)


PARTS = {
    "about that is a list": {"about": b"[]"},
    "about with a name twice": {"about": b'{"version": "1", "version": "2"}'},
    "climatology with NaN": {"climatology": b'{"p1": NaN}'},
    "costs without an end": {"costs": b'{"a":' * 50_000},
    "a horizon of a million": {"contract": encode(CONTRACT | {"features": [], "horizon": 10**6})},
    "a quantile beyond 1": {"contract": encode(CONTRACT | {"features": [], "quantiles": [1.5]})},
    "features we do not build": {"contract": encode(CONTRACT | {"features": ["stars"]})},
    "no contract": {"contract": b"{}"},
    "examples it does not answer": {"examples": make_files("boosting")["examples.json"]},
    "no examples": {"examples": b'{"rows": {}, "answers": {}}'},
}


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_parts_that_do_not_fit_together_are_refused(tmp_path, parts):
    """Also where each of them is well-formed."""
    with pytest.raises(DataQualityError):
        read_bundle(tmp_path / "r", put(tmp_path / "r", make_files(**parts)))


def test_a_release_has_all_its_files_and_no_others():
    """A forgotten file is noticed when it is made, not when it is needed."""
    assert make_files().keys() == NAMES
    with pytest.raises(DataQualityError, match=r"costs\.json"):
        seal(dict.fromkeys(NAMES - {"costs.json"}, b""))
