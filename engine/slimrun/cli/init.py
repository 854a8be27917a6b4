"""`slimrun init [NAME]`: a commented recipe and slim.yaml to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from slimrun.cli.options import Parser
from slimrun.errors import BadCommandLine, RequirementNotMet

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY = "write a commented recipe and slim.yaml"
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
"""


def main(argv: Sequence[str]) -> int:
    """Write recipes/NAME.yaml and, where there is none, slim.yaml; what is there already is never overwritten."""
    words = Parser(prog="slimrun init", description=SUMMARY)
    words.add_argument("name", nargs="?", default="hello", help="the image's name (hello)")
    name = words.parse_args(argv).name
    if not _NAME.fullmatch(name):
        msg = f"'{name}' cannot be an image's name"
        raise BadCommandLine(msg, hint="small letters and digits, with single '.', '_' or '-' between them")
    recipe, slim = Path("recipes") / f"{name}.yaml", Path("slim.yaml")
    if recipe.exists():
        msg = f"{recipe} is there already"
        raise BadCommandLine(msg, hint=f"`slimrun init OTHER-NAME`, or run it: `slimrun {recipe}`")
    try:
        recipe.parent.mkdir(exist_ok=True)
        recipe.write_text(_RECIPE.format(name=name), encoding="utf-8")
        print(f"wrote {recipe}")
        if not slim.exists():
            slim.write_text(_SLIM, encoding="utf-8")
            print(f"wrote {slim}")
    except OSError as error:
        msg = f"cannot write {error.filename}: {error.strerror}"
        raise RequirementNotMet(msg, hint="run it in a folder that you can write") from error
    print(f"next: slimrun {recipe}")
    return 0
