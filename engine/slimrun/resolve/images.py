"""Image references → pins, and the base build out of a pinned image."""

from __future__ import annotations

from posixpath import dirname, join
from typing import TYPE_CHECKING

from slimrun import machine
from slimrun.backend.base import Layered
from slimrun.errors import ImageNotFound, PythonNotFound, SlimrunError
from slimrun.oci.config import Config
from slimrun.python.interpreter import DEFAULT_PATH, find_interpreter
from slimrun.python.prefix import BaseBuild, take
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.backend.base import Backend, ImageSource
    from slimrun.errors import Where
    from slimrun.plan.pins import ImagePin
    from slimrun.plan.steps import ResolveImage, TakePython
    from slimrun.resolve.pins import Pins

# Where an official or Debian image keeps libraries and what tells the loader of them. `/lib` and `/lib64` are links on merged-/usr
# systems, and then cost one entry each.
_LIBRARIES = "/usr/lib/{triplet}"
_FOLDERS = ("/lib", "/lib64", "/usr/lib64", "/etc")


def resolve_images(steps: Sequence[ResolveImage], backend: Backend) -> dict[str, ImagePin]:
    """Settle each reference once, by its role; raises errors that carry the reference's place in the recipe."""
    pins: dict[str, ImagePin] = {}
    for step in steps:
        try:
            pins[step.role] = backend.resolve_image(step.reference)
        except SlimrunError as error:
            error.where = error.where or step.where
            raise
    platforms = {pin.platform for pin in pins.values()}
    if len(platforms) > 1:
        first, second, *_ = pins.values()
        msg = f"{first.reference} is for {first.platform}, {second.reference} for {second.platform}"
        raise ImageNotFound(msg, hint="pull one of them for the other's platform", where=steps[-1].where)
    return pins


def take_python(step: TakePython, pin: ImagePin, backend: Backend) -> BaseBuild:
    """CPython and its supply out of an image that is never started; raises PythonNotFound."""
    image = backend.open_image(pin)
    path = dict(image.env).get("PATH") or DEFAULT_PATH
    why = Why(rule="recipe", text=f"python.image: {step.image}", where=step.where)
    return take_out_of(image, pin, name=pin.reference, path=path, why=why, where=step.where)


def take_out_of(image: ImageSource, pin: ImagePin, *, name: str, path: str, why: Why, where: Where) -> BaseBuild:
    """The first python3 on `path` in an open image, with its supply; `pin` says for which platform the image is."""
    path_env = path
    found = _first_python(image, path_env)
    if found is None:
        msg = f"{name} has no python3 in {path_env}"
        raise PythonNotFound(msg, where=where, hint="name an image that has CPython, such as python:3.12-slim")
    link, prefix = found[0], dirname(dirname(found[1]))
    libraries = [_LIBRARIES.format(triplet=machine.of_platform(pin.platform).triplet)]
    own = _python_folders(image, prefix)
    # A link from another prefix (/usr/local/bin/python3 to /opt/python) is how PATH leads there.
    links = [] if any(link.startswith(f"{folder}/") for folder in own) else [link]
    tree = image.tree([*own, *_FOLDERS, *links], libraries=libraries)
    try:
        interpreter = find_interpreter(tree, path_env, env=dict(image.env))
    except PythonNotFound as error:
        error.where = error.where or where
        raise
    return take(tree, interpreter, name=name, why=why)


def library_tree(image: ImageSource, platform: str) -> Tree:
    """What an image for this platform has of shared libraries, and what tells the loader of them."""
    return image.tree(_FOLDERS, libraries=[_LIBRARIES.format(triplet=machine.of_platform(platform).triplet)])


def open_runtime(pins: Pins, backend: Backend) -> Layered:
    """The runtime base with all its layers; nothing at all for scratch."""
    if pins.runtime is None:
        os, architecture, *_ = pins.platform.split("/")
        return Layered(config=Config(architecture=architecture, os=os), sizes=(), tree=Tree())
    return backend.open_image(pins.runtime).layered()


def _first_python(image: ImageSource, path_env: str) -> tuple[str, str] | None:
    """The first python3 on PATH, as it is named there, and where that leads."""
    paths = (join(folder, "python3") for folder in path_env.split(":") if folder.startswith("/"))
    return next(((path, target) for path in paths if (target := image.target(path))), None)


def _python_folders(image: ImageSource, prefix: str) -> tuple[str, ...]:
    """A prefix of Python's own is read whole; /usr holds the whole system, so only Python's part of it."""
    if prefix.rstrip("/") not in ("", "/usr"):
        return (prefix,)
    name = (image.target("/usr/bin/python3") or "").rpartition("/")[2]
    return ("/usr/bin", f"/usr/lib/{name}", "/usr/lib/python3", f"/usr/local/lib/{name}")
