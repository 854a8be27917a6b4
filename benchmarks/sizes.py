"""How large images are, beside the official one: bytes of files in the loaded image, and what a registry would hold of them.

    eval "$(.ci/services env)"; .venv/bin/python benchmarks/sizes.py [--files NAME]

All are of CPython 3.11. The full standard library is Debian 12's less what level small drops by name (tests, idle, tk, ensurepip,
lib2to3, the data of pydoc). Compressed is `docker save` through gzip -9, for every image alike. --files lists the fifty largest
files of one of our images. Ends with status 1 where a figure that issue 5 sets is missed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = os.environ.get("SLIMRUN_TEST_REGISTRY", "")
DEBIAN = "python: {debian: {suite: bookworm}}\nruntime: scratch\n"
OFFICIAL = "python: {image: 'python:3.11-slim'}\nruntime: busybox:glibc\n"
PSYCOPG = "wheels: [psycopg2-binary==2.9.11]\nverify: {imports: [psycopg2, ssl]}\n"


@dataclass(frozen=True)
class Row:
    """One of our images: what it is, and the most that it may be, in MB of files and MB compressed."""

    name: str
    what: str
    recipe: str
    most: float = 0.0
    packed: float = 0.0


ROWS = (
    Row("size-full", "Debian 12's full standard library, on scratch", DEBIAN, 39.0, 14.5),
    Row("size-bare", "the same without features", f"{DEBIAN}prune: {{features: []}}\n", 36.5),
    Row("size-only", "the same with byte code in the place of sources", f"{DEBIAN}prune: {{bytecode: only}}\n"),
    Row("size-psycopg", "and psycopg2 with TLS, on scratch", DEBIAN + PSYCOPG, 52.0),
    Row("size-dedupe", "the same with prune.dedupe", f"{DEBIAN}{PSYCOPG}prune: {{dedupe: true}}\n"),
    Row("size-hello", "official copy, on busybox", OFFICIAL, 45.0),
    Row("size-safe", "the same at level safe", f"{OFFICIAL}prune: {{level: safe}}\n"),
)


def main() -> None:
    """Build each, weigh it, and print one line."""
    folder = Path(tempfile.mkdtemp(prefix="slimrun-benchmark-"))
    missed = False
    try:
        peer = f"{REGISTRY}/library/python:3.11-slim" if REGISTRY else "python:3.11-slim"
        _run(["docker", "pull", "--quiet", peer])
        print(f"{'python:3.11-slim':52} {_size(peer):6.1f} MB {_packed(peer):6.1f} MB compressed")
        config = folder / "slim.yaml"
        mirror = f"mirrors: {{images: {{docker.io/library: {REGISTRY}/library}}}}\n"
        config.write_text(mirror if REGISTRY else "{}\n", encoding="utf-8")
        for row in ROWS:
            recipe = folder / f"{row.name}.yaml"
            recipe.write_text(f"name: {row.name}\n{row.recipe}", encoding="utf-8")
            words = ["-m", "slimrun", str(recipe), "--config", str(config), "--backend", "docker"]
            _run([sys.executable, *words], XDG_CACHE_HOME=str(folder / "cache"))
            size, packed = _size(row.name), _packed(row.name)
            over = [text for value, most, text in ((size, row.most, "size"), (packed, row.packed, "compressed"))
                    if most and value > most]  # fmt: skip
            limits = f"  (at most {row.most:g}{f' and {row.packed:g}' if row.packed else ''})" if row.most else ""
            print(f"{row.what:52} {size:6.1f} MB {packed:6.1f} MB compressed{limits}{' MISSED' if over else ''}")
            missed = missed or bool(over)
        if "--files" in sys.argv:
            _files(folder, sys.argv[sys.argv.index("--files") + 1])
    finally:
        shutil.rmtree(folder)
    sys.exit(1 if missed else 0)


def _files(folder: Path, name: str) -> None:
    report = json.loads((folder / "cache" / "slimrun" / "records" / "report" / f"{name}.json").read_text())
    for row in sorted(report["files"], key=lambda row: -row["size"])[:50]:
        print(f"{row['size']:>10} {row['path']}: {row['why'][0]['text']}")


def _size(image: str) -> float:
    return int(_run(["docker", "image", "inspect", "--format", "{{.Size}}", image])) / 1e6


def _packed(image: str) -> float:
    total, packer = 0, zlib.compressobj(9, wbits=31)
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        while data := saving.stdout.read(1 << 20):
            total += len(packer.compress(data))
    return (total + len(packer.flush())) / 1e6


def _run(argv: list[str], **environ: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | environ, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
