"""Links inside a tree against the kernel: openat2 with RESOLVE_IN_ROOT, 20,000 paths in random thickets of links."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from tests.openat2 import openat2

from slimrun.tree.entry import Entry, file, folder, link
from slimrun.tree.resolve import MAX_LINKS, resolve
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

THICKETS, PATHS = 20, 1000
NAMES = ["a", "b", "c", "d", "lib", "usr"]


def grow(chance: random.Random) -> dict[str, Entry]:
    """A tree of some 60 paths, a third of them links of every shape: relative, absolute, dangling, in circles, with dots."""
    entries: dict[str, Entry] = {}
    folders = ["/"]
    for _ in range(60):
        path = os.path.join(chance.choice(folders), chance.choice(NAMES))  # noqa: PTH118
        if path in entries:
            continue
        kind = chance.choice(["folder", "folder", "file", "link"])
        if kind == "folder":
            entries[path] = folder()
            folders.append(path)
        else:
            entries[path] = file(path.encode()) if kind == "file" else link(wander(chance))
    return entries


def wander(chance: random.Random) -> str:
    parts = [chance.choice([*NAMES, *NAMES, "..", ".."[: chance.randint(1, 2)]]) for _ in range(chance.randint(1, 6))]
    text = chance.choice(["/", "//"]).join(parts)
    return chance.choice(["", "", "/"]) + text + chance.choice(["", "", "", "/", "/."])


def plant(entries: dict[str, Entry], root: Path) -> None:
    for path, entry in entries.items():
        place = root / path.lstrip("/")
        if entry.target:
            place.symlink_to(entry.target)
        elif entry.digest:
            place.write_bytes(entry.read())
        else:
            place.mkdir()


def test_agrees_with_the_kernel(tmp_path: Path) -> None:
    probe = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    reached = openat2(probe, "/")
    os.close(probe)
    if reached < 0:
        pytest.skip(f"cannot be had here: this kernel or sandbox has no openat2: {os.strerror(-reached)}")
    os.close(reached)
    different, found_any = [], 0
    for seed in range(THICKETS):
        chance = random.Random(seed)
        entries = grow(chance)
        root = tmp_path / str(seed)
        root.mkdir()
        plant(entries, root)
        tree = Tree(entries)
        top = os.open(root, os.O_PATH | os.O_DIRECTORY)
        for _ in range(PATHS):
            path = "/" + wander(chance).lstrip("/")
            number = openat2(top, path)
            real = None
            if number >= 0:
                real = os.readlink(f"/proc/self/fd/{number}").removeprefix(str(root)) or "/"  # noqa: PTH115
                os.close(number)
                found_any += 1
            mine = resolve(tree, path)
            if (mine.path if mine else None) != real:
                different.append((seed, path, mine, real))
        os.close(top)
    assert different == []
    assert THICKETS * PATHS * 0.05 < found_any < THICKETS * PATHS * 0.95


def test_the_41st_link_is_one_too_many() -> None:
    chain: dict[str, Entry] = {f"/{number}": link(str(number + 1)) for number in range(MAX_LINKS + 1)}
    tree = Tree({**chain, f"/{MAX_LINKS + 1}": file(b"end")})
    found = resolve(tree, "/1")
    assert found is not None
    assert (found.path, len(found.links)) == (f"/{MAX_LINKS + 1}", MAX_LINKS)
    assert resolve(tree, "/0") is None


@pytest.mark.parametrize(
    ("path", "expected", "links"),
    [
        ("/usr/lib/x", "/usr/lib/x", ()),
        ("/lib/x", "/usr/lib/x", ("/lib",)),
        ("/lib/y", "/usr/lib/x", ("/lib", "/usr/lib/y")),
        ("/../../lib/../lib/x", "/usr/lib/x", ("/lib",)),
        ("/usr/abs/x", "/usr/lib/x", ("/usr/abs", "/lib")),
        ("/usr/lib/x/.", None, ()),
        ("/usr/lib/x/..", None, ()),
        ("/usr/lib/x/", None, ()),
        ("/usr/lib/.", "/usr/lib", ()),
        ("/none/../usr", None, ()),
        ("/loop", None, ()),
        ("/", "/", ()),
    ],
)
def test_by_literals(path: str, expected: str | None, links: tuple[str, ...]) -> None:
    tree = Tree(
        {
            "/lib": link("usr/lib"),
            "/loop": link("loop"),
            "/usr/abs": link("/lib"),
            "/usr/lib/x": file(b"x"),
            "/usr/lib/y": link("x"),
        }
    )
    found = resolve(tree, path)
    assert (found.path if found else None) == expected
    if found is not None:
        assert found.links == links
