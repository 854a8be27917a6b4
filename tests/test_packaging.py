"""The built wheel, installed outside the checkout: schemas and recipes are inside, and the command works there."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from slimrun.debian.keyring import debian_keyring

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
SCHEMAS = sorted(path.name for path in (ROOT / "schemas").glob("*.json"))
RECIPES = sorted(path.name for path in (ROOT / "recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the sdist, as a release is; no isolation, so no network."""
    place = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place), str(ROOT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment; dependencies come by a path entry from the one that runs the tests, the project itself does not."""
    place = tmp_path_factory.mktemp("env")
    venv.create(place, with_pip=False, symlinks=True)
    site = next(place.glob("lib/python3*/site-packages"))
    words = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install"]
    words += ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check", str(wheel)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return place


def run(installed: Path, *words: str, cwd: Path) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SLIMRUN"))}
    done = subprocess.run(
        [str(installed / "bin/slimrun"), *words], capture_output=True, text=True, check=False, cwd=cwd, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert sorted(name.rpartition("/")[2] for name in names if name.startswith("slimrun/schemas/")) == SCHEMAS
    assert sorted(name.rpartition("/")[2] for name in names if name.startswith("slimrun/recipes/")) == RECIPES
    assert len(SCHEMAS) >= 3
    assert len(RECIPES) >= 4
    assert "slimrun/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"slimrun"}
    files = [
        path for path in (ROOT / "engine/slimrun").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {str(path.relative_to(ROOT / "engine")) for path in files} <= set(names)
    keys = {name for name in names if name.startswith("slimrun/debian/keys/") and name.endswith(".gpg")}
    assert keys, "without these no signature of Debian's can be verified"


def test_the_installed_package_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    words = [str(installed / "bin/python"), "-c", "import slimrun; print(slimrun.__file__)"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, env=env)
    assert Path(done.stdout.strip()).is_relative_to(installed)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas(name: str, installed: Path, tmp_path: Path) -> None:
    kind = name.removesuffix(".schema.json")
    assert run(installed, "schema", kind, cwd=tmp_path) == (ROOT / "schemas" / name).read_text()


def test_out_of_a_zip(wheel: Path, tmp_path: Path) -> None:
    """As PYTHONPATH has it: a wheel is a zip."""
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from slimrun.cli.main import main; main()"
    words = [sys.executable, "-c", code, str(wheel), "schema", "recipe"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "schemas/recipe.schema.json").read_text()


def test_debians_keys_are_read_where_they_are_installed(installed: Path, tmp_path: Path) -> None:
    code = "from slimrun.debian.keyring import debian_keyring; print(len(debian_keyring()))"
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    words = [str(installed / "bin/python"), "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, env=env)
    assert int(done.stdout) == len(debian_keyring()) > 3


def test_a_first_recipe(installed: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert "wrote recipes/x.yaml" in run(installed, "init", "x", cwd=tmp_path)
    assert run(installed, "--syntax-check", "recipes/x.yaml", cwd=tmp_path) == "ok: [x] recipes/x.yaml\n"
    assert "take CPython out of" in run(installed, "--list-tasks", "recipes/x.yaml", cwd=tmp_path)
    assert run(installed, "--version", cwd=tmp_path).startswith("slimrun ")


def test_every_shipped_recipe_is_valid_and_has_a_plan(installed: Path, tmp_path: Path) -> None:
    site = next(installed.glob("lib/python3*/site-packages/slimrun/recipes"))
    (tmp_path / ".git").mkdir()
    for name in RECIPES:
        (tmp_path / name).write_text((site / name).read_text())
    assert len(run(installed, "--syntax-check", *RECIPES, cwd=tmp_path).splitlines()) == len(RECIPES)
    assert run(installed, "--list-tasks", *RECIPES, cwd=tmp_path).count("play [") == len(RECIPES)
