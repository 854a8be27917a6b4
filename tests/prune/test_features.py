"""Run-time features: the table, what brings each of them in, and where their files come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.images import GLIBC, LIB, OFFICIAL, PY, TAG
from tests.pruning import SITE, globs, layer, place, prune
from tests.tinyelf import shared
from tests.treetext import content, tree

from slimrun.errors import ImageFailed
from slimrun.prune.features import DEFAULTS, FEATURES, NAMES, When, feature, packages_of
from slimrun.prune.reference import render_features
from slimrun.recipe.model import Text
from slimrun.recipe.schema import choices, load_schema
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CRYPTO = b'\0OPENSSLDIR: "/usr/lib/ssl"\0ENGINESDIR: "/e"\0MODULESDIR: "/usr/lib/x86_64-linux-gnu/ossl-modules"\0'
LIBC = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u1) stable release version 2.36.\0"
NEWER = LIBC.replace(b"2.36", b"2.41")
UTF_16 = "alias UTF16// UTF-16//\nmodule UTF-16// INTERNAL UTF-16 1\nmodule INTERNAL UTF-16// UTF-16 1\n"
FILES: dict[str, str | bytes] = {
    BUNDLE: b"certificates",
    "/etc/ssl/openssl.cnf": b"# nothing",
    "/etc/services": b"https 443/tcp",
    "/etc/protocols": b"tcp 6",
    "/usr/lib/ssl/cert.pem": f"symlink {BUNDLE}",
    "/usr/lib/ssl/openssl.cnf": "symlink /etc/ssl/openssl.cnf",
    "/usr/lib/locale/C.utf8/LC_CTYPE": b"ctype",
    "/usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES": b"messages",
    "/usr/lib/locale/locale-archive": b"much",
    "/usr/lib/terminfo/x/xterm": b"xterm",
    "/usr/lib/terminfo/E/Eterm": b"eterm",
    "/usr/share/zoneinfo/Europe/Paris": "symlink Brussels",
    "/usr/share/zoneinfo/Europe/Brussels": b"TZif",
    "/usr/share/zoneinfo/right/UTC": b"TZif",
    "/usr/share/zoneinfo/tzdata.zi": b"# version",
    f"{LIB}/ossl-modules/legacy.so": shared(needs=("libcrypto.so.3", "libextra.so.1")),
    f"{LIB}/libextra.so.1": shared(soname="libextra.so.1"),
    f"{LIB}/gconv/UTF-16.so": shared(needs=("libc.so.6",)),
    f"{LIB}/gconv/CP932.so": shared(needs=("libc.so.6",)),
    f"{LIB}/gconv/gconv-modules": f"# list\n{UTF_16}".encode(),
    f"{LIB}/gconv/gconv-modules.cache": b"cache",
    f"{LIB}/gconv/gconv-modules.d/extra.conf": b"alias MS932// CP932//\nmodule CP932// INTERNAL CP932 1\n",
    f"{LIB}/sasl2/libplain.so": shared(needs=("libextra.so.1",)),
}
BUILD: dict[str, str | bytes] = {
    **OFFICIAL,
    **FILES,
    f"{LIB}/libc.so.6": shared(soname="libc.so.6", needs=("ld-linux-x86-64.so.2",), tail=LIBC),
    f"{LIB}/libcrypto.so.3": shared(soname="libcrypto.so.3", needs=("libc.so.6",), tail=CRYPTO),
    f"{PY}/lib-dynload/_ctypes{TAG}": shared(needs=("libc.so.6",)),
}


FAR = ("/usr/lib/ssl", "/usr/share", "/usr/lib/locale", "/usr/lib/terminfo")


def named(*names: str) -> dict[str, Any]:
    return {"features": tuple(Text(text=name, where=place(number)) for number, name in enumerate(names, 20))}


def added(**options: Any) -> set[str]:
    """What features add to the image of BUILD on nothing."""
    options = {"base": Tree(), "build": BUILD, "features": None, **options}
    without = prune(**{**options, "features": ()})
    return {path for _, tree in prune(**options).layers for path in tree} - {
        path for _, tree in without.layers for path in tree
    }


def test_the_schema_names_the_table() -> None:
    words = choices(load_schema("recipe")["properties"]["prune"]["properties"]["features"]["items"])
    assert tuple(words) == NAMES
    assert {"kerberos", "sasl", "pkcs11"} == set(NAMES) - set(DEFAULTS), "these are for those who ask"
    text = load_schema("recipe")["properties"]["prune"]["properties"]["features"]["description"]
    assert ", ".join(NAMES) in text


@pytest.mark.parametrize("each", FEATURES, ids=lambda each: each.name)
def test_every_row_is_explained(each: Any) -> None:
    assert all((each.text, each.breaks, each.evidence))
    assert not each.default or each.when is not When.ASKED
    assert bool(each.names) == (each.when in (When.LOADED, When.IMPORTS, When.EXTENSION))
    patterns = (*each.files, *each.but, *each.required, *(name for link in each.links for name in link))
    assert all(pattern.startswith(("/", "{openssldir}/", "{modulesdir}/")) for pattern in patterns)
    assert feature(each.name) is each


def test_the_page_is_current(golden: Callable[[Path, str], None]) -> None:
    text = render_features()
    golden(Path(__file__).resolve().parents[2] / "docs" / "features.md", text)
    assert [line[4:-1] for line in text.splitlines() if line.startswith("## ")] == sorted(
        each.name for each in FEATURES
    )


def test_packages() -> None:
    assert packages_of(("tz", "ca")) == ("ca-certificates", "tzdata")
    assert packages_of(()) == ()
    assert {"ca-certificates", "libc-bin", "ncurses-base", "netbase", "tzdata"} <= set(packages_of(None))
    assert "libsasl2-2" not in packages_of(None)


def test_the_default() -> None:
    assert added() == {
        BUNDLE,
        "/etc/ssl/openssl.cnf",
        "/etc/services",
        "/etc/protocols",
        "/usr/lib/ssl/cert.pem",
        "/usr/lib/ssl/openssl.cnf",
        "/usr/lib/locale/C.utf8/LC_CTYPE",
        "/usr/lib/locale/C.utf8/LC_MESSAGES/SYS_LC_MESSAGES",
        "/usr/lib/terminfo/x/xterm",
        "/usr/share/zoneinfo/Europe/Paris",
        "/usr/share/zoneinfo/Europe/Brussels",
        "/usr/share/zoneinfo/Europe/Berlin",
        f"{LIB}/ossl-modules/legacy.so",
        f"{LIB}/libextra.so.1",
    }


def test_each_alone() -> None:
    assert added(**named("tz")) == {f"/usr/share/zoneinfo/Europe/{name}" for name in ("Paris", "Brussels", "Berlin")}
    assert added(**named("terminfo")) == {"/usr/lib/terminfo/x/xterm"}
    assert added(**named("sasl")) == {f"{LIB}/sasl2/libplain.so", f"{LIB}/libextra.so.1"}, "a plug-in's needs come too"
    assert added(**named("find_library")) == set(), "it is written when the image is"
    assert added(**named()) == set()


def test_reasons_lead_to_the_recipe() -> None:
    found = prune(base=Tree(), build=BUILD, features=None)
    whys = dict(found.whys)
    assert [path for path, why in whys.items() if not list(why.chain())[-1].where] == []
    assert str(whys[BUNDLE]).startswith(
        "feature ca: certificates of authorities, where OpenSSL looks for them, for libcrypto.so.3 <- libcrypto.so.3 is needed by"
    )
    assert str(whys[f"{LIB}/libextra.so.1"]).startswith(
        f"libextra.so.1 is needed by {LIB}/ossl-modules/legacy.so <- feature openssl_legacy: "
    )
    asked = dict(prune(base=Tree(), build=BUILD, **named("ca")).whys)[BUNDLE]
    assert str(asked).endswith("prune.features names ca (x.yaml:20:1)")
    assert set(found.features) == {"ca", "find_library", "locale", "nss", "openssl_legacy", "terminfo", "tz"}
    assert found.findings == ()


def test_all_of_it_is_in_the_layer_that_images_share() -> None:
    found = prune({f"{SITE}/x.py": b"pass"}, base=Tree(), build=BUILD, features=None)
    assert layer(found, "wheels") == [f"{SITE}/x.py"]
    assert f"{LIB}/libextra.so.1" in layer(found, "python")
    assert {root.path for root in found.roots} >= {f"{LIB}/ossl-modules/legacy.so"}


def test_what_only_a_wheel_brings_in_goes_with_the_wheels() -> None:
    wheel = {f"{SITE}/x{TAG}": shared(needs=("libc.so.6",), imports=("iconv_open",))}
    found = prune(wheel, base=Tree(), build=BUILD, features=None)
    assert layer(found, "wheels") == sorted([f"{LIB}/gconv/UTF-16.so", f"{LIB}/gconv/gconv-modules", *wheel])
    lists = content(dict(found.layers)["wheels"].only(lambda path, _: path.endswith("gconv-modules")))
    assert lists == {f"{LIB}/gconv/gconv-modules": UTF_16}
    assert dict(found.whys)[f"{LIB}/gconv/UTF-16.so"].rule == "glibc", "so that it counts as a part of the one glibc"
    assert "gconv" in found.features


def test_libstdcxx_only_hands_it_on() -> None:
    wheel = {f"{SITE}/x{TAG}": shared(needs=("libstdc++.so.6",)), f"{SITE}/y{TAG}": shared(needs=("libc.so.6",))}
    build = BUILD | {f"{LIB}/libstdc++.so.6": shared(soname="libstdc++.so.6", imports=("iconv_open",))}
    assert "gconv" not in prune(wheel, base=Tree(), build=build, features=None).features


def test_a_word_is_no_import() -> None:
    assert not any("gconv" in path for path in added(wheels={f"{SITE}/x{TAG}": shared(tail=b"\0iconv_open\0")}))


def test_character_sets_come_from_the_very_glibc() -> None:
    wheel = {f"{SITE}/x{TAG}": shared(needs=("libc.so.6",), imports=("iconv_open",))}
    newer = tree({**GLIBC, f"{LIB}/libc.so.6": shared(soname="libc.so.6", needs=("ld-linux-x86-64.so.2",), tail=NEWER)})
    found = prune(wheel, base=newer, build=BUILD, features=None)
    assert not any("gconv" in path for path in layer(found, "wheels"))
    assert [item.rule for item in found.findings] == ["feature"]
    assert found.findings[0].path == f"{LIB}/gconv/UTF-16.so"
    assert "nothing has the files of feature gconv" in found.findings[0].text
    assert "they fit only the glibc that they were made with" in found.findings[0].text
    same = tree({**GLIBC, f"{LIB}/libc.so.6": BUILD[f"{LIB}/libc.so.6"]})
    assert f"{LIB}/gconv/UTF-16.so" in layer(prune(wheel, base=same, build=BUILD, features=None), "wheels")


def test_what_is_nowhere_is_a_warning_where_nobody_asked_for_it() -> None:
    build = {path: row for path, row in BUILD.items() if "zoneinfo" not in path}
    (finding,) = prune(base=Tree(), build=build, features=None).findings
    assert str(finding) == (
        "/usr/share/zoneinfo/**: nothing has the files of feature tz, time zones; what breaks: zoneinfo.ZoneInfo('Europe/Paris'); "
        "TZ=Europe/Paris is UTC without a word; name debian.packages: [tzdata] [feature]"
    )


def test_what_is_nowhere_is_an_error_where_the_recipe_names_it() -> None:
    with pytest.raises(
        ImageFailed, match=r"prune\.features names kerberos, and nothing that the image is made from has"
    ) as caught:
        prune(base=Tree(), build=BUILD, **named("tz", "kerberos"))
    assert caught.value.where == place(21)
    assert "libkrb5-3" in (caught.value.hint or "")


def test_what_the_runtime_has_is_not_brought_again() -> None:
    base = tree(
        {**GLIBC, "/usr/share/zoneinfo/UTC": b"TZif", BUNDLE: b"own", "/usr/lib/locale/C.utf8/LC_CTYPE": b"own"}
    )
    found = added(base=base)
    assert not any(path.startswith(("/usr/share/zoneinfo", BUNDLE, "/usr/lib/locale")) for path in found)
    assert "/usr/lib/ssl/cert.pem" in found


def test_what_packages_bring_is_not_brought_again() -> None:
    packages = {"/usr/share/zoneinfo/UTC": b"TZif"}
    found = prune(base=Tree(), build=BUILD, packages=packages, features=None)
    assert not any(path.startswith("/usr/share/zoneinfo") for path in layer(found, "python"))
    assert "tz" in found.features


def test_packages_come_before_the_base_build() -> None:
    found = prune(base=Tree(), build=BUILD, package_supply={BUNDLE: b"newer"}, **named("ca"))
    python = dict(found.layers)["python"]
    assert content(python.under(BUNDLE)) == {BUNDLE: "newer"}
    assert python["/usr/lib/ssl/cert.pem"].target == BUNDLE


def test_drop_beats_a_feature() -> None:
    rules = {"drop": globs("/usr/share/zoneinfo/**")}
    assert not any("zoneinfo" in path for path in added(**rules))
    with pytest.raises(ImageFailed, match="names tz"):
        prune(base=Tree(), build=BUILD, **rules, **named("tz"))


def test_a_link_is_made_where_libcrypto_looks() -> None:
    """Also for a wheel's own libcrypto, which was built for a folder that no image has."""
    wheel = {
        f"{SITE}/x{TAG}": shared(needs=("libcrypto-1a2b.so.3",), runpath="$ORIGIN/x.libs"),
        f"{SITE}/x.libs/libcrypto-1a2b.so.3": shared(
            soname="libcrypto-1a2b.so.3", tail=b'\0OPENSSLDIR: "/host/build"\0'
        ),
    }
    found = prune(wheel, base=Tree(), build=BUILD, features=None)
    assert dict(found.layers)["wheels"]["/host/build/cert.pem"].target == BUNDLE
    build = {path: row for path, row in BUILD.items() if path != "/usr/lib/ssl/cert.pem"}
    assert (
        dict(prune(base=Tree(), build=build, **named("ca")).layers)["python"]["/usr/lib/ssl/cert.pem"].target == BUNDLE
    )


