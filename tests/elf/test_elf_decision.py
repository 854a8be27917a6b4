"""What a person reads of the choice of glibc."""

from __future__ import annotations

import pytest

from slimrun.elf.decision import decided
from slimrun.elf.model import FamilyChoice, FamilyDecision, Unmet
from slimrun.why import Why

WHY = Why(rule="recipe", text="python.image: x")
PYTHON = "/usr/local/bin/python3.11"


def need(by: str, version: str, library: str = "libc.so.6") -> Unmet:
    return Unmet(version=version, library=library, by=by, provider="/lib/libc.so.6", why=WHY)


NEEDS = (need("/lib/libexpat.so.1", "GLIBC_2.36"), need(PYTHON, "GLIBC_2.34"), need(PYTHON, "GLIBC_2.35"))


def replaced(*needs: Unmet) -> str:
    return decided(
        FamilyDecision(
            choice=FamilyChoice.REPLACED,
            supply="python:3.11-slim",
            identity="Debian GLIBC 2.36-9",
            base_identity="Debian GLIBC 2.31-13",
            needs=needs,
        )
    )


def test_each_file_is_named_once_with_the_newest_that_it_needs() -> None:
    assert replaced(*NEEDS) == (
        "the runtime's glibc (Debian GLIBC 2.31-13) is replaced, in every path where it is, by Debian GLIBC 2.36-9 of "
        f"python:3.11-slim: /lib/libexpat.so.1 needs GLIBC_2.36 of libc.so.6; {PYTHON} needs GLIBC_2.35 of libc.so.6"
    )


def test_a_member_that_is_not_there_at_all() -> None:
    assert replaced(need("/a", "libm.so.6", "libm.so.6")).endswith(": /a needs libm.so.6")


def test_many_files() -> None:
    text = replaced(*(need(f"/{letter}", "GLIBC_2.36") for letter in "edcba"))
    assert text.endswith("/c needs GLIBC_2.36 of libc.so.6; and 2 files more")
    assert "/d needs" not in text


def test_what_cannot_be_replaced_says_why() -> None:
    why = "x (2.36): /bin/own needs GLIBC_2.41 of libc.so.6"
    assert decided(FamilyDecision(choice=FamilyChoice.REFUSED, needs=NEEDS[:1], why_not=why)) == (
        "the runtime's glibc (of an unknown build) lacks what is needed (/lib/libexpat.so.1 needs GLIBC_2.36 of libc.so.6), and "
        "nothing can replace it: x (2.36): /bin/own needs GLIBC_2.41 of libc.so.6"
    )


@pytest.mark.parametrize("choice", [FamilyChoice.BASE, FamilyChoice.SUPPLY, FamilyChoice.NONE])
def test_the_usual_is_not_worth_a_word(choice: FamilyChoice) -> None:
    assert decided(FamilyDecision(choice=choice, identity="Debian GLIBC 2.36-9")) == ""
