"""What is pulled from which supply, to where, and why."""

from __future__ import annotations

from itertools import permutations

import pytest
from elf_kit import LD, LIBC, LINE, MULTI, Kit, busybox, closed, least_library, merged, paths

from slimrun.elf import ldcache
from slimrun.elf.closure import Closure, Extra, Facts, FamilyChoice, Root, check, close
from slimrun.tree.entry import Entry, file, link
from slimrun.tree.tree import Tree
from slimrun.why import Why


def test_scratch_gets_all_from_the_supply(kit: Kit) -> None:
    foo = kit.library("libfoo.so.1", "2.36", ["libbar.so.2"])
    supply = merged(
        kit.glibc("2.36"),
        **{"libfoo.so.1": link("libfoo.so.1.2.3"), "libfoo.so.1.2.3": foo, "libbar.so.2": kit.library("libbar.so.2")},
    )
    closure, final = closed(Tree(), {"/app/prog": kit.program("2.36", ["libfoo.so.1"])}, supply)
    assert {path: text.split()[0] for path, text in final.dump().items()} == {
        "/app/prog": "file",
        "/lib": "symlink",
        "/lib64": "symlink",
        f"{MULTI}/{LD}": "file",
        f"{MULTI}/{LIBC}": "file",
        f"{MULTI}/libbar.so.2": "file",
        f"{MULTI}/libfoo.so.1": "symlink",
        f"{MULTI}/libfoo.so.1.2.3": "file",
        f"/usr/lib64/{LD}": "symlink",
    }
    assert closure.family.choice is FamilyChoice.SUPPLY
    assert closure.family.identity == "Test GLIBC 2.36-1"
    assert (closure.missing, closure.unmet, closure.cache, closure.removed) == ((), (), None, ())
    assert final.resolve(f"/lib64/{LD}") is not None
    why = next(one.why for one in closure.pulled if one.path == f"{MULTI}/libbar.so.2")
    assert [step.text for step in why.chain()] == [
        f"libbar.so.2 is needed by {MULTI}/libfoo.so.1.2.3",
        "libfoo.so.1 is needed by /app/prog",
        "the recipe says so",
    ]
    assert closure.used >= set(final) - {"/lib"}


def test_base_that_has_all_is_left_alone(kit: Kit) -> None:
    base = merged(kit.glibc("2.41"), **{"libfoo.so.1": kit.library("libfoo.so.1", "2.31")})
    supply = merged(kit.glibc("2.36"), **{"libfoo.so.1": kit.library("libfoo.so.1", "2.36")})
    closure, _ = closed(base, {"/app/prog": kit.program("2.36", ["libfoo.so.1"])}, supply)
    assert closure.pulled == ()
    assert closure.family.choice is FamilyChoice.BASE
    assert {edge.how for edge in closure.edges} == {"default", "loaded"}


def test_library_outside_the_default_folders_needs_a_cache(kit: Kit) -> None:
    python, lib = kit.program("2.36", ["libpy3.so.1.0"]), kit.library("libpy3.so.1.0", "2.36")
    tree = merged(kit.glibc("2.36"))
    line = ldcache.Cached("libpy3.so.1.0", "/usr/local/lib/libpy3.so.1.0", 0x303)
    selection = {"/app/prog": python, "/usr/local/lib/libpy3.so.1.0": lib}
    with_cache = tree.merge(Tree(selection | {ldcache.PATH: file(ldcache.write([line]))}))
    with_conf = tree.merge(
        Tree(
            selection
            | {
                "/etc/ld.so.conf": file(b"# local\ninclude ld.so.conf.d/*.conf\n"),
                "/etc/ld.so.conf.d/a.conf": file(b"/usr/local/lib\n"),
            }
        )
    )
    for supply in (with_cache, with_conf):
        closure, final = closed(Tree(), selection, supply)
        assert closure.cached == (line,)
        assert closure.cache == ldcache.write([line])
        assert "/usr/local/lib/libpy3.so.1.0" in closure.used
        assert "/usr/local/lib/libpy3.so.1.0" not in paths(closure)
        assert check(final, [Root(path="/app/prog", why=LINE)], facts=Facts()) == ()


