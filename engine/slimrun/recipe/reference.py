"""Image references: `python:3.7-slim` means `docker.io/library/python:3.7-slim`, and may be fetched from a mirror."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LAYOUT, ARCHIVE = "oci:", "docker-archive:"
_DOCKER_HUB = "docker.io"
_HUB_ALIASES = ("docker.io", "index.docker.io", "registry-1.docker.io")
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?::\d+)?")
_HOST_V6 = re.compile(r"\[[0-9a-fA-F:]+\](?::\d+)?")
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An image's canonical address; neither tag nor digest means `latest`, and a digest wins over a tag."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        """`docker.io/library/python:3.7-slim`: the form that locks hold and mirrors are matched against."""
        tag = "latest" if self.tag is None and self.digest is None else self.tag
        tail = (f":{tag}" if tag else "") + (f"@{self.digest}" if self.digest else "")
        return f"{self.registry}/{self.repository}{tail}"


def parse_reference(text: str) -> Reference:
    """`[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, Docker's grammar; raises ValueError that says what is wrong."""
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        message = f"'{digest}' is not a digest (sha256: and 64 hexadecimal digits)"
        raise ValueError(message)
    host, slash, path = rest.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
        host, path = _DOCKER_HUB, rest
    path, colon, tag = path.partition(":")
    if not (_HOST.fullmatch(host) or _HOST_V6.fullmatch(host)):
        message = f"'{host}' is not a registry's host name"
        raise ValueError(message)
    if colon and not _TAG.fullmatch(tag):
        message = f"'{tag}' is not a tag (letters, digits, '.', '_' and '-', at most 128)"
        raise ValueError(message)
    if len(path) > 255 or not _PATH.fullmatch(path):
        message = f"'{path}' is not an image's name (small letters, digits and single separators '.', '_', '-', '/')"
        raise ValueError(message)
    if host in _HUB_ALIASES:
        host, path = _DOCKER_HUB, path if "/" in path else f"library/{path}"
    return Reference(registry=host, repository=path, tag=tag or None, digest=digest or None)


def is_file(text: str) -> bool:
    """Whether a reference names a file of this machine rather than an image of a registry."""
    return text.startswith((LAYOUT, ARCHIVE))


def split_file(text: str) -> tuple[str, str, str]:
    """`oci:FOLDER:TAG` → (`oci:`, FOLDER, TAG); a tag is what follows the last colon and holds no slash."""
    kind = LAYOUT if text.startswith(LAYOUT) else ARCHIVE
    path = text.removeprefix(kind)
    head, colon, tag = path.rpartition(":")
    return (kind, head, tag) if kind == LAYOUT and colon and "/" not in tag else (kind, path, "")


def from_folder(text: str, folder: Path) -> str:
    """The same reference, a relative path in it made absolute from `folder`."""
    if not is_file(text):
        return text
    kind, path, tag = split_file(text)
    return f"{kind}{(folder / path).resolve()}" + (f":{tag}" if tag else "")


def repository(text: str, folder: Path) -> str:
    """The address of a git repository, or a path made absolute from `folder`."""
    return str((folder / text).resolve()) if text.startswith(("./", "../", "/")) else text


def canonical(text: str) -> str:
    """`python:3.7-slim` → `docker.io/library/python:3.7-slim`; raises ValueError for what is no reference."""
    return str(parse_reference(text))


def mirror(reference: str, mirrors: tuple[tuple[str, str], ...]) -> str:
    """The address to fetch `reference` from: the longest (prefix, replacement) whose prefix ends at a `/`, `:` or `@`.

    Prefixes are matched against the canonical form: `docker.io`, `docker.io/library`, `docker.io/library/python`.
    """
    address = canonical(reference)
    fitting = [pair for pair in mirrors if begins_with(address, pair[0])]
    if not fitting:
        return address
    prefix, replacement = max(fitting, key=lambda pair: len(pair[0].rstrip("/")))
    return replacement.rstrip("/") + address[len(prefix.rstrip("/")) :]


def begins_with(address: str, prefix: str) -> bool:
    """Whether a canonical address lies below a prefix: `docker.io/library` has `…/python:3`, and not `…/librarypython:3`."""
    prefix = prefix.rstrip("/")
    ends = ("/", ":", "@", "") if "/" in prefix else ("/",)  # after a bare host, ':' would begin a port
    return address.startswith(prefix) and address[len(prefix) : len(prefix) + 1] in ends
