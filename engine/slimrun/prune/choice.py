"""What a recipe's `prune` says of each path: keep beats drop, drop beats the named groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.errors import ImageFailed
from slimrun.prune.globs import Matcher
from slimrun.prune.pruned import Removed
from slimrun.prune.rules import GROUPS, Rules, scanned
from slimrun.tree.entry import Kind
from slimrun.tree.tree import Tree
from slimrun.why import Why, setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from slimrun.elf.facts import Facts
    from slimrun.plan.part import Part
    from slimrun.plan.steps import PruneTree
    from slimrun.python.prefix import BaseBuild
    from slimrun.recipe.model import Glob
    from slimrun.tree.entry import Entry


# Licences stay, and so does what scanners read (/var/lib/dpkg).
PACKAGE_DOCS = Matcher(
    ("/usr/share/{doc,man,info,lintian,bug,doc-base}", "/usr/include", "/usr/lib/**/*.a", "/usr/lib/**/pkgconfig")
)
DEVICES = (Kind.CHAR, Kind.BLOCK, Kind.FIFO)
PACKAGE_KEPT = Matcher(("/usr/share/doc/*/copyright",))


class Choice:
    """The rules at work: `whys` of what is kept and `removed` grow with each tree that is shown to it."""

    def __init__(self, rules: PruneTree) -> None:
        self.rules = rules
        self.whys: dict[str, Why] = {}
        self.removed: dict[str, Removed] = {}
        self._keep = Matcher(glob.text for glob in rules.keep)
        self._drop = Matcher(glob.text for glob in rules.drop)

    def resume(self, whys: Mapping[str, Why], removed: Iterable[Removed]) -> None:
        """Know what another choice by these rules knew."""
        self.whys, self.removed = dict(whys), {item.path: item for item in removed}

    @property
    def loose(self) -> bool:
        """Level none: nothing goes but what `drop` names."""
        return self.rules.level == "none"

    def keeps(self, path: str) -> bool:
        """Whether `keep` names the path, against all analysis."""
        return self._keep.match(path) is not None

    def drops(self, path: str) -> bool:
        """Whether `drop` names the path and `keep` does not."""
        return bool(self.rules.drop) and self._drop.match(path) is not None and not self.keeps(path)

    def selection(self, build: BaseBuild, supply: Tree) -> Tree:
        """CPython after `keep`, `drop` and the named groups, and what `keep` pulls from the supply."""
        table = Rules(build.interpreter)
        level_why = setting("level", f"prune.level: {self.rules.level}", self.rules.level_where, build.line)
        kept: dict[str, Entry] = {}
        for path, why in build.whys.items():
            entry = build.supply[path]
            if self._is_device(path, entry, why):
                continue
            if self._settled(path, entry, why):
                if self.keeps(path):
                    kept[path] = entry
                continue
            group = None if self.loose else table.group(path)
            if group is None:
                kept[path] = entry
                self.whys[path] = why
            else:
                self.remove(path, entry, Why(rule=group.name, text=group.text, because=level_why))
        for path, entry in supply.items():
            if path not in build.whys and self.keeps(path):
                if self._is_device(path, entry, self._keep_why(path)):
                    continue
                kept[path] = entry
                self.whys[path] = self._keep_why(path)
        return Tree(kept)

    def part(self, part: Part) -> Tree:
        """Wheels or files without what `drop` names."""
        origins = dict(part.whys)
        kept: dict[str, Entry] = {}
        for path, entry in part.tree.items():
            if self._is_device(path, entry, origins[path]):
                continue
            if not self._settled(path, entry, origins[path]):
                self.whys[path] = origins[path]
            elif not self.keeps(path):
                continue
            kept[path] = entry
        return Tree(kept)

    def imported(self, build: BaseBuild, wheels: Part, facts: Facts) -> Tree:
        """Of CPython what a named group took and a wheel imports; to be kept with the wheels."""
        groups = {module: group.name for group in GROUPS for module in group.modules}
        wanted: dict[str, Why] = {}
        whys = dict(wheels.whys)
        for path, entry in wheels.tree.files() if not self.loose else ():
            for module, line in scanned(entry, facts).imported.items() if path.endswith(".py") else ():
                text = f"{path}:{line} imports {module}"
                wanted.setdefault(groups[module], Why(rule="imported", text=text, because=whys[path]))
        kept = {
            path: build.supply[path]
            for path, item in self.removed.items()
            if item.why.rule in wanted and path in build.whys
        }
        self.whys |= {path: wanted[self.removed[path].why.rule] for path in kept}
        return Tree(kept)

    def packages(self, part: Part) -> Tree:
        """Debian packages without what `drop` names and, except at level none, without documentation and headers."""
        tree = self.part(part)
        if self.loose:
            return tree
        origins, gone = dict(part.whys), []
        for path, entry in tree.items():
            if PACKAGE_DOCS.match(path) and not PACKAGE_KEPT.match(path) and not self.keeps(path):
                why = Why(rule="docs", text="documentation, or read only by compilers", because=origins[path])
                del self.whys[path]
                self.remove(path, entry, why)
                gone.append(path)
        return tree.without(gone)

    def supply(self, tree: Tree) -> Tree:
        """A supply without what `drop` names: the closure must not bring it back."""
        return tree.only(lambda path, _: not self.drops(path)) if self.rules.drop else tree

    def remove(self, path: str, entry: Entry, why: Why) -> None:
        """Note that a path goes."""
        self.removed[path] = Removed(path=path, size=entry.size, why=why)

    def drop_why(self, path: str, because: Why | None = None) -> Why:
        """The reason of a path that `drop` names."""
        pattern = self._drop.match(path) or ""
        where = next(glob.where for glob in self.rules.drop if glob.text == pattern)
        return Why(rule="drop", text=f"prune.drop names {pattern}", because=because, where=where)

    def _is_device(self, path: str, entry: Entry, origin: Why) -> bool:
        """Whether a path is one that no `keep` brings: an engine makes its own devices, and a FIFO is a running program's."""
        if entry.kind not in DEVICES:
            return False
        text = "a device or FIFO, which an engine makes itself"
        self.remove(path, entry, Why(rule="device", text=text, because=origin))
        return True

    def _settled(self, path: str, entry: Entry, origin: Why) -> bool:
        """Whether `keep` or `drop` decide on a path; records the reason."""
        if self.keeps(path):
            self.whys[path] = self._keep_why(path)
            return True
        if self.drops(path):
            self.remove(path, entry, self.drop_why(path, origin))
            return True
        return False

    def _keep_why(self, path: str) -> Why:
        pattern = self._keep.match(path) or ""
        where = next(glob.where for glob in self.rules.keep if glob.text == pattern)
        return Why(rule="keep", text=f"prune.keep names {pattern}", where=where)


def must_match(globs: Sequence[Glob], trees: Sequence[Tree]) -> None:
    """Raise ImageFailed for the first glob that names no path of any tree."""
    for glob in globs:
        matcher = Matcher((glob.text,))
        if not any(matcher.match(path) for tree in trees for path in tree):
            msg = f"'{glob.text}' matches nothing in the base build, the wheels, the files or the runtime"
            raise ImageFailed(
                msg, where=glob.where, hint="globs are over absolute paths of the image; `**` crosses folders"
            )
