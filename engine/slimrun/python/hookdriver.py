"""Builds one wheel by a project's own backend (PEP 517); runs in the builder, under the target's Python, which may be 3.7.

Given as text, so it imports nothing of slimrun. `request.json` beside it says what to do; the wheel comes into `out`, or, where the
backend asks for more than it was given (`get_requires_for_build_wheel`), that list as `out/requires.json` and no wheel.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Carry out the request of this script's folder."""
    here = Path(__file__).resolve().parent
    request = json.loads((here / "request.json").read_text(encoding="utf-8"))
    os.umask(0o022)
    out = here / "out"
    out.mkdir(exist_ok=True)
    os.chdir(request["sources"])
    # Not this script's folder, which Python put there, but the backend's own (PEP 517, in-tree build backends).
    sys.path[0:1] = [str(Path(request["sources"], name)) for name in request["path"]]
    module, _, name = request["backend"].partition(":")
    backend = importlib.import_module(module)
    for part in name.split(".") if name else ():
        backend = getattr(backend, part)
    ask = getattr(backend, "get_requires_for_build_wheel", None)
    asked = [] if ask is None else [str(line) for line in ask(None)]
    lacking = [line for line in asked if line not in request["given"]]
    if lacking:
        (out / "requires.json").write_text(json.dumps(lacking), encoding="utf-8")
    else:
        backend.build_wheel(str(out), None, None)


if __name__ == "__main__":
    main()
