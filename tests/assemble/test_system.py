"""Files that the image needs as a whole: users, name service, /tmp, the loader's cache."""

from __future__ import annotations

import pytest
from tests.tinyelf import shared
from tests.treetext import content, tree

from slimrun.assemble.system import Lines, system_files
from slimrun.elf import ldcache
from slimrun.elf.ldcache import Cached
from slimrun.elf.model import Closure
from slimrun.errors import ImageFailed, Where
from slimrun.tree.tree import Tree
from slimrun.why import Why

ROOT = "root:x:0:0:root:/root:/sbin/nologin\n"
OURS = "nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"
BASE = {"/etc/nsswitch.conf": "file 0644 x", "/tmp": "dir 1777"}
GROUP = "root:x:0:\n"
LIBPYTHON = "/usr/local/lib/libpython3.11.so.1.0"
LINES = Lines(
    user=Why(rule="recipe", text="image.user", where=Where("x.yaml", 9)),
    runtime=Why(rule="runtime", text="runtime", where=Where("x.yaml", 8)),
    files={LIBPYTHON: Why(rule="recipe", text="python.image", where=Where("x.yaml", 2))},
)


def made(tree: Tree, user: str, closure: Closure | None = None) -> tuple[Tree, dict[str, Why]]:
    return system_files(tree, closure or Closure(), user, LINES)


def ends(whys: dict[str, Why]) -> dict[str, int]:
    """The line of the recipe that each reason leads to."""
    places = {path: list(why.chain())[-1].where for path, why in whys.items()}
    return {path: place.line if place else 0 for path, place in places.items()}


# user, passwd of the base, group of the base, what is written
TABLE: dict[str, tuple[str, str | None, str | None, dict[str, str]]] = {
    "nothing there": ("65532:65532", None, None, {"passwd": ROOT + OURS, "group": GROUP + "nonroot:x:65532:\n"}),
    "no newline at the end": (
        "65532:65532", ROOT.rstrip("\n"), GROUP.rstrip("\n"), {"passwd": ROOT + OURS, "group": GROUP + "nonroot:x:65532:\n"}
    ),
    "empty files": ("65532:65532", "", "", {"passwd": OURS, "group": "nonroot:x:65532:\n"}),
    "known by number": ("65532:65532", ROOT + OURS, GROUP + "nonroot:x:65532:\n", {}),
    "known by name": ("nonroot", ROOT + OURS, GROUP + "nonroot:x:65532:\n", {}),
    "root by number": ("0", ROOT, GROUP, {}),
    "root by number, nothing there": ("0", None, None, {}),
    "root by name": ("root", ROOT, GROUP, {}),
    "root by name, nothing there": ("root", None, None, {}),
    "nobody named": ("", ROOT, GROUP, {}),
    "nobody named, nothing there": ("", None, None, {}),
    "a group alone is new": ("0:100", ROOT, GROUP, {"group": GROUP + "nonroot:x:100:\n"}),
    "a user without a group": (
        "7", ROOT, GROUP, {"passwd": ROOT + "nonroot:x:7:7:nonroot:/tmp:/sbin/nologin\n", "group": GROUP + "nonroot:x:7:\n"}
    ),
    "a known user's own group": ("7", ROOT + "app:x:7:8::/:/bin/sh\n", GROUP + "app:x:8:\n", {}),
    "a known user's own group is new": ("app", ROOT + "app:x:7:8::/:/bin/sh\n", GROUP, {"group": GROUP + "nonroot:x:8:\n"}),
    "a group by name": (
        "7:staff", ROOT, GROUP + "staff:x:50:\n", {"passwd": ROOT + "nonroot:x:7:50:nonroot:/tmp:/sbin/nologin\n"}
    ),
    "the name is taken": (
        "7:7", ROOT + OURS, GROUP + "nonroot:x:65532:\n",
        {"passwd": ROOT + OURS + "nonroot7:x:7:7:nonroot:/tmp:/sbin/nologin\n",
         "group": GROUP + "nonroot:x:65532:\nnonroot7:x:7:\n"},
    ),
    "comments and blank lines": (
        "7:0", "# none\n\n+::::::\n" + ROOT, GROUP,
        {"passwd": "# none\n\n+::::::\n" + ROOT + "nonroot:x:7:0:nonroot:/tmp:/sbin/nologin\n"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_users(name: str) -> None:
    user, passwd, group, expected = TABLE[name]
    rows: dict[str, str | bytes] = dict(BASE)
    rows |= {"/etc/passwd": passwd.encode()} if passwd is not None else {}
    rows |= {"/etc/group": group.encode()} if group is not None else {}
    found, whys = made(tree(rows), user)
    assert content(found) == {f"/etc/{file}": text for file, text in sorted(expected.items())}
    assert ends(whys) == dict.fromkeys(found, 9)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("app", "names app, which is not in the image's /etc/passwd"),
        ("0:staff", "names staff, which is not in the image's /etc/group"),
        ("\u0663", "which is not in the image's /etc/passwd"),
    ],
)
def test_names_that_nobody_knows(user: str, text: str) -> None:
    with pytest.raises(ImageFailed, match=text):
        made(tree(BASE), user)


def test_bytes_that_are_no_utf_8_stay() -> None:
    found, _ = made(tree(BASE | {"/etc/passwd": b"m\xfcller:x:1:1:::\n"}), "7:1")
    assert found.read("/etc/passwd") == b"m\xfcller:x:1:1:::\nnonroot:x:7:1:nonroot:/tmp:/sbin/nologin\n"


def test_what_an_empty_image_lacks() -> None:
    found, whys = made(Tree(), "0")
    assert content(found) == {
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "/tmp": "dir 1777",
    }
    assert {why.rule for why in whys.values()} == {"system"}
    assert ends(whys) == dict.fromkeys(found, 8)
    linked = tree({"/tmp": "symlink var/tmp", "/var/tmp": "dir 1777", "/etc/nsswitch.conf": b"x"})
    assert made(linked, "0")[0] == Tree()


def test_the_loader_s_cache() -> None:
    line = Cached("libpython3.11.so.1.0", LIBPYTHON, 0x0303)
    gone = Cached("libgone.so", "/nowhere/libgone.so", 0x0303)
    image = tree(BASE | {line.path: shared(soname=line.name)})
    found, whys = made(image, "0", Closure(cached=(line, gone)))
    assert ldcache.read(found.read("/etc/ld.so.cache")) == (line,)
    assert LIBPYTHON in whys["/etc/ld.so.cache"].text
    assert ends(whys) == {"/etc/ld.so.cache": 2}
    assert "/etc/ld.so.cache" not in made(tree(BASE), "0", Closure(cached=(gone,)))[0]


def test_a_cache_of_the_runtime_whose_names_are_gone() -> None:
    line = Cached("libgone.so", "/nowhere/libgone.so", 0x0303)
    stays = Cached("libstays.so", "/opt/libstays.so", 0x0303)
    image = tree(BASE | {stays.path: shared(soname=stays.name), "/etc/ld.so.cache": ldcache.write((line, stays))})
    found, whys = made(image, "0")
    assert ldcache.read(found.read("/etc/ld.so.cache")) == (stays,)
    assert ends(whys) == {"/etc/ld.so.cache": 8}
