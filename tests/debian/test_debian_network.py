"""Debian's own mirror: `pytest -m network`, and always where SLIMRUN_CI is 1.

The cache is one for the whole module, so that an index or a package is read once.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from worlds import texts

from slimrun.cache.store import Cache
from slimrun.debian.archive import Archive, sources_of
from slimrun.debian.depends import closure
from slimrun.debian.effects import BUNDLE
from slimrun.debian.keyring import debian_keyring
from slimrun.debian.openpgp import verify_clearsigned
from slimrun.debian.packages import Index, open_index
from slimrun.debian.release import open_release
from slimrun.debian.resolve import resolve_debian
from slimrun.debian.universe import Universe
from slimrun.debian.unpack import Unpacked, open_packages
from slimrun.errors import BadSignature, PackageNotFound
from slimrun.events import silent
from slimrun.fetch.network import Network
from slimrun.python.interpreter import find_interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from slimrun.debian.pins import DebPin

pytestmark = pytest.mark.network

# Chosen once, from packages that images are made with to some whose dependencies are long and full of alternatives.
PACKAGES = [
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "emacs-nox",
    "exim4-daemon-light",
    "ffmpeg",
    "g++",
    "gawk",
    "gcc",
    "git",
    "imagemagick",
    "libmagic1",
    "libpq5",
    "mawk",
    "nginx",
    "nodejs",
    "openjdk-17-jre-headless",
    "perl",
    "postgresql-client",
    "python3",
    "python3-cryptography",
    "python3-django",
    "python3-flask",
    "python3-matplotlib",
    "python3-numpy",
    "python3-pandas",
    "python3-psycopg2",
    "python3-scipy",
    "python3-venv",
    "ruby",
    "tzdata",
    "vim-tiny",
]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("debian"))


def reach(cache: Cache) -> Archive:
    return Archive(network=Network(), cache=cache, emit=silent)


def resolve(shared: Cache, *names: str, suite: str = "bookworm", architecture: str = "amd64") -> tuple[DebPin, ...]:
    return resolve_debian(texts(*names), suite, architecture, reach(shared))


def unpack(shared: Cache, *names: str, suite: str = "bookworm", architecture: str = "amd64") -> Unpacked:
    pins = resolve(shared, *names, suite=suite, architecture=architecture)
    return open_packages(pins, reach(shared), asked=texts(*names))


@pytest.fixture(scope="module")
def bookworm(shared: Cache) -> tuple[Index, ...]:
    keys, now = debian_keyring(), datetime.now(UTC)
    found: list[Index] = []
    for source in sources_of("bookworm", None):
        release = open_release(source, reach(shared), keyring=keys, now=now, snapshot=False)
        found += open_index(release, "amd64", reach(shared))
    return tuple(found)


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie", "sid"])
def test_signatures(suite: str, tmp_path: Path) -> None:
    """All that sign are known and right, by us and by gpgv, to the fingerprint, Ed25519 too."""
    for source in sources_of(suite, None):
        data = reach(Cache(tmp_path)).read(f"{source.folder}/InRelease")
        signed = verify_clearsigned(data, debian_keyring(), what=source.suite, now=datetime.now(UTC))
        ours = {key.fingerprint for key in signed.keys}
        with pytest.raises(BadSignature):
            verify_clearsigned(data.replace(b"Origin: Debian", b"Origin: Debiam"), debian_keyring(), what="x", now=None)
        file = tmp_path / "InRelease"
        file.write_bytes(data)
        if shutil.which("gpgv") is None:
            continue
        command = ["gpgv", "--homedir", str(tmp_path), "--status-fd", "1", "--keyring", KEYRING, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ours == set(re.findall(r"VALIDSIG (\S+)", done.stdout))


class Apt:
    """apt-get on an empty system of this suite, which only says what it would do."""

    def __init__(self, root: Path, suite: str) -> None:
        for folder in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg"):
            (root / folder).mkdir(parents=True)
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        status = root / "var/lib/dpkg/status"
        status.touch()
        (root / "etc/apt/sources.list").write_text(
            "".join(
                f"deb [signed-by={KEYRING}] {source.root} {source.suite} main\n" for source in sources_of(suite, None)
            )
        )
        options = (f"Dir={root}", f"Dir::State::status={status}", "APT::Architecture=amd64", "APT::Sandbox::User=root")
        self._command = ["apt-get", *(word for option in options for word in ("-o", option))]
        subprocess.run([*self._command, "update", "-qq"], check=True, capture_output=True)

    def install(self, name: str) -> set[tuple[str, str]]:
        words = ("install", "-s", "-qq", "--no-install-recommends", name)
        done = subprocess.run([*self._command, *words], check=True, capture_output=True, text=True)
        return set(re.findall(r"^Inst (\S+) \((\S+) ", done.stdout, re.MULTILINE))


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="cannot be had here: apt-get")
def test_as_apt(bookworm: tuple[Index, ...], tmp_path: Path) -> None:
    """Names and versions of the whole closure, for each of 33 packages."""
    universe, different = Universe("bookworm", "amd64", bookworm), {}
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(Apt(tmp_path, "bookworm").install, PACKAGES)
    for name, theirs in zip(PACKAGES, answers, strict=True):
        ours = {(one.name, one.version) for one in closure(texts(name), universe)}
        if ours != theirs:
            different[name] = (sorted(ours - theirs), sorted(theirs - ours))
    assert different == {}


@pytest.mark.parametrize(("suite", "series"), [("bullseye", "3.9"), ("bookworm", "3.11"), ("trixie", "3.13")])
def test_python(suite: str, series: str, shared: Cache) -> None:
    found = unpack(shared, "python3", suite=suite)
    python = find_interpreter(found.named.merge(found.dependencies))
    assert (python.path, python.series, python.debian) == (f"/usr/bin/python{series}", series, True)
    why = found.whys[python.path]
    assert why.text.startswith(f"python{series}-minimal ")
    assert str(why).endswith("python3 (recipe.yaml:5:5)")


def test_other_architecture(shared: Cache) -> None:
    found = unpack(shared, "python3", architecture="arm64")
    assert find_interpreter(found.named.merge(found.dependencies)).arch == "aarch64"
    assert "/usr/lib/aarch64-linux-gnu/libssl.so.3" in found.dependencies


def test_many_packages_in_one_tree(shared: Cache) -> None:
    """No two of them clash, links of alternatives lead somewhere, and a second opening decompresses nothing."""
    names = (
        "python3-psycopg2",
        "python3-numpy",
        "ca-certificates",
        "gawk",
        "mawk",
        "bash",
        "coreutils",
        "base-files",
        "dash",
    )
    found = unpack(shared, *names)
    tree = found.named.merge(found.dependencies)
    places = {
        "/bin/sh": "/usr/bin/dash",
        "/usr/bin/awk": "/usr/bin/gawk",
        "/usr/lib/x86_64-linux-gnu/libblas.so.3": "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0",
        "/lib64/ld-linux-x86-64.so.2": "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        "/usr/lib/ssl/cert.pem": BUNDLE,
        "/etc/os-release": "/usr/lib/os-release",
    }
    assert {path: resolved.path for path in places if (resolved := tree.resolve(path))} == places
    assert tree.read(BUNDLE).count(b"BEGIN CERTIFICATE") > 100
    assert "/usr/share/doc/python3-psycopg2/copyright" in found.named
    assert "/var/lib/dpkg/status.d/libssl3" in found.dependencies
    start = time.process_time()
    assert unpack(shared, *names) == found
    assert time.process_time() - start < 6


def test_a_version_that_is_gone(shared: Cache) -> None:
    with pytest.raises(PackageNotFound) as caught:
        resolve(shared, "python3=3.0-1")
    assert "it has 3.11" in caught.value.hint
