"""Libraries that Python code opens by name, in the closure and in the report."""

from __future__ import annotations

import pytest
from tests.images import LIB, OFFICIAL, PY, TAG
from tests.pruning import SITE, layer, place, prune
from tests.tinyelf import shared

from slimrun.prune.rules import GROUPS
from slimrun.recipe.model import Text

BUILD: dict[str, str | bytes] = {
    **OFFICIAL,
    f"{LIB}/libone.so.1": "symlink libone.so.1.2",
    f"{LIB}/libone.so.1.2": shared(soname="libone.so.1", needs=("libtwo.so.2",)),
    f"{LIB}/libtwo.so.2": shared(soname="libtwo.so.2"),
    f"{LIB}/libtwo.so.10": shared(soname="libtwo.so.10"),
    f"{PY}/lib-dynload/_ctypes{TAG}": shared(needs=("libc.so.6",)),
    f"{PY}/lib2to3/pytree.py": b"",
    f"{PY}/ensurepip/__init__.py": b"",
}
ONE = {f"{LIB}/libone.so.1", f"{LIB}/libone.so.1.2", f"{LIB}/libtwo.so.2"}


def wheel(code: str, name: str = "x") -> dict[str, str | bytes]:
    return {f"{SITE}/{name}.py": f"import ctypes\nfrom ctypes.util import find_library\n{code}\n".encode()}


def test_a_constant_is_needed_by_the_interpreter() -> None:
    found = prune(wheel("ctypes.CDLL('libone.so.1')"), build=BUILD)
    assert set(layer(found, "wheels")) == ONE | {f"{SITE}/x.py"}
    assert str(dict(found.whys)[f"{LIB}/libone.so.1.2"]) == (
        f"libone.so.1 is opened at run time <- {SITE}/x.py:3 opens libone.so.1 <- wheel of a test (x.yaml:5:1)"
    )
    assert found.findings == ()


def test_files_and_packages_are_read_too() -> None:
    for key in ("files", "packages"):
        found = prune(**{key: {"/app/x.py": wheel("ctypes.CDLL('libone.so.1')")[f"{SITE}/x.py"]}}, build=BUILD)
        assert set(layer(found, "wheels")) >= ONE


def test_find_library_means_the_soname() -> None:
    found = prune(wheel("find_library('one')"), build=BUILD)
    assert set(layer(found, "wheels")) >= ONE
    assert f"{LIB}/libtwo.so.10" in layer(prune(wheel("find_library('two')"), build=BUILD), "wheels"), "10 is above 2"
    assert layer(prune(wheel("find_library('nothing')"), build=BUILD), "wheels") == [f"{SITE}/x.py"]


def test_what_nothing_has_is_said() -> None:
    found = prune(wheel("ctypes.CDLL('libnone.so.1')"), build=BUILD)
    assert [str(item) for item in found.findings] == [
        f"{SITE}/x.py: line 3 opens libnone.so.1 at run time, which nothing that the image is made from has [dlopen]"
    ]
    assert found.closure.missing == (), "code asks in vain as often as not"


@pytest.mark.parametrize("name", ["libnone.dylib", "none.dll", "none", "./libnone.so", "libnone.so.x"])
def test_names_for_other_systems_are_passed_over(name: str) -> None:
    assert prune(wheel(f"ctypes.CDLL({name!r})"), build=BUILD).findings == ()


def test_a_file_of_the_wheel_s_own() -> None:
    own = wheel("ctypes.CDLL('libnone.so')") | {f"{SITE}/x/libnone.so": shared()}
    assert prune(own, build=BUILD).findings == ()


def test_a_computed_name_is_a_finding_that_the_recipe_settles() -> None:
    code = wheel("def f(x):\n    ctypes.CDLL(x)")
    (finding,) = prune(code, build=BUILD).findings
    assert str(finding) == (
        f"{SITE}/x.py: line 4 opens a library whose name is computed: if it is one of the system's, "
        "name it with prune.libraries [dlopen]"
    )
    found = prune(code, build=BUILD, libraries=(Text(text="libone.so.1", where=place(7)),))
    assert found.findings == ()
    assert set(layer(found, "wheels")) >= ONE


def test_a_file_is_told_of_once() -> None:
    (finding,) = prune(wheel("def f(x):\n    ctypes.CDLL(x)\n    return find_library(x)"), build=BUILD).findings
    assert "x.py: lines 4, 5 open a library whose name is computed" in str(finding)


def test_what_cffi_opens_is_what_its_callers_name() -> None:
    assert prune(wheel("def f(x):\n    ctypes.CDLL(x)", "cffi/api"), build=BUILD).findings == ()


def test_a_source_that_cannot_be_read_is_a_finding() -> None:
    (finding,) = prune(wheel("print 'CDLL'"), build=BUILD).findings
    assert "in no syntax that slimrun reads" in str(finding)


def test_the_standard_library_is_not_read() -> None:
    found = prune(build=BUILD | {f"{PY}/ctypes/util.py": wheel("ctypes.CDLL(x)")[f"{SITE}/x.py"]})
    assert found.findings == ()


def test_a_named_group_stays_where_a_wheel_imports_it() -> None:
    without = prune(build=BUILD)
    assert {item.why.rule for item in without.removed} >= {"lib2to3", "ensurepip"}
    found = prune({f"{SITE}/x.py": b"\nimport lib2to3.pytree"}, build=BUILD)
    assert dict(found.layers)["python"] == dict(without.layers)["python"]
    assert f"{PY}/lib2to3/pytree.py" in layer(found, "wheels")
    assert str(dict(found.whys)[f"{PY}/lib2to3/pytree.py"]).startswith(f"{SITE}/x.py:2 imports lib2to3 <- wheel")
    gone = {item.path for item in found.removed}
    assert f"{PY}/lib2to3/pytree.py" not in gone
    assert f"{PY}/ensurepip/__init__.py" in gone


def test_groups_that_imports_bring_back() -> None:
    """Not tk, which no service shows anything with, and not the tests, which are CPython's own business."""
    assert {group.name for group in GROUPS if group.modules} == {"docs", "ensurepip", "lib2to3"}
