"""What a process loads before all that it needs: LD_PRELOAD, LD_AUDIT, /etc/ld.so.preload; and programs that heed none of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from elf_bench import HostTree
from elf_kit import LINE, MULTI, Kit, closed, merged, paths

from slimrun.elf.closure import Facts, Level, Root, close
from slimrun.elf.model import Supply
from slimrun.elf.tokens import preloads
from slimrun.elf.walk import PRELOAD, Walk
from slimrun.tree.entry import file
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from elf_bench import Bench, Chroot

SAY = "#include <stdio.h>\n__attribute__((constructor)) static void say(void) {{ puts({}); }}\n"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ()),
        ({"LD_PRELOAD": ""}, ()),
        ({"LD_PRELOAD": "liba.so libb.so:/c.so  liba.so"}, ("liba.so", "libb.so", "/c.so")),
        ({"LD_AUDIT": "/audit.so", "LD_PRELOAD": "liba.so"}, ("liba.so", "/audit.so")),
    ],
)
def test_names_in_the_environment(env: dict[str, str], expected: tuple[str, ...]) -> None:
    assert preloads(env) == expected


def test_the_file_is_read_as_the_loader_reads_it(bench: Bench, chroot: Callable[[dict[str, Path]], Chroot]) -> None:
    """Comments, spaces, colons; what is not there is left out; its libraries come before the program's."""
    for name in ("pre1", "pre2", "own"):
        source = bench.object(f"say-{name}", SAY.format(f'"{name}"'))
        bench.lib(f"lib{name}.so", ["libmore.so"] if name == "pre2" else [], soname=f"lib{name}.so", source=source)
    bench.lib("libmore.so", soname="libmore.so")
    exe = bench.exe("exe", ["libown.so"])
    there = {name: bench / name for name in ("libpre1.so", "libpre2.so", "libown.so", "libmore.so")}
    root = chroot({"/exe": exe, **{f"/lib/x86_64-linux-gnu/{name}": place for name, place in there.items()}})
    root.write(PRELOAD, b"# of a test\nlibpre1.so: /none.so\t/lib/x86_64-linux-gnu/libpre2.so # libown.so\n")
    assert sorted(root.run("/exe").split()) == ["own", "pre1", "pre2"]
    walk = Walk(HostTree(str(root.root)), Facts())
    (run,) = walk.runs([Root(path="/exe", why=LINE)], ())
    loaded = [one.real.rpartition("/")[2] for one in run.objects]
    assert loaded == ["exe", "ld-linux-x86-64.so.2", "libpre1.so", "libpre2.so", "libown.so", "libc.so.6", "libmore.so"]
    (finding,) = walk.findings
    assert (finding.rule, finding.level, finding.path) == ("preload-absent", Level.WARNING, "/exe")
    assert "/none.so" in finding.text


def test_what_is_preloaded_comes_along_with_its_libraries(kit: Kit) -> None:
    selection = {"/app/prog": kit.program("2.36")}
    extra = {"libpre.so": kit.library("libpre.so", needs=["libdeep.so"]), "libdeep.so": kit.library("libdeep.so")}
    supply = Supply(name="build", tree=merged(kit.glibc("2.36"), **extra))
    roots = [Root(path="/app/prog", why=LINE)]
    closure = close(Tree(selection), roots, [supply], facts=Facts(), preload=("libpre.so", "libnone.so"))
    assert {f"{MULTI}/libpre.so", f"{MULTI}/libdeep.so"} <= {*paths(closure)} & closure.used
    assert (closure.missing, [one.rule for one in closure.findings]) == ((), ["preload-absent"])
    from_file, _ = closed(Tree({PRELOAD: file(b"libpre.so\n")}), selection, supply.tree)
    assert f"{MULTI}/libdeep.so" in paths(from_file)


def test_programs_of_another_user_heed_no_environment(kit: Kit) -> None:
    """setuid and setgid: LD_LIBRARY_PATH and LD_PRELOAD say nothing to them, /etc/ld.so.preload does."""
    tree = merged(kit.glibc("2.36")).merge(
        Tree({"/opt/libfoo.so": kit.library("libfoo.so"), "/opt/libpre.so": kit.library("libpre.so")})
    )
    for mode, heeds in ((0o755, True), (0o4755, False), (0o2755, False)):
        program = replace(kit.program("2.36", ["libfoo.so"]), mode=mode)
        closure = close(
            tree.merge(Tree({"/app/prog": program})),
            [Root(path="/app/prog", why=LINE)],
            [],
            facts=Facts(),
            library_path=("/opt",),
            preload=("/opt/libpre.so",),
        )
        assert [one.name for one in closure.missing] == ([] if heeds else ["libfoo.so"])
        assert ("/opt/libpre.so" in closure.used) is heeds
