"""Selection, supply and rules: what is kept, what goes, and the reason of each path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.images import LIB, OFFICIAL, PY, RUNTIME, TAG, official, runtime
from tests.pruning import SITE, base_build, globs, layer, place, prune
from tests.tinyelf import program, shared
from tests.treetext import tree

from slimrun.elf.model import FamilyChoice
from slimrun.errors import FileConflict, ImageFailed
from slimrun.plan.digest import digest_of
from slimrun.prune.rules import GROUPS, Rules
from slimrun.recipe.model import Text
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.prune.prune import Pruned


def rules_of(pruned: Pruned) -> dict[str, str]:
    return {item.path: item.why.rule for item in pruned.removed}


KEPT = [
    "/usr/lib/x86_64-linux-gnu/libcrypto.so.3",
    "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
    "/usr/lib/x86_64-linux-gnu/libncursesw.so.6",
    "/usr/lib/x86_64-linux-gnu/libncursesw.so.6.4",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3",
    "/usr/local/bin/python3",
    "/usr/local/bin/python3.11",
    f"{PY}/lib-dynload/_curses{TAG}",
    f"{PY}/lib-dynload/_ssl{TAG}",
    f"{PY}/os.py",
    f"{PY}/ssl.py",
    "/usr/local/lib/libpython3.11.so.1.0",
]
GONE = {
    "/usr/lib/x86_64-linux-gnu/libunused.so.1": "unneeded",
    "/usr/local/bin/2to3": "lib2to3",
    "/usr/local/bin/2to3-3.11": "lib2to3",
    "/usr/local/bin/pip": "ensurepip",
    "/usr/local/include/python3.11/Python.h": "headers",
    "/usr/local/lib/libpython3.so": "unneeded",
    f"{PY}/__pycache__/os.cpython-311.pyc": "bytecode",
    f"{PY}/lib-dynload/_tkinter{TAG}": "tk",
    f"{PY}/lib-dynload/_uuid{TAG}": "unresolved",
    f"{PY}/test/test_os.py": "tests",
    f"{PY}/tkinter/__init__.py": "tk",
    f"{SITE}/pip/__init__.py": "site",
}


def test_level_safe() -> None:
    found = prune()
    assert layer(found, "python") == sorted(KEPT)
    assert [layer(found, name) for name in ("wheels", "files", "system")] == [[], [], []]
    assert rules_of(found) == GONE, "what the runtime has in its place is not removed"
    assert (found.hidden, found.unresolved, found.closure.missing) == ((), (), ())
    assert found.closure.family.choice is FamilyChoice.BASE
    assert [item.name for item in found.closure.cached] == ["libpython3.11.so.1.0"], (
        "/usr/local/lib is no default folder"
    )
    assert found.roots[0].path == "/usr/local/bin/python3.11"


def test_every_reason_ends_at_the_recipe() -> None:
    whys = dict(prune().whys)
    assert sorted(whys) == sorted(KEPT)
    assert [path for path, why in whys.items() if not list(why.chain())[-1].where] == []
    assert [item.path for item in prune().removed if not list(item.why.chain())[-1].where] == []
    assert str(whys[f"{LIB}/libcrypto.so.3"]) == (
        f"libcrypto.so.3 is needed by {LIB}/libssl.so.3 <- libssl.so.3 is needed by {PY}/lib-dynload/_ssl{TAG} <- "
        f"extension _ssl{TAG} <- an extension module of the standard library <- python.image: python:3.11 (x.yaml:1:1)"
    )


def test_level_none_keeps_what_nothing_can_load() -> None:
    found = prune(level="none")
    taken = set(base_build().whys)
    assert taken <= set(layer(found, "python"))
    assert f"{PY}/lib-dynload/_tkinter{TAG}" in taken
    assert sorted(item.name for item in found.unresolved) == ["libtk8.6.so", "libuuid.so.1"]
    assert found.closure.missing == ()
    assert {root.path.rpartition("/")[2] for root in found.roots} == {"python3.11", f"_ssl{TAG}", f"_curses{TAG}"}
    assert set(rules_of(found).values()) == {"unneeded"}


def test_keep_beats_everything() -> None:
    keep = globs(
        f"{PY}/test", f"{PY}/lib-dynload/_uuid*", "/usr/local/lib/libpython3.so", f"{SITE}/pip/**", f"{PY}/os.py"
    )
    found = prune(keep=keep, drop=globs(f"{PY}/os.py"))
    kept = set(layer(found, "python"))
    names = {
        f"{PY}/test/test_os.py", f"{PY}/lib-dynload/_uuid{TAG}", "/usr/local/lib/libpython3.so", f"{SITE}/pip/__init__.py",
        f"{PY}/os.py",
    }  # fmt: skip
    assert names <= kept
    assert kept.isdisjoint(rules_of(found))
    assert {dict(found.whys)[path].rule for path in names} == {"keep"}
    assert dict(found.whys)[f"{PY}/test/test_os.py"].where == place(10)
    assert [item.name for item in found.closure.missing] == ["libuuid.so.1"], "who keeps it hears what it lacks"


def test_keep_pulls_from_the_supply() -> None:
    zones = tree({"/usr/share/zoneinfo/Europe/Berlin": b"TZif"})
    found = prune(keep=globs("/usr/share/zoneinfo/**", f"{LIB}/libunused*"), extra=zones)
    assert {"/usr/share/zoneinfo/Europe/Berlin", f"{LIB}/libunused.so.1"} <= set(layer(found, "python"))
    assert "unneeded" not in {rule for path, rule in rules_of(found).items() if "unused" in path}


def test_drop_beats_the_analysis() -> None:
    found = prune(drop=globs(f"{PY}/ssl.py", f"{LIB}/libncursesw*"))
    gone = rules_of(found)
    assert gone[f"{PY}/ssl.py"] == "drop"
    assert gone[f"{LIB}/libncursesw.so.6"] == "drop"
    assert gone[f"{PY}/lib-dynload/_curses{TAG}"] == "unresolved", "what needs a dropped library goes too"
    by_path = {item.path: item for item in found.removed}
    assert str(by_path[f"{PY}/ssl.py"].why) == (
        f"prune.drop names {PY}/ssl.py (x.yaml:10:1) <- the standard library <- python.image: python:3.11 (x.yaml:1:1)"
    )
    assert by_path[f"{PY}/ssl.py"].size == len(b"import _ssl")


@pytest.mark.parametrize("key", ["keep", "drop"])
def test_a_glob_that_matches_nothing(key: str) -> None:
    with pytest.raises(ImageFailed, match="'/nothing/\\*' matches nothing") as caught:
        prune(**{key: globs(f"{PY}/os.py", "/nothing/*")})
    assert caught.value.where == place(11)


def test_keep_may_name_what_the_runtime_has() -> None:
    assert layer(prune(keep=globs("/bin/sh")), "python") == sorted(KEPT)
    with pytest.raises(ImageFailed, match="'/bin/sh' matches nothing"):
        prune(drop=globs("/bin/sh"))


WHEEL: dict[str, str | bytes] = {
    f"{SITE}/psycopg2/__init__.py": b"import",
    f"{SITE}/psycopg2/_psycopg{TAG}": shared(
        needs=("libpq-1.so.5", "libunused.so.1"), runpath="$ORIGIN/../psycopg2.libs"
    ),
    f"{SITE}/psycopg2.libs/libpq-1.so.5": shared(soname="libpq-1.so.5", needs=("libssl.so.3",)),
    "/usr/local/bin/tool": "file 0755 #!",
}


def test_what_only_a_wheel_needs_goes_with_the_wheels() -> None:
    alone, found = prune(), prune(WHEEL)
    assert dict(found.layers)["python"] == dict(alone.layers)["python"], "so that images of one base build share it"
    assert layer(found, "wheels") == sorted([*WHEEL, f"{LIB}/libunused.so.1"])
    assert f"{LIB}/libunused.so.1" not in rules_of(found)
    assert [root.path for root in found.roots if "site-packages" in root.path] == [f"{SITE}/psycopg2/_psycopg{TAG}"]


def test_a_wheel_that_the_base_build_has_too() -> None:
    """pip goes with the base build's site-packages, and comes with `wheels: [pip]`."""
    found = prune({f"{SITE}/pip/__init__.py": b"new", "/usr/local/bin/pip": "file 0755 new"})
    assert layer(found, "wheels") == ["/usr/local/bin/pip", f"{SITE}/pip/__init__.py"]
    assert {"/usr/local/bin/pip", f"{SITE}/pip/__init__.py"}.isdisjoint(rules_of(found))
    assert dict(found.whys)["/usr/local/bin/pip"].rule == "wheel"


