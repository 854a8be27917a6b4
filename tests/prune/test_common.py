"""What images of one base have in common is worked out once, and no image can tell who worked it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.images import LIB, OFFICIAL, PY, TAG
from tests.pruning import SITE, globs, layer, prune
from tests.tinyelf import program, shared

from slimrun.cache.values import dumps, loads
from slimrun.plan.digest import digest_of
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from slimrun.prune.common import Common
    from slimrun.prune.pruned import Pruned

CRYPTO = b'\0OPENSSLDIR: "/usr/lib/ssl"\0MODULESDIR: "/usr/lib/x86_64-linux-gnu/ossl-modules"\0'
BUILD: dict[str, str | bytes] = {
    **OFFICIAL,
    f"{LIB}/libcrypto.so.3": shared(soname="libcrypto.so.3", needs=("libc.so.6",), tail=CRYPTO),
    f"{LIB}/ossl-modules/legacy.so": shared(needs=("libcrypto.so.3", "libextra.so.1")),
    f"{LIB}/libextra.so.1": shared(soname="libextra.so.1"),
    f"{LIB}/libonly.so.1": shared(soname="libonly.so.1", needs=("libc.so.6",)),
    f"{PY}/lib2to3/__init__.py": b"#",
    "/etc/services": b"https 443/tcp",
}
# What the image has beyond the supply: features read it.
MORE: dict[str, str | bytes] = {
    "/etc/ssl/certs/ca-certificates.crt": b"certificates",
    "/etc/ssl/openssl.cnf": b"# nothing",
    "/usr/lib/ssl/openssl.cnf": "symlink /etc/ssl/openssl.cnf",
    "/usr/share/zoneinfo/Europe/Paris": b"TZif",
    "/other/ssl/openssl.cnf": b"# of a wheel's own OpenSSL",
}
OWN_SSL = b'\0OPENSSLDIR: "/other/ssl"\0MODULESDIR: "/other/modules"\0'
SETS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "pure": {"wheels": {f"{SITE}/x.py": b"import os"}},
    "needs": {"wheels": {f"{SITE}/x{TAG}": shared(needs=("libonly.so.1",))}},
    "imports": {"wheels": {f"{SITE}/x.py": b"import lib2to3"}},
    "opens": {"wheels": {f"{SITE}/x.py": b"import ctypes\nctypes.CDLL('libonly.so.1')"}},
    "vendored": {
        "wheels": {
            f"{SITE}/x{TAG}": shared(needs=("libcrypto-1a2b.so.3",), runpath="$ORIGIN/x.libs"),
            f"{SITE}/x.libs/libcrypto-1a2b.so.3": shared(soname="libcrypto-1a2b.so.3", tail=OWN_SSL),
        }
    },
    "program": {"files": {"/app/run": program(needs=("libonly.so.1", "libc.so.6"))}},
    "hides": {"files": {"/etc/services": b"mine", "/usr/share/zoneinfo": "symlink /app/zones"}},
    "missing": {"wheels": {f"{SITE}/x{TAG}": shared(needs=("libnowhere.so.9",))}},
}
RULES: list[dict[str, Any]] = [
    {"features": None},
    {"features": None, "keep": globs("/etc/services", f"{PY}/test/**")},
    {"features": None, "drop": globs(f"{PY}/ssl.py", f"{LIB}/libonly*")},
    {"features": None, "base": Tree(), "packages": {"/usr/bin/tool": program(needs=("libextra.so.1",))}},
]


class Once:
    """Keeps the first that is made, through the cache's own codec."""

    def __init__(self) -> None:
        self.made = 0
        self._data = b""

    def __call__(self, make: Callable[[], Common]) -> Common:
        if not self._data:
            self.made += 1
            self._data = dumps(make())
        found: Common = loads(self._data)
        return found


def made(name: str, rules: dict[str, Any], **more: Any) -> Pruned:
    return prune(**SETS[name], **rules, build=BUILD, more=MORE, **more)


@pytest.mark.parametrize("rules", RULES, ids=["plain", "keep", "drop", "scratch"])
def test_whoever_makes_it_all_get_the_same(rules: dict[str, Any]) -> None:
    alone = {name: made(name, rules) for name in SETS}
    for maker in ("nothing", "vendored", "program"):
        once = Once()
        for name in (maker, *SETS):
            result = made(name, rules, shared=once)
            assert result == alone[name], (maker, name)
            assert digest_of(result) == digest_of(alone[name])
        assert once.made == 1


def test_the_python_layer_is_one_and_the_rest_is_beside_it() -> None:
    results = {name: made(name, {"features": None}) for name in SETS}
    trees = [dict(result.layers)["python"] for result in results.values()]
    assert all(found == trees[0] for found in trees)
    assert layer(results["needs"], "wheels") == [f"{LIB}/libonly.so.1", f"{SITE}/x{TAG}"]
    assert f"{PY}/lib2to3/__init__.py" in layer(results["imports"], "wheels")
    assert layer(results["opens"], "wheels") == [f"{LIB}/libonly.so.1", f"{SITE}/x.py"]
    assert "/other/ssl/openssl.cnf" in layer(results["vendored"], "wheels")
    assert f"{LIB}/libonly.so.1" in layer(results["program"], "wheels")
    assert f"{LIB}/libextra.so.1" in trees[0], "what a feature of CPython's own needs"
