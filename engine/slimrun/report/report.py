"""One value that says what an image holds and why, and its JSON (schemas/report.schema.json)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slimrun import __version__
from slimrun.report.packages import DebianPackage, debian_packages
from slimrun.tree.entry import Kind

if TYPE_CHECKING:
    from slimrun.backend.assembled import Assembled
    from slimrun.debian.pins import DebPin
    from slimrun.elf.model import FamilyDecision
    from slimrun.plan.pins import CommitPin, ImagePin
    from slimrun.prune.pruned import Pruned, Removed
    from slimrun.python.install import Distribution
    from slimrun.resolve.pins import Pins
    from slimrun.verify.checks import Check
    from slimrun.why import Why

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A path of the image, what layer brings it, and why it is there; `sha256` is that of a file's bytes, else ""."""

    path: str
    size: int
    sha256: str
    layer: str
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that there is to say of one image; computed once, rendered last.

    `hidden` are the bytes that the runtime's layers hold and the image does not show.
    """

    image: str
    digest: str
    tags: tuple[str, ...]
    size: int
    hidden: int
    pins: tuple[ImagePin, ...]
    debs: tuple[DebPin, ...]
    glibc: FamilyDecision
    commits: tuple[CommitPin, ...]
    layers: tuple[tuple[str, str, int], ...]
    files: tuple[File, ...]
    removed: tuple[Removed, ...]
    distributions: tuple[tuple[str, str], ...]
    python: str
    packages: tuple[DebianPackage, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]


def make_report(
    image: str,
    tags: tuple[str, ...],
    pins: Pins,
    distributions: tuple[Distribution, ...],
    pruned: Pruned,
    assembled: Assembled,
    checks: tuple[Check, ...],
    warnings: tuple[str, ...],
) -> Report:
    """The report of a verified image: every file of it and every path that was removed, each with its reason."""
    whys = dict(pruned.whys) | dict(assembled.whys)
    layer_of = {path: name for name, tree in pruned.layers for path in tree}
    layer_of |= dict.fromkeys(dict(assembled.whys), "system")
    files = tuple(
        File(
            path=path,
            size=entry.size,
            sha256=entry.digest,
            layer=layer_of.get(path, "base"),
            why=whys.get(path, assembled.base_why),
        )
        for path, entry in assembled.tree.items()
        if entry.kind is not Kind.DIR
    )
    base = sum(layer.content for layer in assembled.layers if layer.name == "base")
    return Report(
        image=image,
        digest=f"sha256:{assembled.digest}",
        tags=tags,
        size=assembled.size,
        hidden=max(0, base - assembled.tree.only(lambda path, _: path not in layer_of).size()),
        pins=pins.images,
        commits=pins.commits,
        debs=tuple(sorted({*pins.python, *pins.packages})),
        glibc=pruned.closure.family,
        layers=tuple((layer.name, f"sha256:{layer.diff_id}", layer.content) for layer in assembled.layers),
        files=files,
        removed=pruned.removed,
        distributions=tuple((item.name, item.version) for item in distributions),
        python=assembled.python,
        packages=debian_packages(assembled.tree),
        checks=checks,
        warnings=warnings,
    )


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain values, sorted; `why` runs from the nearest step to the recipe's line."""
    chains = _Chains()
    return {
        "version": VERSION,
        "slimrun": __version__,
        "image": report.image,
        "digest": report.digest,
        "tags": list(report.tags),
        "size": report.size,
        "hidden": report.hidden,
        "pins": [{"reference": pin.reference, "digest": pin.digest, "platform": pin.platform} for pin in report.pins],
        "debs": [_deb(pin) for pin in report.debs],
        "glibc": _glibc(report.glibc),
        "commits": [{"repo": pin.repo, "ref": pin.ref, "commit": pin.commit} for pin in report.commits],
        "layers": [{"name": name, "diff_id": diff_id, "size": size} for name, diff_id, size in report.layers],
        "python": report.python,
        "packages": [
            {"name": item.name, "version": item.version, "arch": item.arch, "source": item.source}
            for item in report.packages
        ],
        "distributions": [{"name": name, "version": version} for name, version in report.distributions],
        "files": [
            {
                "path": item.path,
                "size": item.size,
                "sha256": item.sha256,
                "layer": item.layer,
                "why": chains.of(item.why),
            }
            for item in report.files
        ],
        "removed": [{"path": item.path, "size": item.size, "why": chains.of(item.why)} for item in report.removed],
        "checks": [
            {
                "name": item.name,
                "ok": item.ok,
                "skipped": item.skipped,
                "detail": item.detail,
                "where": str(item.where or ""),
            }
            for item in report.checks
        ],
        "warnings": list(report.warnings),
    }


def _deb(pin: DebPin) -> dict[str, Any]:
    names = ("name", "version", "architecture", "suite", "sha256", "named")
    return {name: getattr(pin, name) for name in names}


def _glibc(family: FamilyDecision) -> dict[str, Any]:
    return {
        "choice": family.choice.value,
        "supply": family.supply,
        "identity": family.identity,
        "runtime": family.base_identity,
        "needs": [{"path": need.by, "library": need.library, "version": need.version} for need in family.needs],
    }


class _Chains:
    """Reasons as lists of steps; those that share their tails share the steps' values, too."""

    def __init__(self) -> None:
        self._steps: dict[int, dict[str, str]] = {}

    def of(self, why: Why) -> list[dict[str, str]]:
        return [self._step(step) for step in why.chain()]

    def _step(self, step: Why) -> dict[str, str]:
        if id(step) not in self._steps:
            self._steps[id(step)] = {"rule": step.rule, "text": step.text, "where": str(step.where or "")}
        return self._steps[id(step)]