def test_cache_of_the_base_is_brought_up_to_date(kit: Kit) -> None:
    kept = ldcache.Cached("libkept.so.1", "/opt/libkept.so.1", 0x303)
    stale = ldcache.Cached("libgone.so.1", "/opt/libgone.so.1", 0x303)
    base = merged(kit.glibc("2.36")).merge(
        Tree({ldcache.PATH: file(ldcache.write([kept, stale])), "/opt/libkept.so.1": kit.library("libkept.so.1")})
    )
    closure, _ = closed(base, {"/app/prog": kit.program("2.36", ["libkept.so.1"])})
    assert closure.missing == ()
    assert closure.cached == ()
    assert closure.cache == ldcache.write([kept])


def test_merged_usr_of_the_supply_meets_a_real_lib(kit: Kit) -> None:
    supply = merged(
        kit.glibc("2.36"), **{"libfoo.so.1": link("libfoo.so.1.0"), "libfoo.so.1.0": kit.library("libfoo.so.1", "2.31")}
    )
    closure, final = closed(busybox(kit.glibc("2.36")), {"/app/prog": kit.program("2.31", ["libfoo.so.1"])}, supply)
    assert paths(closure) == [f"{MULTI}/libfoo.so.1", f"{MULTI}/libfoo.so.1.0"]
    assert final["/lib64"] == link("lib")


def test_real_lib_of_the_supply_meets_merged_usr(kit: Kit) -> None:
    supply = Tree({f"/lib/x86_64-linux-gnu/{name}": entry for name, entry in kit.glibc("2.36").items()}).merge(
        Tree(
            {
                "/lib/x86_64-linux-gnu/libfoo.so.1": kit.library("libfoo.so.1"),
                f"/lib64/{LD}": link(f"/lib/x86_64-linux-gnu/{LD}"),
            }
        )
    )
    closure, _ = closed(merged(kit.glibc("2.36")), {"/app/prog": kit.program("2.31", ["libfoo.so.1"])}, supply)
    assert paths(closure) == [f"{MULTI}/libfoo.so.1"]


def test_missing_library_is_a_value_with_its_chain(kit: Kit) -> None:
    supply = merged(kit.glibc("2.36"), **{"libfoo.so.1": kit.library("libfoo.so.1", needs=["libnone.so.3"])})
    closure, _ = closed(Tree(), {"/app/prog": kit.program("2.36", ["libfoo.so.1"])}, supply)
    (missing,) = closure.missing
    assert (missing.name, missing.needed_by) == ("libnone.so.3", f"{MULTI}/libfoo.so.1")
    assert [step.text for step in missing.why.chain()] == ["libfoo.so.1 is needed by /app/prog", "the recipe says so"]
    assert missing.searched == (ldcache.PATH, "/lib/x86_64-linux-gnu", MULTI, "/lib", "/usr/lib")
    assert closure.of("") == tuple(edge for edge in closure.edges if edge.name == "libnone.so.3")


def test_first_supply_that_meets_the_versions_wins(kit: Kit) -> None:
    ask = kit.asking("libask.so", "libver.so.1", "V1", "V2")
    old, new = kit.offering("libver.so.1", "V1"), kit.offering("libver.so.1", "V1", "V2")
    program = kit.program("2.36", ["libask.so"])
    selection = {"/app/prog": program, f"{MULTI}/libask.so": ask}
    debs = Tree({f"{MULTI}/libver.so.1": old})
    build = merged(kit.glibc("2.36"), **{"libver.so.1": new})
    closure, final = closed(Tree(), selection, debs, build)
    assert final[f"{MULTI}/libver.so.1"].digest == new.digest
    assert closure.unmet == ()
    closure, final = closed(Tree(), selection, debs, merged(kit.glibc("2.36")))
    assert final[f"{MULTI}/libver.so.1"].digest == old.digest
    assert [(one.version, one.by) for one in closure.unmet] == [("V2", f"{MULTI}/libask.so")]


