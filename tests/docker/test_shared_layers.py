"""Images of one base build, runtime and prune rules share the python layer byte for byte, whatever their wheels are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.docker.conftest import docker

if TYPE_CHECKING:
    from tests.docker.conftest import Slimrun

RECIPE = """
python: {image: "python:3.11-slim"}
runtime: ${runtime}
wheels: []
verify: {imports: [ssl]}
"""
# Pure Python; an extension that needs nothing; one that brings its own libraries; one that needs libstdc++ of the base build, which
# CPython itself does not.
SETS = {
    "six": "six==1.16.0",
    "markupsafe": "markupsafe==2.1.5",
    "psycopg2": "psycopg2-binary==2.9.9",
    "greenlet": "greenlet==3.0.3",
}
RUNTIMES = {"bb": "busybox:glibc", "none": "scratch"}


@pytest.fixture(scope="module")
def layers(slimrun: Slimrun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Of each image the layers, lowest first, as name and diff_id."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / ".git").mkdir()
    (folder / "app.yaml").write_text(RECIPE)
    rows = [
        f"  - {{recipe: app.yaml, name: shared-{on}-{name}, vars: {{runtime: '{runtime}'}}, set: {{wheels: ['{wheel}']}}}}"
        for on, runtime in RUNTIMES.items()
        for name, wheel in SETS.items()
    ]
    (folder / "catalog.yaml").write_text("\n".join(["catalog: shared", "images:", *rows, ""]))
    done = slimrun(folder / "catalog.yaml", "-f", "4", "--metadata-file", folder / "meta.json")
    assert done.code == 0, done.text
    found = {}
    for row in json.loads((folder / "meta.json").read_text()):
        report = json.loads((slimrun.cache / "slimrun/records/report" / f"{row['digest'][7:]}.json").read_text())
        found[row["name"].removeprefix("shared-")] = [(layer["name"], layer["diff_id"]) for layer in report["layers"]]
    return found


def of(layers: dict[str, list[tuple[str, str]]], name: str, layer: str) -> str:
    return dict(layers[name])[layer]


@pytest.mark.network
@pytest.mark.parametrize("on", sorted(RUNTIMES))
def test_one_python_layer_for_four_sets_of_wheels(on: str, layers: dict[str, list[tuple[str, str]]]) -> None:
    assert len({of(layers, f"{on}-{name}", "python") for name in SETS}) == 1
    assert len({of(layers, f"{on}-{name}", "wheels") for name in SETS}) == len(SETS)
    prefixes = {json.dumps(layers[f"{on}-{name}"][: 2 if on == "bb" else 1]) for name in SETS}
    assert len(prefixes) == 1, "and an engine shares it: it lies on the same"


@pytest.mark.network
def test_what_only_a_wheel_needs_is_beside_it(slimrun: Slimrun, layers: dict[str, list[tuple[str, str]]]) -> None:
    done = slimrun("explain", "shared-none-greenlet", "**/libstdc++.so.6*")
    assert done.code == 0, done.text
    assert "in layer wheels" in done.out
    assert "greenlet" in done.out, "its reason leads to the wheel"
    done = slimrun("explain", "shared-none-six", "**/libstdc++.so.6*")
    assert "removed" in done.out, done.text
    assert (
        docker("run", "--rm", "shared-none-greenlet", "-c", "import greenlet; print(greenlet.__version__)").out
        == "3.0.3\n"
    )
    assert layers["none-six"] != layers["none-greenlet"]
