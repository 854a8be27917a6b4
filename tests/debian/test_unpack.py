"""Packages over each other: merged /usr, owners, reasons, and what scripts would have done."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING

import pytest
from debmaker import make_deb

from slimrun.debian.alternatives import Alternative, read_alternatives
from slimrun.debian.effects import BUNDLE
from slimrun.debian.usrmerge import merged, top_links
from slimrun.errors import BadArchive, DownloadFailed, FileConflict
from slimrun.tree.entry import file, folder, link
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from worlds import World


def names(tree: Tree) -> list[str]:
    """All but the records for scanners, which every package has."""
    return [path for path in tree if not path.startswith("/var/lib/dpkg/")]


def test_named_and_dependencies(world: World) -> None:
    world.publish(
        make_deb("app", files={"/usr": None, "/usr/bin": None, "/usr/bin/app": b"app"}, Depends="libx1"),
        make_deb(
            "libx1",
            "2.0-1",
            files={"/lib": None, "/lib/x86_64-linux-gnu": None, "/lib/x86_64-linux-gnu/libx.so.1": b"x"},
        ),
        make_deb("other", files={"/usr/bin/other": b""}),
    )
    found = world.open("app")
    assert found.named.dump() == {
        "/usr": "dir 0755",
        "/usr/bin": "dir 0755",
        "/usr/bin/app": f"file 0755 {hashlib.sha256(b'app').hexdigest()[:8]}",
        "/var/lib/dpkg/status.d/app": found.named["/var/lib/dpkg/status.d/app"].dump(),
        "/var/lib/dpkg/status.d/app.md5sums": found.named["/var/lib/dpkg/status.d/app.md5sums"].dump(),
    }
    assert names(found.dependencies) == [
        "/bin",
        "/lib",
        "/sbin",
        "/usr/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu/libx.so.1",
    ]
    assert found.dependencies["/lib"].target == "usr/lib"
    resolved = found.dependencies.resolve("/lib/x86_64-linux-gnu/libx.so.1")
    assert resolved is not None
    assert resolved.links == ("/lib",)
    assert found.owner["/usr/lib/x86_64-linux-gnu/libx.so.1"] == ("libx1", "2.0-1")
    assert found.owner.keys() | {"/bin", "/lib", "/sbin"} == found.whys.keys()
    why = found.whys["/usr/lib/x86_64-linux-gnu/libx.so.1"]
    assert [(step.rule, step.text) for step in why.chain()] == [
        ("debian", "libx1 2.0-1"),
        ("debian", "app 1.0"),
        ("recipe", "app"),
    ]
    assert str(why).endswith("app (recipe.yaml:5:5)")
    assert pickle.loads(pickle.dumps(found)) == found


def test_status(world: World) -> None:
    """As distroless images have it: the control file, and the md5sums beside it."""
    made = make_deb("app", files={"/usr/bin/app": b"app"})
    world.publish(made)
    found = world.open("app")
    assert found.named.read("/var/lib/dpkg/status.d/app").decode() == made.control
    assert found.named.read("/var/lib/dpkg/status.d/app.md5sums").endswith(b"  usr/bin/app\n")


def test_shared_folders_are_on_both_sides(world: World) -> None:
    world.publish(
        make_deb("a", files={"/srv": None, "/srv/a": b""}, Depends="b"),
        make_deb("b", files={"/srv": None, "/srv/b": b""}),
    )
    found = world.open("a")
    assert "/srv" in found.named
    assert "/srv" in found.dependencies
    assert not {path for path in found.named if found.named[path].kind != "dir"} & set(found.dependencies)


def test_conflict(world: World) -> None:
    world.publish(
        make_deb("a", files={"/etc/x": b"a", "/lib/y": b"a"}),
        make_deb("b", files={"/etc/x": b"b", "/usr/lib/y": b"b"}),
    )
    with pytest.raises(FileConflict) as caught:
        world.open("a", "b")
    assert "/etc/x of a and of b; /usr/lib/y of a and of b" in caught.value.message
    assert str(caught.value.where) == "recipe.yaml:5:5"


@pytest.mark.parametrize(
    ("replaces", "owner"),
    [("b", "a"), ("b (<< 2)", "a"), ("b (<< 1)", None), ("v", "a"), ("c", None)],
)
def test_replaces(replaces: str, owner: str | None, world: World) -> None:
    world.publish(
        make_deb("a", files={"/etc/x": b"a"}, Replaces=replaces),
        make_deb("b", files={"/etc/x": b"b"}, Provides="v"),
    )
    if owner is None:
        with pytest.raises(FileConflict):
            world.open("a", "b")
        return
    assert world.open("b", "a").owner["/etc/x"] == (owner, "1.0")


def test_replaced_by_a_later_name(world: World) -> None:
    world.publish(make_deb("a", files={"/etc/x": b"a"}), make_deb("b", files={"/etc/x": b"b"}, Replaces="a"))
    assert world.open("a", "b").named.read("/etc/x") == b"b"


def test_truncated_download(world: World) -> None:
    made = make_deb("a", files={"/x": b"x"})
    world.archive.add(made, data=made.data[:-10])
    world.archive.publish_all()
    with pytest.raises(DownloadFailed):
        world.open("a")


def test_tampered_download(world: World) -> None:
    made = make_deb("a", files={"/x": b"x"})
    world.archive.add(made, data=made.data[:-1] + b"!")
    world.archive.publish_all()
    with pytest.raises(DownloadFailed, match="has sha256"):
        world.open("a")


def test_evil_package_has_the_recipes_place(world: World) -> None:
    world.publish(make_deb("a", files={"../../etc/cron.d/x": b""}, md5sums=""))
    with pytest.raises(BadArchive, match="leads out") as caught:
        world.open("a")
    assert str(caught.value.where) == "recipe.yaml:5:5"


def test_certificates(world: World) -> None:
    folder_ = "/usr/share/ca-certificates/mozilla"
    files = {f"{folder_}/B.crt": b"BBB\n", f"{folder_}/A.crt": b"AAA", f"{folder_}/README": b"no"}
    world.publish(make_deb("ca-certificates", files=files))
    found = world.open("ca-certificates")
    assert found.named.read(BUNDLE) == b"AAA\nBBB\n"
    resolved = found.named.resolve("/usr/lib/ssl/cert.pem")
    assert resolved is not None
    assert resolved.path == BUNDLE
    assert found.owner[BUNDLE] == ("ca-certificates", "1.0")


def test_certificates_of_a_dependency(world: World) -> None:
    """Supply then, and openssl's own link stays what it is."""
    world.publish(
        make_deb("a", files={"/usr/lib/ssl/cert.pem": "/etc/ssl/certs/ca-certificates.crt"}, Depends="ca-certificates"),
        make_deb("ca-certificates", files={"/usr/share/ca-certificates/mozilla/A.crt": b"A"}),
    )
    found = world.open("a")
    assert BUNDLE in found.dependencies
    assert found.owner["/usr/lib/ssl/cert.pem"] == ("a", "1.0")