def test_library_of_the_base_without_a_needed_version(kit: Kit) -> None:
    old, new = kit.offering("libver.so.1", "V1"), kit.offering("libver.so.1", "V1", "V2")
    base = merged(kit.glibc("2.36"), **{"libver.so.1": link("libver.so.1.0"), "libver.so.1.0": old})
    supply = merged(kit.glibc("2.36"), **{"libver.so.1": link("libver.so.1.9"), "libver.so.1.9": new})
    selection = {
        "/app/prog": kit.program("2.36", ["libask.so"]),
        f"{MULTI}/libask.so": kit.asking("libask.so", "libver.so.1", "V1", "V2"),
    }
    closure, final = closed(base, selection, supply)
    assert closure.unmet == ()
    assert paths(closure) == [f"{MULTI}/libver.so.1", f"{MULTI}/libver.so.1.9"]
    assert final[f"{MULTI}/libver.so.1"] == link("libver.so.1.9")


def test_copy_found_too_old_does_not_hide_the_new_one(kit: Kit) -> None:
    old, new = kit.offering("libver.so.1", "V1"), kit.offering("libver.so.1", "V1", "V2")
    base = merged(kit.glibc("2.36")).merge(Tree({"/usr/lib/libver.so.1": old}))
    base = base.without(["/lib"]).merge(Tree({"/lib/x86_64-linux-gnu/libver.so.1": old}))
    supply = merged(kit.glibc("2.36"), **{"libver.so.1": new})
    selection = {
        "/app/prog": kit.program("2.36", ["libask.so"]),
        f"{MULTI}/libask.so": kit.asking("libask.so", "libver.so.1", "V1", "V2"),
    }
    closure, final = closed(base, selection, supply)
    assert closure.unmet == ()
    assert final["/lib/x86_64-linux-gnu/libver.so.1"] == link(f"{MULTI}/libver.so.1")


@pytest.mark.parametrize(("has", "pulls"), [(("one", "two"), False), (("one",), True)])
def test_library_of_the_base_without_versions_goes_by_symbols(kit: Kit, has: tuple[str, ...], pulls: bool) -> None:
    base = merged(kit.glibc("2.36"), **{"libplain.so.0": kit.offering("libplain.so.0", symbols=has)})
    supply = merged(
        kit.glibc("2.36"), **{"libplain.so.0": kit.offering("libplain.so.0", symbols=("one", "two", "three"))}
    )
    ask = kit.asking("libask.so", "libplain.so.0", symbols=("one", "two"))
    selection = {"/app/prog": kit.program("2.36", ["libask.so"]), f"{MULTI}/libask.so": ask}
    closure, _ = closed(base, selection, supply)
    assert bool(closure.pulled) is pulls


def over_a_base(kit: Kit, *, old: Entry, new: Entry, own: Entry, ask: Entry) -> Closure:
    """A base with a library and a file of its own that needs it, a supply with another copy, and a module that asks for it."""
    base = merged(kit.glibc("2.36"), **{"libv.so.1": old, "libown.so": own})
    selection = {"/app/prog": kit.program("2.36", ["libask.so"]), f"{MULTI}/libask.so": ask}
    return closed(base, selection, merged(kit.glibc("2.36"), **{"libv.so.1": new}))[0]


def test_a_symbol_that_a_version_got_later(kit: Kit) -> None:
    """Both copies have the version, one of them a symbol more: versions alone would not tell."""
    closure = over_a_base(
        kit,
        old=kit.offering("libv.so.1", "V1"),
        new=kit.offering("libv.so.1", "V1", symbols=["late"]),
        own=kit.asking("libown.so", "libv.so.1", "V1"),
        ask=kit.asking("libask.so", "libv.so.1", "V1", symbols=["late"]),
    )
    assert paths(closure) == [f"{MULTI}/libv.so.1"]
    assert (closure.unmet, closure.findings) == ((), ())


