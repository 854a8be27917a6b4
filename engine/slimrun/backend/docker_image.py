"""An image that an engine has, read where the engine keeps it, or through containers that never start and then kept."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from posixpath import dirname, join
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from slimrun.backend.base import ENGINE_FILES, Layered, is_static
from slimrun.backend.host import config_of
from slimrun.backend.layers import cached_layers, known_layers
from slimrun.backend.naming import leads
from slimrun.backend.overlay import Unreadable
from slimrun.backend.storage import open_overlay
from slimrun.errors import BadArchive
from slimrun.oci.archive import read_archive
from slimrun.tree.tar import plain, take_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from slimrun.backend.daemon import DockerBackend
    from slimrun.backend.overlay import Put
    from slimrun.cache.writers import Pack
    from slimrun.plan.pins import ImagePin
    from slimrun.tree.tar import Member

    Skip = Callable[[str], bool]


class DockerImage:
    """An image in the engine; where its layers cannot be read, it is read through containers that are never started."""

    def __init__(self, backend: DockerBackend, pin: ImagePin, facts: dict[str, Any]) -> None:
        self._backend, self._pin = backend, pin
        self._config = config_of(facts)
        self._overlay = open_overlay(facts, backend.engine.host)

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """The environment of the image's config."""
        return self._config.env

    def target(self, path: str) -> str | None:
        """The path, or where a link leads in the end; None where nothing is there."""
        if self._overlay is not None:
            with suppress(Unreadable):
                return leads(self._overlay, path)
        return self._backend.engine.target(self._backend.reader(self._pin.digest), path)

    def tree(self, folders: Sequence[str], *, libraries: Sequence[str] = ()) -> Tree:
        """All folders; what has to be copied is, once for this image. Folders of libraries come first, as the largest."""
        wanted = [*((folder, True) for folder in libraries), *((folder, False) for folder in folders)]
        found = {each: self._backend.cache.load_value("folder", self._key(*each)) for each in wanted}
        lacking = [each for each, tree in found.items() if tree is None]
        if lacking:
            # Two at once, each through a container of its own: an engine locks a container while it reads in it. Layers are read
            # here, where two threads would only fight for the interpreter.
            free: SimpleQueue[bool] = SimpleQueue()
            for second in (False, True)[: 1 if self._overlay else len(lacking)]:
                free.put(second)

            def take(each: tuple[str, bool]) -> Tree:
                second = free.get()
                try:
                    return self._take(second, *each)
                finally:
                    free.put(second)

            with ThreadPoolExecutor(free.qsize()) as pool:
                trees = pool.map(take, lacking)
                try:
                    found |= dict(zip(lacking, trees, strict=True))
                except BaseException:  # nobody waits for what the other one still reads
                    self._backend.engine.break_off()
                    self._backend.check()
                    raise
        return Tree().merge(*found.values()).without(ENGINE_FILES)

    def layered(self) -> Layered:
        """All layers, saved by the engine once and kept as blobs."""
        cache = self._backend.cache
        key = self._pin.digest.removeprefix("sha256:")
        layered = known_layers(key, cache)
        if layered is None:
            with self._backend.engine.save(self._pin.digest) as stream:
                config = read_archive(stream, cache, what=self._pin.reference)
            layered = cached_layers(config, key, cache, what=self._pin.reference)
        return layered

    def _take(self, second: bool, folder: str, lean: bool) -> Tree:
        """One folder with the bytes of its files; of a link the link alone."""
        cache, key, skip = self._backend.cache, self._key(folder, lean), is_static if lean else _nothing
        # Few of its files are ever kept, and prune copies these: in an image that can be pulled again all stay where they are.
        tree = self._laid(folder, skip, None) if self._pin.manifest else None
        if tree is not None:
            return tree
        with cache.lock(f"folder-{key}"):
            with cache.pack(key) as pack:
                tree = self._laid(folder, skip, pack.add)
                if tree is None:
                    tree = self._taken(second, folder, skip, pack)
            cache.save_value("folder", key, tree)
        return tree

    def _laid(self, folder: str, skip: Skip, put: Put | None) -> Tree | None:
        """A folder out of the image's layers, None where they cannot be read."""
        if self._overlay is None:
            return None
        with suppress(Unreadable):
            return self._overlay.take(folder, put, skip=skip)
        return None

    def _taken(self, second: bool, folder: str, skip: Skip, pack: Pack) -> Tree:
        """A folder as an archive of the engine, its files kept as they come."""
        container = self._backend.reader(self._pin.digest, second)
        stream = self._backend.engine.archive(container, folder)
        if stream is None:
            return Tree()
        what = f"{folder} of {self._pin.reference}"
        try:
            with stream:
                members = take_tar(stream, pack.add, what=what, skip=skip)
        except BadArchive as error:  # what an engine hands over without a length can only end too early
            raise self._backend.engine.broke_off(what) from error
        return Tree(plain(_below(dirname(folder), members)))

    def _key(self, folder: str, lean: bool) -> str:
        return hashlib.sha256(f"{self._pin.digest} {folder}{' lean' * lean}".encode()).hexdigest()


def _nothing(_: str) -> bool:
    """What leaves no path out."""
    return False


def _below(parent: str, members: Iterable[Member]) -> Iterator[Member]:
    """An archive's names begin with the folder's own name: put its parent before them."""
    for member in members:
        path = join(parent, member.path.lstrip("/"))
        same_as = join(parent, member.same_as.lstrip("/")) if member.same_as else ""
        yield type(member)(path, member.entry, same_as)
