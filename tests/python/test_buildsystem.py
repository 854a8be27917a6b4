"""What sources say of their build, and what of it is refused with the place of the recipe's line."""

from __future__ import annotations

import pytest
from tests.treetext import tree

from slimrun.errors import BadSource, Where
from slimrun.python.buildsystem import LEGACY, LEGACY_REQUIRES, BuildSystem, Needs, build_system, settled_needs

PLACE = Where("r.yaml", 7, 5)
HEAD = "[build-system]\n"


def read(pyproject: str, **more: str) -> BuildSystem:
    return build_system(tree({"/pyproject.toml": pyproject.encode(), **more}), "x-1.tar.gz", PLACE)


def test_as_it_is_written() -> None:
    text = (
        HEAD + 'requires = ["flit_core>=3", "x; python_version < \'3.8\'"]\nbuild-backend = "flit_core.buildapi:a.b"\n'
    )
    assert read(text) == BuildSystem(
        requires=("flit_core>=3", "x; python_version < '3.8'"), backend="flit_core.buildapi:a.b"
    )


@pytest.mark.parametrize("pyproject", ["", "[project]\nname = 'x'\n", "[tool.black]\n"])
def test_no_build_system_is_setuptools(pyproject: str) -> None:
    assert read(pyproject) == BuildSystem(requires=LEGACY_REQUIRES, backend=LEGACY)


def test_requirements_alone_keep_the_old_backend() -> None:
    assert read(HEAD + 'requires = ["setuptools<70"]\n').backend == LEGACY


def test_setup_py_alone() -> None:
    assert build_system(tree({"/setup.py": b"setup()"}), "x", None) == BuildSystem()


def test_in_tree_backend() -> None:
    text = HEAD + 'requires = []\nbuild-backend = "own"\nbackend-path = [".", "tools/build/"]\n'
    assert read(text, **{"/tools/build/own.py": "file 0644"}).path == ("", "tools/build")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml", "is not TOML"),
        (HEAD, "without the list `requires`"),
        (HEAD + "requires = 'x'", "without the list `requires`"),
        (HEAD + "requires = [1]", "without the list `requires`"),
        ("build-system = 1", "without the list `requires`"),
        (HEAD + "requires = ['==1']", "requires '==1' for its build, which is no requirement"),
        (HEAD + "requires = ['x @ file:///root']", "which is no https address"),
        (HEAD + "requires = ['x @ http://h/x.whl']", "which is no https address"),
        (HEAD + "requires = ['x @ git+ssh://h/x']", "which is no https address"),
        (HEAD + "requires = []\nbuild-backend = 'a b'", "names the build-backend 'a b'"),
        (HEAD + "requires = []\nbuild-backend = 'a:'\nbackend-path = 'x'", "a backend-path that is no list"),
        (HEAD + "requires = []\nbuild-backend = 1", "names the build-backend 1"),
        (HEAD + "requires = []\nbuild-backend = 'a'\nbackend-path = ['../x']", "the backend-path '../x'"),
        (HEAD + "requires = []\nbuild-backend = 'a'\nbackend-path = ['/etc']", "the backend-path '/etc'"),
        (HEAD + "requires = []\nbuild-backend = 'a'\nbackend-path = ['no']", "the backend-path 'no'"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(BadSource) as caught:
        read(text)
    assert says in caught.value.message
    assert caught.value.message.startswith("pyproject.toml of x-1.tar.gz ")
    assert caught.value.where == PLACE
    assert caught.value.hint


def test_not_utf_8() -> None:
    with pytest.raises(BadSource, match="is not TOML"):
        build_system(tree({"/pyproject.toml": b"\xff\xfe"}), "x", PLACE)


def test_no_project() -> None:
    with pytest.raises(BadSource, match=r"x-1.tar.gz has neither pyproject.toml nor setup.py") as caught:
        build_system(tree({"/README": b""}), "x-1.tar.gz", PLACE)
    assert caught.value.where == PLACE
    assert caught.value.exit_code == 2


INFO = "Name: x\nVersion: 1\nRequires-Dist: b (>=1.0)\nRequires-Dist: a; extra == 'e'\nProvides-Extra: e\n"


def needs(text: str) -> Needs | None:
    return settled_needs(tree({"/PKG-INFO": text.encode()}))


def test_pkg_info_that_settles() -> None:
    wanted = Needs(requires=("b>=1.0", 'a; extra == "e"'), extras=("e",))
    assert needs("Metadata-Version: 2.2\n" + INFO) == wanted
    assert needs("Metadata-Version: 2.10\n" + INFO + "Dynamic: Version\n") == wanted
    assert needs("Metadata-Version: 2.2\nName: x\nVersion: 1\n") == Needs()


@pytest.mark.parametrize(
    "text",
    [
        "Metadata-Version: 2.1\n" + INFO,
        INFO,
        "Metadata-Version: x\n" + INFO,
        "Metadata-Version: 2.2\nDynamic: Requires-Dist\n" + INFO,
        "Metadata-Version: 2.3\nDynamic: provides-extra\n" + INFO,
    ],
)
def test_pkg_info_that_does_not(text: str) -> None:
    assert needs(text) is None


def test_no_pkg_info() -> None:
    assert settled_needs(tree({"/setup.py": b""})) is None
    assert settled_needs(tree({"/PKG-INFO": "dir"})) is None


def test_what_is_no_requirement_is_passed_over() -> None:
    assert needs("Metadata-Version: 2.2\nName: x\nVersion: 1\nRequires-Dist: ???\nRequires-Dist: a\n") == Needs(
        requires=("a",)
    )
