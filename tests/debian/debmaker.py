"""Small `.deb` files, and an archive that serves them, signed."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopback import Answer
from signing import signer
from zstandard import ZstdCompressor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopback import Site
    from signing import Signer

Content = bytes | str | None


def make_tar(files: Mapping[str, Content]) -> bytes:
    """Bytes are a file, text is a link's target, None a folder; names as they stand."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(f".{path}" if path.startswith("/") else path)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size, info.mode = len(content), 0o755 if "/bin/" in path else 0o644
            archive.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    return made.getvalue()


def make_ar(members: Mapping[str, bytes]) -> bytes:
    """An ar archive with these members."""
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


@dataclass(frozen=True)
class Made:
    """A package: `control` is its stanza without what Packages adds."""

    control: str
    data: bytes

    @property
    def name(self) -> str:
        return self.control.split("\n")[0].removeprefix("Package: ")


def make_deb(
    name: str,
    version: str = "1.0",
    files: Mapping[str, Content] | None = None,
    *,
    postinst: str = "",
    md5sums: str | None = None,
    compress: str = "xz",
    **fields: str,
) -> Made:
    """A package; `Depends="…"` and the like are fields, with `_` for `-`."""
    files = {} if files is None else files
    given = {"Architecture": "all", "Maintainer": "nobody <nobody@example.org>"}
    given |= {key.replace("_", "-"): value for key, value in fields.items()}
    control = f"Package: {name}\nVersion: {version}\n" + "".join(f"{key}: {value}\n" for key, value in given.items())
    control += "Description: for tests\n of slimrun\n"
    sums = "".join(
        f"{hashlib.md5(content).hexdigest()}  {path[1:]}\n"
        for path, content in files.items()
        if isinstance(content, bytes)
    )
    listed = (sums if md5sums is None else md5sums).encode()
    about: dict[str, Content] = {"/": None, "/control": control.encode(), "/md5sums": listed}
    if postinst:
        about["/postinst"] = postinst.encode()
    ways: dict[str, tuple[Callable[[bytes], bytes], str]] = {
        "xz": (lzma.compress, ".xz"),
        "zst": (ZstdCompressor().compress, ".zst"),
        "none": (bytes, ""),
    }
    pack, ending = ways[compress]
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{ending}": pack(make_tar(about)),
        f"data.tar{ending}": pack(make_tar({"/": None, **files})),
    }
    return Made(control, make_ar(members))


@dataclass
class DebianArchive:
    """Suites below /debian and /debian-security of a site; `publish` signs what has been added."""

    site: Site
    suite: str = "bookworm"
    root: str = ""
    key: Signer = field(default_factory=signer)
    stanzas: dict[str, list[str]] = field(default_factory=dict)

    def add(self, deb: Made, *, suite: str = "", data: bytes | None = None) -> None:
        """Publish a package; `data` is what the server sends instead."""
        suite = suite or self.suite
        path = f"pool/main/{deb.name}_{hashlib.sha256(deb.data).hexdigest()[:8]}.deb"
        sha = hashlib.sha256(deb.data).hexdigest()
        stanza = f"{deb.control}Filename: {path}\nSize: {len(deb.data)}\nSHA256: {sha}\n"
        self.stanzas.setdefault(suite, []).append(stanza)
        self.site.serve(f"{self._root(suite)}/{path}", deb.data if data is None else data)

    def publish(
        self,
        suite: str = "",
        *,
        codename: str = "",
        until: str = "",
        by_hash: bool = True,
        packages: bytes | None = None,
        signed: bytes | None = None,
        architecture: str = "amd64",
        others: tuple[Signer, ...] = (),
    ) -> bytes:
        """Sign and serve one suite; `packages` and `signed` replace what is served. Answers with the InRelease."""
        suite = suite or self.suite
        packed = lzma.compress("\n".join(self.stanzas.get(suite, [])).encode())
        digest, name = hashlib.sha256(packed).hexdigest(), f"main/binary-{architecture}/Packages.xz"
        lines = [
            "Origin: Debian",
            f"Suite: old-{codename or suite}",
            f"Codename: {codename or suite}",
            "Date: Sat, 11 Jul 2026 10:16:37 UTC",
            *([f"Valid-Until: {until}"] if until else []),
            *(["Acquire-By-Hash: yes"] if by_hash else []),
            f"Architectures: all {architecture}",
            "No-Support-for-Architecture-all: Packages",
            "SHA256:",
            f" {digest} {len(packed)} {name}",
        ]
        release = self.key.clearsign("\n".join(lines) + "\n", *others)
        folder = f"{self._root(suite)}/dists/{suite}"
        self.site.serve(f"{folder}/InRelease", release if signed is None else signed)
        index = packed if packages is None else packages
        self.site.serve(f"{folder}/{name}", Answer(status=404) if by_hash else Answer(body=index))
        if by_hash:
            self.site.serve(f"{folder}/main/binary-{architecture}/by-hash/SHA256/{digest}", index)
        return release

    def publish_all(self) -> None:
        """The suite, its updates and its security updates."""
        for suite in (self.suite, f"{self.suite}-updates", f"{self.suite}-security"):
            self.publish(suite)

    @property
    def mirror(self) -> str:
        """The address to give as mirror."""
        return f"{self.site.url}{self.root}/debian"

    def _root(self, suite: str) -> str:
        return f"{self.root}/debian-security" if suite.endswith("-security") else f"{self.root}/debian"
