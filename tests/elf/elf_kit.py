"""Small trees of real ELF files over a fake glibc, and the closure of them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from slimrun.elf import ldcache
from slimrun.elf.closure import Closure, Extra, Facts, Finding, Level, Missing, Root, Supply, Unmet, check, close
from slimrun.tree.entry import Entry, file, link
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from elf_bench import Bench

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB, DT_STRSZ = 1, 5, 10
LINE = Why(rule="recipe", text="the recipe says so")
LD, LIBC = "ld-linux-x86-64.so.2", "libc.so.6"
MULTI = "/usr/lib/x86_64-linux-gnu"


class Kit:
    """A fake glibc of several builds, and programs and libraries that need this or that of it; all of it linked once."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._known: dict[str, Entry] = {}

    def glibc(self, release: str, build: str = "") -> dict[str, Entry]:
        """ld.so, libc and libm of one release: f_2_31 for all, f_2_36 and f_2_41 from then on."""
        build = build or f"Test GLIBC {release}-1"
        folder = f"glibc-{build.replace(' ', '_')}"
        if f"{folder}/{LIBC}" not in self._known:
            offers = [each for each in ("2.31", "2.36", "2.41") if each <= release]
            banner = f'const char banner[] = "GNU C Library ({build}) stable release version {release}.";'
            code = "".join(f"void f_{each.replace('.', '_')}(void) {{}}\n" for each in offers)
            script = "".join(f"GLIBC_{each} {{ global: f_{each.replace('.', '_')}; }};\n" for each in offers)
            self._lib(f"{folder}/{LIBC}", banner + code, script + "GLIBC_PRIVATE { global: banner; };\n")
            dirs = r"\0/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/"
            self._lib(f"{folder}/{LD}", f'const char dirs[] = "{dirs}"; {banner}', "GLIBC_PRIVATE { global: dirs; };\n")
            self._lib(f"{folder}/libm.so.6", "void sine(void) {}", "GLIBC_2.31 { global: sine; };\n")
        return {name: self._known[f"{folder}/{name}"] for name in (LD, LIBC, "libm.so.6")}

    def program(self, release: str, needs: Sequence[str] = ()) -> Entry:
        """A program that needs a release of libc, and other libraries."""
        return self._user(f"prog-{release}-{'-'.join(needs)}", release, needs, shared=False)

    def library(self, soname: str, release: str = "", needs: Sequence[str] = (), **tags: str) -> Entry:
        """A library without versions of its own; `rpath` and `runpath` as for Bench."""
        return self._user(
            f"lib-{soname}-{release}-{'-'.join(needs)}-{tags}".replace("/", "%"), release, needs, soname, **tags
        )

    def offering(self, soname: str, *versions: str, symbols: Sequence[str] = ()) -> Entry:
        """A library that defines these versions, or without any these symbols."""
        code = "".join(f"void {name}(void) {{}}\n" for name in (*map(_symbol, versions), *symbols))
        script = "".join(f"{version} {{ global: {_symbol(version)}; }};\n" for version in versions)
        return self._lib(f"offer-{'-'.join((*versions, *symbols))}/{soname}", code, script)

    def asking(self, soname: str, of: str, *versions: str, symbols: Sequence[str] = ()) -> Entry:
        """A library that needs these versions, or symbols, of another."""
        self.offering(of, *versions, symbols=symbols)
        names = [*map(_symbol, versions), *symbols]
        source = self.bench.object(
            f"ask-{soname}-{'-'.join(names)}",
            "".join(f"void {n}(void);\n" for n in names)
            + f"void ask(void) {{ {''.join(f'{n}();' for n in names)} }}\n",
        )
        provider = self.bench / f"offer-{'-'.join((*versions, *symbols))}/{of}"
        out = self.bench.lib(f"ask-{'-'.join(names)}/{soname}", soname=soname, source=source, against=[provider])
        return file(out.read_bytes())

    def _user(
        self, key: str, release: str, needs: Sequence[str], soname: str = "", *, shared: bool = True, **tags: str
    ) -> Entry:
        if key not in self._known:
            call = f"void f_{release.replace('.', '_')}(void);" if release else ""
            body = f"f_{release.replace('.', '_')}();" if release else ""
            source = self.bench.object(key, f"{call} void _start(void) {{ {body} }}\n")
            against: list[Path] = []
            if release:
                self.glibc(release)
                against = [self.bench / f"glibc-Test_GLIBC_{release}-1/{LIBC}"]
            if shared:
                out = self.bench.lib(f"{key}/{soname}", needs, soname=soname, source=source, against=against, **tags)
            else:
                against += [self.bench.lib(f"stub-{name}/{name}", soname=name) for name in needs]
                out = self.bench.bare(f"{key}/prog", against, source=source)
            self._known[key] = file(out.read_bytes(), mode=0o755)
        return self._known[key]

    def _lib(self, path: str, code: str, script: str) -> Entry:
        if path not in self._known:
            soname = path.rpartition("/")[2]
            source = self.bench.object(path.replace("/", "%"), code)
            map_file = self.bench.objects / f"{source}.map"
            map_file.write_text(script)
            options = [f"-Wl,--version-script={map_file}"] if script else []
            out = self.bench.lib(path, soname=soname, source=source, options=options)
            self._known[path] = file(out.read_bytes())
        return self._known[path]


