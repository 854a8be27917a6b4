"""An image read out of its layers, as an engine would show it; trees as literals."""

from __future__ import annotations

import pytest
from tests.treetext import tree

from slimrun.backend.base import Layered
from slimrun.backend.local_image import LocalImage
from slimrun.oci.config import Config

TREE = tree(
    {
        "/bin": "symlink usr/bin",
        "/lib": "symlink usr/lib",
        "/usr/bin/python3": "symlink /etc/alternatives/python3",
        "/etc/alternatives/python3": "symlink /usr/bin/python3.11",
        "/usr/bin/python3.11": b"ELF",
        "/usr/bin/gone": "symlink nowhere",
        "/usr/bin/circle": "symlink circle",
        "/usr/bin/c": "file 0755 perl inode p",
        "/usr/bin/b/perl": "file 0755 perl inode p",
        "/usr/bin/a.pl": "file 0755 perl inode p",
        "/usr/lib/perl": "file 0755 perl inode p",
        "/etc/hosts": b"the image's own",
        "/etc/resolv.conf": b"too",
        "/etc/passwd": b"root",
    }
)
CONFIG = Config(architecture="amd64", env=(("A", "1"),))


def image() -> LocalImage:
    return LocalImage(CONFIG, lambda: Layered(config=CONFIG, sizes=(), tree=TREE))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/usr/bin/python3", "/usr/bin/python3.11"),
        ("/bin/python3", "/usr/bin/python3.11"),
        ("/usr/bin/python3.11", "/usr/bin/python3.11"),
        ("/bin/python3.11", "/bin/python3.11"),
        ("/usr/bin/gone", "/usr/bin/nowhere"),
        ("/usr/bin/none", None),
        ("/none/python3", None),
        ("/usr/bin/python3.11/x", None),
    ],
)
def test_target(path: str, target: str | None) -> None:
    assert image().target(path) == target


def test_a_link_to_itself_is_something() -> None:
    assert image().target("/usr/bin/circle")


def test_env_needs_no_layer() -> None:
    def never() -> Layered:
        raise AssertionError

    assert LocalImage(CONFIG, never).env == (("A", "1"),)


def test_layers_are_read_once() -> None:
    reads = []
    one = LocalImage(CONFIG, lambda: reads.append(1) or Layered(config=CONFIG, sizes=(), tree=TREE))  # type: ignore[func-returns-value]
    one.tree(["/etc"])
    one.target("/bin/c")
    one.layered()
    assert reads == [1]


def test_hard_links_count_among_the_folder_alone() -> None:
    """An archive of /usr/bin has no name of /usr/lib; in the order of a walk, `a.pl` comes before `b/perl`."""
    found = image().tree(["/usr/bin"])
    assert {path: entry.inode for path, entry in found.items() if entry.inode} == dict.fromkeys(
        ("/usr/bin/a.pl", "/usr/bin/b/perl", "/usr/bin/c"), "/usr/bin/a.pl"
    )
    assert image().tree(["/usr/lib"])["/usr/lib/perl"].inode == ""


def test_a_link_alone_and_what_is_not_there() -> None:
    assert image().tree(["/lib", "/none"]).dump() == {"/lib": "symlink usr/lib"}


def test_below_a_link_the_asked_name_stands() -> None:
    assert list(image().tree(["/lib/perl"])) == ["/lib/perl"]


def test_what_an_engine_puts_into_containers_is_left_out() -> None:
    assert list(image().tree(["/etc"])) == ["/etc/alternatives/python3", "/etc/passwd"]
