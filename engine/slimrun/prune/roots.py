"""What must run: the interpreter, extension modules that import would load, and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.elf.model import Extra, Root
from slimrun.prune.features import FEATURES
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Missing
    from slimrun.plan.steps import PruneTree
    from slimrun.python.prefix import BaseBuild
    from slimrun.tree.tree import Tree


def python_roots(
    build: BaseBuild, python: Tree, whys: Mapping[str, Why], *, without: Iterable[str] = ()
) -> tuple[Root, ...]:
    """The interpreter, then the extensions of its tree."""
    program, gone = build.interpreter.path, frozenset(without)
    extensions = (path for path in python if is_extension(path, build) and path not in gone)
    return (
        Root(path=program, why=build.whys[program]),
        *(Root(path=path, why=_extension_why(path, whys[path]), program=program) for path in extensions),
    )


def wheel_roots(build: BaseBuild, wheels: Tree, whys: Mapping[str, Why]) -> tuple[Root, ...]:
    """The extensions that wheels bring; what lies in `*.libs` is loaded by them alone (ELF.md 4.3)."""
    program = build.interpreter.path
    return tuple(Root(path=path, why=whys[path], program=program) for path in wheels if is_extension(path, build))


def program_roots(tree: Tree, whys: Mapping[str, Why], facts: Facts) -> tuple[Root, ...]:
    """Executables that wheels and files bring: each is started by itself, so each is a root."""
    found = []
    for path, entry in tree.files():
        if not entry.mode & 0o111 or ".so" in path.rpartition("/")[2]:
            continue
        info = facts.facts(path, entry)
        if info is not None and info.interp:
            found.append(Root(path=path, why=whys[path]))
    return tuple(found)


def package_roots(build: BaseBuild, tree: Tree, whys: Mapping[str, Why], facts: Facts) -> tuple[Root, ...]:
    """What Debian packages bring: programs, and shared libraries, which the interpreter may load."""
    libraries = []
    for path, entry in tree.files():
        if ".so" in path.rpartition("/")[2] and (info := facts.facts(path, entry)) is not None and not info.refused:
            libraries.append(Root(path=path, why=whys[path], program=build.interpreter.path))
    return (*libraries, *program_roots(tree, whys, facts))


def file_roots(build: BaseBuild, tree: Tree, whys: Mapping[str, Why], facts: Facts) -> tuple[Root, ...]:
    """What `files` bring: programs, and extensions by their tagged suffix; a plain .so may be anything."""
    suffixes = tuple(suffix for suffix in build.interpreter.ext_suffixes if suffix != ".so")
    extensions = (path for path, _ in tree.files() if suffixes and path.endswith(suffixes))
    program = build.interpreter.path
    return (
        *(Root(path=path, why=whys[path], program=program) for path in extensions),
        *program_roots(tree, whys, facts),
    )


def extras(build: BaseBuild) -> tuple[Extra, ...]:
    """What every CPython opens at run time though no file says so."""
    program = build.interpreter.path
    return tuple(
        Extra(name=name, program=program, why=Why(rule=each.name, text=each.text, because=build.whys[program]))
        for each in FEATURES
        if each.fixed
        for name in each.libraries
    )


def named_libraries(build: BaseBuild, rules: PruneTree) -> tuple[Extra, ...]:
    """What `prune.libraries` says is opened at run time."""
    return tuple(
        Extra(
            name=item.text,
            program=build.interpreter.path,
            why=Why(rule="libraries", text=f"prune.libraries names {item.text}", where=item.where),
        )
        for item in rules.libraries
    )


def unloadable(missing: Iterable[Missing], roots: Sequence[Root], build: BaseBuild) -> dict[str, Missing]:
    """The extensions of the standard library behind missing libraries; a wheel's or the user's are never among them."""
    by_why = {root.why: root.path for root in roots[1:]}
    found = {}
    for item in missing:
        for step in item.why.chain():
            path = by_why.get(step)
            if path is not None and path in build.whys and build.whys[path].rule == "extension":
                found[path] = item
    return found


def is_extension(path: str, build: BaseBuild) -> bool:
    """Whether import would load the file: an extension suffix, in lib-dynload or in site-packages."""
    interpreter = build.interpreter
    folders = (f"{interpreter.dynload}/", f"{interpreter.site_packages}/")
    return path.startswith(folders) and path.endswith(interpreter.ext_suffixes) and ".libs/" not in path


def _extension_why(path: str, why: Why) -> Why:
    """A reason that names the extension, so that a chain says which one asked."""
    return Why(rule="extension", text=f"extension {path.rpartition('/')[2]}", because=why)
