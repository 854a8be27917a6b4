"""Features at work: which of them an image gets, and their files out of the supplies, each with its Why."""

from __future__ import annotations

from dataclasses import dataclass, field
from posixpath import basename, dirname, join
from typing import TYPE_CHECKING

from slimrun.elf.model import Finding, Root, Supply
from slimrun.elf.view import View, land
from slimrun.errors import ImageFailed
from slimrun.prune import gconv
from slimrun.prune.features import DEFAULTS, FEATURES, Feature, feature
from slimrun.prune.globs import Matcher, is_glob, literal_folder
from slimrun.prune.ground import Ground, matches
from slimrun.prune.openssl import named_files
from slimrun.tree.entry import file, link
from slimrun.tree.resolve import resolve
from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.model import Closure
    from slimrun.plan.steps import PruneTree
    from slimrun.python.prefix import BaseBuild

    Read = Callable[[Sequence[str]], Tree]

CONFIG = "openssl.cnf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What features add to an output: paths with their reasons, and those of them that a program loads."""

    tree: Tree = field(default_factory=Tree)
    whys: Mapping[str, Why] = field(default_factory=dict)
    roots: tuple[Root, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a gatherer knows: features by name, and what it has read of the base build's image beyond the supply.

    `lost` has with each feature the path that is lacking.
    """

    found: tuple[str, ...]
    lost: tuple[tuple[str, str], ...]
    fetched: tuple[str, ...]
    read: Tree


class Gatherer:
    """Takes what the recipe's features need; `read` gives what of the base build's image its supply does not hold.

    Supplies come in order, the base build's last. `found` and `lost` are the features that were on so far.
    """

    def __init__(
        self, build: BaseBuild, rules: PruneTree, supplies: Sequence[Supply], read: Read, facts: Facts
    ) -> None:
        self._build, self._facts, self._read = build, facts, read
        self._supplies = [supply.tree for supply in supplies]
        self._base, self._more = self._supplies[-1], Tree()
        self._asked = {item.text: item for item in rules.features or ()}
        wanted = DEFAULTS if rules.features is None else self._asked
        self._features = tuple(each for each in FEATURES if each.name in wanted)
        self._fetched: set[str] = set()
        self.found: set[str] = set()
        self.lost: dict[str, tuple[Feature, str]] = {}

    @property
    def state(self) -> State:
        """What it knows by now."""
        return State(
            found=tuple(sorted(self.found)),
            lost=tuple((name, path) for name, (_, path) in self.lost.items()),
            fetched=tuple(sorted(self._fetched)),
            read=self._more,
        )

    def resume(self, state: State) -> None:
        """Know what another gatherer over these supplies knew."""
        self.found, self.lost = set(state.found), {name: (feature(name), path) for name, path in state.lost}
        self._fetched = set(state.fetched)
        if state.read is not self._more:
            self._more = state.read
            self._supplies[-1] = state.read.merge(self._base)

    @property
    def nss(self) -> bool:
        """Whether modules of the name service are wanted, which the closure brings where glibc opens them."""
        return any(each.name == "nss" for each in self._features)

    def gather(self, output: Tree, closure: Closure, whys: Mapping[str, Why]) -> Gathered:
        """What `output` lacks of the features that what the closure uses of it brings in; `whys` are the reasons so far."""
        ground = Ground(output, closure.used, self._build.interpreter, self._facts)
        on = [(each, why) for each in self._features if (why := self._why(each, ground, whys)) is not None]
        self._fetch(
            [pattern for each, _ in on for pattern in ground.fill(each.files) if each.every or not ground.has(pattern)]
        )
        reasons: dict[str, Why] = {}
        for each, why in on:
            self._take(each, ground, why, reasons)
            required = ground.fill(each.required) or each.required
            if not each.required or any(map(ground.has, required)):
                self.found.add(each.name)
                self.lost.pop(each.name, None)
            else:
                self.lost[each.name] = each, required[0]
        tree = Tree(ground.view.added)
        return Gathered(tree=tree, whys=reasons, roots=tuple(self._roots(tree, reasons)))

    def findings(self) -> tuple[Finding, ...]:
        """What was wanted and is nowhere; raises ImageFailed where the recipe names it."""
        return tuple(self._missing(each, path) for each, path in self.lost.values())

    def _why(self, each: Feature, ground: Ground, whys: Mapping[str, Why]) -> Why | None:
        asked, cause = self._asked.get(each.name), ground.cause(each)
        text = f"feature {each.name}: {each.text}"
        if asked is not None:
            because = Why(rule="features", text=f"prune.features names {each.name}", where=asked.where)
        elif cause is not None:
            text += f", for {basename(cause)}"
            because = whys.get(cause) or self._build.whys[self._build.interpreter.path]
        else:
            return None
        return Why(rule="glibc" if each.of_glibc else "feature", text=text, because=because)

    def _fetch(self, patterns: Sequence[str]) -> None:
        """Read what the base build's supply has not: files one by one, and the folder that all matches of a pattern lie in."""
        base = self._supplies[-1]
        paths = (literal_folder(pattern) if is_glob(pattern) else pattern for pattern in patterns)
        places = {join(land(View(base), dirname(path)), basename(path)) for path in paths}
        lacking = sorted(path for path in places - self._fetched if base.stat(path) is None)
        if lacking:
            self._fetched |= {*lacking}
            self._more = self._read(lacking).merge(self._more)
            self._supplies[-1] = self._more.merge(self._base)

    def _take(self, each: Feature, ground: Ground, why: Why, reasons: dict[str, Why]) -> None:
        """Lay a feature's files over the output."""
        but = Matcher(each.but)
        for pattern in ground.fill(each.files):
            for supply in self._supplies:
                if ground.has(pattern) and not each.every:
                    break
                names = [name for name in matches(supply, pattern) if not but.match(name)]
                if names and not (each.of_glibc and not ground.runs_on(supply)):
                    for name in names:
                        _place(ground, supply, name, why, reasons)
                    if each.of_glibc:
                        _list_sets(ground, supply, dirname(names[0]), why, reasons)
        for name, target in each.links:
            for place in ground.fill((name,)):
                if resolve(ground.view, place) is None and resolve(ground.view, target) is not None:
                    _note(reasons, ground.put(place, link(target)), why)

    def _roots(self, tree: Tree, reasons: Mapping[str, Why]) -> Iterator[Root]:
        for path, entry in tree.files():
            if ".so" in basename(path) and (info := self._facts.facts(path, entry)) is not None and not info.refused:
                yield Root(path=path, why=reasons[path], program=self._build.interpreter.path)

    def _missing(self, lost: Feature, path: str) -> Finding:
        hint = "bring them with `files`"
        if lost.of_glibc:
            hint = "they fit only the glibc that they were made with: a runtime of the base build's own distribution has them"
        elif lost.packages:
            hint = f"name debian.packages: [{', '.join(lost.packages)}]"
        asked = self._asked.get(lost.name)
        if asked is not None:
            msg = (
                f"prune.features names {lost.name}, and nothing that the image is made from has its files: {lost.text}"
            )
            raise ImageFailed(msg, where=asked.where, hint=hint)
        text = f"nothing has the files of feature {lost.name}, {lost.text}; what breaks: {lost.breaks}; {hint}"
        return Finding(rule="feature", path=path, text=text)


def _place(ground: Ground, supply: Tree, name: str, why: Why, reasons: dict[str, Why]) -> None:
    _note(reasons, ground.place(supply, name), why)
    if basename(name) != CONFIG or (found := resolve(supply, name)) is None:
        return
    data = supply.read(found.path)
    for other in sorted({path for folders in ground.openssl for path in named_files(data, folders)}):
        because = Why(rule="feature", text=f"{name} names {other}", because=why)
        for there in matches(supply, other) if resolve(ground.view, other) is None else ():
            _place(ground, supply, there, because, reasons)


def _list_sets(ground: Ground, supply: Tree, folder: str, why: Why, reasons: dict[str, Why]) -> None:
    """iconv goes by a list; the supply's names modules that are not here."""
    modules = {
        name.removesuffix(".so") for name in ground.view.children(land(ground.view, folder)) if name.endswith(".so")
    }
    data = gconv.reduced(gconv.lists_in(supply, folder), frozenset(modules))
    _note(reasons, ground.put(join(folder, gconv.LIST), file(data)), why)


def _note(reasons: dict[str, Why], put: Sequence[str], why: Why) -> None:
    for path in put:
        reasons.setdefault(path, why)
