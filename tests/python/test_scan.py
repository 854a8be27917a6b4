"""What sources say of libraries and modules, read as trees."""

from __future__ import annotations

import pytest

from slimrun.python.scan import Opened, imported, opened

HEAD = "import ctypes, os\nimport ctypes.util\nfrom ctypes import CDLL, cdll\nfrom ctypes import PyDLL as Py\n"
LINE = HEAD.count("\n") + 1

# source, names, stems, dynamic
TABLE: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], bool]] = {
    "a constant": ("ctypes.CDLL('libc.so.6')", ("libc.so.6",), (), False),
    "a name of an import": ("CDLL('libc.so.6')", ("libc.so.6",), (), False),
    "an alias": ("Py('liba.so')", ("liba.so",), (), False),
    "a keyword": ("CDLL(mode=1, name='liba.so')", ("liba.so",), (), False),
    "LoadLibrary": ("cdll.LoadLibrary('liba.so')", ("liba.so",), (), False),
    "an item": ("ctypes.cdll['liba.so']", ("liba.so",), (), False),
    "the program itself": ("CDLL(None)", (), (), False),
    "either": ("CDLL('liba.so' if x else 'libb.so')", ("liba.so", "libb.so"), (), False),
    "find_library": ("ctypes.util.find_library('ssl')", (), ("ssl",), False),
    "found or named": ("CDLL(ctypes.util.find_library('ssl') or 'libssl.so.3')", ("libssl.so.3",), ("ssl",), False),
    "a name bound once": ("NAME = 'liba.so'\nCDLL(NAME)", ("liba.so",), (), False),
    "a name bound twice": ("NAME = 'liba.so'\nNAME = 'libb.so'\nCDLL(NAME)", ("liba.so", "libb.so"), (), False),
    "a loop": ("for name in ('liba.so', 'libb.so'):\n    CDLL(name)", ("liba.so", "libb.so"), (), False),
    "an annotated name": ("NAME: str = 'liba.so'\nCDLL(NAME)", ("liba.so",), (), False),
    "a walrus": ("if (n := 'liba.so'):\n    CDLL(n)", ("liba.so",), (), False),
    "a parameter": ("def f(name):\n    CDLL(name)", (), (), True),
    "a computed name": ("CDLL('lib%s.so' % x)", (), (), True),
    "an f-string": ("CDLL(f'lib{x}.so')", (), (), True),
    "a loop over something": ("for name in names():\n    CDLL(name)", (), (), True),
    "unpacked": ("a, b = both()\nCDLL(a)", (), (), True),
    "added to": ("NAME = 'lib'\nNAME += x\nCDLL(NAME)", (), (), True),
    "computed or constant": ("CDLL(x or 'liba.so')", ("liba.so",), (), True),
    "a stem that is computed": ("CDLL(ctypes.util.find_library(x))", (), (), True),
    "beside the source": ("CDLL(os.path.join(os.path.dirname(__file__), 'liba.so'))", (), (), False),
    "beside it, by a name": ("here = os.path.dirname(__file__)\nCDLL(here + '/liba.so')", (), (), False),
    "a resource": ("CDLL(str(files('x') / 'liba.so'))", (), (), False),
    "cffi": ("import cffi\nffi = cffi.FFI()\nffi.dlopen('liba.so')", ("liba.so",), (), False),
    "a name of its own": ("NAME = NAME2 = NAME3\nNAME3 = NAME\nCDLL(NAME)", (), (), True),
}


@pytest.mark.parametrize("what", TABLE)
def test_opened(what: str) -> None:
    code, names, stems, dynamic = TABLE[what]
    found = opened((HEAD + code).encode())
    assert {name for one in found for name in one.names} == {*names}
    assert {stem for one in found for stem in one.stems} == {*stems}
    assert any(one.dynamic for one in found) is dynamic


def test_each_place_is_told_once_with_its_line() -> None:
    code = f"{HEAD}CDLL('liba.so')\n\nCDLL(\n    'libb.so')\n"
    assert opened(code.encode()) == (
        Opened(LINE, ("liba.so",), (), False),
        Opened(LINE + 2, ("libb.so",), (), False),
    )


@pytest.mark.parametrize(
    "code",
    [
        "x.CDLL('liba.so')  # ctypes",
        "def CDLL(x): ...\nCDLL('liba.so')  # ctypes",
        "from .ctypes import CDLL\nCDLL('liba.so')",
        "import ctypes\nctypes.c_int(3)\nctypes.cdll.foo.bar('x')",
        "import ctypes\nctypes.CDLL(*names)",
        "import ctypes\nctypes.CDLL()",
        "CDLL('liba.so')",
    ],
)
def test_what_opens_nothing(code: str) -> None:
    assert opened(code.encode()) == ()


@pytest.mark.parametrize("code", [b"ctypes.CDLL\nprint 'x'", b"CDLL\n\0", b"CDLL {{ name }}", b"\xff dlopen"])
def test_what_cannot_be_parsed_is_dynamic(code: bytes) -> None:
    assert opened(code) == (Opened(0, (), (), True),)


def test_deep_sources_end() -> None:
    assert opened(b"import ctypes\nCDLL = " + b"(" * 5000 + b")" * 5000) == (Opened(0, (), (), True),)


def test_warnings_of_a_source_are_its_own() -> None:
    assert opened(b"import ctypes\nCDLL = '\\d'\n") == ()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import lib2to3", {"lib2to3": 1}),
        ("\nimport lib2to3.pgen2 as p, os", {"lib2to3": 2}),
        ("from lib2to3 import pytree\nimport lib2to3", {"lib2to3": 1}),
        ("def f():\n    import lib2to3", {"lib2to3": 2}),
        ("from . import lib2to3", {}),
        ("from .lib2to3 import x", {}),
        ("import blib2to3", {}),
        ("x = 'lib2to3'", {}),
        ("import lib2to3 (", {}),
        ("import ensurepip\nimport lib2to3", {"ensurepip": 1, "lib2to3": 2}),
    ],
)
def test_imported(code: str, found: dict[str, int]) -> None:
    assert imported(code.encode(), frozenset({"lib2to3", "ensurepip"})) == found
