"""Patterns over absolute paths: a table, every text is a pattern, and fnmatch agrees where both say something."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slimrun.prune.globs import Matcher, literal_folder, translate

TABLE = [
    ("/a/b", ["/a/b"], ["/a", "/a/b/c", "/a/bc", "a/b"]),
    ("/a/*", ["/a/b", "/a/.b", "/a/"], ["/a", "/a/b/c"]),
    ("/a/*.so", ["/a/x.so", "/a/.so"], ["/a/x.so.1", "/a/b/x.so", "/a/xXso"]),
    ("/a/?", ["/a/b"], ["/a/", "/a/bc", "/a//"]),
    ("/a/**/c", ["/a/c", "/a/b/c", "/a/b/b/c"], ["/a/bc", "/ac", "/a/c/d"]),
    ("/a/**", ["/a", "/a/b", "/a/b/c"], ["/ab", "/"]),
    ("/**/c", ["/c", "/a/c", "/a/b/c"], ["/ac", "/c/d"]),
    ("**/c", ["/c", "c", "/a/c", "a/c"], ["/ac"]),
    ("/**/**/c", ["/c", "/a/c"], ["/ac"]),
    ("/a/**/**", ["/a", "/a/b", "/a/b/c"], ["/ab"]),
    ("/a/x**y", ["/a/xy", "/a/x/b/y"], ["/a/x"]),
    ("/[ab]c", ["/ac", "/bc"], ["/cc", "/abc"]),
    ("/[!ab]c", ["/cc", "/!c"], ["/ac", "//c"]),
    ("/[a-c-]", ["/a", "/b", "/c", "/-"], ["/d"]),
    ("/[]a]", ["/]", "/a"], ["/b"]),
    ("/[!]a]", ["/b"], ["/]", "/a"]),
    ("/[^a]", ["/^", "/a"], ["/b"]),
    ("/[z-a]", [], ["/z", "/a", "/-"]),
    ("/[!z-a]", ["/z", "/m"], ["//"]),
    ("/[a&&b]", ["/a", "/&"], ["/c"]),
    ("/[a--]", [], ["/a", "/-"]),
    (r"/[\d]", ["/\\", "/d"], ["/1"]),
    ("/[ab", ["/[ab"], ["/a"]),
    ("/[]", ["/[]"], ["/"]),
    ("/[!]", ["/[!]"], ["/a"]),
    ("/{a,b}/c", ["/a/c", "/b/c"], ["/c", "/ab/c"]),
    ("/{a,}b", ["/ab", "/b"], ["/aab"]),
    ("/{*.py,x?}", ["/a.py", "/x1"], ["/a.pyc", "/x", "/d/a.py"]),
    ("/{}", ["/{}"], ["/"]),
    ("/{a", ["/{a"], ["/a"]),
    ("/a.b+c(d)|e$", ["/a.b+c(d)|e$"], ["/aXb+c(d)", "/a.bbc(d)|e$"]),
    ("/a\nb/**", ["/a\nb/c"], ["/a"]),
    ("/é*", ["/édu"], ["/e"]),
]


@pytest.mark.parametrize(("pattern", "named", "others"), TABLE)
def test_what_a_pattern_names(pattern: str, named: list[str], others: list[str]) -> None:
    rule = translate(pattern)
    assert [path for path in named if not rule.fullmatch(path)] == []
    assert [path for path in others if rule.fullmatch(path)] == []


@settings(max_examples=300)
@given(pattern=st.text(st.sampled_from("ab/*?[]{}!-^,\\.\n"), max_size=12), path=st.text(max_size=6))
def test_every_text_is_a_pattern(pattern: str, path: str) -> None:
    found = translate(pattern).fullmatch(path)
    assert found is None or found[0] == path
    assert Matcher([pattern]).match(f"/{path}") in (None, pattern)


@settings(max_examples=300)
@given(
    pattern=st.text(st.sampled_from("ab?*[]!c-"), max_size=8).filter(lambda text: "**" not in text),
    name=st.text(st.sampled_from("abc-]["), max_size=5),
)
def test_inside_a_name_it_is_fnmatch(pattern: str, name: str) -> None:
    assert bool(translate(pattern).fullmatch(name)) == fnmatch.fnmatchcase(name, pattern)


@settings(max_examples=100)
@given(path=st.lists(st.text(st.sampled_from("ab*?[]{},!-\n"), min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_quoted_path_names_itself_alone(path: list[str]) -> None:
    text = "/" + "/".join(path)
    quoted = "".join(f"[{char}]" if char in "*?[{" else char for char in text)
    assert translate(quoted).fullmatch(text)
    assert not translate(quoted).fullmatch(text + "x")


MATCHES = [
    (("/a",), "/a", "/a"),
    (("/a",), "/a/b/c", "/a"),
    (("/a/",), "/a/b", "/a/"),
    (("/a",), "/ab", None),
    (("/*",), "/a/b", "/*"),
    (("/a/*/c",), "/a/b/c/d/e", "/a/*/c"),
    (("/x", "/a", "/**"), "/a/b", "/a"),
    (("/a/b", "/a"), "/a/b", "/a/b"),
    (("/a", "/a/b"), "/a/b", "/a"),
    (("/a/b/c", "/a"), "/a/b/c", "/a/b/c"),
    ((), "/a", None),
    (("/",), "/a", None),
]


@pytest.mark.parametrize(("patterns", "path", "named"), MATCHES)
def test_the_first_pattern_that_names_a_path_or_a_folder_above(
    patterns: tuple[str, ...], path: str, named: str | None
) -> None:
    matcher = Matcher(patterns)
    for _ in range(2):
        assert matcher.match(path) == named


def test_a_folder_s_answer_does_not_leak_to_its_neighbours() -> None:
    matcher = Matcher(["/a/b", "/a/*/x"])
    assert [matcher.match(path) for path in ("/a/b/x", "/a/c/x", "/a/c", "/a/b", "/a")] == [
        "/a/b", "/a/*/x", None, "/a/b", None,
    ]  # fmt: skip


def test_a_path_may_be_deep() -> None:
    assert Matcher(["/a"]).match("/a" * 5000) == "/a"


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("/usr/share/zoneinfo/*", "/usr/share/zoneinfo"),
        ("/usr/share/zoneinfo", "/usr/share"),
        ("/usr/share/zone*/x", "/usr/share"),
        ("/usr/lib/{a,b}", "/usr/lib"),
        ("/usr/[ab]/c", "/usr"),
        ("/**/x", "/"),
        ("/x", "/"),
        ("*", "/"),
    ],
)
def test_literal_folder(pattern: str, folder: str) -> None:
    assert literal_folder(pattern) == folder
