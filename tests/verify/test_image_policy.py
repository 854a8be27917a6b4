"""The policy against finished images: each rule with what it must find, and what it must not take for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.treetext import tree

from slimrun.backend.assembled import Assembled
from slimrun.errors import Where
from slimrun.oci.config import Config
from slimrun.oci.layer import Layer
from slimrun.recipe.policy import Rule, RuleName
from slimrun.tree.entry import file, folder, link
from slimrun.tree.tree import Tree
from slimrun.verify.policy import SHELLS, policy_checks
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slimrun.tree.entry import Entry
    from slimrun.verify.checks import Check

WHERE = Where("slim.yaml", 3, 3)


def check(name: RuleName, entries: Mapping[str, Entry], *, limit: int = 0, **config: Any) -> Check:
    image = Assembled(
        config=Config(architecture="amd64", **config),
        layers=(
            Layer(name="base", diff_id="a" * 64, content=1000),
            Layer(name="python", diff_id="b" * 64, content=500),
        ),
        tree=Tree(entries),
        whys=(),
        base_why=Why(rule="x", text="x"),
    )
    (found,) = policy_checks(image, (Rule(name=name, where=WHERE, limit=limit),))
    assert (found.name, found.where) == (f"policy.{name}", WHERE)
    return found


PROGRAM = replace(file(b"x"), mode=0o755)


@pytest.mark.parametrize(("limit", "ok"), [(1500, True), (1499, False), (0, False)])
def test_max_size(limit: int, ok: bool) -> None:
    assert check("max_size", {}, limit=limit).ok is ok


@pytest.mark.parametrize("name", sorted(SHELLS))
def test_every_shell_is_found_in_any_folder(name: str) -> None:
    found = check("forbid_shell", {f"/opt/tools/{name}": PROGRAM})
    assert (found.ok, found.detail) == (False, f"/opt/tools/{name} is a shell")


def test_links_to_shells_are_found_and_what_cannot_run_is_not() -> None:
    entries = {
        "/bin/busybox-1": PROGRAM,
        "/bin/sh": link("busybox-1"),
        "/usr/bin/bash": link("/nowhere"),
        "/usr/share/bash": folder(),
        "/usr/share/doc/dash": file(b"a text"),
        "/usr/bin/shred": PROGRAM,
        "/usr/bin/sh.distrib": PROGRAM,
    }
    assert check("forbid_shell", entries).detail == "/bin/sh is a shell"
    del entries["/bin/sh"]
    assert check("forbid_shell", entries).ok


def test_many_are_cut() -> None:
    entries = {f"/bin/{name}": PROGRAM for name in SHELLS}
    detail = check("forbid_shell", entries).detail
    assert detail.count("is a shell") == 5
    assert detail.endswith(f"; and {len(SHELLS) - 5} more")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (replace(PROGRAM, mode=0o4755), "/x is set-user-ID"),
        (replace(PROGRAM, mode=0o2755), "/x is set-group-ID"),
        (replace(PROGRAM, mode=0o6711), "/x is set-user-ID"),
        (replace(PROGRAM, xattrs=(("security.capability", b"\\1"),)), "/x has file capabilities"),
        (PROGRAM, ""),
        (replace(folder(), mode=0o2775), ""),
        (replace(folder(), mode=0o1777), ""),
        (replace(PROGRAM, xattrs=(("user.note", b"a"),)), ""),
    ],
)
def test_setuid(entry: Entry, text: str) -> None:
    found = check("forbid_setuid", {"/x": entry})
    assert (found.ok, found.detail) == (not text, text)


PASSWD = {"/etc/passwd": file(b"root:x:0:0::/:/bin/sh\ntoor:x:00:0::/:/bin/sh\napp:x:1000:0::/:\nbroken\n")}


@pytest.mark.parametrize(
    ("user", "ok"),
    [("65532:65532", True), ("1000", True), ("app", True), ("app:root", True), ("1000:0", True),
     ("", False), ("0", False), ("000:5", False), ("root", False), ("toor:app", False)],
)  # fmt: skip
def test_root(user: str, ok: bool) -> None:
    found = check("forbid_root", PASSWD, user=user)
    assert found.ok is ok
    assert ok or f"user {user or 'root'} is root" in found.detail


def test_root_without_passwd() -> None:
    assert not check("forbid_root", {}, user="root").ok
    assert check("forbid_root", {}, user="app").ok
    linked = {"/etc/passwd": link("../usr/lib/passwd"), "/usr/lib/passwd": PASSWD["/etc/passwd"]}
    assert not check("forbid_root", linked, user="toor").ok


def test_rules_keep_their_order() -> None:
    image = Assembled(
        config=Config(architecture="amd64", user="1"),
        layers=(),
        tree=tree({}),
        whys=(),
        base_why=Why(rule="x", text="x"),
    )
    names: tuple[RuleName, ...] = ("forbid_shell", "forbid_root", "max_size", "forbid_setuid")
    checks = policy_checks(image, [Rule(name=name, where=WHERE) for name in names])
    assert [item.name for item in checks] == [f"policy.{name}" for name in names]
    assert all(item.ok for item in checks)
    assert policy_checks(image, ()) == ()