def test_modules_that_openssl_cnf_names() -> None:
    config = b"[provider]\nmodule = fips\n.include fipsmodule.cnf\n[engine]\ndynamic_path = /opt/engine.so\n"
    build = BUILD | {
        "/etc/ssl/openssl.cnf": config,
        f"{LIB}/ossl-modules/fips.so": shared(needs=("libcrypto.so.3",)),
        "/usr/lib/ssl/fipsmodule.cnf": b"mac",
        "/opt/engine.so": shared(needs=("libextra.so.1",)),
    }
    found = prune(base=Tree(), build=build, **named("openssl_legacy"))
    assert {f"{LIB}/ossl-modules/fips.so", "/usr/lib/ssl/fipsmodule.cnf", "/opt/engine.so"} <= set(
        layer(found, "python")
    )

    why = str(dict(found.whys)["/opt/engine.so"])
    assert why.startswith("/usr/lib/ssl/openssl.cnf names /opt/engine.so <- feature openssl_legacy")


def test_names_are_kept_where_the_runtime_has_folders_of_its_own() -> None:
    """/lib is a link in Debian and a folder in busybox: both libtinfo look in /lib/terminfo."""
    base = tree(
        {path.replace("/usr/lib64", "/lib64"): row for path, row in GLIBC.items() if path not in ("/lib", "/lib64")}
    )
    base = base.merge(tree({"/lib/own": b""}))
    found = prune(base=base, build=BUILD, **named("terminfo"))
    python = dict(found.layers)["python"]
    assert (python["/lib/terminfo/x/xterm"].target, "/usr/lib/terminfo/x/xterm" in python) == (
        "/usr/lib/terminfo/x/xterm",
        True,
    )


