"""What a stage's key is made of, part by part and by name: the key is their digest, and two sets of them say what changed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from slimrun import __version__
from slimrun.plan.digest import digest_of
from slimrun.recipe.model import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from slimrun.plan.compile import Stage
    from slimrun.plan.steps import Step

Parts = dict[str, str]
# A person knows a recipe's keys, not our fields. A field that is not listed goes by its own name.
WORDS = {
    "TakePython.image": "python.image",
    "UnpackPython.package": "python.debian.package",
    "UnpackPython.suite": "python.debian.suite",
    "UnpackPackages.packages": "debian.packages",
    "InstallWheels.lines": "wheels",
    "InstallWheels.index": "pip.index",
    "InstallWheels.extra_index": "pip.extra_index",
    "InstallWheels.constraints": "pip.constraints",
    "CopyFiles.copies": "files",
    "PruneTree.level": "prune.level",
    "PruneTree.keep": "prune.keep",
    "PruneTree.drop": "prune.drop",
    "PruneTree.libraries": "prune.libraries",
    "PruneTree.strip": "prune.strip",
    "PruneTree.features": "prune.features",
    "PruneTree.bytecode": "prune.bytecode",
    "PruneTree.dedupe": "prune.dedupe",
    "PruneTree.environ": "image.env",
    "ResolveDebian.features": "prune.features",
    "WriteImage.image": "image",
    "WriteImage.runtime": "runtime",
    "Verify.imports": "verify.imports",
    "Verify.runs": "verify.run",
    "Verify.max_size": "verify.max_size",
    "Verify.volumes": "image.volumes",
    "Verify.rules": "policy",
    "PushImage.names": "image.tags",
}
_NEW = "it was not made before"
_PLACES = "a place in the recipe"
_INPUT, _PIN = "the result of ", "the pin"
_NAMED = 3


def parts_of(
    stage: Stage,
    revision: int,
    names: tuple[object, ...],
    results: Mapping[str, str],
    pins: Mapping[str, tuple[str, str]],
    outside: Iterable[tuple[str, str]],
) -> Parts:
    """All that decides a stage's result.

    `results` has the digest of each stage before it, `pins` words and digest of each field of what resolve gave, `names` the
    image's name and tags where the stage uses them.
    """
    parts = {"slimrun": __version__, f"slimrun's revision of {stage.name}": str(revision)}
    for name, value in _fields(stage.steps):
        digest = digest_of(value, places=False)
        parts[name] = digest_of((parts[name], digest)) if name in parts else digest
    parts[_PLACES] = digest_of(stage.steps)
    if names:
        parts["the image's name or tags"] = digest_of(names)
    for name in stage.reads:
        if name == "resolve" and pins:
            parts |= dict(part for field, part in pins.items() if field not in stage.blind)
        elif name in results:
            parts[_INPUT + name] = results[name]
    return parts | dict(outside)


def key_of(stage: str, parts: Parts) -> str:
    """The cache key of a stage's result."""
    return digest_of((stage, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different for a stage: `reasons` of its own, as text, and the earlier stages whose result is another than last time.

    `made` says whether it ran: another image, or an earlier run, may have made the result that it has now.
    """

    stage: str
    reasons: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    made: bool = True

    def __str__(self) -> str:
        """`wheels changed, file requirements.txt changed`; without reasons of its own, what it follows."""
        shown = self.reasons[:_NAMED]
        more = len(self.reasons) - len(shown)
        texts = (*shown, *((f"{more} more",) if more else ()))
        return ", ".join(texts) or f"another result of {', '.join(self.follows)}"


def compare(stage: str, now: Parts, before: Mapping[str, str] | None) -> Change:
    """What is different between two runs of a stage; no reasons and nothing followed where nothing is."""
    if before is None:
        return Change(stage=stage, reasons=(_NEW,))
    changed = [name for name in now if before.get(name) != now[name] and name != _PLACES]
    # A pin of another name comes with another reference, which is resolve's own reason.
    given = {name for name in changed if name.startswith(_INPUT) or (name.startswith(_PIN) and name not in before)}
    follows = ["resolve" if name.startswith(_PIN) else name.removeprefix(_INPUT) for name in changed if name in given]
    reasons = [_told(name, now, before) for name in changed if name not in given]
    reasons += [f"{name} is gone" for name in before if name not in now and not name.startswith((_INPUT, _PIN))]
    if not reasons and not follows and before.get(_PLACES) != now[_PLACES]:
        reasons = ["lines moved in the recipe"]
    return Change(stage=stage, reasons=tuple(reasons), follows=tuple(dict.fromkeys(follows)))


def summary(changes: Iterable[Change]) -> str:
    """One line on an image: where it differs from what it was, for reasons of its stages' own; or that nothing was to do."""
    found = tuple(changes)
    roots = [change for change in found if change.reasons]
    if len(roots) > 1 and {change.reasons for change in roots} == {(_NEW,)}:
        return _NEW
    text = "; ".join(f"{change.stage}: {change}" for change in roots) or "nothing changed"
    return text if not roots or any(change.made for change in found) else f"{text}; as it was made before"


def _fields(steps: Iterable[Step]) -> Iterator[tuple[str, object]]:
    """The fields of all steps but places, under the names that a person has for them."""
    for step in steps:
        kind, role = type(step).__name__, getattr(step, "role", "")
        for field in fields(step):
            name, value = WORDS.get(f"{kind}.{field.name}", field.name), getattr(step, field.name)
            if isinstance(value, Image):
                yield from ((f"{name}.{inner.name}", getattr(value, inner.name)) for inner in fields(value))
            elif field.name != "role" and not field.name.endswith("where"):
                yield (f"{role}'s {name}" if role else name), value


def _told(name: str, now: Parts, before: Mapping[str, str]) -> str:
    if name == "slimrun":
        return f"slimrun is {now[name]}, was {before.get(name)}"
    return f"{name} changed" if name in before else f"{name} is new"