def test_a_copy_that_the_base_s_own_files_could_not_use(kit: Kit) -> None:
    """It is left out, and both the lack and the reason are said."""
    own = kit.asking("libown.so", "libv.so.1", "V0", "V1")
    ask = kit.asking("libask.so", "libv.so.1", "V1", "V2")
    old, new = kit.offering("libv.so.1", "V0", "V1"), kit.offering("libv.so.1", "V1", "V2")
    closure = over_a_base(kit, old=old, new=new, own=own, ask=ask)
    assert closure.pulled == ()
    (unmet,) = closure.unmet
    assert (unmet.version, unmet.by, unmet.symbol) == ("V2", f"{MULTI}/libask.so", False)
    assert [step.text for step in unmet.why.chain()] == ["libask.so is needed by /app/prog", "the recipe says so"]
    (finding,) = closure.findings
    assert str(finding) == (
        f"{MULTI}/libv.so.1: the copy of supply 0 has what {MULTI}/libask.so needs, but not V0, which {MULTI}/libown.so needs"
        " [copy-not-taken]"
    )


def test_a_symbol_that_only_a_copy_has_which_cannot_be_taken(kit: Kit) -> None:
    own = kit.asking("libown.so", "libv.so.1", symbols=["early"])
    ask = kit.asking("libask.so", "libv.so.1", symbols=["late"])
    old, new = (kit.offering("libv.so.1", symbols=[name]) for name in ("early", "late"))
    closure = over_a_base(kit, old=old, new=new, own=own, ask=ask)
    assert closure.pulled == ()
    assert [str(one) for one in closure.unmet] == [
        f"{MULTI}/libask.so needs late of libv.so.1, and {MULTI}/libv.so.1 does not offer it"
    ]
    assert closure.unmet[0].symbol
    assert [one.rule for one in closure.findings] == ["copy-not-taken"]
    # Where another object of the process has it, nothing is lacking.
    other = kit.offering("libother.so", symbols=["late"])
    base = merged(kit.glibc("2.36"), **{"libv.so.1": old, "libown.so": own, "libother.so": other})
    selection = {"/app/prog": kit.program("2.36", ["libask.so", "libother.so"]), f"{MULTI}/libask.so": ask}
    closure, _ = closed(base, selection, merged(kit.glibc("2.36"), **{"libv.so.1": new}))
    assert (closure.unmet, closure.findings) == ((), ())


def test_wheel_with_its_own_libraries_needs_nothing(kit: Kit) -> None:
    site = "/usr/lib/python3/site-packages"
    selection = {
        "/app/prog": kit.program("2.36"),
        f"{site}/x/ext.so": kit.library("", needs=["libgf-1234.so.5"], rpath="$ORIGIN/../x.libs"),
        f"{site}/x.libs/libgf-1234.so.5": kit.library("libgf-1234.so.5", needs=["libq-99.so.0"]),
        f"{site}/x.libs/libq-99.so.0": kit.library("libq-99.so.0"),
        f"{site}/x.libs/libunused.so": kit.library("libunused.so"),
    }
    closure, _ = closed(merged(kit.glibc("2.36")), selection, modules=[f"{site}/x/ext.so"])
    assert (closure.pulled, closure.missing) == ((), ())
    assert {path for path in selection if path in closure.used} == set(selection) - {f"{site}/x.libs/libunused.so"}


def test_names_opened_at_run_time(kit: Kit) -> None:
    why = Why(rule="feature", text="pthread_exit opens it")
    also = [Extra(name="libgcc_s.so.1", why=why), Extra(name="libnone.so", why=why, optional=True)]
    supply = merged(kit.glibc("2.36"), **{"libgcc_s.so.1": kit.library("libgcc_s.so.1", "2.36")})
    closure, _ = closed(Tree(), {"/app/prog": kit.program("2.36")}, supply, also=also)
    (pulled,) = (one for one in closure.pulled if "gcc_s" in one.path)
    assert [step.text for step in pulled.why.chain()] == [
        "libgcc_s.so.1 is opened at run time",
        "pthread_exit opens it",
    ]
    assert closure.missing == ()
    closure, _ = closed(merged(kit.glibc("2.36")), {"/app/prog": kit.program("2.36")}, also=also[:1])
    assert [one.name for one in closure.missing] == ["libgcc_s.so.1"]