def test_only_what_is_wanted_is_read_of_the_image() -> None:
    far = {path: row for path, row in FILES.items() if path.startswith(FAR)}
    build = {path: row for path, row in BUILD.items() if path not in far and "zoneinfo" not in path}
    asked: list[str] = []
    found = prune(base=Tree(), build=build, more=far, asked=asked, features=None)
    assert sorted(asked) == [
        "/etc/localtime",
        "/etc/terminfo",
        "/usr/lib/locale/C.UTF-8",
        "/usr/lib/locale/C.utf8",
        "/usr/lib/ssl/cert.pem",
        "/usr/lib/ssl/openssl.cnf",
        "/usr/lib/terminfo",
        "/usr/share/terminfo",
        "/usr/share/zoneinfo",
    ]
    assert "/usr/share/zoneinfo/Europe/Paris" in layer(found, "python")
    assert found.findings == ()
    asked.clear()
    prune(base=Tree(), build=build, more=far, asked=asked, **named("tz"))
    assert sorted(asked) == ["/etc/localtime", "/usr/share/zoneinfo"]
    asked.clear()
    prune(base=Tree(), build=build, more=far, asked=asked, **named())
    assert asked == []


def test_the_same_every_time() -> None:
    first, second = (prune(base=Tree(), build=build, features=None) for build in (BUILD, dict(reversed(BUILD.items()))))
    assert first == second
