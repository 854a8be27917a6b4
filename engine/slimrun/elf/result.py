"""A Closure from an attempt that is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.elf import inspect, ldcache
from slimrun.elf.family import is_member
from slimrun.elf.folders import Hit
from slimrun.elf.model import Closure, Edge, Finding, Missing, Unmet
from slimrun.tree.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from slimrun.elf.attempt import Attempt
    from slimrun.elf.facts import Facts
    from slimrun.elf.model import FamilyDecision, Root
    from slimrun.elf.process import Asked, Loaded
    from slimrun.elf.walk import Run
    from slimrun.tree.tree import Tree, TreeSource
    from slimrun.why import Why


def result(attempt: Attempt, family: FamilyDecision, removed: tuple[str, ...], facts: Facts) -> Closure:
    """The value that the attempt amounts to; what was pulled on the way and is not needed in the end is left out."""
    used = used_paths(attempt.runs)
    pulled = [one for path, one in attempt.pulled.items() if path in used or path in attempt.forced]
    lost = list(missing(attempt.runs, attempt.view, attempt.why_of))
    places = elsewhere(attempt.runs, attempt.view.tree, lost, facts)
    cached = _cached(attempt)
    little = all(run.process.main.hit.info.little for run in attempt.runs)
    own = ldcache.of_tree(attempt.view)
    return Closure(
        pulled=tuple(sorted(pulled, key=lambda one: one.path)),
        used=used | frozenset(places.values()),
        edges=tuple(sorted(_edges(attempt.runs), key=lambda edge: (edge.by, edge.name, edge.found))),
        missing=tuple(one for one in lost if one.name not in places),
        unmet=tuple(sorted({*unmet(attempt.runs, attempt.why_of), *_symbols(attempt)}, key=_unmet_key)),
        family=family,
        removed=removed,
        cached=cached,
        cache=ldcache.regenerate(attempt.view, cached, little=little) if cached or own is not None else None,
        findings=in_order([*attempt.findings, *attempt.objections, *found(attempt.runs), *only_before(lost, places)]),
    )


def family_needs(attempt: Attempt) -> list[Unmet]:
    """What the output's glibc does not offer, or does not have at all."""
    found_ = {_unmet_key(one): one for one in unmet(attempt.runs, attempt.why_of) if is_member(one.library)}
    for run in attempt.runs:
        for asked in run.process.asked:
            if asked.found is None and not asked.optional and is_member(asked.name):
                why = attempt.why_of(asked.by, run.root)
                one = Unmet(version=asked.name, library=asked.name, by=asked.by.real, provider="", why=why)
                found_.setdefault(_unmet_key(one), one)
    return [found_[key] for key in sorted(found_)]


def used_paths(runs: Iterable[Run]) -> frozenset[str]:
    """Every path that some process opens, and the links it goes through."""
    used: set[str] = set()
    for run in runs:
        for one in run.objects:
            used.add(one.real)
            used.update(one.hit.links)
        for asked in run.process.asked:
            for hit in (asked.search.hit, *asked.search.variants) if asked.search is not None else ():
                if hit is not None:
                    used.add(hit.real)
                    used.update(hit.links)
    return frozenset(used)


def missing(runs: Sequence[Run], tree: TreeSource, why_of: Callable[[Loaded, Root], Why]) -> Iterator[Missing]:
    """What nothing satisfied, each name once a file that asks for it, sorted; a PT_INTERP that does not open too."""
    lost: dict[tuple[str, str], Missing] = {}
    for run in runs:
        main, loader = run.process.main, run.process.loader
        interp = main.hit.info.interp
        opened = loader.folders.open_path(interp, main.hit.info.target, "PT_INTERP") if interp else None
        if not run.module and interp and not isinstance(opened, Hit):
            fatal = "" if opened is None and resolve(tree, interp) is None else f"{interp} is no dynamic linker for it"
            lost[interp, main.real] = Missing(
                name=interp, needed_by=main.real, why=run.root.why, searched=(interp,), fatal=fatal
            )
        for asked in run.process.asked:
            if asked.found is None and not asked.optional and (asked.name, asked.by.real) not in lost:
                lost[asked.name, asked.by.real] = _missing(asked, why_of(asked.by, run.root), late=run.module)
    yield from (lost[key] for key in sorted(lost))


