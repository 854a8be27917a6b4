"""`slimrun init [NAME]`: a repository of recipes to start from, every file of it with comments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.options import Parser
from slimrun.errors import BadCommandLine, RequirementNotMet
from slimrun.recipe.repository import folders_up

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "write a repository to start from: recipe, slim.yaml, CI, pre-commit"
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")

_RECIPE = """# `slimrun recipes/{name}.yaml` makes the image {name}:latest; `slimrun schema recipe` prints all keys.
name: {name}
description: A Python image on busybox (glibc)

python:
  image: python:3.12-slim      # CPython is taken out of this image

wheels: []                     # what pip would install, for example:
#  - requests==2.32.3
#  - -r ../requirements.txt

# files:                       # what the image gets of this repository
#  - from: ../src
#    to: /app

runtime: busybox:glibc         # what the image stands on; `scratch` for nothing at all

image:
  cmd: ["-c", "print('hello')"]

verify:                        # what the finished image must do before it gets its tag
  imports: [ssl, sqlite3]
  run:
    - cmd: ["-c", "print('hello')"]
      stdout: hello
"""

_SLIM = """# One a repository, beside .git: what all its recipes share. `slimrun schema slim` prints all keys.
recipes: [recipes/]

# defaults:                    # recipe keys under every recipe
#  prune:
#    level: small

# mirrors:                     # prefix: what is asked instead
#  images:
#    docker.io/: registry.example.com/hub/
#  pypi: https://pypi.example.com/simple

# build:
#  ca_certificates: /etc/ssl/certs/ca-certificates.crt

# policy:                      # what no image here may do, whatever its recipe says
#  max_size: 200MB
#  forbid_root: true

# cache:
#  max_size: 20GB              # `slimrun clean` cuts it down to this
"""

# GitHub's form, which Gitea and Forgejo read too; the two commands are all that another CI needs.
_CI = """# Makes every image of recipes/ and proves it; what did not change since the last run comes from the cache.
name: images
on: [push]
jobs:
  images:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - uses: actions/cache@v4
        with:
          path: ~/.cache/slimrun
          key: slimrun-${{ github.sha }}
          restore-keys: slimrun-
      - run: pip install slimrun
      - run: slimrun recipes/*.yaml --keep-going --metadata-file images.json
      - run: slimrun clean --max-size 2GB
      - uses: actions/upload-artifact@v4
        with:
          name: images
          path: images.json
"""

_HOOK = """# A recipe that is not valid is not committed; `pre-commit install` turns this on.
repos:
  - repo: local
    hooks:
      - id: slimrun
        name: slimrun --syntax-check
        entry: slimrun --syntax-check
        language: system
        files: ^recipes/.*\\.ya?ml$
"""


def main(argv: Sequence[str]) -> int:
    """Write recipes/NAME.yaml, and slim.yaml, a CI file and a pre-commit hook where there are none; never over a file."""
    words = Parser(prog="slimrun init", description=SUMMARY)
    words.add_argument("name", nargs="?", default="hello", help="the image's name (hello)")
    name = words.parse_args(argv).name
    if not _NAME.fullmatch(name):
        msg = f"'{name}' cannot be an image's name"
        raise BadCommandLine(msg, hint="small letters and digits, with single '.', '_' or '-' between them")
    recipe = Path("recipes") / f"{name}.yaml"
    if recipe.exists():
        msg = f"{recipe} is there already"
        raise BadCommandLine(msg, hint=f"`slimrun init OTHER-NAME`, or run it: `slimrun {recipe}`")
    files = {
        recipe: _RECIPE.format(name=name),
        Path("slim.yaml"): _SLIM,
        Path(".github/workflows/images.yaml"): _CI,
        Path(".pre-commit-config.yaml"): _HOOK,
    }
    for path, text in files.items():
        print(f"wrote {path}" if _write(path, text) else f"left {path} as it is")
    if not any((folder / ".git").exists() for folder in folders_up(Path())):
        print("there is no .git here: run `git init`, which is what makes slim.yaml count for recipes/ too")
    print(f"next: slimrun {recipe}")
    return 0


def _write(path: Path, text: str) -> bool:
    """Write a file that is not there; whether it was written."""
    try:
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"cannot write {error.filename}: {error.strerror}"
        raise RequirementNotMet(msg, hint="run it in a folder that you can write") from error
    return True
