"""A machine's tree, a small linker's bench, and the real loader as oracle."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, BinaryIO

from slimrun.elf.facts import Facts
from slimrun.elf.folders import Hit
from slimrun.elf.process import Process
from slimrun.elf.search import Loader
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slimrun.elf.folders import Folders
    from slimrun.tree.tree import Tree

LD_SO = "/lib64/ld-linux-x86-64.so.2"


class HostTree:
    """A TreeSource over `root` of this machine, as it is now; a file's digest is its inode and time, not of its bytes.

    `mounts` are other folders, or files, that stand in the place of paths of it.
    """

    def __init__(self, root: str = "/", mounts: Mapping[str, Path] | None = None) -> None:
        self.root, self.mounts = root.rstrip("/"), dict(mounts or {})

    def place(self, path: str) -> str:
        """Where the host has a path."""
        for top, folder in self.mounts.items():
            if path == top or path.startswith(f"{top}/"):
                return f"{folder}{path[len(top) :]}"
        return self.root + path

    def stat(self, path: str) -> Entry | None:
        place = self.place(path)
        try:
            facts = os.lstat(place)
        except OSError:
            return None
        if S_ISLNK(facts.st_mode):
            return Entry(kind=Kind.LINK, target=os.readlink(place))  # noqa: PTH115 (Path's takes as long as all else)
        if S_ISDIR(facts.st_mode):
            return Entry(kind=Kind.DIR)
        if not S_ISREG(facts.st_mode):
            return Entry(kind=Kind.FIFO)
        key = f"{facts.st_dev}:{facts.st_ino}"
        return Entry(
            kind=Kind.FILE,
            size=facts.st_size,
            inode=key if facts.st_nlink > 1 else "",
            digest=f"{key}:{facts.st_mtime_ns}:{facts.st_size}",
            content=Extent(place, 0, facts.st_size),
        )

    def children(self, path: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(item.name for item in os.scandir(self.place(path))))
        except OSError:
            return ()

    def open(self, path: str) -> BinaryIO:
        return Path(self.place(path)).open("rb")


@dataclass(frozen=True)
class Traced:
    """What the real loader loads, by real path, what it does not find, and whether it gives up."""

    loaded: frozenset[str]
    missing: frozenset[str]
    fatal: bool = False


@dataclass(frozen=True)
class Real:
    """The machine's loader; it is asked about files that these tests made or that the distribution installed."""

    levels: tuple[str, ...]
    platform: str

    def trace(self, file: str, *, library_path: str = "", preload: str = "", cwd: str = "/") -> Traced:
        env = {"LD_TRACE_LOADED_OBJECTS": "1"}
        if library_path:
            env["LD_LIBRARY_PATH"] = library_path
        if preload:
            env["LD_PRELOAD"] = preload
        done = subprocess.run([LD_SO, file], env=env, cwd=cwd, capture_output=True, check=False)
        out = done.stdout.decode("utf-8", "surrogateescape")
        missing = frozenset(re.findall(r"^\t(\S+) => not found", out, re.M))
        paths = re.findall(r"^\t(?:\S+ => )?(\S+) \(0x", out, re.M)
        # Itself it lists only where something needs it by name.
        others = (path for path in paths if "/ld-linux" not in path and not path.startswith("linux-vdso"))
        loaded = frozenset(os.path.realpath(Path(cwd, path)) for path in others)
        return Traced(loaded, missing, fatal=done.returncode != 0)


class Ours:
    """What slimrun says in the place of the real loader."""

    def __init__(self, tree: HostTree, levels: tuple[str, ...], platform: str, folders: Folders | None = None) -> None:
        self.tree, self.levels, self.platform, self.folders, self.facts = tree, levels, platform, folders, Facts()

    def process(
        self, file: str, *, library_path: Sequence[str] = (), preload: Sequence[str] = (), cwd: str = "/"
    ) -> Process:
        found = resolve(self.tree, file)
        assert found is not None
        info = self.facts.facts(file, found.entry)
        assert info is not None
        path = tuple(library_path)
        loader = Loader.of(
            self.tree, info, self.facts, library_path=path, active=self.levels, cwd=cwd, folders=self.folders
        )
        loader.linker = replace(loader.linker, platform=self.platform)
        process = Process(loader, Hit(file, found.path, found.entry, info, found.links, "root"), notes=False)
        process.start(preload)
        return process

    def trace(
        self, file: str, *, library_path: Sequence[str] = (), preload: Sequence[str] = (), cwd: str = "/"
    ) -> Traced:
        process = self.process(file, library_path=library_path, preload=preload, cwd=cwd)
        absent = [one for one in process.asked if one.found is None]
        fatal = any(one.search is not None and one.search.fatal for one in absent)
        # The loader's trace prints an absent auxiliary filtee as it prints any other, though it runs without.
        missing = frozenset(one.name for one in absent)
        rest = (one.real for one in process.loaded if one is not process.main)
        return Traced(frozenset(path for path in rest if "/ld-linux" not in path), missing, fatal)


