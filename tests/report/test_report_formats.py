"""A report in its four formats: nothing is forgotten, nothing of a recipe becomes markup, and the bytes are always the same."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.treetext import tree

from slimrun.recipe.schema import choices, load_schema
from slimrun.report.formats import FORMATS, render
from slimrun.report.packages import DebianPackage, debian_packages
from slimrun.report.sbom import to_sbom

REPORT: dict[str, Any] = {
    "version": 1,
    "slimrun": "0.1.0",
    "image": "app",
    "digest": "sha256:" + "c" * 64,
    "tags": ["app:latest", "r.example.org/app:1"],
    "size": 30,
    "pins": [{"reference": "python:3.11-slim", "digest": "sha256:" + "d" * 64, "platform": "linux/amd64"}],
    "commits": [{"repo": "https://example.org/cpython.git", "ref": "v3.11.2", "commit": "c" * 40}],
    "layers": [{"name": "base", "diff_id": "sha256:aa", "size": 10}, {"name": "python", "diff_id": "sha256:bb", "size": 20}],
    "python": "3.11.2",
    "packages": [{"name": "libstdc++6", "version": "1:12.2.0-14+deb12u1", "arch": "amd64", "source": "gcc-12"}],
    "distributions": [{"name": "Zope.Interface", "version": "1.0+local"}, {"name": "click", "version": "8.1"}],
    "files": [
        {"path": "/a<b>", "size": 3, "layer": "python", "why": [{"rule": "x", "text": "<script>&", "where": "r.yaml:1:2"}]},
        {"path": "/big", "size": 20, "layer": "wheels", "why": [
            {"rule": "x", "text": "needed", "where": ""}, {"rule": "y", "text": "root", "where": ""}]},
        {"path": "/none", "size": 0, "layer": "base", "why": []},
    ],
    "removed": [{"path": "/gone", "size": 7, "why": [{"rule": "z", "text": "nobody reads it", "where": ""}]}],
    "checks": [
        {"name": "libraries", "ok": True, "skipped": "", "detail": "3 of 3", "where": ""},
        {"name": "import x", "ok": False, "skipped": "no namespaces", "detail": "", "where": ""},
    ],
    "warnings": ["careful & slow"],
}  # fmt: skip

TEXT = f"""app  sha256:{"c" * 64}
tags: app:latest, r.example.org/app:1

layer   bytes  diff_id
base    10     sha256:aa
python  20     sha256:bb
total  30

made from: python:3.11-slim (sha256:{"d" * 64})
compiled from: v3.11.2 of https://example.org/cpython.git ({"c" * 40})
CPython: 3.11.2
distributions: Zope.Interface 1.0+local, click 8.1
Debian packages: libstdc++6 1:12.2.0-14+deb12u1

the 2 largest of 2 files on the base:
bytes  path   because
20     /big   needed
3      /a<b>  <script>&

1 paths were left out (7 bytes)
check ok: libraries (3 of 3)
check skipped: import x
warning: careful & slow
"""


def test_text() -> None:
    assert render(REPORT, "app", "text") == ("app.txt", TEXT)


def test_json_is_the_report() -> None:
    name, text = render(REPORT, "app", "json")
    assert (name, json.loads(text)) == ("app.json", REPORT)


class Page(HTMLParser):
    """The tags that are open, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs), "it needs nothing else"
        if tag not in ("meta", "br"):
            self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_is_a_page_of_text() -> None:
    name, text = render(REPORT, "app", "html")
    assert name == "app.html"
    page = Page()
    page.feed(text)
    page.close()
    assert page.tags == []
    assert "script" not in page.seen
    for word in (
        "/a<b>",
        "<script>& (r.yaml:1:2)",
        "needed; root",
        "/gone",
        "nobody reads it",
        "careful & slow",
        "skipped: import x",
    ):
        assert word in page.text, word


def test_sbom() -> None:
    name, text = render(REPORT, "app", "sbom")
    value = json.loads(text)
    assert name == "app.cdx.json"
    assert (value["bomFormat"], value["specVersion"], value["version"]) == ("CycloneDX", "1.5", 1)
    assert [item.get("purl") for item in value["components"]] == [
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64",
        f"pkg:generic/cpython@{'c' * 40}?vcs_url=git%2Bhttps%3A%2F%2Fexample.org%2Fcpython.git%40{'c' * 40}",
        "pkg:generic/python@3.11.2",
        "pkg:pypi/click@8.1",
        "pkg:pypi/zope-interface@1.0%2Blocal",
        None,
    ]
    refs = [item["bom-ref"] for item in value["components"]]
    assert len(set(refs)) == len(refs)
    assert refs == sorted(refs)
    assert value["metadata"]["component"]["version"] == REPORT["digest"]
    assert to_sbom(REPORT) == text
    assert to_sbom(REPORT | {"digest": "sha256:" + "e" * 64}) != text
    bare = json.loads(to_sbom(REPORT | {"python": "", "packages": [], "distributions": [], "pins": [], "commits": []}))
    assert bare["components"] == []


def test_every_format_of_slim_yaml() -> None:
    wanted = choices(load_schema("slim")["properties"]["report"]["properties"]["formats"]["items"])
    assert set(wanted) == set(FORMATS)
    endings = [render(REPORT, "x", kind)[0] for kind in FORMATS]
    assert len(set(endings)) == len(FORMATS)


STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u9
Description: the library
 Version: not this
 .

Package: removed
Status: deinstall ok config-files
Version: 1

Package: nameless-version

Package: held
Status: hold ok installed
Version: 3
Architecture: all
"""


def test_packages() -> None:
    rows: dict[str, str | bytes] = {
        "/var/lib/dpkg/status": STATUS.encode(),
        "/var/lib/dpkg/status.d/libssl3": b"Package: libssl3\nSource: openssl\nVersion: 3.0.17-1\nArchitecture: amd64\n",
        "/var/lib/dpkg/status.d/libssl3.md5sums": b"Package: no\nVersion: 1\n",
        "/var/lib/dpkg/status.d/libc6": b"Package: libc6\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u9\nArchitecture: amd64\n",
        "/var/lib/dpkg/status.d/bad": b"\xff\xfe\0",
        "/var/lib/dpkg/status.d/link": "symlink libc6",
    }
    assert debian_packages(tree(rows)) == (
        DebianPackage(name="held", version="3", arch="all", source="held"),
        DebianPackage(name="libc6", version="2.36-9+deb12u9", arch="amd64", source="glibc"),
        DebianPackage(name="libssl3", version="3.0.17-1", arch="amd64", source="openssl"),
    )
    assert debian_packages(tree({})) == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_bytes_every_time(kind: str) -> None:
    assert render(REPORT, "x", kind) == render(json.loads(json.dumps(REPORT)), "x", kind)
