"""What is put into a builder to make one wheel: a virtual environment with the backend's wheels, the sources, and our driver.

All of it is files that are laid down: no pip runs, no index is asked from inside, and nothing is executed to make it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from posixpath import basename, dirname
from typing import TYPE_CHECKING, Any

from slimrun.plan.digest import digest_of
from slimrun.python.install import install_wheels
from slimrun.tree.entry import file, folder, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.fetch.target import Target
    from slimrun.plan.pins import WheelPin
    from slimrun.python.buildsystem import BuildSystem
    from slimrun.python.interpreter import Interpreter
    from slimrun.why import Why

    Pairs = tuple[tuple[str, str], ...]

# Fixed, because compilers and backends write it into what they make.
HOME = "/slimrun"
VENV, SOURCES, OUT, DRIVER = f"{HOME}/venv", f"{HOME}/src", f"{HOME}/out", f"{HOME}/driver.py"
REQUIRES = f"{OUT}/requires.json"
# A list of requirements is not longer than this.
MAX_ANSWER = 1 << 20
# The first second that a zip archive can hold; before it, backends would take the clock's time.
FIRST = 315532800
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command() -> tuple[str, ...]:
    """Start the driver; it sees the environment's distributions and the standard library, none of the builder's own."""
    return f"{VENV}/bin/python", "-s", DRIVER


def variables(epoch: int) -> Pairs:
    """The environment in which backends and compilers give the same bytes each time."""
    return (
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("PATH", f"{VENV}/bin:{_PATH}"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONHASHSEED", "0"),
        ("SOURCE_DATE_EPOCH", str(max(epoch, FIRST))),
        ("TZ", "UTC"),
        ("VIRTUAL_ENV", VENV),
    )


def workplace(name: str, sources: Tree, system: BuildSystem, given: Sequence[str], environment: Tree) -> Tree:
    """The whole of it; the sources are in a folder `name`, `given` are the requirements that the environment fulfils."""
    place = f"{SOURCES}/{name}"
    request = {"sources": place, "backend": system.backend, "path": list(system.path), "given": list(given)}
    entries = {f"{place}{path}": entry for path, entry in sources.items()}
    entries |= {
        place: folder(),
        DRIVER: file(driver_text().encode()),
        f"{HOME}/request.json": file(json.dumps(request, indent=1).encode()),
    }
    return environment.merge(Tree(entries))


def environment(
    wheels: Sequence[tuple[WheelPin, Path, Why]], interpreter: Interpreter, target: Target, cache: Cache
) -> Tree:
    """A virtual environment (PEP 405) of the interpreter with these wheels; made once for the same ones."""
    key = digest_of((interpreter, [pin.sha256 for pin, _, _ in wheels]))
    with cache.lock(f"venv-{key}"):
        tree = cache.load_value("venv", key)
        if not isinstance(tree, Tree):
            inside = replace(
                interpreter,
                path=f"{VENV}/bin/python",
                site_packages=f"{VENV}/lib/{basename(interpreter.stdlib)}/site-packages",
                scripts=f"{VENV}/bin",
                debian=False,
            )
            with cache.pack(f"venv-{key}") as pack:
                tree = install_wheels(wheels, inside, pack, target=target).tree.merge(_bare(interpreter))
            cache.save_value("venv", key, tree)
    return tree


def _bare(interpreter: Interpreter) -> Tree:
    """What makes a folder a virtual environment; the interpreter is the builder's own."""
    lines = (
        f"home = {dirname(interpreter.path)}",
        "include-system-site-packages = false",
        f"version = {interpreter.full_version}",
    )
    names = ("python3", f"python{interpreter.series}")
    return Tree(
        {
            f"{VENV}/pyvenv.cfg": file(("\n".join(lines) + "\n").encode()),
            f"{VENV}/bin/python": link(interpreter.path),
            **{f"{VENV}/bin/{name}": link("python") for name in names},
        }
    )


def driver_text() -> str:
    """Our driver's source, read from wherever the package is, a zip too."""
    name = "slimrun.python.hookdriver"
    spec = find_spec(name)
    loader: Any = spec.loader if spec else None
    return str(loader.get_source(name))