def test_keep_and_drop_reach_wheels_and_files() -> None:
    rules = {"drop": globs(f"{SITE}/psycopg2/**", "/app/*"), "keep": globs("/app/b")}
    found = prune(WHEEL, {"/app/a": b"a", "/app/b": b"b"}, **rules)
    assert layer(found, "wheels") == ["/usr/local/bin/tool", f"{SITE}/psycopg2.libs/libpq-1.so.5"]
    assert layer(found, "files") == ["/app/b"]
    assert rules_of(found)["/app/a"] == "drop"


def test_a_wheel_that_lacks_a_library() -> None:
    found = prune({f"{SITE}/x{TAG}": shared(needs=("libnowhere.so.1",))})
    (missing,) = found.closure.missing
    assert (missing.name, missing.needed_by) == ("libnowhere.so.1", f"{SITE}/x{TAG}")
    assert layer(found, "wheels") == [f"{SITE}/x{TAG}"], "it is the caller who decides"


@pytest.mark.parametrize(
    ("inherited", "own", "found"),
    [(None, None, False), ("/nowhere:/opt/lib", None, True), (None, "/opt/lib;/x", True), ("/opt/lib", "", False)],
)
def test_library_path_is_the_runtime_s_unless_the_recipe_has_one(
    inherited: str | None, own: str | None, found: bool
) -> None:
    """As the engine merges the two: what the runtime has there is not brought a second time."""
    base = tree({**RUNTIME, "/opt/lib/libssl.so.3": shared(soname="libssl.so.3", needs=("libc.so.6",))})
    env = () if inherited is None else (("LD_LIBRARY_PATH", inherited),)
    given = prune(base=base, base_env=env, environ=() if own is None else (("LD_LIBRARY_PATH", own),))
    assert (f"{LIB}/libssl.so.3" not in layer(given, "python")) is found


