"""What identifies a value: equal values are equal on every machine, and every difference counts."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import pytest
from tests.treetext import tree

from slimrun.errors import Where
from slimrun.plan.digest import digest_of
from slimrun.tree.content import Extent
from slimrun.tree.entry import Entry, Kind
from slimrun.tree.tree import Tree
from slimrun.why import Why


@dataclass(frozen=True)
class One:
    a: object = None


@dataclass(frozen=True)
class Other:
    a: object = None


VALUES: list[object] = [
    None, True, False, 0, 1, 1.5, -1, "", "1", "x", "\udcff", b"x", b"", (), ("x",), (("x",),), ("x", "y"), ("y", "x"), {"x": 1},
    {"x": 2}, {"y": 1}, frozenset({"a", "b"}), One(), One(1), One("1"), Other(), Other(1), One(One()), One((1, 2)),
    tree({"/a": b"x"}), tree({"/a": b"y"}), tree({"/b": b"x"}), Where("f", 1), Where("f", 2), Kind.DIR,
]  # fmt: skip


def test_every_difference_counts() -> None:
    for one, other in itertools.combinations(VALUES, 2):
        assert digest_of(one) != digest_of(other), (one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, 2), [1, 2]),
        ({"a": 1, "b": 2}, MappingProxyType({"b": 2, "a": 1})),
        (frozenset("abcdef"), set("fedcba")),
        (PurePosixPath("/a/b"), Path("/a/b")),
        (Kind.FILE, "file"),
        (tree({"/a": b"1", "/b": b"2"}), tree({"/b": b"2", "/a": b"1"})),
    ],
)
def test_what_counts_as_equal(one: object, other: object) -> None:
    assert digest_of(one) == digest_of(other)
    assert digest_of(One(one)) == digest_of(One(other))


@pytest.mark.parametrize("value", [object(), len, One, One(object()), {"a": object()}, 1j])
def test_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        digest_of(value)


def test_shared_tails_are_digested_once() -> None:
    """A chain of a thousand reasons, each with two heads: without the memo this takes for ever."""
    why = Why(rule="recipe", text="end", where=Where("f", 1))
    heads = []
    for number in range(60):
        why = Why(rule="r", text=str(number), because=why)
        heads += [why, why]
    assert digest_of(tuple(heads)) == digest_of(list(heads))
    assert digest_of((heads[0], heads[-1])) != digest_of((heads[-1], heads[0]))


def test_pinned_under_every_hash_seed() -> None:
    """The literal says: keys stay what they are from one machine to the next."""
    text = "from slimrun.plan.digest import *; print(digest_of(('prune', 3, frozenset('abc'), {'b': (1, None), 'a': 'é'})))"
    found = {
        subprocess.run(
            [sys.executable, "-c", text], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout.decode()
        for seed in ("0", "1")
    }
    assert found == {digest_of(("prune", 3, {"c", "b", "a"}, {"a": "é", "b": [1, None]})) + "\n"}
    assert found == {"ebf469017bca4b93d1e1916966c9a04e8a9b647a1aa1b535e957bf427d60a09e\n"}


def test_without_places() -> None:
    one, other = One((Where("f", 1), 1)), One((Where("g", 2), 1))
    assert digest_of(one) != digest_of(other)
    assert digest_of(one, places=False) == digest_of(other, places=False)
    assert digest_of(one, places=False) != digest_of(One((Where("f", 1), 2)), places=False)


def test_where_bytes_are_is_no_part_of_it() -> None:
    read = Entry(kind=Kind.FILE, size=1, digest="d", content=Extent("/cache/pack", 7, 1))
    assert digest_of((read,)) == digest_of((replace(read, content=Extent("/elsewhere", 0, 1)),))
    left = Entry(kind=Kind.FILE, size=1, content=Extent("/overlay2/a/diff/x", 0, 1, "sha256:1/x"))
    pulled_again = replace(left, content=Extent("/overlay2/b/diff/x", 0, 1, "sha256:1/x"))
    assert digest_of((left, Tree({"/x": left}))) == digest_of((pulled_again, Tree({"/x": pulled_again})))
    other = replace(left, content=Extent("/overlay2/a/diff/x", 0, 1, "sha256:2/x"))
    assert digest_of((left,)) != digest_of((other,))
    assert Tree({"/x": left}).digest() != Tree({"/x": other}).digest()
