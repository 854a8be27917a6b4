"""What says which Debian packages are inside: dpkg's record, as scanners read it, and the licence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.tree.tree import Tree
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Mapping

# As distroless has them, one file a package; Debian's own /var/lib/dpkg/status is one file for all.
RECORDS = ("/var/lib/dpkg/status.d/{name}", "/var/lib/dpkg/status.d/{name}.md5sums", "/usr/share/doc/{name}/copyright")


def records(
    kept: Tree, owners: Mapping[str, str], supply: Tree, reasons: Mapping[str, Why]
) -> tuple[Tree, dict[str, Why]]:
    """The records and licences of all packages that a kept path comes from; `owners` has the package of each path.

    The reason leads on from that of the package's first kept path, which `reasons` has, to the recipe.
    """
    first: dict[str, str] = {}
    for path in kept:
        if path in owners:
            first.setdefault(owners[path], path)
    whys: dict[str, Why] = {}
    for name, path in sorted(first.items()):
        because = reasons.get(path)
        why = Why(rule="debian", text=f"says that files of {name} are inside, such as {path}", because=because)
        whys |= {place: why for pattern in RECORDS if (place := pattern.format(name=name)) in supply}
    return Tree({path: supply[path] for path in whys}), whys
