"""One value that says it all, its JSON, and the schema that is shipped for it: the three agree."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from tests.images import INTERPRETER
from tests.treetext import tree

from slimrun import __version__
from slimrun.backend.assembled import Assembled
from slimrun.debian.pins import DebPin
from slimrun.elf.model import Closure, FamilyChoice, FamilyDecision, Unmet
from slimrun.errors import Where
from slimrun.oci.config import Config
from slimrun.oci.layer import Layer
from slimrun.plan.compile import STAGES
from slimrun.plan.pins import CommitPin, ImagePin
from slimrun.prune.pruned import Pruned, Removed
from slimrun.python.install import Distribution
from slimrun.recipe.schema import load_schema
from slimrun.report.report import VERSION, File, Report, make_report, to_json
from slimrun.resolve.pins import Pins
from slimrun.resources import schema_text
from slimrun.verify.checks import Check
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slimrun.tree.tree import Tree

SCHEMA = load_schema("report")
LINE = Why(rule="recipe", text="python.image: x", where=Where("x.yaml", 2, 3))
BASE = Why(rule="runtime", text="runtime: y", where=Where("x.yaml", 4))
COMMIT = CommitPin(repo="https://example.org/cpython.git", ref="v3.11.2", commit="c" * 40)
PIN = ImagePin(reference="x", digest="sha256:" + "c" * 64, platform="linux/arm64/v8", manifest="sha256:" + "d" * 64)
DEB = DebPin(
    name="libpq5",
    version="15.1",
    architecture="amd64",
    url="http://x",
    sha256="e" * 64,
    size=9,
    named=True,
    suite="bookworm",
)
PINS = Pins(
    base=PIN,
    runtime=None,
    commit=COMMIT,
    platform="linux/arm64/v8",
    python=(DEB,),
    packages=(replace(DEB, name="a"), DEB),
)
PYTHON = tree({"/usr/bin/python3": b"py", "/usr": "dir 0755"})
NEED = Unmet(version="GLIBC_2.36", library="libc.so.6", by="/usr/bin/python3", provider="/lib/libc.so.6", why=LINE)
GLIBC = FamilyDecision(choice=FamilyChoice.REPLACED, supply="x", identity="new", base_identity="old", needs=(NEED,))


def made(python: Tree = PYTHON) -> Report:
    whys = (("/usr/bin/python3", Why(rule="python", text="the interpreter", because=LINE)),)
    pruned = Pruned(
        layers=(("python", python),),
        whys=whys,
        removed=(Removed(path="/usr/bin/pip", size=3, why=LINE),),
        roots=(),
        also=(),
        closure=Closure(family=GLIBC),
        interpreter=INTERPRETER,
    )
    assembled = Assembled(
        config=Config(architecture="arm64"),
        layers=(
            Layer(name="base", diff_id="a" * 64, content=5),
            Layer(name="python", diff_id="b" * 64, content=2),
        ),
        tree=tree({"/bin/sh": b"shell", "/etc/passwd": b"", "/lib": "symlink usr/lib"}).merge(python),
        whys=(("/etc/passwd", Why(rule="system", text="users", because=LINE)),),
        base_why=BASE,
    )
    distributions = (Distribution(name="click", version="8.1", files=(), top_level=(), extensions=()),)
    checks = (Check(name="libraries", ok=True), Check(name="run x", ok=True, detail="d", where=Where("x.yaml", 9, 1)))
    return make_report("x", ("x:1",), PINS, distributions, pruned, assembled, checks, ("w",))


def test_every_file_has_its_layer_and_its_reason() -> None:
    found = {item.path: (item.layer, item.size, item.why.rule) for item in made().files}
    assert found == {
        "/bin/sh": ("base", 5, "runtime"),
        "/etc/passwd": ("system", 0, "system"),
        "/lib": ("base", 0, "runtime"),
        "/usr/bin/python3": ("python", 2, "python"),
    }
    assert made().size == 7


def test_what_the_runtime_holds_and_nobody_sees() -> None:
    assert made().hidden == 0
    report = made(python=tree({"/usr/bin/python3": b"py", "/bin/sh": b"other"}))
    assert (report.size, report.hidden) == (7, 5)
    assert to_json(report)["hidden"] == 5


def test_debian_packages_and_glibc() -> None:
    value = to_json(made())
    facts = {"version": "15.1", "architecture": "amd64", "suite": "bookworm", "sha256": "e" * 64, "named": True}
    assert value["debs"] == [{"name": "a", **facts}, {"name": "libpq5", **facts}]
    assert [pin["reference"] for pin in value["pins"]] == ["x"]
    assert value["glibc"] == {
        "choice": "replaced",
        "supply": "x",
        "identity": "new",
        "runtime": "old",
        "needs": [{"path": "/usr/bin/python3", "library": "libc.so.6", "version": "GLIBC_2.36"}],
    }


def test_json() -> None:
    value = to_json(made())
    assert (value["version"], value["slimrun"]) == (VERSION, __version__)
    assert value["files"][-1] == {
        "path": "/usr/bin/python3",
        "size": 2,
        "sha256": hashlib.sha256(b"py").hexdigest(),
        "layer": "python",
        "why": [
            {"rule": "python", "text": "the interpreter", "where": ""},
            {"rule": "recipe", "text": "python.image: x", "where": "x.yaml:2:3"},
        ],
    }
    assert value["removed"] == [
        {
            "path": "/usr/bin/pip",
            "size": 3,
            "why": [{"rule": "recipe", "text": "python.image: x", "where": "x.yaml:2:3"}],
        }
    ]
    assert [item["where"] for item in value["checks"]] == ["", "x.yaml:9:1"]
    assert [item["path"] for item in value["files"]] == sorted(item["path"] for item in value["files"])
    assert json.dumps(to_json(made())) == json.dumps(value)


def test_it_keeps_to_its_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads(json.dumps(to_json(made()))))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("digest",), "0" * 64),
        (("version",), 2),
        (("unknown",), 1),
        (("files", 0, "why"), []),
        (("files", 0, "path"), "bin/sh"),
        (("files", 0, "layer"), "other"),
        (("files", 0, "size"), -1),
        (("pins", 0, "platform"), "linux"),
        (("debs", 0, "sha256"), "sha256:" + "e" * 64),
        (("glibc", "choice"), "other"),
        (("checks", 0, "ok"), "yes"),
        (("layers", 0, "diff_id"), "sha256:x"),
        (("warnings", 0), 1),
    ],
)
def test_the_schema_refuses(path: tuple[str | int, ...], value: object) -> None:
    document: Any = to_json(made())
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    (error,) = jsonschema.Draft7Validator(SCHEMA).iter_errors(document)
    assert error.message


# Fields of a dataclass that the JSON leaves out, or gives another name.
PAIRS: list[tuple[tuple[str, ...], type, set[str]]] = [
    ((), Report, set()),
    (("files",), File, set()),
    (("removed",), Removed, set()),
    (("checks",), Check, {"note"}),
    (("pins",), ImagePin, {"manifest"}),
    (("debs",), DebPin, {"url", "size"}),
    (("commits",), CommitPin, set()),
    (("distributions",), Distribution, {"files", "top_level", "extensions"}),
]


@pytest.mark.parametrize(("path", "kind", "left_out"), PAIRS)
def test_schema_and_dataclasses_agree(path: tuple[str, ...], kind: type, left_out: set[str]) -> None:
    schema = SCHEMA
    for step in path:
        schema = schema["properties"][step]["items"]
    own = {"version", "slimrun"} if kind is Report else set()
    assert set(schema["properties"]) - own == {field.name for field in dataclasses.fields(kind)} - left_out
    assert set(schema["required"]) == set(schema["properties"]), "a reader need not ask whether a key is there"


def schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for below in (*schema.get("properties", {}).values(), *schema.get("definitions", {}).values()):
        yield below
        yield from schemas(below)
    if "items" in schema:
        yield schema["items"]
        yield from schemas(schema["items"])


def test_the_schema_explains_itself() -> None:
    for below in schemas(SCHEMA):
        assert below["description"].endswith("."), below
        assert below["examples"], below
        if "properties" in below:
            assert below["additionalProperties"] is False
        resolver = {**below, "definitions": SCHEMA["definitions"]}
        for example in below["examples"]:
            jsonschema.Draft7Validator(resolver).validate(example)
    assert SCHEMA["additionalProperties"] is False
    assert schema_text("report").endswith("}\n")
    layers = SCHEMA["properties"]["layers"]["items"]["properties"]["name"]["enum"]
    assert set(layers) == {"base", "system", *STAGES} & {"base", "python", "packages", "wheels", "files", "system"}