def test_what_the_environment_preloads_comes_along() -> None:
    assert f"{LIB}/libunused.so.1" not in layer(prune(), "python")
    given = prune(environ=(("LD_PRELOAD", "libunused.so.1"),))
    assert f"{LIB}/libunused.so.1" in layer(given, "python")
    assert given.closure.missing == ()


def test_programs_of_files_are_roots() -> None:
    found = prune(
        files={"/app/tool": program(needs=("libunused.so.1",)), "/app/lib.so": shared(needs=("libnone.so.1",))}
    )
    assert found.roots[-1].path == "/app/tool"
    assert layer(found, "wheels") == [f"{LIB}/libunused.so.1"]
    assert found.closure.missing == ()


def test_an_extension_among_files_is_a_root() -> None:
    name = "/app/m.cpython-311-x86_64-linux-gnu.so"
    found = prune(files={name: shared(needs=("libnone.so.1",))})
    assert found.roots[-1].path == name
    assert [item.needed_by for item in found.closure.missing] == [name]


def test_libraries_that_no_file_names() -> None:
    found = prune(libraries=(Text(text="libunused.so.1", where=place(7)),))
    assert layer(found, "wheels") == [f"{LIB}/libunused.so.1"]
    assert [step.where for step in dict(found.whys)[f"{LIB}/libunused.so.1"].chain()][-1] == place(7)
    found = prune(libraries=(Text(text="libnone.so.1", where=place(7)),))
    assert [item.name for item in found.closure.missing] == ["libnone.so.1"]


def test_on_nothing_the_supply_s_glibc_comes_too() -> None:
    found = prune(base=Tree())
    assert found.closure.family.choice is FamilyChoice.SUPPLY
    assert f"{LIB}/libc.so.6" in layer(found, "python")


LINKED: list[tuple[dict[str, str], list[str]]] = [
    ({"/lib/x/y": "file 0644 1"}, ["/usr/lib/x/y"]),
    ({"/lib": "dir 0755", "/lib/y": "file 0644 1"}, ["/usr/lib/y"]),
    ({"/lib64/y": "file 0644 1"}, ["/usr/lib64/y"]),
    ({"/libx/y": "file 0644 1"}, ["/libx/y"]),
    ({"/app": "dir 0755", "/app/l": "symlink /lib"}, ["/app", "/app/l"]),
    ({"/two/y": "file 0644 1"}, ["/usr/lib/y"]),
]


