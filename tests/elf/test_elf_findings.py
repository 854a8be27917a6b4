"""What is said of an output that a person should know, and what a finished tree may not have (ELF.md 6.3)."""

from __future__ import annotations

import json

import pytest
from elf_kit import LIBC, LINE, MULTI, Kit, closed, merged, paths

from slimrun.elf import ldcache
from slimrun.elf.closure import Facts, Finding, Level, Root, check
from slimrun.tree.entry import file, link
from slimrun.tree.tree import Tree


def test_all_hwcaps_variants_come_along(kit: Kit) -> None:
    plain, v2, v3 = (kit.library("libh.so.1", needs=[need] if need else []) for need in ("", "libv2.so", "libv3.so"))
    caps = f"{MULTI}/glibc-hwcaps"
    supply = merged(
        kit.glibc("2.36"),
        **{"libh.so.1": plain, "libv2.so": kit.library("libv2.so"), "libv3.so": kit.library("libv3.so")},
    )
    supply = supply.merge(Tree({f"{caps}/x86-64-v2/libh.so.1": v2, f"{caps}/x86-64-v3/libh.so.1": v3}))
    closure, _ = closed(Tree(), {"/app/prog": kit.program("2.36", ["libh.so.1"])}, supply)
    pulled = {one.path: one.why.rule for one in closure.pulled}
    assert pulled[f"{caps}/x86-64-v3/libh.so.1"] == pulled[f"{caps}/x86-64-v2/libh.so.1"] == "hwcaps"
    assert {f"{MULTI}/libh.so.1", f"{MULTI}/libv2.so", f"{MULTI}/libv3.so"} <= set(pulled)


def test_name_that_another_module_brings_is_a_warning(kit: Kit) -> None:
    selection = {
        "/app/prog": kit.program("2.36"),
        "/site/a/liba.so": kit.library("libtorch.so"),
        "/site/b/ext.so": kit.library("", needs=["libtorch.so"]),
    }
    closure, _ = closed(merged(kit.glibc("2.36")), selection, modules=["/site/b/ext.so"])
    assert closure.missing == ()
    assert [(one.rule, one.path) for one in closure.findings] == [("only-if-loaded-before", "/site/b/ext.so")]
    assert "/site/a/liba.so" in closure.used


def test_findings_of_roots(kit: Kit) -> None:
    script = file(b"#!/bin/sh\necho this is a script, and no business of the loader's at all\n", mode=0o755)
    other = kit.library("liby.so")
    arm = file(other.read()[:18] + b"\xb7\x00" + other.read()[20:])
    broken = file(other.read()[:100])
    selection = {"/app/prog": kit.program("2.36"), "/app/script": script, "/x/arm.so": arm, "/x/broken.so": broken}
    closure, _ = closed(
        merged(kit.glibc("2.36")),
        selection,
        roots=["/app/prog", "/app/script", "/app/none"],
        modules=["/x/arm.so", "/x/broken.so"],
    )
    assert [(one.rule, one.path) for one in closure.findings] == [
        ("no-such-root", "/app/none"),
        ("wrong-machine", "/x/arm.so"),
        ("bad-elf", "/x/broken.so"),
    ]


def test_candidate_that_ends_the_search(kit: Kit) -> None:
    base = merged(kit.glibc("2.36")).merge(
        Tree({"/usr/lib/x86_64-linux-gnu/libfoo.so.1": file(b"INPUT(libfoo.so.2)" * 9)})
    )
    closure, _ = closed(base, {"/app/prog": kit.program("2.36", ["libfoo.so.1"])}, base)
    assert [one.fatal for one in closure.missing] == ["/lib/x86_64-linux-gnu/libfoo.so.1: invalid ELF header"]


def test_check_sees_what_is_wrong_with_a_tree(kit: Kit) -> None:
    mixed = kit.glibc("2.36") | {LIBC: kit.glibc("2.41")[LIBC]}
    tree = merged(mixed).merge(
        Tree(
            {
                "/app/prog": kit.program("2.36", ["libnone.so"]),
                ldcache.PATH: file(ldcache.write([ldcache.Cached("libx.so", "/opt/libx.so", 0x303)])),
                "/usr/lib/libdangling.so": link("libnone.so.1"),
                "/etc/mtab": link("/proc/mounts"),
            }
        )
    )
    said = check(tree, [Root(path="/app/prog", why=LINE)], facts=Facts())
    assert [one.rule if isinstance(one, Finding) else type(one).__name__ for one in said] == [
        "Missing",
        "stale-cache",
        "dangling-link",
        "glibc-mixed",
    ]


def test_executable_stack_under_a_glibc_that_refuses_it(kit: Kit) -> None:
    ext = file(kit.bench.lib("stack/ext.so", options=["-Wl,-z,execstack"]).read_bytes())
    for release, refused in (("2.36", False), ("2.41", True)):
        closure, _ = closed(
            merged(kit.glibc(release)), {"/app/prog": kit.program("2.36"), "/x/ext.so": ext}, modules=["/x/ext.so"]
        )
        assert ("executable-stack" in {one.rule for one in closure.findings}) is refused