def test_order_of_roots_changes_nothing(kit: Kit) -> None:
    supply = merged(
        kit.glibc("2.36"), **{"liba.so": kit.library("liba.so", needs=["libb.so"]), "libb.so": kit.library("libb.so")}
    )
    selection = {
        "/app/prog": kit.program("2.36"),
        "/x/one.so": kit.library("", needs=["libb.so"]),
        "/x/two.so": kit.library("", needs=["liba.so"]),
        "/x/three.so": kit.library("", needs=["liba.so", "libb.so"]),
    }
    results = [
        closed(Tree(), selection, supply, modules=order)[0]
        for order in permutations(["/x/one.so", "/x/two.so", "/x/three.so"])
    ]
    assert all(result == results[0] for result in results)


def test_nothing_to_run_is_nothing() -> None:
    assert close(Tree(), [], [], facts=Facts()) == Closure()


def test_preloaded_library_is_a_root(kit: Kit) -> None:
    base = merged(kit.glibc("2.36")).merge(Tree({"/etc/ld.so.preload": file(b"# all\n/opt/libpre.so:libnone.so\n")}))
    selection = {"/app/prog": kit.program("2.36"), "/opt/libpre.so": kit.library("libpre.so", needs=["libdep.so"])}
    closure, _ = closed(base, selection, merged({}, **{"libdep.so": kit.library("libdep.so")}))
    assert paths(closure) == [f"{MULTI}/libdep.so"]
    assert "/opt/libpre.so" in closure.used


def test_deep_chain_and_cycle_come_to_an_end(kit: Kit) -> None:
    """Deeper than Python's stack; the last one needs the first, and one that is not there."""
    depth = 1200
    names = [f"lib{number}.so" for number in range(depth)]
    libs = {
        f"{MULTI}/{name}": file(
            least_library(
                names[number + 1] if number + 1 < depth else "lib0.so", "libnone.so" if number + 1 == depth else ""
            )
        )
        for number, name in enumerate(names)
    }
    supply = merged(kit.glibc("2.36"))
    in_base, _ = closed(supply.merge(Tree(libs)), {"/app/prog": kit.program("2.36", ["lib0.so"])})
    (missing,) = in_base.missing
    assert len(list(missing.why.chain())) == depth + 1
    pulled, _ = closed(Tree(), {"/app/prog": kit.program("2.36", ["lib0.so"])}, supply.merge(Tree(libs)))
    assert len([one for one in pulled.pulled if one.path in libs]) == depth
    assert [one.name for one in pulled.missing] == ["libnone.so"]


def test_library_whose_file_has_another_name_than_it_calls_itself(kit: Kit) -> None:
    """ldconfig would link libq.so.1; the cache that is written says where it is instead."""
    other, needs = kit.library("libq.so.1"), kit.library("", needs=["libq.so.1"])
    odd = {f"{MULTI}/libreal-9.so": other, f"{MULTI}/libreal-10.so": kit.library("libq.so.1", "2.31")}
    program = {"/app/prog": kit.program("2.36"), "/site/ext.so": needs}
    base = merged(kit.glibc("2.36"))
    for output, supply in ((base.merge(Tree(odd)), Tree()), (Tree(), base.merge(Tree(odd)))):
        closure, final = closed(output, program, supply, modules=["/site/ext.so"])
        assert closure.missing == ()
        (line,) = closure.cached
        found = final.resolve(line.path)
        assert found is not None
        assert (line.name, line.flags, found.path) == ("libq.so.1", 0x303, f"{MULTI}/libreal-10.so")
        assert "only-if-loaded-before" not in {one.rule for one in closure.findings}


def test_library_of_the_output_that_only_ldconfig_would_find(kit: Kit) -> None:
    """A library that `files` brought to /usr/local/lib, which the builder's ld.so.conf names."""
    selection = {
        "/app/prog": kit.program("2.36", ["libmine.so"]),
        "/usr/local/lib/libmine.so": kit.library("libmine.so"),
    }
    supply = merged(kit.glibc("2.36")).merge(Tree({"/etc/ld.so.conf": file(b"/usr/local/lib\n")}))
    closure, _ = closed(Tree(), selection, supply)
    assert closure.missing == ()
    assert closure.cached == (ldcache.Cached("libmine.so", "/usr/local/lib/libmine.so", 0x303),)
