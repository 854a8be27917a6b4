"""How names are looked up: a file where there is none, and no module that is not there and ends a look-up."""

from __future__ import annotations

import pytest
from tests.treetext import tree

from slimrun.assemble.nsswitch import DEFAULT, PATH, adjusted

LIB = "/usr/lib/x86_64-linux-gnu"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("hosts: files dns\n", None),
        ("hosts: mymachines files\n", None),
        ("netgroup: nis\n", None),
        ("# hosts: myhostname [UNAVAIL=return] files\n", None),
        ("hosts: myhostname [UNAVAIL=return] files\n", "hosts: files\n"),
        ("hosts: files myhostname [UNAVAIL=return] dns # why\n", "hosts: files dns # why\n"),
        ("hosts: files myhostname [ !UNAVAIL=return SUCCESS=continue ] dns\n", "hosts: files dns\n"),
        ("hosts: files [NOTFOUND=return] dns\n", None),
        ("hosts: here [NOTFOUND=return] files\n", None),
        ("a: b\nhosts: gone [NOTFOUND=return]\n", "a: b\nhosts: files\n"),
        ("no colon [x]\n", None),
        ("", None),
    ],
)
def test_modules_that_are_not_there(before: str, after: str | None) -> None:
    image = tree({PATH: before.encode(), f"{LIB}/libnss_here.so.2": b""})
    found = adjusted(image)
    assert (None if found is None else found.decode()) == after


def test_none_there() -> None:
    assert adjusted(tree({})) == DEFAULT
    assert adjusted(tree({PATH: "symlink /nowhere"})) == DEFAULT


@pytest.mark.parametrize("folder", ["/lib", "/usr/lib", "/lib64", "/lib/aarch64-linux-gnu"])
def test_where_modules_lie(folder: str) -> None:
    image = {PATH: b"hosts: x [NOTFOUND=return] files\n", f"{folder}/libnss_x.so.2": b""}
    assert adjusted(tree(image)) is None