def test_notes_of_dlopen(kit: Kit) -> None:
    for priority, pulled in (("required", True), ("recommended", True), ("suggested", False)):
        text = json.dumps([{"feature": "f", "priority": priority, "soname": ["libnone.so", "libopt.so"]}])
        size = len(text) + 1
        code = (
            f"const struct {{ unsigned namesz, descsz, type; char name[4]; char desc[{size}]; }} n "
            f'__attribute__((section(".note.dlopen"), aligned(4), used)) = {{4, {size}, 0x407c0c0a, "FDO", {json.dumps(text)}}};\n'
        )
        source = kit.bench.object(f"note-{priority}", code)
        noted = file(kit.bench.lib(f"note-{priority}/libnoted.so", soname="libnoted.so", source=source).read_bytes())
        supply = merged(kit.glibc("2.36"), **{"libnoted.so": noted, "libopt.so": kit.library("libopt.so")})
        closure, _ = closed(Tree(), {"/app/prog": kit.program("2.36", ["libnoted.so"])}, supply)
        assert (f"{MULTI}/libopt.so" in paths(closure)) is pulled
        assert closure.missing == ()
    bare = merged(
        kit.glibc("2.36"), **{"libnoted.so": file(kit.bench.work.joinpath("note-required/libnoted.so").read_bytes())}
    )
    closure, _ = closed(Tree(), {"/app/prog": kit.program("2.36", ["libnoted.so"])}, bare)
    assert [one.name for one in closure.missing] == ["libnone.so"]


def test_musl_program(kit: Kit) -> None:
    interp = "/lib/ld-musl-x86_64.so.1"
    foo, ldso = kit.library("libfoo.so", needs=["libc.so"]), kit.library("libc.musl-x86_64.so.1")
    stub = kit.bench.lib("musl/libfoo.so", soname="libfoo.so")
    program = kit.bench.bare("musl/prog", [stub], options=[f"-Wl,--dynamic-linker={interp}"])
    supply = Tree({interp: ldso, "/usr/local/lib/libfoo.so": foo})
    closure, _ = closed(Tree(), {"/app/prog": file(program.read_bytes())}, supply)
    assert paths(closure) == [interp, "/usr/local/lib/libfoo.so"]
    assert (closure.missing, closure.cache) == ((), None)
    mixed = {"/app/prog": file(program.read_bytes()), "/x/ext.so": kit.library("", "2.36")}
    closure, _ = closed(Tree(), mixed, supply, modules=["/x/ext.so"])
    assert "mixed-libc" in {one.rule for one in closure.findings}


@pytest.mark.parametrize("name", ["libc.musl-x86_64.so.1", "libc.so"])
def test_module_for_musl_under_glibc(name: str, kit: Kit) -> None:
    """Refused even where a file of that name is there: two libcs in one process."""
    ext = {"/x/ext.so": kit.library("", needs=[name]), f"{MULTI}/{name}": kit.library(name)}
    closure, _ = closed(merged(kit.glibc("2.36")), {"/app/prog": kit.program("2.36"), **ext}, modules=["/x/ext.so"])
    (finding,) = [one for one in closure.findings if one.rule == "mixed-libc"]
    assert (finding.level, finding.path) == (Level.ERROR, "/x/ext.so")
    assert f"needs {name}" in finding.text


def test_search_paths_that_depend_on_the_working_folder(kit: Kit) -> None:
    """One finding for each file that says so, however many names it asks for."""
    ext = kit.library("", needs=["liba.so", "libb.so"], rpath="$ORIGIN:x.libs:")
    files = {"/app/prog": kit.program("2.36"), "/x/ext.so": ext}
    files |= {f"/x/{name}": kit.library(name) for name in ("liba.so", "libb.so")}
    output = merged(kit.glibc("2.36")).merge(Tree(files))
    roots = [Root(path="/app/prog", why=LINE), Root(path="/x/ext.so", why=LINE, program="/app/prog")]
    (finding,) = check(output, roots, facts=Facts())
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.level, finding.path) == ("relative-search-path", Level.WARNING, "/x/ext.so")
    assert finding.text.startswith("its RPATH has 'x.libs', '', looked up in")
    (finding,) = [
        one for one in check(output, roots[:1], facts=Facts(), library_path=("/opt", "")) if isinstance(one, Finding)
    ]
    assert (finding.rule, finding.path) == ("relative-search-path", "/app/prog")


def test_a_needed_path_that_depends_on_the_working_folder(kit: Kit) -> None:
    files = {"/app/prog": kit.program("2.36"), "/x/ext.so": kit.library("", needs=["x/liba.so"])}
    closure, _ = closed(merged(kit.glibc("2.36")), files, modules=["/x/ext.so"])
    rules = {one.rule: one.level for one in closure.findings}
    assert rules["relative-needed"] is Level.ERROR


def test_two_files_of_one_name_in_a_process(kit: Kit) -> None:
    """An error (2.3), but not for copies in `*.libs`, nor for a CPU's variants."""
    first, second = kit.library("libq.so.1", needs=["libx.so"]), kit.library("libq.so.1", "2.31")
    ext = {
        "/x/ext.so": kit.library("", needs=["libq.so.1", "libq-other.so"], rpath="$ORIGIN/a:$ORIGIN/b:$ORIGIN/b.libs")
    }
    for folder, level in (("b", Level.ERROR), ("b.libs", None)):
        rows = {"/x/a/libq.so.1": first, "/x/a/libx.so": kit.library("libx.so"), f"/x/{folder}/libq-other.so": second}
        closure, _ = closed(
            merged(kit.glibc("2.36")), {"/app/prog": kit.program("2.36"), **ext, **rows}, modules=["/x/ext.so"]
        )
        assert {one.rule: one.level for one in closure.findings}.get("double") is level
