"""Which glibc an output runs on: the base's, or a supply's as a whole (ELF.md 2.2, 2.3)."""

from __future__ import annotations

import pytest
from elf_kit import LD, LIBC, LINE, MULTI, Kit, busybox, closed, merged, paths

from slimrun.elf.closure import FamilyChoice
from slimrun.tree.entry import link
from slimrun.tree.tree import Tree


@pytest.mark.parametrize("shape", [merged, busybox])
def test_base_too_old_is_replaced_as_a_whole(kit: Kit, shape: type) -> None:
    base = shape(kit.glibc("2.31"), **{"libold.so.1": kit.library("libold.so.1", "2.31")})
    supply = merged(kit.glibc("2.36"))
    closure, final = closed(base, {"/app/prog": kit.program("2.36")}, supply)
    family = closure.family
    assert (family.choice, family.identity, family.base_identity) == (
        FamilyChoice.REPLACED,
        "Test GLIBC 2.36-1",
        "Test GLIBC 2.31-1",
    )
    assert [(need.by, need.library, need.version) for need in family.needs] == [("/app/prog", LIBC, "GLIBC_2.36")]
    assert [need.why for need in family.needs] == [LINE]
    digests = {entry.digest for entry in kit.glibc("2.31").values()}
    assert [path for path, entry in final.files() if entry.digest in digests] == []
    assert set(paths(closure)) == {path for path in base if base[path].digest in digests}
    assert all(one.why.rule == "family" for one in closure.pulled)
    assert {list(one.why.chain())[-1] for one in closure.pulled} == {LINE}, "each leads to the recipe"
    assert (closure.missing, closure.unmet) == ((), ())


def test_debian_11_keeps_its_file_names(kit: Kit) -> None:
    old = kit.glibc("2.31")
    base = Tree(
        {
            f"/lib/x86_64-linux-gnu/{LIBC}": link("libc-2.31.so"),
            "/lib/x86_64-linux-gnu/libc-2.31.so": old[LIBC],
            f"/lib64/{LD}": link("/lib/x86_64-linux-gnu/ld-2.31.so"),
            "/lib/x86_64-linux-gnu/ld-2.31.so": old[LD],
            f"/lib/x86_64-linux-gnu/{LD}": link("ld-2.31.so"),
        }
    )
    closure, final = closed(base, {"/app/prog": kit.program("2.36")}, merged(kit.glibc("2.36")))
    assert closure.family.choice is FamilyChoice.REPLACED
    assert paths(closure) == ["/lib/x86_64-linux-gnu/ld-2.31.so", "/lib/x86_64-linux-gnu/libc-2.31.so"]
    assert final[paths(closure)[1]].digest == kit.glibc("2.36")[LIBC].digest


def test_replacing_is_refused_where_the_bases_programs_would_not_run(kit: Kit) -> None:
    base = merged(kit.glibc("2.41")).without([f"{MULTI}/libm.so.6"]).merge(Tree({"/bin/own": kit.program("2.41")}))
    selection = {"/app/prog": kit.program("2.31", ["libm.so.6"])}
    closure, _ = closed(base, selection, merged(kit.glibc("2.36")))
    assert closure.family.choice is FamilyChoice.REFUSED
    assert closure.family.why_not == "supply 0 (Test GLIBC 2.36-1): /bin/own needs GLIBC_2.41 of libc.so.6"
    assert [one.name for one in closure.missing] == ["libm.so.6"]
    assert closure.pulled == ()


def test_part_of_a_family_is_not_enough(kit: Kit) -> None:
    part = merged(kit.glibc("2.36")).without([f"{MULTI}/{LD}"])
    closure, _ = closed(merged(kit.glibc("2.31")), {"/app/prog": kit.program("2.36")}, part)
    assert closure.family.choice is FamilyChoice.REFUSED
    assert [str(one) for one in closure.unmet] == [
        f"/app/prog needs GLIBC_2.36 of libc.so.6, and {MULTI}/{LIBC} does not offer it"
    ]


def test_a_family_of_two_builds_is_not_taken(kit: Kit) -> None:
    mixed = merged(kit.glibc("2.36") | {LD: kit.glibc("2.41")[LD]})
    closure, _ = closed(Tree(), {"/app/prog": kit.program("2.36")}, mixed)
    assert closure.family.choice is FamilyChoice.NONE
    assert [one.name for one in closure.missing] == [f"/lib64/{LD}", LIBC]


@pytest.mark.parametrize(
    ("build", "choice"), [("Test GLIBC 2.36-1", FamilyChoice.BASE), ("Other GLIBC 2.36-7", FamilyChoice.REPLACED)]
)
def test_a_member_that_the_base_lacks(kit: Kit, build: str, choice: FamilyChoice) -> None:
    base = merged(kit.glibc("2.36")).without([f"{MULTI}/libm.so.6"])
    closure, final = closed(base, {"/app/prog": kit.program("2.31", ["libm.so.6"])}, merged(kit.glibc("2.36", build)))
    assert closure.family.choice is choice
    assert f"{MULTI}/libm.so.6" in final
    assert (len(closure.pulled) == 1) is (choice is FamilyChoice.BASE)


@pytest.mark.parametrize("base_release", ["", "2.31", "2.36", "2.41"])
@pytest.mark.parametrize("supply_release", ["2.31", "2.36", "2.41"])
@pytest.mark.parametrize("needs", ["2.31", "2.36", "2.41"])
def test_family_matrix(kit: Kit, base_release: str, supply_release: str, needs: str) -> None:
    base = busybox(kit.glibc(base_release)) if base_release else Tree()
    closure, final = closed(base, {"/app/prog": kit.program(needs)}, merged(kit.glibc(supply_release)))
    if base_release and needs <= base_release:
        expected, release = FamilyChoice.BASE, base_release
    elif needs <= supply_release:
        expected, release = FamilyChoice.REPLACED if base_release else FamilyChoice.SUPPLY, supply_release
    else:
        expected, release = (
            FamilyChoice.REFUSED if base_release else FamilyChoice.SUPPLY,
            base_release or supply_release,
        )
        assert [one.version for one in closure.unmet] == [f"GLIBC_{needs}"]
    assert closure.family.choice is expected
    one_build = {entry.digest for entry in kit.glibc(release).values()}
    others = {entry.digest for each in ("2.31", "2.36", "2.41") for entry in kit.glibc(each).values()} - one_build
    assert [path for path, entry in final.files() if entry.digest in others] == []


def test_name_service_of_an_older_glibc_has_its_reason(kit: Kit) -> None:
    """Before 2.34 libc opens these at run time for every look-up."""
    nss = Tree({f"{MULTI}/libnss_dns.so.2": kit.library("libnss_dns.so.2", "2.31")})
    supply = merged(kit.glibc("2.31")).merge(nss)
    closure, _ = closed(Tree(), {"/app/prog": kit.program("2.31")}, supply)
    whys = {one.path: one.why for one in closure.pulled}
    rules = [why.rule for why in whys[f"{MULTI}/libnss_dns.so.2"].chain()]
    assert rules == ["needed", "nss", LINE.rule]
