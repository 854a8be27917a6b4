"""A wheel's own copies of libraries, and when the image's may stand in for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.images import LIB, OFFICIAL, TAG
from tests.pruning import SITE, layer, prune
from tests.tinyelf import shared

from slimrun.prune.dedupe import worse
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.prune.pruned import Pruned

LIBS = f"{SITE}/x.libs"
NEW, OLD = ("OPENSSL_3.0.0", "OPENSSL_3.0.9"), ("OPENSSL_3.0.0",)
BUILD: dict[str, str | bytes] = {
    **OFFICIAL,
    f"{LIB}/libcrypto.so.3": shared(soname="libcrypto.so.3", needs=("libc.so.6",), offers=NEW, exports=("a", "b")),
    f"{LIB}/libssl.so.3": shared(
        soname="libssl.so.3", needs=("libcrypto.so.3",), wants=(("libcrypto.so.3", OLD),), offers=OLD, exports=("s",)
    ),
}
CRYPTO, SSL, EXT = f"{LIBS}/libcrypto-0a1b2c3d.so.3", f"{LIBS}/libssl-0a1b2c3d.so.3", f"{SITE}/x{TAG}"


def wheel(
    *, versions: tuple[str, ...] = OLD, symbols: tuple[str, ...] = ("a",), ssl: tuple[str, ...] = OLD
) -> dict[str, str | bytes]:
    """An extension that needs both, each of them with what it takes of the other."""
    crypto, tls = CRYPTO.rpartition("/")[2], SSL.rpartition("/")[2]
    return {
        EXT: shared(
            needs=(tls, crypto), runpath="$ORIGIN/x.libs", wants=((crypto, versions), (tls, ssl)), imports=symbols
        ),
        CRYPTO: shared(soname=crypto, offers=(*NEW, "OPENSSL_3.5.0"), exports=("a", "b", "c")),
        SSL: shared(
            soname=tls,
            needs=(crypto,),
            runpath="$ORIGIN",
            wants=((crypto, ("OPENSSL_3.5.0",)),),
            offers=NEW,
            imports=("c",),
            exports=("s",),
        ),
        f"{SITE}/x-1.dist-info/RECORD": b"x.libs/libcrypto-0a1b2c3d.so.3,sha256=a,9\nx.so,sha256=b,3\n",
    }


def links(found: Pruned) -> dict[str, str]:
    return {path: entry.target for path, entry in dict(found.layers)["system"].items() if entry.target}


def joined(rows: dict[str, str | bytes], **options: Any) -> Pruned:
    return prune(rows, **{"build": BUILD, "base": Tree(), "dedupe": True, **options})


def test_both_become_links() -> None:
    found = joined(wheel())
    assert links(found) == {CRYPTO: f"{LIB}/libcrypto.so.3", SSL: f"{LIB}/libssl.so.3"}, (
        "one's needs of the other do not count"
    )
    assert {CRYPTO, SSL}.isdisjoint(layer(found, "wheels"))
    assert (
        str(dict(found.whys)[CRYPTO])
        == f"prune.dedupe: the image has {LIB}/libcrypto.so.3 <- wheel of a test (x.yaml:5:1)"
    )
    record = dict(found.layers)["wheels"].read(f"{SITE}/x-1.dist-info/RECORD")
    assert record == b"x.libs/libcrypto-0a1b2c3d.so.3,,\nx.so,sha256=b,3\n", "a link has no hash"
    assert found.closure.missing == ()
    assert {edge.found for edge in found.closure.of(f"{LIB}/libcrypto.so.3")} == {f"{LIB}/libcrypto.so.3"}


def test_not_unless_it_is_asked_for() -> None:
    found = joined(wheel(), dedupe=False)
    assert links(found) == {}
    assert {CRYPTO, SSL} <= set(layer(found, "wheels"))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (wheel(versions=("OPENSSL_3.5.0",)), "a version that the image's libcrypto does not define"),
        (wheel(symbols=("a", "c")), "a symbol that the image's libcrypto does not have"),
        (wheel(ssl=NEW), "a version of libssl, and then its libcrypto needs what the image's has not"),
    ],
)
def test_what_does_not_fit_stays(rows: dict[str, str | bytes], why: str) -> None:
    assert links(joined(rows)) == {}, why


def test_what_the_image_has_not_stays() -> None:
    own = {path: row for path, row in BUILD.items() if "libssl" not in path and "_ssl" not in path}
    assert links(joined(wheel(), build=own)) == {}


def test_a_library_is_not_parted_from_what_it_is_handed() -> None:
    """The image's libgss brings the image's libkrb: the wheel's users would hand it what the wheel's libkrb made."""
    build = BUILD | {
        f"{LIB}/libkrb.so.1": shared(soname="libkrb.so.1", offers=("K_1",), exports=("k",)),
        f"{LIB}/libgss.so.1": shared(soname="libgss.so.1", needs=("libkrb.so.1",), exports=("g",)),
        f"{SITE}/y{TAG}": shared(needs=("libgss.so.1",)),
    }
    own = {path: build.pop(path) for path in [f"{SITE}/y{TAG}"]}
    rows: dict[str, str | bytes] = own | {
        EXT: shared(
            needs=("libgss-0a1b2c3d.so.1", "libkrb-0a1b2c3d.so.1.2"),
            runpath="$ORIGIN/x.libs",
            wants=(("libkrb-0a1b2c3d.so.1.2", ("K_2",)),),
            imports=("g", "k"),
        ),
        f"{LIBS}/libgss-0a1b2c3d.so.1": shared(
            soname="libgss-0a1b2c3d.so.1", needs=("libkrb-0a1b2c3d.so.1.2",), runpath="$ORIGIN", exports=("g",)
        ),
        f"{LIBS}/libkrb-0a1b2c3d.so.1.2": shared(
            soname="libkrb-0a1b2c3d.so.1.2", offers=("K_1", "K_2"), exports=("k",)
        ),
    }
    assert links(joined(rows, build=build)) == {}
    fits = shared(
        needs=("libgss-0a1b2c3d.so.1", "libkrb-0a1b2c3d.so.1.2"),
        runpath="$ORIGIN/x.libs",
        wants=(("libkrb-0a1b2c3d.so.1.2", ("K_1",)),),
        imports=("g", "k"),
    )
    assert len(links(joined(rows | {EXT: fits}, build=build))) == 2, (
        "the name with its full version is the same library"
    )


@pytest.mark.parametrize(
    "name", ["libcrypto.so.3", "libcrypto-0a1b2c3.so.3", "libcrypto-0a1b2c3dx.so.3", "crypto-0a1b2c3d.so.3"]
)
def test_names_that_are_not_mangled(name: str) -> None:
    rows = {
        EXT: shared(needs=(name,), runpath="$ORIGIN/x.libs", imports=("a",)),
        f"{LIBS}/{name}": shared(soname=name, offers=OLD, exports=("a",)),
    }
    assert links(joined(rows)) == {}


def test_a_library_of_another_machine() -> None:
    build = BUILD | {f"{LIB}/libcrypto.so.3": shared(soname="libcrypto.so.3", offers=NEW, exports=("a",), machine=183)}
    assert CRYPTO not in links(joined(wheel(), build=build))


def test_worse() -> None:
    good = joined(wheel(), dedupe=False).closure
    lost = prune({EXT: shared(needs=("libnone.so.1",))}, build=BUILD).closure
    assert worse(lost, good)
    assert not worse(good, good)
    assert not worse(good, lost)
