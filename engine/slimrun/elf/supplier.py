"""Looking a name up in the supplies, each by the rules of its own loader."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from slimrun.elf import ldcache, ldconf
from slimrun.elf.family import family_of
from slimrun.elf.folders import Hit
from slimrun.elf.search import Asker, Loader, Search
from slimrun.elf.sonames import as_ldconfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slimrun.elf.facts import Facts
    from slimrun.elf.family import Family
    from slimrun.elf.info import ElfInfo
    from slimrun.elf.model import Supply

    Target = tuple[str, int, bool, int]


class Suppliers:
    """The supplies with their loaders and glibc families, each made once."""

    def __init__(self, supplies: Sequence[Supply], facts: Facts) -> None:
        self.supplies, self.facts = tuple(supplies), facts
        self._loaders: dict[tuple[int, Target], Loader] = {}
        self._families: dict[tuple[int, Target], Family | None] = {}
        self._sonames: dict[tuple[int, Target], dict[str, str]] = {}

    def loader(self, number: int, program: ElfInfo) -> Loader:
        """The loader that `program` would get in a supply.

        A supply of packages alone has no ld.so: the folders are then those of the first supply that has it. One without an
        ld.so.cache is taken as `ldconfig` would see it, for the output's cache is ours to write.
        """
        key = (number, (program.interp, *program.target))
        if key not in self._loaders:
            loader = Loader.of(self.supplies[number].tree, program, self.facts)
            if not loader.linker.path:
                others = (Loader.of(supply.tree, program, self.facts).linker for supply in self.supplies)
                known = next((linker for linker in others if linker.path), None)
                if known is not None:
                    loader.linker = replace(known, path="")
            if not loader.cache and not loader.linker.musl:
                folders = ldconf.folders(self.supplies[number].tree)
                loader.cache = ldconf.names(self.supplies[number].tree, folders, ldcache.flags_of(program))
            self._loaders[key] = loader
        return self._loaders[key]

    def conf(self) -> tuple[str, ...]:
        """The folders of the first /etc/ld.so.conf among the supplies'."""
        return next((found for supply in self.supplies if (found := ldconf.folders(supply.tree))), ())

    def linked(self, number: int, name: str, program: ElfInfo) -> Hit | None:
        """The library of a supply that ldconfig would find for `name`; where it was run, there is nothing more to find."""
        loader = self.loader(number, program)
        if loader.linker.musl or self.supplies[number].tree.stat(ldcache.PATH) is not None:
            return None
        key = (number, (program.interp, *program.target))
        if key not in self._sonames:
            dirs = (*ldconf.folders(loader.tree), *loader.linker.dirs)
            self._sonames[key] = as_ldconfig(loader.tree, dirs, program.target, self.facts)
        path = self._sonames[key].get(name)
        found = loader.folders.open_path(path, program.target, "cache") if path else None
        return found if isinstance(found, Hit) else None

    def family(self, number: int, program: ElfInfo) -> Family | None:
        """The glibc set of a supply, as `program` would meet it."""
        key = (number, (program.interp, *program.target))
        if key not in self._families:
            loader = self.loader(number, program)
            self._families[key] = family_of(loader.tree, loader.linker, program.target, self.facts)
        return self._families[key]

    def search(self, number: int, name: str, by: Asker, main: Asker, origins: dict[str, tuple[int, str]]) -> Search:
        """What `name` is in a supply, asked for by a file of the output; `origins` says which came from where."""

        def there(asker: Asker, above: Asker | None) -> Asker:
            supply, path = origins.get(asker.real, (number, asker.path))
            return Asker(path if supply == number else asker.path, asker.real, asker.info, above)

        above: Asker | None = None
        for asker in [*by.chain()][:0:-1]:
            above = there(asker, above)
        return self.loader(number, main.info).search(name, there(by, above), there(main, None))