AWK = """#!/bin/sh
set -e
if [ "$1" = "configure" ]; then
    update-alternatives --install /usr/bin/awk awk /usr/bin/{0} {1} \\
        --slave /usr/share/man/man1/awk.1.gz awk.1.gz /usr/share/man/man1/{0}.1.gz \\
        --slave /usr/bin/nawk nawk /usr/bin/{0}
fi
"""


def test_alternatives(world: World) -> None:
    """The higher priority wins; slaves follow; a library's link in /lib lands in /usr/lib."""
    blas = "/usr/lib/x86_64-linux-gnu/libblas.so.3"
    world.publish(
        make_deb("mawk", files={"/usr/bin/mawk": b"m"}, postinst=AWK.format("mawk", 5)),
        make_deb("gawk", files={"/bin/gawk": b"g"}, postinst=AWK.format("gawk", 10)),
        make_deb(
            "libblas3",
            files={"/usr/lib/x86_64-linux-gnu/blas/libblas.so.3": b"b"},
            postinst=f"update-alternatives --install {blas} libblas.so.3-x86_64-linux-gnu "
            "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3 10\n",
        ),
        make_deb("none", postinst="update-alternatives --install /usr/bin/none none /usr/bin/not-there 1\n"),
    )
    found = world.open("mawk", "gawk", "libblas3", "none")
    tree = found.named.merge(found.dependencies)
    for name in ("/usr/bin/awk", "/usr/bin/nawk", "/bin/awk"):
        resolved = tree.resolve(name)
        assert resolved is not None
        assert resolved.path == "/usr/bin/gawk"
    assert tree["/usr/bin/awk"].target == "/etc/alternatives/awk"
    assert tree["/etc/alternatives/awk"].target == "/usr/bin/gawk"
    resolved = tree.resolve(blas)
    assert resolved is not None
    assert resolved.path == "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3"
    assert found.owner["/usr/bin/awk"] == ("gawk", "1.0")
    assert "/usr/bin/none" not in tree


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("update-alternatives --install /usr/bin/x x /usr/bin/y 10", 1),
        ("\tupdate-alternatives --quiet --install /usr/bin/x x /usr/bin/y 10 || true", 1),
        ("update-alternatives --install /usr/bin/x x /usr/bin/y 10; exit 0", 1),
        ("/usr/bin/update-alternatives --install /usr/bin/x x /usr/bin/y -5", 1),
        ("# update-alternatives --install /usr/bin/x x /usr/bin/y 10", 0),
        ("update-alternatives --install /usr/bin/$x x /usr/bin/y 10", 0),
        ("update-alternatives --install /usr/bin/x x /usr/bin/`y` 10", 0),
        ("update-alternatives --install /usr/bin/x ../x /usr/bin/y 10", 0),
        ("update-alternatives --install /usr/bin/x .. /usr/bin/y 10", 0),
        ("update-alternatives --install /usr/../x x /usr/bin/y 10", 0),
        ("update-alternatives --install x x y 10", 0),
        ("update-alternatives --install /usr/bin/x x /usr/bin/y high", 0),
        ("update-alternatives --install /usr/bin/x x", 0),
        ("update-alternatives --install '/usr/bin/x x /usr/bin/y 10", 0),
        ("update-alternatives --remove x /usr/bin/y", 0),
    ],
)
def test_read_alternatives(script: str, count: int) -> None:
    assert len(read_alternatives(f"#!/bin/sh\n{script}\n")) == count


