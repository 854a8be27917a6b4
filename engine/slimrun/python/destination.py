"""Where the files of a wheel go: entries of a tree, for installer's WheelDestination and WheelSource."""

from __future__ import annotations

import base64
import csv
import io
import re
from posixpath import basename, dirname, join, relpath
from typing import TYPE_CHECKING, NoReturn, cast

from installer.destinations import WheelDestination
from installer.records import Hash, RecordEntry
from installer.sources import WheelSource

from slimrun.errors import FileConflict
from slimrun.python.inflate import bad_wheel

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from installer.scripts import ScriptSection
    from installer.sources import WheelContentElement
    from installer.utils import Scheme

    from slimrun.cache.writers import Pack
    from slimrun.python.interpreter import Interpreter
    from slimrun.python.wheelfile import Wheel
    from slimrun.tree.entry import Entry

INSTALLER = b"slimrun\n"
# Written anew, or about an installation that is not this one (PEP 376, PEP 610); signatures die with their RECORD.
_DROPPED = ("RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json")
_SCRIPT_NAME = re.compile(r"[A-Za-z0-9_.+@-]+")
# Ours, because installer's differs between its releases: the same wheel would give other bytes.
_SCRIPT = """\
#!{python}
import sys

from {module} import {start}

if __name__ == "__main__":
    sys.exit({attr}())
"""
_MAX_SCRIPT = 16 << 20


class Source(WheelSource):
    """A checked wheel as installer wants it: without byte code and without what is written anew."""

    def __init__(self, wheel: Wheel) -> None:
        name, version = wheel.dist_info.removesuffix(".dist-info").split("-", 1)
        super().__init__(name, version)
        self._wheel = wheel

    @property
    def dist_info_dir(self) -> str:
        """The folder's name in the archive."""
        return self._wheel.dist_info

    @property
    def data_dir(self) -> str:
        """The folder's name in the archive; where there is none, a name that nothing is in."""
        return self._wheel.data or self._wheel.dist_info.removesuffix(".dist-info") + ".data"

    @property
    def dist_info_filenames(self) -> list[str]:
        """Names relative to .dist-info."""
        start = f"{self.dist_info_dir}/"
        return [name.removeprefix(start) for name in self._wheel.names if name.startswith(start)]

    def read_dist_info(self, filename: str) -> str:
        """A file of .dist-info."""
        return self._wheel.text(filename)

    def get_contents(self) -> Iterator[WheelContentElement]:
        """(record, stream, executable) of each file that is installed."""
        dropped = {f"{self.dist_info_dir}/{name}" for name in _DROPPED}
        names = frozenset(self._wheel.names)
        for name in self._wheel.names:
            if name in dropped or _is_stale_bytecode(name, names):
                continue
            with self._wheel.open(name) as stream:
                yield (name, "", ""), stream, self._wheel.executable(name)


class Destination(WheelDestination):
    """Collects a distribution's entries by absolute path; modes are 0644 or 0755, whatever the archive says else."""

    def __init__(self, wheel: Wheel, interpreter: Interpreter, pack: Pack) -> None:
        self.entries: dict[str, Entry] = {}
        self._at_start: list[str] = []
        self._outside: list[str] = []
        self._label = f"{wheel.pin.name} {wheel.pin.version}"
        self._filename = wheel.pin.filename
        self._python, self._pack = interpreter, pack
        home = dirname(interpreter.scripts)
        self._folders = {
            "purelib": interpreter.site_packages,
            "platlib": interpreter.site_packages,
            "scripts": interpreter.scripts,
            "headers": f"{home}/include/python{interpreter.series}/{wheel.pin.name}",
            "data": home or "/",
        }

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        """Put a file where its scheme says; a script's `#!python` becomes this interpreter (PEP 427)."""
        where = join(self._folders[scheme], str(path))
        script = scheme == "scripts"
        mode = 0o755 if script or is_executable else 0o644
        if script and cast("io.BufferedReader", stream).peek(9)[:8] == b"#!python":
            body = stream.read(_MAX_SCRIPT + 1)
            if len(body) > _MAX_SCRIPT:
                self._bad(f"the script {path} is larger than {_MAX_SCRIPT} bytes")
            rest = body.partition(b"\n")
            graphical = re.match(rb"#!pythonw?", rest[0])
            options = rest[0][graphical.end() :] if graphical else b""
            data = f"#!{self._python.path}".encode() + options + rest[1] + rest[2]
            return self._put(where, self._pack.add(data, mode=mode))
        return self._put(where, self._pack.add(stream, mode=mode))

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:  # noqa: ARG002
        """The program of an entry point, as pip's but shorter."""
        if not _SCRIPT_NAME.fullmatch(name) or name in (".", ".."):
            self._bad(f"the entry point {name!r} is not a name of a program")
        text = _SCRIPT.format(python=self._python.path, module=module, start=attr.partition(".")[0], attr=attr)
        return self._put(join(self._python.scripts, name), self._pack.add(text.encode(), mode=0o755))

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Write RECORD: every file with its digest and size, sorted, relative to site-packages (PEP 376)."""
        del records  # ours are by absolute path
        start = self._folders[scheme]
        rows = [
            (relpath(path, start), f"sha256={_base64(entry)}", str(entry.size)) for path, entry in self.entries.items()
        ]
        rows.append((record_file_path, "", ""))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(sorted(rows))
        self._put(join(start, record_file_path), self._pack.add(text.getvalue().encode()))

    def flags(self) -> list[str]:
        """What a person should know of, as sentences."""
        found = [f"{self._label}: {path} runs at every start of Python" for path in self._at_start]
        if self._outside:
            more = f" and {len(self._outside) - 1} more" if len(self._outside) > 1 else ""
            found.append(f"{self._label}: {min(self._outside)}{more} outside site-packages")
        return found

    def _put(self, path: str, entry: Entry) -> RecordEntry:
        if path in self.entries:
            msg = f"{self._label} writes {path} twice"
            raise FileConflict(msg, hint="choose another version of it")
        self._guard(path)
        self.entries[path] = entry
        return RecordEntry(path, Hash("sha256", _base64(entry)), entry.size)

    def _guard(self, path: str) -> None:
        """Refuse what would replace the interpreter, and note what runs, or lies, where nobody looks for it."""
        python, name = self._python, basename(path)
        inside = path.startswith(f"{python.site_packages}/")
        if not inside and path.startswith(f"{python.stdlib}/"):
            self._bad(f"it writes into the standard library: {path}")
        if dirname(path) == python.scripts and re.fullmatch(r"python(\d+(\.\d+[a-z]*)?)?", name):
            self._bad(f"it replaces the interpreter: {path}")
        top = dirname(path) == python.site_packages
        if top and (name.endswith(".pth") or name.partition(".")[0] in ("sitecustomize", "usercustomize")):
            self._at_start.append(path)
        if not inside and not path.startswith((f"{python.scripts}/", f"{self._folders['headers']}/")):
            self._outside.append(path)

    def _bad(self, text: str) -> NoReturn:
        raise bad_wheel(self._filename, text)


def _is_stale_bytecode(name: str, names: frozenset[str]) -> bool:
    """Byte code beside its source, or where Python ignores it; a lone module.pyc is the module itself (PEP 3147)."""
    return "__pycache__" in name.split("/")[:-1] or (name.endswith(".pyc") and name.removesuffix("c") in names)


def _base64(entry: Entry) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(entry.digest)).rstrip(b"=").decode()