class Bench:
    """Links tiny libraries and programs below one folder; every NEEDED name may be anything, stubs stand in for it."""

    def __init__(self, work: Path, objects: Path) -> None:
        self.work, self.objects, self.platform = work, objects, "x86_64"

    def __truediv__(self, path: str) -> Path:
        return self.work / path

    def lib(
        self,
        path: str,
        needs: Sequence[str] = (),
        *,
        soname: str = "",
        rpath: str = "",
        runpath: str = "",
        options: Sequence[str] = (),
        source: str = "",
        against: Sequence[Path] = (),
    ) -> Path:
        """A shared library without libc."""
        flags = ["-shared", "-nostdlib", *([f"-Wl,-soname,{soname}"] if soname else []), *options]
        return self._link(path, flags, [*self._stubs(needs), *against], rpath, runpath, source or "empty")

    def exe(
        self, path: str, needs: Sequence[str] = (), *, rpath: str = "", runpath: str = "", options: Sequence[str] = ()
    ) -> Path:
        """A program with libc."""
        return self._link(path, list(options), self._stubs(needs), rpath, runpath, "main")

    def bare(
        self, path: str, against: Sequence[Path] = (), *, source: str = "start", options: Sequence[str] = ()
    ) -> Path:
        """A program without libc and without start files, linked against just these libraries."""
        return self._link(path, ["-nostdlib", "-pie", *options], against, "", "", source)

    def object(self, name: str, text: str) -> str:
        """Compile C; the result is a `source` for `lib`."""
        (self.objects / f"{name}.c").write_text(text)
        run("gcc", "-fPIC", "-c", f"{name}.c", "-o", f"{name}.o", cwd=self.objects)
        return name

    def _link(
        self, path: str, flags: list[str], against: Sequence[Path], rpath: str, runpath: str, source: str
    ) -> Path:
        out = self.work / path
        out.parent.mkdir(parents=True, exist_ok=True)
        if rpath:
            flags = [*flags, "-Wl,--disable-new-dtags", f"-Wl,-rpath,{rpath}"]
        if runpath:
            flags = [*flags, "-Wl,--enable-new-dtags", f"-Wl,-rpath,{runpath}"]
        common = ["-Wl,--no-as-needed", "-Wl,--unresolved-symbols=ignore-all", "-o", str(out)]
        run("gcc", *flags, *common, str(self.objects / f"{source}.o"), *map(str, against), cwd=self.work)
        return out

    def _stubs(self, names: Sequence[str]) -> list[Path]:
        return [self._stub(name) for name in names]

    def _stub(self, name: str) -> Path:
        """A library that is only its SONAME."""
        place = self.objects / "stubs" / name.replace("/", "%").replace("$", "+")
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            out, empty = str(place), str(self.objects / "empty.o")
            run("gcc", "-shared", "-nostdlib", f"-Wl,-soname,{name}", empty, "-o", out, cwd=self.objects)
        return place


def run(*words: str, cwd: Path) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stderr}"


class Chroot:
    """A folder as root of a process, with the machine's glibc in it; needs root or user namespaces."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, data: bytes) -> None:
        """Put a file, executable, at a path inside."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o755)

    def lay(self, tree: Tree) -> None:
        """Put a whole tree."""
        for path, entry in tree.items():
            place = self.root / path.lstrip("/")
            if entry.kind is Kind.DIR:
                place.mkdir(parents=True, exist_ok=True)
            elif entry.kind is Kind.LINK:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(entry.target)
            else:
                self.write(path, entry.read())

    def run(self, *words: str) -> str:
        """What a command inside prints, or the loader's complaint where it cannot run."""
        command = ["unshare", "-r", "chroot", str(self.root), *words]
        done = subprocess.run(
            command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else f"exit code {done.returncode}: {done.stderr}"
