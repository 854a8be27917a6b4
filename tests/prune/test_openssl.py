"""What a libcrypto and its configuration say of folders and files; the lists of iconv."""

from __future__ import annotations

import pytest
from tests.treetext import tree

from slimrun.prune.gconv import lists_in, reduced
from slimrun.prune.openssl import Folders, folders_of, named_files

ONE = b"module ONE// INTERNAL one 1\nmodule INTERNAL ONE// one.so\n"
BOTH = Folders("/usr/lib/ssl", "/usr/lib/ossl-modules")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'\0OPENSSLDIR: "/usr/lib/ssl"\0MODULESDIR: "/usr/lib/ossl-modules"\0', BOTH),
        (b'OPENSSLDIR: "/usr/lib/ssl"\0ENGINESDIR: "/usr/lib/engines-1.1"\0', Folders("/usr/lib/ssl", "")),
        (b'OPENSSLDIR: "/a/../b//c/"\0', Folders("/b/c", "")),
        (b'OPENSSLDIR: "relative"\0', Folders()),
        (b'OPENSSLDIR: "/no end', Folders()),
        (b'OPENSSLDIR: "/zero\0byte"', Folders()),
        (b"", Folders()),
    ],
)
def test_folders(data: bytes, found: Folders) -> None:
    assert folders_of(data) == found


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("", ()),
        ("# module = x\n", ()),
        ("module = legacy", ("/usr/lib/ossl-modules/legacy.so",)),
        ("module=/opt/x.so # why", ("/opt/x.so",)),
        ("  dynamic_path = /opt/engine.so\n", ("/opt/engine.so",)),
        (".include /etc/ssl/fips.cnf\n.include = more.cnf\n", ("/etc/ssl/fips.cnf", "/usr/lib/ssl/more.cnf")),
        ("submodule = x\n[module]\n", ()),
    ],
)
def test_files_of_a_configuration(config: str, found: tuple[str, ...]) -> None:
    assert named_files(config.encode(), BOTH) == found


def test_without_a_folder_for_modules_only_paths_mean_something() -> None:
    assert named_files(b"module = legacy\nmodule = /opt/x.so\n", Folders("/usr/lib/ssl")) == ("/opt/x.so",)
    assert named_files(b"\xff\xfe\nmodule = legacy\n", BOTH) == ("/usr/lib/ossl-modules/legacy.so",)


def test_lists_of_character_sets() -> None:
    found = tree(
        {
            "/g/gconv-modules": b"# all\nalias A// ONE//\nalias B// TWO//\n" + ONE,
            "/g/gconv-modules.d/more.conf": b"module TWO// INTERNAL two 1\nmodule broken\n",
            "/g/gconv-modules.d/README": b"module ONE// INTERNAL one 9\n",
            "/g/gconv-modules.cache": b"module ONE// INTERNAL one 9\n",
            "/g/one.so": b"",
        }
    )
    lists = lists_in(found, "/g")
    assert list(lists) == ["/g/gconv-modules", "/g/gconv-modules.d/more.conf"]
    assert reduced(lists, frozenset({"one"})) == (b"alias A// ONE//\n" + ONE)
    assert reduced(lists, frozenset({"two"})) == b"alias B// TWO//\nmodule TWO// INTERNAL two 1\n"
    assert reduced(lists, frozenset()) == b""