def _symbol(version: str) -> str:
    return f"s_{version.replace('.', '_')}"


def merged(glibc: dict[str, Entry], **others: Entry) -> Tree:
    """A Debian with merged /usr."""
    libs = {f"{MULTI}/{name}": entry for name, entry in (*glibc.items(), *others.items())}
    links = {
        "/lib": link("usr/lib"),
        "/lib64": link("usr/lib64"),
        f"/usr/lib64/{LD}": link(f"../lib/x86_64-linux-gnu/{LD}"),
    }
    return Tree(libs | links)


def busybox(glibc: dict[str, Entry], **others: Entry) -> Tree:
    """busybox:glibc: a real /lib, no ld.so.cache."""
    libs = {f"/lib/{name}": entry for name, entry in (*glibc.items(), *others.items())}
    return Tree(libs | {"/lib64": link("lib")})


def closed(
    base: Tree,
    selection: dict[str, Entry],
    *supplies: Tree,
    roots: Sequence[str] = ("/app/prog",),
    modules: Sequence[str] = (),
    also: Sequence[Extra] = (),
) -> tuple[Closure, Tree]:
    """The closure, and the tree that it makes of the base."""
    output = base.merge(Tree(selection))
    wanted = [Root(path=path, why=LINE) for path in roots]
    wanted += [Root(path=path, why=LINE, program=roots[0]) for path in modules]
    named = [Supply(name=f"supply {number}", tree=tree) for number, tree in enumerate(supplies)]
    closure = close(output, wanted, named, facts=Facts(), also=also)
    final = output.without(closure.removed).merge(Tree({one.path: one.entry for one in closure.pulled}))
    if closure.cache is not None:
        final = final.merge(Tree({ldcache.PATH: file(closure.cache)}))
    remaining = check(final, wanted, facts=Facts(), also=also)
    errors = [one for one in remaining if not isinstance(one, Finding) or one.level is Level.ERROR]
    assert [one for one in errors if isinstance(one, Missing)] == [] or closure.missing
    assert [one for one in errors if isinstance(one, Unmet)] == [] or closure.unmet
    return closure, final


def paths(closure: Closure) -> list[str]:
    return [one.path for one in closure.pulled]


def made(names: bytes, tags: list[tuple[int, int]]) -> bytes:
    """The least of a library: one PT_LOAD over all, a PT_DYNAMIC, a string table."""
    table = 64 + 2 * 56
    dynamic = [*tags, (DT_STRTAB, table), (DT_STRSZ, len(names)), (0, 0)]
    start = table + len(names)
    size = start + 16 * len(dynamic)
    out = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0
    )
    out += struct.pack("<IIQQQQQQ", PT_LOAD, 5, 0, 0, 0, size, size, 4096)
    out += struct.pack("<IIQQQQQQ", PT_DYNAMIC, 6, start, start, start, 16 * len(dynamic), 16 * len(dynamic), 8)
    return out + names + b"".join(struct.pack("<QQ", *pair) for pair in dynamic)


def least_library(*needed: str) -> bytes:
    """A library that is its DT_NEEDED and nothing else, without gcc."""
    names, tags = b"\0", []
    for name in filter(None, needed):
        tags.append((DT_NEEDED, len(names)))
        names += name.encode() + b"\0"
    return made(names, tags)
