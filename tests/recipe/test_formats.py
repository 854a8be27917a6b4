"""Formats and units: what passes and what does not, one table each."""

from __future__ import annotations

import re
import signal

import pytest

from slimrun.recipe.formats import FORMATS, SIGNALS
from slimrun.recipe.units import parse_duration, parse_size

GOOD = {
    "port": ["1", "65535", "53/udp"],
    "user": ["0", "65532:65532", "4294967294", "app:app"],
    "volume": ["/data", "/a/b"],
    "absolute-glob": ["/", "/**", "/a/**/b", "/a/[ab]*.so", "/a/[!a]", "/a/[]a]", "/a?"],
    "absolute-path": ["/", "/a b/c"],
    "debian-package": ["libpq5", "libstdc++6", "python3.11=3.11.2-6+deb12u5"],
    "distribution": ["a", "psycopg2-binary", "zope.interface"],
    "duration": ["60s", "1.5h", "500ms", "2 m", "168h"],
    "engine-address": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "ssh://me@host"],
    "git-ref": ["v3.12.4", "main", "feature/x", "0123abc", "refs/heads/3.11", "HEAD", "a@b", "v1.0+x"],
    "git-repository": [
        *(
            "https://github.com/python/cpython",
            "ssh://git@example.org/x.git",
            "git://127.0.0.1:9418/x",
            "file:///srv/x",
        ),
        *("git@github.com:python/cpython.git", "./cpython", "../cpython", "/srv/cpython.git"),
    ],
    "image-prefix": ["docker.io", "127.0.0.1:5000/hub", "docker.io/library/"],
    "image-reference": ["python:3.7-slim"],
    "image-tag": ["registry.example.org:5000/a/b:1"],
    "module": ["os", "os.path", "_ssl"],
    "python-regex": ["^a$", ""],
    "relative-glob": ["*.md", "a/**"],
    "relative-path": ["a", "../a", "./a/"],
    "runtime": ["scratch", "busybox:glibc"],
    "size": ["80MB", "1.5 GiB", "0B"],
    "signal": ["SIGTERM", "SIGINT", "15", "1", "64", "SIGRTMIN", "SIGRTMIN+3", "SIGRTMAX-14", "SIGCLD"],
    "soname": ["libz.so.1", "libfoo-12ab.so"],
    "specifier": [">=0.1,<2", ""],
    "url": ["https://pypi.org/simple", "ssh://git@example.org/x", "file:///srv/x"],
    "wheel-line": ["a", "a==1.0", "a[b]>=1; python_version>'3'", "./x.whl", "../d/x.whl", "./", "-r a.txt"],
}
BAD = {
    "port": ["65536", "99999/tcp"],
    "user": ["4294967295", "99999999999:1", "0:4294967295"],
    "volume": ["/", "//", "data"],
    "absolute-glob": ["", "a", "**", "/a/../b", "/a/**b", "/a/[b", "/[a/b]"],
    "absolute-path": ["", "a", "/a/..", "C:/"],
    "debian-package": ["", "A", "a b", "-x"],
    "distribution": ["", "a==1", "-a", "a-"],
    "duration": ["", "60", "s", "0s", "-1s", "1m30s", "1 day", "169h", "999999999999h", "1e3s", "٣s"],
    "engine-address": ["", "/var/run/docker.sock", "unix://", "ftp://x"],
    "git-ref": [
        *(
            "",
            "-f",
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "v3.*",
            "a?",
            "[a",
            "a\\b",
            "a/",
            "/a",
            "a//b",
            ".a",
            "a.",
            "x.lock",
        ),
        *("@", "a@{1}", "a\n", "refs/.x"),
    ],
    "git-repository": [
        *(
            "",
            "cpython",
            "github.com/python/cpython",
            "ext::sh -c x",
            "-x",
            "https://",
            "https://u:p@x.org/r",
            "https://u@x.org/r",
        ),
        *("ssh://git:secret@x.org/r", "ftp://x.org/r", "https://a b", "http://[x", "git@github.com:"),
    ],
    "image-prefix": ["", "https://x", "a b", "docker.io/python:3"],
    "image-reference": ["", "scratch", "Python"],
    "image-tag": ["a@sha256:" + "0" * 64, "scratch"],
    "module": ["", "import os", "a.", "a-b", "a/b"],
    "python-regex": ["(", "[", "a**", "a{99999999999}"],
    "relative-glob": ["", "/a", "../a", "a**"],
    "relative-path": ["", "/a"],
    "runtime": ["", "Scratch"],
    "size": ["", "80", "MB", "80mb", "-1MB", "80 M B", "1" * 13 + "B"],
    "signal": ["", "0", "65", "99", "SIGTEMR", "SIG", "TERM", "SIGRTMIN+16", "SIGRTMAX-15", "sigterm", "SIG15"],
    "soname": ["", "/lib/x", "a b"],
    "specifier": ["1.0", "new"],
    "url": ["", "pypi.org", "https://", "https://u:p@x.org", "https://a b", "javascript:1", "http://[x"],
    "wheel-line": ["", "a b", "-e .", "-r", "-r /a", "--index-url x", "x.whl", "/x.whl", ".", "./x", "a @ https://x/y"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_good(name: str) -> None:
    assert [text for text in GOOD[name] if FORMATS[name](text) is not None] == []


@pytest.mark.parametrize("name", FORMATS)
def test_bad(name: str) -> None:
    assert [text for text in BAD[name] if not FORMATS[name](text)] == []


def test_signals_are_the_kernel_s() -> None:
    """Every name that Python knows here is known; numbers of names lie in the range."""
    names = {item.name for item in signal.Signals} | {
        item for item in dir(signal) if re.fullmatch("SIG[A-Z]+[0-9]?", item)
    }
    assert names <= SIGNALS
    assert {int(item) for item in signal.valid_signals()} <= set(range(1, 65))
    assert "did you mean 'SIGTERM'?" in str(FORMATS["signal"]("SIGTEMR"))


def test_sizes() -> None:
    assert [parse_size(text) for text in ("80MB", "64MiB", "1.5kB", "0.5 KiB")] == [80_000_000, 67_108_864, 1500, 512]


def test_durations() -> None:
    assert [parse_duration(text) for text in ("60s", "2m", "1.5h", "500ms")] == [60.0, 120.0, 5400.0, 0.5]