def test_alternative_with_slaves() -> None:
    (found,) = read_alternatives(AWK.format("mawk", 5))
    assert found == Alternative(
        link="/usr/bin/awk",
        name="awk",
        path="/usr/bin/mawk",
        priority=5,
        slaves=(
            ("/usr/share/man/man1/awk.1.gz", "awk.1.gz", "/usr/share/man/man1/mawk.1.gz"),
            ("/usr/bin/nawk", "nawk", "/usr/bin/mawk"),
        ),
    )


def test_merged() -> None:
    tree = Tree(
        {
            "/bin": folder(),
            "/bin/sh": link("dash"),
            "/lib": folder(),
            "/lib64": folder(),
            "/lib64/ld.so": link("/lib/ld.so"),
            "/library": file(b""),
            "/usr/lib": folder(),
            "/usr/bin/which": link("/bin/which"),
            "/bin/which": file(b"w"),
        }
    )
    assert list(merged(tree, what="x")) == [
        "/library",
        "/usr/bin",
        "/usr/bin/sh",
        "/usr/bin/which",
        "/usr/lib",
        "/usr/lib64",
        "/usr/lib64/ld.so",
    ]
    assert merged(tree, what="x")["/usr/bin/which"].kind == "file"
    assert top_links([merged(tree, what="x")]).dump() == {
        "/bin": "symlink usr/bin",
        "/lib": "symlink usr/lib",
        "/lib64": "symlink usr/lib64",
        "/sbin": "symlink usr/sbin",
    }


def test_links_that_a_package_ships() -> None:
    """base-files of trixie has them; they are its own then."""
    tree = Tree({"/bin": link("usr/bin"), "/lib": link("usr/lib"), "/usr/bin": folder()})
    assert merged(tree, what="base-files") == tree
    assert list(top_links([tree])) == ["/sbin"]


def test_two_files_become_one() -> None:
    with pytest.raises(FileConflict, match="x has two files for /usr/bin/a"):
        merged(Tree({"/bin/a": file(b"1"), "/usr/bin/a": file(b"2")}), what="x")
