"""The wheels that an index lists for a name: PEP 503 (HTML), PEP 691 (JSON), and folders of either as file://."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from slimrun.errors import DownloadFailed
from slimrun.fetch.http import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.tags import Tag
    from packaging.version import Version

    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One wheel of an index; `requires_python` is the text of its Requires-Python, or empty."""

    filename: str
    version: Version
    tags: frozenset[Tag]
    requires_python: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the first index that knows a name has of it: its wheels, and whether there are files that are no wheels."""

    index: str
    wheels: tuple[Listed, ...]
    sdists: tuple[str, ...]


def listing(name: str, indexes: Indexes, network: Network) -> Listing | None:
    """The files of a distribution in the first index that has it, or None; raises IndexUnreachable."""
    for url in indexes.urls:
        page = _page(f"{url}/{canonicalize_name(name)}/", network)
        if page is not None:
            files = parse(*page)
            wheels = (_listed(filename, python) for filename, python in files)
            known = {name for name, _ in files}
            return Listing(
                index=url,
                wheels=tuple(wheel for wheel in wheels if wheel is not None),
                sdists=tuple(sorted(name for name in known if name.endswith((".tar.gz", ".zip", ".tar.bz2")))),
            )
    return None


def parse(data: bytes, content_type: str) -> Sequence[tuple[str, str]]:
    """(file name, Requires-Python) of every file on a page that was not withdrawn; DownloadFailed for other JSON."""
    if "json" in content_type:
        try:
            files = json.loads(data)["files"]
            return [(file["filename"], file.get("requires-python") or "") for file in files if not file.get("yanked")]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = "the package index's answer is not what PEP 691 describes"
            raise DownloadFailed(msg, hint="check pip.index in the recipe") from error
    reader = _Links()
    reader.feed(data.decode("utf-8", "replace"))
    return reader.files


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href") and "data-yanked" not in values:
            name = unquote(urlsplit(values["href"] or "").path).rpartition("/")[2]
            self.files.append((name, values.get("data-requires-python") or ""))


def _listed(filename: str, requires_python: str) -> Listed | None:
    try:
        _, version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return None
    return Listed(filename=filename, version=version, tags=tags, requires_python=requires_python)


def _page(url: str, network: Network) -> tuple[bytes, str] | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        try:
            return (Path(unquote(parts.path)) / "index.html").read_bytes(), "text/html"
        except OSError:
            return None
    try:
        return read(url, network=network, accept=ACCEPT)
    except DownloadFailed:
        return None
