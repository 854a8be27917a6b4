"""Runs one command in a sandbox and prints what came of it; a script, so that it can be run as another user."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path

from slimrun.backend.base import Limits, Ran
from slimrun.backend.sandbox import Sandbox, Tool
from slimrun.cache.store import Cache
from slimrun.oci.config import Config


def main() -> None:
    """The job is JSON on standard input: cache, tool, config, argv, limits."""
    job = json.load(sys.stdin)
    cache = Cache(Path(job["cache"]))
    for name in ("env",):
        job["config"][name] = tuple(map(tuple, job["config"].get(name, ())))
        job["limits"][name] = tuple(map(tuple, job["limits"].get(name, ())))
    config = Config(architecture="amd64", **job["config"])
    tool = Tool(job["tool"], shutil.which(job["tool"]) or "", os.geteuid() == 0)
    sandbox = Sandbox(tool, config, cache, name=f"root-{os.getpid()}-x-")
    begun = time.monotonic()
    try:
        ran = sandbox.run(job["argv"], Limits(**job["limits"]))
    finally:
        seconds = time.monotonic() - begun
        sandbox.remove()
    left = [path.name for path in cache.scratch().iterdir()]
    print(json.dumps({"ran": asdict(ran), "tried": isinstance(ran, Ran), "seconds": seconds, "left": left}))


if __name__ == "__main__":
    main()