@pytest.mark.parametrize(("files", "places"), LINKED)
def test_folders_that_are_links_in_the_runtime(files: dict[str, str], places: list[str]) -> None:
    base = runtime.merge(tree({"/two": "symlink three", "/three": "symlink lib"}))
    found = prune(files=files, base=base)
    assert layer(found, "files") == places
    assert set(places) <= set(dict(found.whys))


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"/dead/y": "file 0644 1"}, "/dead is a link in the runtime to nowhere, which is no folder there"),
        ({"/dead": "dir 0755"}, "/dead is a link in the runtime to nowhere"),
        ({"/file/y": "file 0644 1"}, "/file is a link in the runtime to bin/sh"),
        ({"/lib/y": "file 0644 1", "/usr/lib/y": "file 0644 2"}, "/usr/lib/y and /lib/y are one place"),
    ],
)
def test_links_that_nothing_can_go_through(files: dict[str, str], text: str) -> None:
    base = runtime.merge(tree({"/dead": "symlink nowhere", "/file": "symlink bin/sh"}))
    with pytest.raises(FileConflict, match=text) as caught:
        prune(files=files, base=base)
    assert caught.value.where == place(5)


def test_the_same_every_time() -> None:
    """Whatever the order in which trees were made, and whoever reads the ELF files first."""
    backwards = dict(reversed(OFFICIAL.items()))
    runs = [
        prune(WHEEL),
        prune(dict(reversed(WHEEL.items())), build=backwards, base=tree(dict(reversed(RUNTIME.items())))),
    ]
    assert len({digest_of(found) for found in runs}) == 1
    assert runs[0] == runs[1]
    assert official.digest() == tree(backwards).digest()


NAMED = [
    (f"{SITE}/pip/__init__.py", "site"),
    (f"{PY}/config-3.11-x86_64-linux-gnu/Makefile", "headers"),
    ("/usr/local/lib/libpython3.11.a", "headers"),
    ("/usr/local/lib/pkgconfig/python3.pc", "headers"),
    ("/usr/local/bin/python3.11-config", "headers"),
    (f"{PY}/unittest/test/x.py", "tests"),
    (f"{PY}/lib2to3/tests/x.py", "tests"),
    (f"{PY}/lib-dynload/_testcapi{TAG}", "tests"),
    (f"{PY}/idlelib/run.py", "idle"),
    (f"{PY}/turtledemo/x.py", "idle"),
    (f"{PY}/turtle.py", "tk"),
    (f"{PY}/ensurepip/_bundled/pip.whl", "ensurepip"),
    (f"{PY}/pydoc_data/topics.py", "docs"),
    ("/usr/local/share/man/man1/python3.1", "docs"),
    ("/usr/local/bin/2to3", "lib2to3"),
    (f"{PY}/json/__pycache__/x.pyc", "bytecode"),
    (f"{PY}/json/__init__.py", None),
    (f"{PY}/encodings/utf_8.py", None),
    (f"{PY}/_sysconfigdata__linux_x86_64-linux-gnu.py", None),
    (f"{PY}/lib-dynload/_ctypes{TAG}", None),
    (f"{PY}/unittest/case.py", None),
    (f"{PY}/test.py", None),
    ("/usr/local/bin/python3.11", None),
    ("/app/test/x.py", None),
]


@pytest.mark.parametrize(("path", "group"), NAMED)
def test_groups(path: str, group: str | None) -> None:
    found = Rules(base_build().interpreter).group(path)
    assert (found.name if found else None) == group


def test_every_group_is_explained_and_tried() -> None:
    assert {group.name for group in GROUPS} == {name for _, name in NAMED if name}
    assert [group.name for group in GROUPS if not (group.text and group.breaks)] == []


def test_devices_and_fifos_never_come_along() -> None:
    """Whoever brings them, and whatever `keep` names: an engine makes its own (ELF.md 6.2)."""
    rows = {"/dev/null": "char 1:3", "/app/disk": "block 8:0", "/app/pipe": "fifo 0600", "/app/x": b"x"}
    for rules in ({}, {"keep": globs("/app/**")}):
        found = prune(files=rows, **rules)
        assert layer(found, "files") == ["/app/x"]
        assert {rules_of(found)[path] for path in ("/dev/null", "/app/disk", "/app/pipe")} == {"device"}
