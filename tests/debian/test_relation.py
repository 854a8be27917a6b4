"""Relation fields, and what satisfies them."""

from __future__ import annotations

import pytest

from slimrun.debian.relation import Relation, parse_relations, satisfies, show
from slimrun.debian.stanza import fields
from slimrun.errors import BadArchive


def test_parse() -> None:
    groups = parse_relations("libc6 (>= 2.34), python3:any|python3-x(<<1.0) ,a:i386 (= 1:2~3-4),", what="x")
    assert [show(group) for group in groups] == [
        "libc6 (>= 2.34)",
        "python3:any | python3-x (<< 1.0)",
        "a:i386 (= 1:2~3-4)",
    ]
    assert groups[1][0] == Relation("python3", qualifier="any")
    assert parse_relations("", what="x") == ()


@pytest.mark.parametrize("text", ["a b", "a (1)", "a (= )", "a (= 1 2)", "(= 1)", "a | ", "-a", "a (~ 1)", "a (= 1_2)"])
def test_no_relation(text: str) -> None:
    with pytest.raises(BadArchive, match="x of bookworm has the relation"):
        parse_relations(text, what="x of bookworm")


@pytest.mark.parametrize(
    ("operator", "admitted"),
    [("<<", "1"), ("<=", "1 2"), ("=", "2"), (">=", "2 3"), (">>", "3"), ("<", "1 2"), (">", "2 3"), ("", "1 2 3")],
)
def test_admits(operator: str, admitted: str) -> None:
    text = f"a ({operator} 2)" if operator else "a"
    ((one,),) = parse_relations(text, what="x")
    assert [version for version in "123" if one.admits(version)] == admitted.split()


def test_versioned_provides() -> None:
    """deb-control(5): a Provides without a version satisfies no relation that has one."""
    wanted = Relation("v", ">=", "2")
    assert not satisfies(Relation("v"), wanted)
    assert satisfies(Relation("v", "=", "2.1"), wanted)
    assert not satisfies(Relation("v", "=", "1"), wanted)
    assert satisfies(Relation("v"), Relation("v"))


def test_fields() -> None:
    text = "Package: a\ndescription: short\n long\n .\n more\nEmpty:\n# comment\nURL: http://x/:y\n"
    assert fields(text) == {
        "package": "a",
        "description": "short\nlong\n.\nmore",
        "empty": "",
        "url": "http://x/:y",
    }
