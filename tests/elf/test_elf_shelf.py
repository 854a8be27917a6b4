"""What is kept of ELF files between runs is what reading them gives."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.tinyelf import shared

from slimrun.cache.store import Cache
from slimrun.elf import facts as module
from slimrun.elf.facts import Facts
from slimrun.errors import BadElf
from slimrun.tree.entry import Entry, Kind, file

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = file(shared(soname="libx.so.1", needs=("liby.so.2", "libc.so.6")))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def unread(*_: Any) -> Any:
    pytest.fail("it was read again")


def test_symbols_and_banners_too(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    text = file(b"\x7fELF" + b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n" + bytes(99))
    found = Facts(cache).symbols("/x", LIBRARY), Facts(cache).banner(text)
    monkeypatch.setattr(module, "_symbols", unread)
    monkeypatch.setattr(module, "banner_of", unread)
    again = Facts(cache)
    assert (again.symbols("/y", LIBRARY), again.banner(text)) == found
    assert found == (Facts(cache).symbols("/y", LIBRARY), Facts(cache).banner(text))


def test_headers_and_what_is_no_sound_elf_are_not_kept(cache: Cache) -> None:
    assert Facts(cache).facts("/x", LIBRARY) == Facts().facts("/x", LIBRARY)
    assert Facts(cache).facts("/x", file(b"text" * 99)) is None
    for read in (Facts(cache).facts, Facts(cache).symbols):
        with pytest.raises(BadElf, match="/x"):
            read("/x", file(b"\x7fELF" + b"\xff" * 99))
    assert Facts(cache).facts("/x", Entry(kind=Kind.DIR)) is None
    assert not (cache.root / "values").exists()


def test_damage_and_another_revision_are_read_again(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Facts(cache).symbols("/x", LIBRARY)
    (kept,) = (cache.root / "values/elf-symbols").iterdir()
    kept.write_bytes(b"damaged")
    assert Facts(cache).symbols("/x", LIBRARY) == expected
    cache.save_value("elf-symbols", kept.name, ("something", "else"))
    assert Facts(cache).symbols("/x", LIBRARY) == expected
    monkeypatch.setattr(module, "REVISION", module.REVISION + 1)
    assert Facts(cache).symbols("/x", LIBRARY) == expected
    assert len(list((cache.root / "values/elf-symbols").iterdir())) == 2


def test_without_reading_pyelftools_is_not_loaded(cache: Cache) -> None:
    Facts(cache).symbols("/x", LIBRARY)
    text = f"""
import sys
from slimrun.cache.store import Cache
from slimrun.elf.facts import Facts
from slimrun.tree.entry import file
from pathlib import Path
data = bytes.fromhex({LIBRARY.read().hex()!r})
print(type(Facts(Cache(Path({str(cache.root)!r}))).symbols("/x", file(data))).__name__, "elftools" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "Symbols False\n"
