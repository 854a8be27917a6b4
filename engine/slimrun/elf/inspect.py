"""What is wrong with the objects of a process though all were found: versions, mixed libcs, stacks, relative names."""

from __future__ import annotations

from collections import defaultdict
from posixpath import basename, dirname
from typing import TYPE_CHECKING, NamedTuple

from slimrun.elf.family import FOLDERS, is_member
from slimrun.elf.model import Finding, Level
from slimrun.elf.tokens import folders
from slimrun.elf.versions import GLIBC_PRIVATE, Verdict, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slimrun.elf.info import VersionNeed
    from slimrun.elf.process import Loaded, Process
    from slimrun.elf.versions import Outcome

# From this release on, dlopen refuses what wants an executable stack (ELF.md 1.5).
NO_EXEC_STACK = (2, 41)


class Breach(NamedTuple):
    """A need that the library answering to its name does not meet in full."""

    by: Loaded
    need: VersionNeed
    provider: Loaded
    outcome: Outcome

    @property
    def fatal(self) -> bool:
        """Whether the process would end."""
        return self.outcome.verdict in (Verdict.UNMET, Verdict.ABORT)


def breaches(process: Process, objects: Sequence[Loaded]) -> Iterator[Breach]:
    """Every need of `objects` that is not met, warnings too."""
    if process.loader.linker.musl:
        return  # musl looks at no versions
    for one in objects:
        for need in one.hit.info.verneed:
            provider = process.provider(need.library)
            if provider is None:
                continue
            outcome = compare(need, provider.hit.info)
            if outcome.verdict is Verdict.ABORT and not process.loader.linker.asserts:
                outcome = outcome._replace(verdict=Verdict.UNVERSIONED)
            if outcome.verdict is not Verdict.MET:
                yield Breach(one, need, provider, outcome)


def warning_of(breach: Breach) -> Finding:
    """A breach that the loader only grumbles about."""
    names = ", ".join(breach.outcome.versions)
    if breach.outcome.verdict is Verdict.WEAK:
        text = f"{breach.provider.real} lacks {names}, which is needed weakly"
        return Finding(rule="weak-version", path=breach.by.real, text=text)
    text = f"{breach.provider.real} has no version information, {names} is asked for"
    return Finding(rule="no-version-information", path=breach.by.real, text=text)


def relative_folders(process: Process, objects: Sequence[Loaded]) -> Iterator[Finding]:
    """Search paths that name the working folder, or one below it: libraries may come from wherever a program is started."""
    loader = process.loader
    if any(not folder.startswith("/") for folder in loader.expanded(process.main.asker)):
        text = "LD_LIBRARY_PATH has a relative or empty element, looked up in whatever folder the program is started in"
        yield Finding(rule="relative-search-path", path=process.main.real, text=text)
    for one in objects:
        info = one.hit.info
        kind, tag = ("RUNPATH", info.runpath) if info.runpath is not None else ("RPATH", info.rpath)
        odd = [repr(part) for part in folders(tag, one.asker.path, loader.linker) if not part.startswith("/")]
        if odd:
            text = f"its {kind} has {', '.join(odd)}, looked up in whatever folder the program is started in"
            yield Finding(rule="relative-search-path", path=one.real, text=text)


def findings(process: Process, objects: Sequence[Loaded], *, module: bool) -> Iterator[Finding]:
    """What a person should know of these objects; `module`: they are loaded by dlopen."""
    linker = process.loader.linker
    for one in objects:
        info = one.hit.info
        for load in info.misaligned:
            text = f"the PT_LOAD at {load.offset:#x} is not aligned to the page: no loader maps it"
            yield Finding(rule="misaligned", path=one.real, text=text, level=Level.ERROR)
        refuses = linker.release >= NO_EXEC_STACK and not process.main.hit.info.exec_stack
        if module and info.exec_stack and refuses:
            text = f"wants an executable stack, which glibc {linker.release[0]}.{linker.release[1]} refuses"
            yield Finding(rule="executable-stack", path=one.real, text=text, level=Level.ERROR)
        for need in info.verneed:
            private = any(ref.name == GLIBC_PRIVATE for ref in need.versions)
            ours = is_member(info.soname) or is_member(basename(one.real)) or basename(dirname(one.real)) in FOLDERS
            # Of programs only glibc's own (getent, iconv) do, and those came with it.
            if private and not ours and one is not process.main:
                text = f"uses private parts of {need.library}: it belongs to one build of glibc"
                yield Finding(rule="glibc-private", path=one.real, text=text, level=Level.ERROR)
        for note in info.dlopen:
            if note.priority == "suggested":
                text = f"opens {' or '.join(note.sonames)} for {note.feature or note.description} where it is there"
                yield Finding(rule="dlopen-suggested", path=one.real, text=text)
        musl = [name for name in info.needed if name.startswith("libc.musl-") or name == "libc.so"]
        if linker.musl is not bool(musl) and (musl or "libc.so.6" in info.needed):
            text = f"needs {musl[0] if musl else 'libc.so.6'}, and the program runs under {linker.interp}"
            yield Finding(rule="mixed-libc", path=one.real, text=text, level=Level.ERROR)


def asked_findings(process: Process) -> Iterator[Finding]:
    """What the requests of a process show: relative names, and what only some CPUs find."""
    for asked in process.asked:
        search = asked.search
        if search is None:
            continue
        if "/" in asked.name and search.relative:
            text = f"needs {asked.name}, a path relative to wherever the program is started"
            yield Finding(rule="relative-needed", path=asked.by.real, text=text, level=Level.ERROR)
        if search.hit is not None and search.hit.hwcaps and process.loader.active is None:
            text = f"{asked.name} is found for CPUs of {search.hit.hwcaps} alone"
            yield Finding(rule="hwcaps-only", path=asked.by.real, text=text)


def doubles(process: Process) -> Iterator[Finding]:
    """Two files of one SONAME in a process, hwcaps variants aside; vendored copies in `*.libs` have names of their own."""
    names: dict[str, set[str]] = defaultdict(set)
    for one in process.loaded:
        if one.hit.info.soname and not one.hit.hwcaps:
            names[one.hit.info.soname].add(one.real)
    for soname, paths in names.items():
        ours = sorted(path for path in paths if ".libs/" not in path)
        if len(ours) > 1:
            text = f"{soname} is loaded a second time, beside {ours[0]}"
            yield from (Finding(rule="double", path=path, text=text, level=Level.ERROR) for path in ours[1:])
