"""Features in images: the probe of each fails without the feature's files and passes with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from slimrun.prune.features import DEFAULTS, FEATURES, NAMES
from tests.docker.conftest import docker, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.docker.conftest import Slimrun

# Each runs in a process of its own, where `ctypes` is there; one that ends with another status than 0 has failed.
PROBES = {
    "libgcc_s": """
import os, threading, time
threading.Thread(target=lambda: ctypes.CDLL(None).pthread_exit(None), daemon=True).start()
time.sleep(0.3)
os._exit(0)
""",
    "ca": """
import ssl
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
""",
    "find_library": """
import ctypes.util
assert ctypes.util.find_library("ssl") == "libssl.so.3"
assert ctypes.util.find_library("c") == "libc.so.6"
assert ctypes.util.find_library("nothing") is None
""",
    "gconv": """
libc = ctypes.CDLL(None)
libc.iconv_open.restype = libc.iconv.restype = ctypes.c_size_t
for name, data in ((b"ISO-8859-1", b"\\xe9"), (b"WINDOWS-1252", b"\\xe9"), (b"UTF-16LE", b"\\xe9\\0"), (b"LATIN-9", b"\\xe9")):
    cd = libc.iconv_open(b"UTF-8", name)
    assert cd != ctypes.c_size_t(-1).value, name
    source, target = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(8)
    here, there = ctypes.c_void_p(ctypes.addressof(source)), ctypes.c_void_p(ctypes.addressof(target))
    left, room = ctypes.c_size_t(len(data)), ctypes.c_size_t(8)
    assert libc.iconv(ctypes.c_void_p(cd), *map(ctypes.byref, (here, left, there, room))) == 0, name
    assert target.value.decode() == "\\u00e9", name
""",
    "kerberos": """
plugin = ctypes.CDLL("/usr/lib/x86_64-linux-gnu/krb5/plugins/preauth/spake.so")
assert plugin.clpreauth_spake_initvt
""",
    "locale": """
import locale
assert locale.setlocale(locale.LC_ALL, "C.UTF-8") == "C.UTF-8"
libc = ctypes.CDLL(None)
assert libc.wctob(libc.towupper(0xe9)) and libc.towupper(0xe9) == 0xc9
""",
    "nss": """
import socket
assert socket.getservbyname("https", "tcp") == 443
assert socket.getprotobyname("tcp") == 6
""",
    "openssl_legacy": """
crypto = ctypes.CDLL("libcrypto.so.3")
crypto.OSSL_PROVIDER_load.restype = crypto.EVP_MD_fetch.restype = ctypes.c_void_p
assert crypto.OSSL_PROVIDER_load(None, b"legacy")
assert crypto.EVP_MD_fetch(None, b"MD4", None)
""",
    "pkcs11": """
p11 = ctypes.CDLL("libp11-kit.so.0")
p11.p11_kit_modules_load_and_initialize.restype = ctypes.POINTER(ctypes.c_void_p)
assert p11.p11_kit_modules_load_and_initialize(0)[0]
""",
    "sasl": """
sasl = ctypes.CDLL("libsasl2.so.2")
sasl.sasl_global_listmech.restype = ctypes.POINTER(ctypes.c_char_p)
assert sasl.sasl_client_init(None) == 0
found = []
for name in sasl.sasl_global_listmech():
    if name is None:
        break
    found.append(name)
assert b"PLAIN" in found and b"SCRAM-SHA-256" in found, found
""",
    "terminfo": """
import curses
for name in ("xterm", "xterm-256color", "screen", "tmux-256color", "linux", "vt100", "dumb"):
    curses.setupterm(name, 1)
""",
    "tz": """
import os, time, zoneinfo
assert str(zoneinfo.ZoneInfo("Europe/Paris").utcoffset(__import__("datetime").datetime(2020, 7, 1))) == "2:00:00"
os.environ["TZ"] = "Europe/Paris"
time.tzset()
assert time.tzname == ("CET", "CEST")
""",
}
RUNNER = """
import ctypes, json, os, sys
probes = json.loads(sys.argv[1])
done = {}
for name, code in probes.items():
    child = os.fork()
    if not child:
        status = 1
        try:
            exec(code)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    done[name] = os.waitpid(child, 0)[1] == 0
