"""A catalog of a hundred images, four bases by twenty-five sets of wheels: what is shared, how long each takes, how much memory.

    eval "$(.ci/services env)"; .venv/bin/python benchmarks/catalog.py [--sets N] [--forks N] [--serial]

The bases are python:3.11-slim and python:3.7-slim (stand-ins of .ci/images), each on busybox:glibc and on scratch; the wheels
come from PyPI: twenty sets of small pure-Python wheels, five with C extensions. The first run begins with an empty cache. The
seconds of an image are those of its stages but verify; with several forks, stages share the processors, so that these say what
one image takes with `--serial` alone. Bytes are those of uncompressed layers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
REGISTRY = os.environ.get("SLIMRUN_TEST_REGISTRY", "")
RECIPE = """
python: {image: "python:${py}-slim"}
runtime: ${runtime}
wheels: []
"""
BASES = {
    "py311-bb": ("3.11", "busybox:glibc"),
    "py311-none": ("3.11", "scratch"),
    "py37-bb": ("3.7", "busybox:glibc"),
    "py37-none": ("3.7", "scratch"),
}
PURE = (
    "six==1.16.0", "idna==3.7", "certifi==2024.7.4", "attrs==23.2.0", "packaging==24.0", "click==8.1.7", "itsdangerous==2.1.2",
    "tomli==2.0.1", "pytz==2024.1", "colorama==0.4.6", "iniconfig==2.0.0", "pluggy==1.2.0", "wcwidth==0.2.13", "tabulate==0.9.0",
    "termcolor==2.3.0", "decorator==5.1.1", "python-dateutil==2.9.0.post0", "chardet==5.2.0", "zipp==3.15.0", "blinker==1.6.3",
)  # fmt: skip
COMPILED = ("markupsafe==2.1.5", "pyyaml==6.0.1", "msgpack==1.0.5", "wrapt==1.16.0", "simplejson==3.19.2")


def main() -> None:
    """Build the catalog, build it again, and print what came of it."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--sets", type=int, default=25, help="how many sets of wheels (25)")
    words.add_argument("--forks", type=int, default=4, help="how many stages at once (4)")
    words.add_argument("--serial", action="store_true", help="build it with one fork too, in another cache")
    given = words.parse_args()
    sets = (*COMPILED, *PURE)[: given.sets] if given.sets < 25 else (*PURE, *COMPILED)
    folder = Path(tempfile.mkdtemp(prefix="slimrun-catalog-"))
    try:
        write(folder, sets)
        for number, forks in enumerate((given.forks, 1) if given.serial else (given.forks,)):
            cache = folder / f"cache{number}"
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = before.ru_utime + before.ru_stime
            wall, seconds = run(folder, cache, forks)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            memory, processor = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime - spent
            each = f"{wall / len(seconds):.2f} s an image ({processor / len(seconds):.2f} s of a processor), verify and all"
            print(f"{len(seconds)} images with {forks} forks: {wall:.1f} s, {each}")
            tell(seconds)
            print(f"  peak memory of slimrun, or of a child: {memory:.0f} MB")
            if number == 0:
                share(folder, cache)
            again, _ = run(folder, cache, forks)
            print(f"  again, all of it cached: {again:.2f} s")
    finally:
        shutil.rmtree(folder)


def write(folder: Path, sets: tuple[str, ...]) -> None:
    """The repository: a recipe, and a catalog of it."""
    (folder / ".git").mkdir()
    (folder / "app.yaml").write_text(RECIPE, encoding="utf-8")
    mirror = f"mirrors: {{images: {{docker.io/library/: {REGISTRY}/library/}}}}\n" if REGISTRY else "{}\n"
    (folder / "slim.yaml").write_text(mirror, encoding="utf-8")
    rows = ["catalog: benchmark", "images:"]
    for base, (py, runtime) in BASES.items():
        for wheel in sets:
            name = f"{base}-{wheel.partition('==')[0]}"
            variables = f'{{py: "{py}", runtime: "{runtime}"}}'
            rows.append(f"  - {{recipe: app.yaml, name: {name}, vars: {variables}, set: {{wheels: ['{wheel}']}}}}")
    (folder / "catalog.yaml").write_text("\n".join(rows) + "\n", encoding="utf-8")


def run(folder: Path, cache: Path, forks: int) -> tuple[float, dict[str, dict[str, float]]]:
    """Wall time, and the seconds of each stage that ran, by image."""
    argv = [sys.executable, "-m", "slimrun", str(folder / "catalog.yaml"), "--output", "json", "-f", str(forks)]
    argv += ["--backend", "docker", "--metadata-file", str(folder / "meta.json")]
    environ = dict(os.environ) | {"XDG_CACHE_HOME": str(cache), "SLIMRUN_CONFIG": str(folder / "slim.yaml")}
    began = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, env=environ, cwd=ROOT, check=False)
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(f"slimrun failed:\n{done.stdout[-4000:]}{done.stderr}")
    seconds: dict[str, dict[str, float]] = defaultdict(dict)
    for line in done.stdout.splitlines():
        event = json.loads(line)
        if event["event"] == "TaskEnded":
            seconds[event["image"]][event["stage"]] = event["seconds"] if event["status"] == "changed" else 0.0
    return wall, seconds


def tell(seconds: dict[str, dict[str, float]]) -> None:
    """The seconds of the first image of each base, and of the further ones by what their wheels are."""
    kinds: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, list[float]] = defaultdict(list)
    for base in BASES:
        for number, (image, took) in enumerate(
            (image, took) for image, took in seconds.items() if image.startswith(base)
        ):
            compiled = any(image.endswith(f"-{wheel.partition('==')[0]}") for wheel in COMPILED)
            kind = "first of a base" if number == 0 else "further, compiled" if compiled else "further, pure Python"
            kinds[kind].append(sum(value for stage, value in took.items() if stage != "verify"))
            for stage, value in took.items() if kind == "further, pure Python" else ():
                stages[stage].append(value)
    for kind, values in sorted(kinds.items()):
        print(f"  {kind}, verify aside: median {median(values):.2f} s, most {max(values):.2f} s ({len(values)} images)")
    print(
        "  further, pure Python, medians: "
        + ", ".join(f"{stage} {median(values):.2f}" for stage, values in stages.items())
    )


def share(folder: Path, cache: Path) -> None:
    """What the images weigh apart, and together."""
    layers = [row["layers"] for row in json.loads((folder / "meta.json").read_bytes())]
    sizes = {
        layer: (cache / "slimrun/blobs/sha256" / layer.removeprefix("sha256:")).stat().st_size
        for image in layers
        for layer in image
    }
    apart, together = sum(sizes[layer] for image in layers for layer in image), sum(sizes.values())
    print(
        f"  layers: {together / 1e6:.1f} MB in {len(sizes)} that are unique, {apart / 1e6:.1f} MB apart: {together / apart:.1%}"
    )
    size = sum(path.stat().st_size for path in (cache / "slimrun").rglob("*") if path.is_file())
    print(f"  cache: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
