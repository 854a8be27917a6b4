"""What a key is made of: each part counts, and two sets of parts say in a person's words what is different."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slimrun.errors import Where
from slimrun.plan import steps
from slimrun.plan.compile import Stage
from slimrun.plan.pins import ImagePin
from slimrun.plan.steps import CopyFiles, InstallWheels, PruneTree, ResolveImage, WriteImage
from slimrun.recipe.model import FileCopy, Image, Wheel
from slimrun.resolve.pins import Pins
from slimrun.work.parts import WORDS, Change, compare, key_of, parts_of, summary

if TYPE_CHECKING:
    from slimrun.plan.steps import Step
    from slimrun.work.parts import Parts

HERE, THERE = Where("r.yaml", 1), Where("r.yaml", 9)


def parts(*given: Step, reads: tuple[str, ...] = (), blind: tuple[str, ...] = (), **words: Any) -> Parts:
    stage = Stage(name=words.pop("name", "prune"), steps=given, reads=reads, blind=blind)
    given_words = {"names": (), "results": {}, "pins": {}, "outside": ()} | words
    return parts_of(stage, given_words.pop("revision", 1), **given_words)


PRUNE = PruneTree(level="safe", level_where=HERE)
ROWS: list[Parts] = [
    parts(PRUNE),
    parts(PRUNE, name="other"),
    parts(PRUNE, revision=2),
    parts(replace(PRUNE, level="small")),
    parts(replace(PRUNE, level_where=THERE)),
    parts(PRUNE, names=("app",)),
    parts(PRUNE, names=("app", ("app:1",))),
    parts(PRUNE, outside=(("file a", "1"),)),
    parts(PRUNE, outside=(("file a", "2"),)),
    parts(PRUNE, outside=(("file b", "1"),)),
    parts(PRUNE, reads=("python",), results={"python": "1"}),
    parts(PRUNE, reads=("python",), results={"python": "2"}),
    parts(PRUNE, reads=("wheels",), results={"wheels": "1"}),
    parts(PRUNE, PRUNE),
    parts(),
]


def test_each_part_of_a_key_counts() -> None:
    for one, other in combinations(ROWS, 2):
        assert key_of("prune", one) != key_of("prune", other), (one, other)
    assert key_of("prune", ROWS[0]) != key_of("verify", ROWS[0])
    assert key_of("prune", parts(PRUNE)) == key_of("prune", dict(reversed(ROWS[0].items())))


def test_results_that_a_stage_does_not_read_do_not_count() -> None:
    assert parts(PRUNE, reads=("python",), results={"python": "1", "files": "2"}) == parts(
        PRUNE, reads=("python",), results={"python": "1"}
    )


BASE = ImagePin(reference="python:3.11", digest="sha256:1", platform="linux/amd64")


def settled(**words: Any) -> dict[str, tuple[str, str]]:
    pins = replace(Pins(base=BASE, runtime=None, platform="linux/amd64"), **words)
    return {name: (text, str(value)) for name, (text, value) in pins.parts().items()}


def test_a_stage_is_blind_to_pins_that_it_does_not_see() -> None:
    moved = replace(BASE, reference="busybox", digest="sha256:2")
    for name in ("python", "assemble"):
        before = parts(
            PRUNE, name=name, reads=("resolve",), blind=("runtime",), pins=settled(), results={"resolve": "1"}
        )
        after = parts(
            PRUNE,
            name=name,
            reads=("resolve",),
            blind=("runtime",),
            pins=settled(runtime=moved),
            results={"resolve": "2"},
        )
        assert before == after
    seen = parts(PRUNE, reads=("resolve",), pins=settled(runtime=moved))
    assert seen != parts(PRUNE, reads=("resolve",), pins=settled())
    assert compare("prune", seen, parts(PRUNE, reads=("resolve",), pins=settled())).follows == ("resolve",)


def test_pins_without_fields() -> None:
    pins = Pins(base=BASE, runtime=BASE, platform="linux/amd64", python=(), packages=())
    assert pins.without() == pins
    assert pins.without("runtime", "packages") == replace(pins, runtime=None)
    assert {text for text, _ in pins.parts().values()} == {
        "the pin of python:3.11",
        "the pins of platform",
        "the pin of no commit",
        "the pin of no builder of wheels",
        "the pins of Debian's Python",
        "the pins of Debian packages",
    }


WHEELS = InstallWheels(lines=(Wheel(text="click", where=HERE),))
WRITE = WriteImage(name="a", description="", runtime="scratch", runtime_where=HERE, image=Image())
COPY = CopyFiles(copies=(FileCopy(to="/app", where=HERE),))


def resolved(reference: str) -> ResolveImage:
    return ResolveImage(role="runtime", reference=reference, where=HERE)


@pytest.mark.parametrize(
    ("before", "now", "reasons", "follows"),
    [
        (parts(PRUNE), parts(PRUNE), [], []),
        (None, parts(PRUNE), ["it was not made before"], []),
        (parts(PRUNE), parts(PRUNE, revision=2), ["slimrun's revision of prune changed"], []),
        (parts(PRUNE) | {"slimrun": "0.0.1"}, parts(PRUNE) | {"slimrun": "0.0.2"}, ["slimrun is 0.0.2, was 0.0.1"], []),
        (parts(PRUNE), parts(replace(PRUNE, level="small", strip=True)), ["prune.level changed", "prune.strip changed"], []),
        (parts(PRUNE), parts(replace(PRUNE, level_where=THERE)), ["lines moved in the recipe"], []),
        (parts(PRUNE), parts(replace(PRUNE, level_where=THERE, strip=True)), ["prune.strip changed"], []),
        (parts(WHEELS), parts(replace(WHEELS, lines=(Wheel(text="flask", where=HERE),))), ["wheels changed"], []),
        (parts(WHEELS), parts(replace(WHEELS, lines=(Wheel(text="click", where=THERE),))), ["lines moved in the recipe"], []),
        (parts(WHEELS, outside=(("file r.txt", "1"),)), parts(WHEELS, outside=(("file r.txt", "2"),)), ["file r.txt changed"], []),
        (
            parts(COPY, outside=(("file /a", "1"),)),
            parts(COPY, outside=(("file /b", "1"),)),
            ["file /b is new", "file /a is gone"],
            [],
        ),
        (parts(WRITE), parts(replace(WRITE, image=Image(env=(("A", "b"),)))), ["image.env changed"], []),
        (parts(resolved("a")), parts(resolved("b")), ["runtime's reference changed"], []),
        (parts(resolved("a")), parts(), ["runtime's reference is gone"], []),
        (
            parts(PRUNE, reads=("python", "wheels"), results={"python": "1", "wheels": "1"}),
            parts(PRUNE, reads=("python", "wheels"), results={"python": "2", "wheels": "1"}),
            [],
            ["python"],
        ),
        (
            parts(PRUNE, reads=("resolve",), pins=settled()),
            parts(PRUNE, reads=("resolve",), pins=settled(base=replace(BASE, digest="sha256:2"))),
            ["the pin of python:3.11 changed"],
            [],
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_a_difference(before: Parts | None, now: Parts, reasons: list[str], follows: list[str]) -> None:
    change = compare("prune", now, before)
    assert (list(change.reasons), list(change.follows)) == (reasons, follows)


def test_text() -> None:
    assert str(Change(stage="a", reasons=("x", "y"))) == "x, y"
    assert str(Change(stage="a", reasons=("x", "y", "z", "1", "2"))) == "x, y, z, 2 more"
    assert str(Change(stage="a", follows=("b", "c"))) == "another result of b, c"
    assert str(Change(stage="a", reasons=("x",), follows=("b",))) == "x"


def test_summary() -> None:
    new = [compare(name, parts(PRUNE), None) for name in ("resolve", "python")]
    assert summary([]) == "nothing changed"
    assert summary(new) == "it was not made before"
    changed, following = Change(stage="wheels", reasons=("x", "y")), Change(stage="prune", follows=("wheels",))
    assert summary([changed, following]) == "wheels: x, y"
    assert summary([changed, Change(stage="verify", reasons=("z",))]) == "wheels: x, y; verify: z"
    assert summary([replace(changed, made=False), following]) == "wheels: x, y"
    before = [replace(changed, made=False), replace(following, made=False)]
    assert summary(before) == "wheels: x, y; as it was made before"


def test_words_are_of_fields_that_there_are() -> None:
    for name in WORDS:
        kind, _, field = name.partition(".")
        assert field in {item.name for item in fields(getattr(steps, kind))}, name
    assert {type(step).__name__ for step in (PRUNE, WHEELS, COPY, WRITE)} <= {name.partition(".")[0] for name in WORDS}
    assert Path(steps.__file__).is_file()
