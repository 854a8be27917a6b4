"""The lines of `wheels` → what they put into an image: resolved, downloaded or built, explained and installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slimrun.errors import RequirementNotMet
from slimrun.events import Warned
from slimrun.plan.part import Part
from slimrun.python.install import install_wheels
from slimrun.python.interpreter import glibc_version
from slimrun.python.sources import normalised
from slimrun.python.target import target_of
from slimrun.python.wheels import explain_wheels, fetch_wheels, resolve_wheels
from slimrun.resolve.installed import Wheels
from slimrun.resolve.wheelbuild import WheelBuilder
from slimrun.resolve.workshop import supply_of, workshop

if TYPE_CHECKING:
    from slimrun.backend.base import Backend
    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.index import Indexes
    from slimrun.fetch.network import Network
    from slimrun.plan.steps import InstallWheels
    from slimrun.python.prefix import BaseBuild
    from slimrun.resolve.builder import Builder
    from slimrun.resolve.workshop import Workshop
    from slimrun.settings import Settings
    from slimrun.tree.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSources:
    """Where wheels come from: indexes by the network, and builds on a backend."""

    indexes: Indexes
    network: Network
    cache: Cache
    emit: Emit
    backend: Backend
    settings: Settings


def install_all(
    step: InstallWheels, build: BaseBuild, runtime: Tree, sources: WheelSources, place: Builder | None, key: str
) -> Wheels:
    """What the step's lines give, its bytes in the pack `key`, and the libraries of the builder where any was built.

    `place` is where builds begin, and is not looked at before the first. Raises what resolving, downloading and building raise.
    """
    versions = [version for tree in (build.supply, runtime) if (version := glibc_version(tree))]
    glibc, interpreter = max(versions, default=None), build.interpreter

    def opened() -> Workshop:
        if place is None:
            msg = "a folder that only a requirements file names is not built into an image of Debian's own python"
            raise RequirementNotMet(msg, hint="name the folder in `wheels` itself", where=step.where)
        return workshop(place, build, step.where)

    builder = WheelBuilder(
        names=normalised((item.text, item.where) for item in step.from_source),
        open_workshop=opened,
        backend=sources.backend,
        settings=sources.settings,
        indexes=sources.indexes,
        network=sources.network,
        cache=sources.cache,
        emit=sources.emit,
    )
    pins = resolve_wheels(
        step.lines,
        interpreter,
        glibc,
        indexes=sources.indexes,
        network=sources.network,
        cache=sources.cache,
        emit=sources.emit,
        constraints=step.constraints,
        builder=builder,
    )
    shop = builder.workshop if any(pin.source for pin in pins) else None
    fetched = fetch_wheels(pins, network=sources.network, cache=sources.cache, emit=sources.emit)
    explained = explain_wheels(
        step.lines, fetched, interpreter, from_source=builder.names, built_in=shop.name if shop else ""
    )
    with sources.cache.pack(key) as pack:
        installed = install_wheels(explained, interpreter, pack, target=target_of(interpreter, glibc))
    for text in installed.flags:
        sources.emit(Warned(text=text))
    return Wheels(
        part=Part(tree=installed.tree, whys=tuple(sorted(installed.whys.items()))),
        distributions=installed.distributions,
        supply=supply_of(shop, sources.backend, sources.emit) if shop else None,
    )
