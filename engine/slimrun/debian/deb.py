"""A `.deb` (deb(5)) as a value: its control file and its files, which lie decompressed in the cache. No script of it ever runs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, cast

from slimrun.debian.alternatives import Alternative, read_alternatives
from slimrun.debian.ar import read_ar
from slimrun.debian.inflate import decompressed
from slimrun.debian.stanza import fields
from slimrun.errors import BadArchive
from slimrun.tree.entry import Kind
from slimrun.tree.tar import plain, read_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from slimrun.cache.store import Cache
    from slimrun.debian.ar import Part
    from slimrun.debian.pins import DebPin
    from slimrun.tree.entry import Entry

MAX_CONTROL = 64 << 20
MAX_DATA = 16 << 30
_MD5 = re.compile(r"([0-9a-f]{32})  ?(?:\./)?(.+)")
# Raised when Deb or what is read into it changes.
_KIND = "deb-1"
_HINT = "use another version of the package"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deb:
    """One package as shipped: `tree` has its paths as its author wrote them, /lib not yet /usr/lib."""

    name: str
    version: str
    control: bytes
    md5sums: bytes
    alternatives: tuple[Alternative, ...]
    tree: Tree

    def field(self, name: str) -> str:
        """A field of the control file, "" where it has none."""
        return fields(self.control.decode("utf-8", "replace")).get(name.lower(), "")


def open_deb(pin: DebPin, cache: Cache) -> Deb:
    """The package whose `.deb` is a blob of the cache, decompressed at its first use; raises BadArchive.

    Its name and version must be the pin's, and each file must have the MD5 that the package's own md5sums lists.
    """
    with cache.lock(f"{_KIND}-{pin.sha256}"):
        found = cache.load_value(_KIND, pin.sha256)
        if found is None:
            what = f"{pin.name} {pin.version}"
            try:
                found = read_deb(cache.blob_path(pin.sha256), cache, what=what)
            except BadArchive as error:
                if error.hint:
                    raise
                msg = f"{what}: {error.message}"
                raise BadArchive(msg, hint=_HINT) from error
            cache.save_value(_KIND, pin.sha256, found)
    deb = cast("Deb", found)
    if (deb.name, deb.version) != (pin.name, pin.version):
        msg = f"the package {pin.name} {pin.version} calls itself {deb.name} {deb.version}"
        raise BadArchive(msg, hint=_HINT)
    return deb


def read_deb(path: Path, cache: Cache, *, what: str) -> Deb:
    """A `.deb` on disk, its data.tar made a blob of the cache; raises BadArchive."""
    control, data = _parts(path, what)
    about = _control(path, control, cache, what)
    found = fields(about.get("/control", b"").decode("utf-8", "replace"))
    if "package" not in found or "version" not in found:
        msg = f"the control file of {what} lacks its name or version"
        raise BadArchive(msg, hint=_HINT)
    with decompressed(path, data, limit=MAX_DATA, what=what) as stream, cache.new_blob() as blob:
        blob.copy(stream)
    tree = Tree(plain(read_tar(blob.path, what=what)))
    md5sums = about.get("/md5sums", b"")
    _check(tree, md5sums, what)
    return Deb(
        name=found["package"],
        version=found["version"],
        control=about["/control"].rstrip(b"\n") + b"\n",
        md5sums=md5sums,
        alternatives=read_alternatives(about.get("/postinst", b"").decode("utf-8", "replace")),
        tree=tree,
    )


def _control(path: Path, part: Part, cache: Cache, what: str) -> dict[str, bytes]:
    """The files of control.tar; they are read at once, so the tar is not kept."""
    with NamedTemporaryFile(dir=cache.scratch()) as scratch:
        with decompressed(path, part, limit=MAX_CONTROL, what=what) as stream:
            copyfileobj(stream, scratch)
        scratch.flush()
        entries = plain(read_tar(Path(scratch.name), what=what))
        return {name: entry.read() for name, entry in entries.items() if entry.kind is Kind.FILE}


def _parts(path: Path, what: str) -> tuple[Part, Part]:
    """control.tar and data.tar; members whose name begins with `_` are to be passed over (deb(5))."""
    parts = [part for part in read_ar(path, what=what) if not part.name.startswith("_")]
    names = [part.name for part in parts]
    fits = len(parts) >= 3 and names[1].startswith("control.tar") and names[2].startswith("data.tar")
    if not fits or names[0] != "debian-binary":
        msg = f"{what} is not a Debian package: it has {', '.join(names) or 'nothing'}"
        raise BadArchive(msg, hint=_HINT)
    with path.open("rb") as stream:
        stream.seek(parts[0].offset)
        if not stream.read(min(parts[0].size, 2)).startswith(b"2."):
            msg = f"{what} is of a format that is not 2.0"
            raise BadArchive(msg, hint=_HINT)
    return parts[1], parts[2]


def _check(tree: Tree, md5sums: bytes, what: str) -> None:
    """Configuration files are not listed; what is listed must be there and right."""
    wrong = []
    for line in md5sums.decode("utf-8", "surrogateescape").splitlines():
        match = _MD5.fullmatch(line.removeprefix("\\"))
        if match is None:
            msg = f"the md5sums of {what} cannot be read: {line[:80]!r}"
            raise BadArchive(msg, hint=_HINT)
        path = "/" + (match[2].replace("\\\\", "\\") if line.startswith("\\") else match[2])
        entry = tree.get(path)
        if entry is None or entry.kind is not Kind.FILE or _md5(entry) != match[1]:
            wrong.append(path)
    if wrong:
        msg = f"files of {what} are not those of its md5sums: {', '.join(sorted(wrong)[:5])}"
        raise BadArchive(msg, hint=_HINT)


def _md5(entry: Entry) -> str:
    total = hashlib.md5(usedforsecurity=False)
    with entry.open() as stream:
        while data := stream.read(1 << 20):
            total.update(data)
    return total.hexdigest()