def unmet(runs: Iterable[Run], why_of: Callable[[Loaded, Root], Why]) -> tuple[Unmet, ...]:
    """Every version that a file needs and its provider does not offer, each once, sorted."""
    found_: dict[tuple[str, str, str, str], Unmet] = {}
    for run in runs:
        for breach in inspect.breaches(run.process, run.objects):
            for version in breach.outcome.versions if breach.fatal else ():
                key = (breach.need.library, version, breach.by.real, breach.provider.real)
                if key not in found_:
                    library, version, by, provider = key
                    why = why_of(breach.by, run.root)
                    found_[key] = Unmet(version=version, library=library, by=by, provider=provider, why=why)
    return tuple(found_[key] for key in sorted(found_))


def found(runs: Iterable[Run]) -> Iterator[Finding]:
    """The findings of all processes."""
    for run in runs:
        yield from inspect.findings(run.process, run.objects, module=run.module)
        yield from inspect.asked_findings(run.process)
        yield from inspect.relative_folders(run.process, run.objects)
        yield from inspect.doubles(run.process)
        for breach in inspect.breaches(run.process, run.objects):
            if not breach.fatal:
                yield inspect.warning_of(breach)


def elsewhere(runs: Sequence[Run], tree: Tree, lost: Sequence[Missing], facts: Facts) -> dict[str, str]:
    """Of names that modules miss, those that a file of `tree` has, or has as its SONAME: another module may load it first."""
    names = {one.name for one in lost if one.late} - {one.name for one in lost if not one.late}
    targets = {run.process.main.hit.info.target for run in runs}
    places: dict[str, str] = {}
    for path, entry in tree.files() if names else ():
        base = path.rpartition("/")[2]
        if ".so" not in base:
            continue
        info = facts.sound(path, entry)
        for name in (base, info.soname) if info is not None and info.target in targets else ():
            if name in names:
                places.setdefault(name, path)
    return places


def only_before(lost: Iterable[Missing], places: dict[str, str]) -> Iterator[Finding]:
    """The warning in the place of an error (ELF.md 1.1)."""
    for one in lost:
        if one.name in places:
            text = f"{one.name} is found only if {places[one.name]} was loaded before"
            yield Finding(rule="only-if-loaded-before", path=one.needed_by, text=text)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each once, errors first, then by path."""
    return tuple(sorted(set(findings), key=lambda one: (one.level, one.path, one.rule, one.text)))


def _missing(asked: Asked, why: Why, *, late: bool) -> Missing:
    search = asked.search
    searched = tuple(search.searched) if search is not None else ()
    fatal = f"{search.fatal.path}: {search.fatal.text}" if search is not None and search.fatal is not None else ""
    return Missing(name=asked.name, needed_by=asked.by.real, why=why, searched=searched, fatal=fatal, late=late)


def _symbols(attempt: Attempt) -> Iterator[Unmet]:
    """The symbols that a file needs of a library of the base, and that only a supply's copy would have."""
    for run, by, library, provider, names in attempt.lacking():
        for name in sorted(names):
            why = attempt.why_of(by, run.root)
            yield Unmet(version=name, library=library, by=by.real, provider=provider.real, why=why, symbol=True)


def _unmet_key(one: Unmet) -> tuple[str, str, str, str]:
    return (one.library, one.version, one.by, one.provider)


def _edges(runs: Iterable[Run]) -> set[Edge]:
    edges = set()
    for run in runs:
        for asked in run.process.asked:
            hit = asked.search.hit if asked.search is not None else None
            how = hit.how if hit is not None else "loaded" if asked.found is not None else ""
            real = asked.found.real if asked.found is not None else ""
            edges.add(Edge(by=asked.by.real, name=asked.name, found=real, how=how))
    return edges


def _cached(attempt: Attempt) -> tuple[ldcache.Cached, ...]:
    lines: set[ldcache.Cached] = set()
    for run in attempt.runs:
        flags = ldcache.flags_of(run.process.main.hit.info)
        for asked in run.process.asked:
            search = asked.search
            if search is None or search.hit is None or search.hit.how != "cache" or asked.name not in attempt.planned:
                continue
            lines.add(ldcache.Cached(asked.name, attempt.planned[asked.name], flags))
            for variant in search.variants:
                lines.add(ldcache.Cached(asked.name, variant.real, flags, variant.hwcaps))
    return tuple(sorted(lines))
