"""What maintainer scripts would have done and images need, done by us.

- Alternatives (awk, which, libblas.so.3, …): links as `update-alternatives` makes them, read from postinst scripts.
- ca-certificates: /etc/ssl/certs/ca-certificates.crt out of all of Mozilla's certificates. Not the 280 links by name and by
  hash of /etc/ssl/certs: OpenSSL reads the bundle as /usr/lib/ssl/cert.pem, which Debian's openssl package links there; where that
  package is not there, the link is made.
- /var/lib/dpkg/status.d/<package> and <package>.md5sums, as distroless images have them: scanners read them.

Not done: byte code, ldconfig (the finished image gets its own ld.so.cache), users and groups, debconf, triggers such as the caches
of fontconfig, gdk-pixbuf or glib, and calls of update-alternatives whose words are not literal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slimrun.debian.alternatives import links
from slimrun.debian.usrmerge import merged_path
from slimrun.tree.entry import Kind, file, link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slimrun.debian.deb import Deb
    from slimrun.tree.entry import Entry
    from slimrun.tree.tree import Tree

STATUS = "/var/lib/dpkg/status.d"
CERTIFICATES = "/usr/share/ca-certificates/mozilla"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OPENSSL_BUNDLE = "/usr/lib/ssl/cert.pem"


def effects(
    debs: Sequence[Deb], trees: Mapping[str, Tree], entries: Mapping[str, Entry]
) -> Iterator[tuple[str, str, Entry]]:
    """(package, path, entry) of what is to be added to the packages' files; `trees` by package, `entries` all of them."""
    for deb in debs:
        yield deb.name, f"{STATUS}/{deb.name}", file(deb.control)
        if deb.md5sums:
            yield deb.name, f"{STATUS}/{deb.name}.md5sums", file(deb.md5sums)
    yield from _alternatives(debs, entries)
    if "ca-certificates" in trees:
        bundle = _bundle(trees["ca-certificates"])
        yield "ca-certificates", BUNDLE, file(bundle)
        if OPENSSL_BUNDLE not in entries:
            yield "ca-certificates", OPENSSL_BUNDLE, link(BUNDLE)


def _alternatives(debs: Sequence[Deb], entries: Mapping[str, Entry]) -> Iterator[tuple[str, str, Entry]]:
    """A package's own file at a link's place stays; what leads to nothing is not made (manual pages in other packages)."""
    given = [(deb.name, one) for deb in debs for one in deb.alternatives if merged_path(one.path) in entries]
    made: set[str] = set()
    for package, path, target in links(given):
        place = merged_path(path)
        if place in entries or place in made:
            continue
        made.add(place)
        yield package, place, link(target)


def _bundle(tree: Tree) -> bytes:
    """As update-ca-certificates(8): in the order of names, each with a line end at its end."""
    certificates = [
        entry.read().rstrip(b"\n") + b"\n"
        for path, entry in tree.under(CERTIFICATES).items()
        if path.endswith(".crt") and entry.kind is Kind.FILE
    ]
    return b"".join(certificates)
