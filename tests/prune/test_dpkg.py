"""Scanners see which Debian packages are inside, and only those."""

from __future__ import annotations

from slimrun.prune.dpkg import records
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree
from slimrun.why import Why

SUPPLY = Tree(
    {
        "/usr/lib/libz.so.1": file(b"z"),
        "/usr/lib/libq.so.1": file(b"q"),
        "/usr/share/doc/zlib1g/copyright": file(b"licence"),
        "/usr/share/doc/zlib1g/changelog": file(b"long"),
        "/var/lib/dpkg/status.d/zlib1g": file(b"Package: zlib1g"),
        "/var/lib/dpkg/status.d/zlib1g.md5sums": file(b"sums"),
        "/var/lib/dpkg/status.d/libq1": file(b"Package: libq1"),
    }
)
WHYS = {"/usr/lib/libz.so.1": Why(rule="needed", text="needed by python")}
OWNERS = {"/usr/lib/libz.so.1": "zlib1g", "/usr/lib/libq.so.1": "libq1", "/usr/share/doc/zlib1g/copyright": "zlib1g"}


def test_a_kept_file_brings_its_package_s_record_and_licence() -> None:
    tree, whys = records(SUPPLY.under("/usr/lib").without(["/usr/lib/libq.so.1"]), OWNERS, SUPPLY, WHYS)
    assert list(tree) == [
        "/usr/share/doc/zlib1g/copyright",
        "/var/lib/dpkg/status.d/zlib1g",
        "/var/lib/dpkg/status.d/zlib1g.md5sums",
    ]
    assert set(whys) == set(tree)
    assert str(whys["/var/lib/dpkg/status.d/zlib1g"]) == (
        "says that files of zlib1g are inside, such as /usr/lib/libz.so.1 <- needed by python"
    )


def test_a_record_that_is_not_there_is_not_made_up() -> None:
    tree, _ = records(Tree({"/usr/lib/libq.so.1": file(b"q")}), OWNERS, SUPPLY, WHYS)
    assert list(tree) == ["/var/lib/dpkg/status.d/libq1"]


def test_files_of_no_package_bring_nothing() -> None:
    assert records(Tree({"/app/x": file(b"x")}), OWNERS, SUPPLY, WHYS) == (Tree(), {})
