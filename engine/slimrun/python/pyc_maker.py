"""Makes byte code of sources and prints it; run by other interpreters, from CPython 3.7 on, given to them as text.

    python -S -c TEXT ROOT SCRATCH FILE...

FILE are absolute paths inside ROOT (a folder), and are the names in the byte code; SCRATCH is an empty folder. Each
file is compiled in a process of its own, forked from one that has compiled nothing: what marshal writes depends on which strings
a process has seen. Prints `INDEX TEXT` lines, whose texts joined are base64 of what zlib (where there is one) made of the byte
code, nothing for a file that does not compile, and `done TAG zlib|plain COUNT` last.
"""

import binascii
import importlib.util
import marshal
import os
import sys

CHUNK = 6000
UNCHECKED = 1  # flags of PEP 552: named by hash, and not compared when it is loaded


def code_of(root: str, path: str) -> bytes:
    """The whole .pyc of a source, b"" where it is none."""
    with open(root + path, "rb") as stream:
        source = stream.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    head = importlib.util.MAGIC_NUMBER + UNCHECKED.to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + marshal.dumps(code)


def main(root: str, scratch: str, paths: "list[str]") -> None:
    """Some files at once; what they gave comes out in order."""
    running = {}  # type: dict[int, int]
    width = os.cpu_count() or 1
    out = sys.stdout

    def finish() -> None:
        child, status = os.wait()
        number = running.pop(child)
        if status:
            sys.exit(f"slimrun: compiling {paths[number]} ended with {status}")

    def show(number: int) -> None:
        name = os.path.join(scratch, str(number))
        with open(name, "rb") as stream:
            data = stream.read()
        os.unlink(name)
        text = binascii.b2a_base64(pack(data), newline=False).decode() if data else ""
        for at in range(0, len(text), CHUNK):
            out.write(f"{number} {text[at : at + CHUNK]}\n")

    shown = 0
    for number, path in enumerate(paths):
        while len(running) >= width:
            finish()
        child = os.fork()
        if not child:
            status = 1
            try:
                data = code_of(root, path)
                with open(os.path.join(scratch, str(number)), "wb") as stream:
                    stream.write(data)
                status = 0
            finally:
                os._exit(status)
        running[child] = number
        while shown < number and shown not in running.values():
            show(shown)
            shown += 1
    while running:
        finish()
    while shown < len(paths):
        show(shown)
        shown += 1
    out.write(f"done {sys.implementation.cache_tag} {kind} {len(paths)}\n")


try:
    import zlib
except ImportError:  # a CPython may be built without it
    kind = "plain"

    def pack(data: bytes) -> bytes:
        """As it is."""
        return data

else:
    kind = "zlib"

    def pack(data: bytes) -> bytes:
        """A third of it."""
        return zlib.compress(data, 6)


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), sys.argv[2], sys.argv[3:])
