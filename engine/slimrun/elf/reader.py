"""ElfInfo from bytes: the dynamic table as the loader reads it, under the caps of ELF.md 6.1.

The numbers of tags and types are pyelftools'; its reader is the tests' oracle only. It reads a file 29 times slower, goes by
section headers, which the loader never looks at, and raises four kinds of error on hostile input.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING

from elftools.elf.enums import ENUM_D_TAG, ENUM_E_MACHINE, ENUM_E_TYPE, ENUM_P_TYPE_BASE

from slimrun.elf import notes
from slimrun.elf.image import MAGIC, MAX_COMPONENT, PT_LOAD, Image, Strings
from slimrun.elf.info import ElfInfo, ElfType, Load, VersionNeed, VersionRef
from slimrun.errors import BadElf
from slimrun.why import printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from slimrun.elf.info import DlopenNote

DT: dict[str, int] = dict(ENUM_D_TAG)
MACHINES: dict[str, int] = dict(ENUM_E_MACHINE)
PT_DYNAMIC: int = ENUM_P_TYPE_BASE["PT_DYNAMIC"]
PT_INTERP: int = ENUM_P_TYPE_BASE["PT_INTERP"]
PT_NOTE: int = ENUM_P_TYPE_BASE["PT_NOTE"]
PT_GNU_STACK: int = ENUM_P_TYPE_BASE["PT_GNU_STACK"]
TYPES: dict[int, ElfType] = {
    ENUM_E_TYPE["ET_REL"]: ElfType.RELOCATABLE,
    ENUM_E_TYPE["ET_EXEC"]: ElfType.EXECUTABLE,
    ENUM_E_TYPE["ET_DYN"]: ElfType.SHARED,
}
X86 = (MACHINES["EM_386"], MACHINES["EM_X86_64"])

MAX_NEEDED = 4096
MAX_VERSIONS = 1 << 16
MAX_INTERP = 4096
VER_FLG_WEAK = 2
# Elf64_Verneed, _Vernaux, _Verdef, _Verdaux: the same records for both classes.
VERNEED, VERNAUX, VERDEF, VERDAUX = "HHIII", "IHHII", "HHHHIII", "II"

Dynamic = dict[int, list[int]]


def read_elf(stream: BinaryIO, path: str) -> ElfInfo | None:
    """The facts of the file in `stream`; None where it does not begin as ELF does; raises BadElf naming `path`."""
    if stream.read(4) != MAGIC:
        return None
    try:
        return _info(Image(stream, path))
    except (OSError, ValueError, OverflowError, struct.error) as error:
        raise BadElf(printable(f"{path}: {error}")) from error


def dynamic_of(image: Image) -> Dynamic:
    """The values of each tag in file order, up to DT_NULL or the segment's end; {} where there is no dynamic table."""
    parts = [part for part in image.segments if part.type == PT_DYNAMIC]
    if len(parts) > 1:
        image.bad("two PT_DYNAMIC")
    found: Dynamic = defaultdict(list)
    if not parts or parts[0].filesz == 0:  # a file of `objcopy --only-keep-debug` keeps the header, and no bytes
        return found
    layout = struct.Struct(image.order + ("QQ" if image.bits == 64 else "II"))
    data = image.read(image.offset_of(parts[0].vaddr, "PT_DYNAMIC"), parts[0].filesz)
    for tag, value in layout.iter_unpack(data[: len(data) // layout.size * layout.size]):
        if tag == 0:
            break
        found[tag].append(value)
    return found


def strings_of(image: Image, dynamic: Dynamic) -> Strings:
    """The table of DT_STRTAB, as far as a PT_LOAD maps it."""
    tables, sizes = dynamic.get(DT["DT_STRTAB"]), dynamic.get(DT["DT_STRSZ"])
    if not tables or not sizes:
        image.bad("the dynamic table has no DT_STRTAB or DT_STRSZ")
    offset = image.offset_of(tables[-1], "DT_STRTAB")
    if sizes[-1] > image.room_after(offset):
        image.bad(f"DT_STRSZ is {sizes[-1]}, the PT_LOAD has {image.room_after(offset)} bytes")
    return Strings(image, offset, sizes[-1])


def _info(image: Image) -> ElfInfo:
    header = image.header
    kind = TYPES.get(header.type, ElfType.OTHER)
    loads = tuple(
        Load(part.offset, part.vaddr, part.filesz, part.memsz, part.flags, part.align)
        for part in image.segments
        if part.type == PT_LOAD
    )
    dynamic = dynamic_of(image) if kind is not ElfType.RELOCATABLE else {}
    strings = strings_of(image, dynamic) if dynamic else None
    build_id, dlopen = _notes(image)
    stacks = [part.flags & 1 for part in image.segments if part.type == PT_GNU_STACK]
    runs = kind in (ElfType.SHARED, ElfType.EXECUTABLE) and bool(loads)

    def texts(tag: str) -> tuple[str, ...]:
        indices = dynamic.get(DT[tag], [])
        if len(indices) > MAX_NEEDED:
            image.bad(f"{len(indices)} {tag}")
        return tuple(_name(image, strings, index, tag) for index in indices) if strings else ()

    def path_list(tag: str) -> str | None:
        indices = dynamic.get(DT[tag], [])
        return strings.at(indices[-1], tag) if strings and indices else None

    return ElfInfo(
        bits=image.bits,
        little=image.order == "<",
        machine=header.machine,
        type=kind,
        dynamic=bool(dynamic),
        refused=_refused(image, kind, loads, dynamic),
        interp=_interp(image),
        soname=path_list("DT_SONAME") or "",
        needed=texts("DT_NEEDED"),
        rpath=path_list("DT_RPATH"),
        runpath=path_list("DT_RUNPATH"),
        flags_1=dynamic.get(DT["DT_FLAGS_1"], [0])[-1],
        filters=texts("DT_FILTER"),
        auxiliary=texts("DT_AUXILIARY"),
        verneed=_verneed(image, dynamic, strings) if strings else (),
        verdef=_verdef(image, dynamic, strings) if strings else (),
        has_versym=DT["DT_VERSYM"] in dynamic,
        build_id=build_id,
        exec_stack=bool(stacks[-1]) if stacks else runs and header.machine in X86,
        loads=loads,
        dlopen=dlopen,
    )


def _name(image: Image, strings: Strings, index: int, tag: str) -> str:
    text = strings.at(index, tag)
    if not text:
        image.bad(f"{tag} is empty")
    if any(len(part.encode(errors="replace")) > MAX_COMPONENT for part in text.split("/")):
        image.bad(f"{tag} has a component of more than {MAX_COMPONENT} bytes")
    return text


def _refused(image: Image, kind: ElfType, loads: tuple[Load, ...], dynamic: Dynamic) -> str:
    """ld.so's own words (elf/dl-load.c, open_verify and _dl_map_object_from_fd), in its order."""
    ident, flags = image.header.ident, dynamic.get(DT["DT_FLAGS_1"], [0])[-1]
    if ident[7] not in (0, 3):
        return "ELF file OS ABI invalid"
    if ident[8] != 0 and not (ident[7] == 3 and ident[8] < 4):
        return "ELF file ABI version invalid"
    if any(ident[9:]):
        return "nonzero padding in e_ident"
    if kind is ElfType.EXECUTABLE:
        return "cannot dynamically load executable"
    if kind is not ElfType.SHARED:
        return "only ET_DYN and ET_EXEC can be loaded"
    if not all(load.aligned() for load in loads):
        return "ELF load command address/offset not page-aligned"
    if not loads:
        return "object file has no loadable segments"
    if not dynamic:
        return "object file has no dynamic section"
    return "cannot dynamically load position-independent executable" if flags & 0x08000000 else ""


def _interp(image: Image) -> str:
    for part in image.segments:
        if part.type == PT_INTERP and part.filesz:
            if part.filesz > MAX_INTERP:
                image.bad(f"PT_INTERP of {part.filesz} bytes")
            text, end, _ = image.read(part.offset, part.filesz).partition(b"\0")
            if not text or not end:
                image.bad("PT_INTERP is empty or does not end")
            return text.decode("utf-8", "surrogateescape")
    return ""


def _notes(image: Image) -> tuple[str, tuple[DlopenNote, ...]]:
    build_id = ""
    dlopen: list[DlopenNote] = []
    for part in image.segments:
        if part.type != PT_NOTE or part.filesz > notes.MAX_NOTES or part.offset + part.filesz > image.size:
            continue
        for vendor, kind, desc in notes.iterate(image.read(part.offset, part.filesz), image.order, part.align):
            if vendor == b"GNU" and kind == notes.NT_GNU_BUILD_ID:
                build_id = build_id or desc.hex()
            elif vendor == b"FDO" and kind == notes.NT_FDO_DLOPEN:
                dlopen += notes.dlopen_notes(desc)
    return build_id, tuple(dict.fromkeys(dlopen))


def _verneed(image: Image, dynamic: Dynamic, strings: Strings) -> tuple[VersionNeed, ...]:
    """By vn_next alone, as dl-version.c does: it does not look at DT_VERNEEDNUM."""
    if DT["DT_VERNEED"] not in dynamic:
        return ()
    outer, inner = struct.Struct(image.order + VERNEED), struct.Struct(image.order + VERNAUX)
    at = image.offset_of(dynamic[DT["DT_VERNEED"]][-1], "DT_VERNEED")
    found: list[VersionNeed] = []
    left, step = MAX_VERSIONS, 1
    while step:
        version, _, file, aux, step = image.unpack(outer, at)
        if version != 1:
            image.bad(f"a Verneed record of version {version}")
        refs: list[VersionRef] = []
        place, further = at + aux, 1
        while further:
            _, flags, _, name, further = image.unpack(inner, place)
            refs.append(VersionRef(strings.at(name, "a needed version"), bool(flags & VER_FLG_WEAK)))
            place, left = place + further, left - 1
            if left < 0:
                image.bad(f"more than {MAX_VERSIONS} needed versions")
        found.append(VersionNeed(strings.at(file, "DT_VERNEED"), tuple(refs)))
        at += step
    return tuple(found)


def _verdef(image: Image, dynamic: Dynamic, strings: Strings) -> tuple[str, ...]:
    """All names that dl-version.c compares a need with, the base version (the SONAME) included."""
    if DT["DT_VERDEF"] not in dynamic:
        return ()
    outer, inner = struct.Struct(image.order + VERDEF), struct.Struct(image.order + VERDAUX)
    at = image.offset_of(dynamic[DT["DT_VERDEF"]][-1], "DT_VERDEF")
    found: list[str] = []
    step = 1
    while step:
        version, _, _, _, _, aux, step = image.unpack(outer, at)
        if version != 1 or len(found) >= MAX_VERSIONS:
            image.bad(f"a Verdef record of version {version}, the {len(found)}th")
        name, _ = image.unpack(inner, at + aux)
        found.append(strings.at(name, "DT_VERDEF"))
        at += step
    return tuple(found)
