"""Which extension modules a build left out, from what `make` printed: setup.py's words and those of later CPythons."""

from __future__ import annotations

import pytest

from slimrun.python.lacking import BRINGS, lacking_in, needed_by, package_of

# Of real runs: 3.11.2 in bookworm with build-essential alone.
SETUP_PY = """
running build_ext
building '_struct' extension

The necessary bits to build these optional modules were not found:
_bz2                  _curses               _curses_panel      
_dbm                  _gdbm                 _tkinter           
zlib                                                           
To find the necessary bits, look in setup.py in detect_modules() for the module's name.


The following modules found by detect_modules() in setup.py, have been
built by the Makefile instead, as configured by the Setup files:
_abc                  pwd                   time               

Failed to build these modules:
_ctypes                                                        

Following modules built successfully but were removed because they could not be imported:
_hashlib              _ssl                                     

Could not build the ssl module!
Python requires a OpenSSL 1.1.1 or newer
running build_scripts
"""
# 3.12 and later, Tools/build/check_extension_modules.py.
LATER = """
gcc -shared Modules/x.o -o Modules/x.so
The necessary bits to build these optional modules were not found:
_bz2                      _curses                   _zstd
_tkinter
To find the necessary bits, look in configure.ac and config.log.

Checked 114 modules (33 built-in, 77 shared, 1 n/a on linux-x86_64, 0 disabled, 4 missing, 0 failed on import)
"""


def test_names_of_setup_py() -> None:
    assert lacking_in(SETUP_PY) == (
        *("_bz2", "_ctypes", "_curses", "_curses_panel", "_dbm", "_gdbm", "_hashlib", "_ssl", "_tkinter", "zlib"),
    )


def test_names_of_later_releases() -> None:
    assert lacking_in(LATER) == ("_bz2", "_curses", "_tkinter", "_zstd")


@pytest.mark.parametrize("text", ["", "make: Nothing to be done for 'all'.\n", "running build\nrunning build_ext\n"])
def test_a_log_that_lists_none(text: str) -> None:
    assert lacking_in(text) == ()


def test_a_list_ends_where_other_words_begin() -> None:
    text = "Failed to build these modules:\n_a _b\nrunning build_scripts\n_c\n"
    assert lacking_in(text) == ("_a", "_b")
    assert lacking_in("Failed to build these modules:") == ()


@pytest.mark.parametrize(
    ("module", "extension"),
    [
        ("ssl", "_ssl"),
        ("sqlite3", "_sqlite3"),
        ("sqlite3.dbapi2", "_sqlite3"),
        ("tkinter.ttk", "_tkinter"),
        ("curses.panel", "_curses_panel"),
        ("curses.panel", "_curses"),
        ("dbm.gnu", "_gdbm"),
        ("compression.zstd", "_zstd"),
    ],
)
def test_modules_that_need_one(module: str, extension: str) -> None:
    assert needed_by(module, extension)


@pytest.mark.parametrize(
    ("module", "extension"),
    [
        ("hashlib", "_hashlib"),
        ("uuid", "_uuid"),
        ("curses", "_curses_panel"),
        ("dbm", "_gdbm"),
        ("sslx", "_ssl"),
        ("a", "_a"),
    ],
)
def test_modules_that_do_without(module: str, extension: str) -> None:
    assert not needed_by(module, extension)


def test_packages_are_known_by_name() -> None:
    assert (package_of("_lzma"), package_of("_made_up")) == ("liblzma-dev", "")
    assert list(BRINGS) == sorted(BRINGS)
    assert all(
        brings.package.startswith("lib") or brings.package in ("tk-dev", "uuid-dev", "zlib1g-dev")
        for brings in BRINGS.values()
    )
