"""What images of one base build, runtime, packages and rules have in common, whatever their wheels and files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.elf.model import Closure
from slimrun.prune.settle import settle
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slimrun.elf.model import Extra, Root
    from slimrun.plan.part import Part
    from slimrun.prune.choice import Choice
    from slimrun.prune.gather import Gathered, Gatherer, State
    from slimrun.prune.pruned import Removed
    from slimrun.prune.settle import Settled
    from slimrun.python.prefix import BaseBuild
    from slimrun.why import Why

    Closed = Callable[[Tree, Sequence[Root], Sequence[Extra]], Closure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """CPython's own part, and what features add to it alone: both go into its layer, so that images share it.

    `packages` is the Debian packages' tree, `more` what the features' libraries need; `whys`, `removed` and `state` are what
    the choice and the gatherer know by then.
    """

    own: Settled
    packages: Tree
    first: Gathered
    more: Closure
    whys: Mapping[str, Why]
    removed: tuple[Removed, ...]
    state: State

    def on(self, base: Tree) -> Tree:
        """The base with CPython and what that needs."""
        return with_pulled(base.without(self.own.closure.removed).merge(self.own.tree), self.own.closure)


def find_common(
    build: BaseBuild,
    packages: Part,
    base: Tree,
    choice: Choice,
    supply: Tree,
    gatherer: Gatherer,
    closed: Closed,
    always: tuple[Extra, ...],
) -> Common:
    """Work it out; nothing of wheels and files is known here."""
    own = settle(
        build, choice, choice.selection(build, supply), lambda tree, roots: closed(base.merge(tree), roots, always)
    )
    package_tree = choice.packages(packages)
    mine = with_pulled(base.without(own.closure.removed).merge(own.tree), own.closure)
    first = gatherer.gather(mine.merge(package_tree), own.closure, whys_of(own.closure) | choice.whys)
    more = closed(mine.merge(first.tree), first.roots, ()) if first.roots else Closure()
    return Common(
        own=own,
        packages=package_tree,
        first=first,
        more=more,
        whys=dict(choice.whys),
        removed=tuple(choice.removed.values()),
        state=gatherer.state,
    )


def with_pulled(tree: Tree, closure: Closure) -> Tree:
    """A tree with what a closure pulled."""
    return tree.merge(Tree({pulled.path: pulled.entry for pulled in closure.pulled}))


def whys_of(*closures: Closure) -> dict[str, Why]:
    """The reasons of what closures pulled, the last one's first."""
    return {pulled.path: pulled.why for closure in closures for pulled in closure.pulled}