print(json.dumps(done))
"""
BOOKWORM = """name: {name}
python: {{debian: {{suite: bookworm}}}}
debian: {{packages: [libp11-kit0, libsasl2-2]}}
runtime: scratch
prune: {{features: [{features}]}}
"""
OFFICIAL = """name: {name}
python: {{image: 'python:3.11-slim'}}
prune: {{features: [{features}]}}
"""
BULLSEYE = """name: {name}
python: {{debian: {{suite: bullseye}}}}
runtime: scratch
prune: {{features: [{features}]}}
"""


def image(slimrun: Slimrun, folder: Path, text: str, name: str, features: tuple[str, ...]) -> str:
    """An image with just these features."""
    recipe = write_recipe(folder, text.format(name=name, features=", ".join(features)), f"{name}.yaml")
    done = slimrun(recipe)
    assert done.code == 0, done.text
    return name


def probe(name: str, *options: str, only: tuple[str, ...] = tuple(PROBES)) -> dict[str, bool]:
    """How each probe went, all in one container."""
    probes = json.dumps({key: PROBES[key] for key in only})
    ran = docker(
        "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", *options, name, "-c", RUNNER, probes
    )
    found: dict[str, bool] = json.loads(ran.out)
    return found


def test_every_feature_has_a_probe() -> None:
    assert set(PROBES) == {each.name for each in FEATURES}


@pytest.mark.network
def test_debian_s_python_on_nothing(slimrun: Slimrun, tmp_path: Path) -> None:
    bare = probe(image(slimrun, tmp_path, BOOKWORM, "features-none", ()))
    assert bare == {name: name == "libgcc_s" for name in PROBES}
    whole = probe(image(slimrun, tmp_path, BOOKWORM, "features-all", NAMES))
    assert whole == dict.fromkeys(PROBES, True)


def test_an_official_copy_on_busybox(slimrun: Slimrun, tmp_path: Path) -> None:
    """Its glibc is another than the base build's: character sets of that one are not brought."""
    wanted = tuple(name for name in DEFAULTS if name != "gconv")
    bare = probe(image(slimrun, tmp_path, OFFICIAL, "official-none", ()), only=wanted)
    assert bare == dict.fromkeys(wanted, False)
    whole = probe(image(slimrun, tmp_path, OFFICIAL, "official-default", wanted), only=wanted)
    assert whole == dict.fromkeys(wanted, True)


def test_libgcc_s_is_what_lets_threads_end(slimrun: Slimrun, tmp_path: Path) -> None:
    name = image(slimrun, tmp_path, OFFICIAL, "official-none", ())
    path = "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"
    assert probe(name, only=("libgcc_s",)) == {"libgcc_s": True}
    assert probe(name, "--volume", f"/dev/null:{path}:ro", only=("libgcc_s",)) == {"libgcc_s": False}


@pytest.mark.network
def test_before_glibc_2_34_names_are_looked_up_by_modules(slimrun: Slimrun, tmp_path: Path) -> None:
    program = "import pwd, socket; print(pwd.getpwuid(0).pw_name, socket.getaddrinfo('localhost', 1)[0][4][0])"
    bare = image(slimrun, tmp_path, BULLSEYE, "bullseye-none", ())
    failed = docker("run", "--rm", "--network", "none", bare, "-c", program, check=False)
    assert failed.code == 1
    assert "KeyError" in failed.err
    whole = image(slimrun, tmp_path, BULLSEYE, "bullseye-nss", ("nss",))
    ran = docker("run", "--rm", "--network", "none", whole, "-c", program)
    assert ran.out.split()[0] == "root"


def test_names_that_sources_open(slimrun: Slimrun, tmp_path: Path) -> None:
    """libaudit is in the base build, and nothing needs it but a line of Python."""
    (tmp_path / "app.py").write_text(
        "import ctypes\nprint(ctypes.CDLL('libaudit.so.1').audit_open)\n"
        "def load(name):\n    return ctypes.CDLL(name)\nctypes.CDLL('libnowhere.so.1') if 0 else None\n"
    )
    files = "files: [{from: app.py, to: /app.py}]\nverify: {run: [{cmd: [/app.py]}]}\n"
    text = f"name: opens\npython: {{image: 'python:3.11-slim'}}\n{files}"
    done = slimrun(write_recipe(tmp_path, text, "opens.yaml"))
    assert done.code == 0, done.text
    assert "/app.py: line 4 opens a library whose name is computed" in done.text
    assert "/app.py: line 5 opens libnowhere.so.1 at run time, which nothing" in done.text
    explained = slimrun("explain", "opens", "/usr/lib/**/libaudit.so.1*")
    assert "because /app.py:2 opens libaudit.so.1" in explained.out
    assert "opens.yaml:3:" in explained.out


def test_a_feature_that_nothing_has(slimrun: Slimrun, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, OFFICIAL.format(name="nothing", features="tz, sasl"))
    done = slimrun(recipe)
    assert done.code == 2, done.text
    assert (
        f"{recipe}:3:24: error: prune.features names sasl, and nothing that the image is made from has its files"
        in done.text
    )
    assert "debian.packages: [libsasl2-2, libsasl2-modules]" in done.text
    assert "Traceback" not in done.text
