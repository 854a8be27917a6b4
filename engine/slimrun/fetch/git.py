"""What a git repository holds, by the git program and the person's own credentials: a ref's commit, a commit's files.

Commits are kept in a bare repository of the cache for each address, shallow, and are fetched once.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from posixpath import join
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from slimrun.errors import NotCached, RefNotFound
from slimrun.fetch.git_process import Git
from slimrun.fetch.git_words import gives_tips_only
from slimrun.fetch.network import public
from slimrun.tree.tar import plain, take_tar
from slimrun.tree.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slimrun.cache.store import Cache
    from slimrun.events import Emit
    from slimrun.fetch.network import Network

COMMIT = re.compile(r"[0-9a-f]{40}")
_ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
# Below this commits are kept by names of our own, so that git never thinks them unused.
_KEPT = "refs/slimrun"
_SAME_BYTES = ("-c", "tar.umask=0022", "-c", "core.autocrlf=false", "-c", "core.eol=lf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A commit's files below a folder, and the commit's own time in seconds."""

    tree: Tree
    time: int


class Repository:
    """One repository, by its canonical address or its path; `network` says how addresses are reached.

    `environ` is the process's: agents, credential helpers and ~/.gitconfig are the person's.
    """

    def __init__(
        self, address: str, *, network: Network, cache: Cache, emit: Emit, environ: Mapping[str, str], offline: bool
    ) -> None:
        self.address = address
        self._reached = network.mirrored(address)
        self._cache, self._offline = cache, offline
        self._git = Git(network=network, address=self._reached, environ=environ, emit=emit)
        self._key = hashlib.sha256(address.encode()).hexdigest()[:32]

    def resolve(self, ref: str) -> str:
        """The commit that a tag, branch, full ref or commit means, as 40 hex digits.

        A tag comes before a branch of the same name, as for git itself. Raises RefNotFound, its hint naming near misses, and
        GitUnreachable. A whole commit is taken as it is: whether it exists shows when it is fetched.
        """
        if COMMIT.fullmatch(ref):
            return ref
        self._ask(f"which commit {ref} is")
        names = (ref,) if ref.startswith("refs/") or ref == "HEAD" else (f"refs/tags/{ref}", f"refs/heads/{ref}")
        found = self._refs(*(pattern for name in names for pattern in (name, f"{name}^{{}}")))
        for name in names:
            for exact in (f"{name}^{{}}", name):  # an annotated tag's own commit first
                if exact in found:
                    return found[exact]
        return self._other(ref)

    def source(self, commit: str, ref: str, folder: str) -> Source:
        """The commit's files as `git archive` gives them, below `folder`; raises RefNotFound, GitUnreachable."""
        with self._cache.lock(f"git-{self._key}"):
            store = self._store()
            if not self._has(store, commit):
                self._fetch(store, commit, ref)
        os.utime(store)  # what was used longest ago is trimmed first
        seconds = int(self._git.local(store, "log", "-1", "--format=%ct", commit))
        key = hashlib.sha256(f"{commit} {folder}".encode()).hexdigest()
        tree = self._cache.load_value("source", key)
        if tree is None:
            with self._cache.pack(key) as pack, self._git.stream(store, *_SAME_BYTES, "archive", commit) as stream:
                members = plain(take_tar(stream, pack.add, what=f"the archive of {commit}"))
            tree = Tree({join(folder, path.lstrip("/")): entry for path, entry in members.items()})
            self._cache.save_value("source", key, tree)
        return Source(tree=tree, time=seconds)

    def _ask(self, what: str) -> None:
        if self._offline:
            msg = f"{what} is not in the cache, and this run may not ask {public(self.address)}"
            raise NotCached(msg, hint="run once without --offline")

    def _refs(self, *patterns: str) -> dict[str, str]:
        text = self._git.remote("ls-remote", "--quiet", "--", self._reached, *patterns)
        rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
        return {name: commit for commit, name in rows}

    def _other(self, ref: str) -> str:
        """A commit by its first digits, where a branch or tag leads to it; else what there is like it."""
        refs = self._refs("refs/heads/*", "refs/tags/*")
        if _ABBREVIATED.fullmatch(ref):
            found = {commit for commit in refs.values() if commit.startswith(ref)}
            if len(found) == 1:
                return found.pop()
            msg = f"{ref} is no branch or tag of {public(self.address)}, and not the beginning of one's commit"
            raise RefNotFound(msg, hint="write all 40 digits of the commit")
        names = sorted({name.removesuffix("^{}").split("/", 2)[2] for name in refs})
        msg = f"{public(self.address)} has no branch, tag or commit {ref}"
        near = get_close_matches(ref, names, 3, 0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {_some(names)}"
        raise RefNotFound(msg, hint=hint)

    def _store(self) -> Path:
        """The bare repository of this address; its name is a digest, and nothing in it says the address."""
        folder = self._cache.root / "git" / self._key
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._cache.scratch()) as staged:
                self._git.local(None, "init", "--quiet", "--bare", "--template=", f"{staged}/git")
                (self._cache.scratch() / staged / "git").rename(folder)
        return folder

    def _has(self, store: Path, commit: str) -> bool:
        return self._git.succeeds(store, "rev-parse", "--quiet", "--verify", f"{_KEPT}/{commit}^{{commit}}")

    def _fetch(self, store: Path, commit: str, ref: str) -> None:
        """Only this commit; where a server gives none but the tips of branches, all of them with their past."""
        self._ask(f"the commit {commit}")
        what = f"fetch {ref if ref != commit else commit[:12]}"
        shallow = self._git.fetch(store, what, "--depth=1", "--", self._reached, f"{commit}:{_KEPT}/{commit}")
        if shallow is None:
            return
        if not gives_tips_only(shallow):
            raise self._git.failure(shallow)
        whole = ("--", self._reached, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        refused = self._git.fetch(store, what, "--force", *whole)
        if refused is not None:
            raise self._git.failure(refused)
        if not self._git.succeeds(store, "cat-file", "-e", f"{commit}^{{commit}}"):
            msg = f"{public(self.address)} has no commit {commit}"
            raise RefNotFound(msg, hint="check the digits; or run with --refresh, if a branch was rewritten")
        self._git.local(store, "update-ref", f"{_KEPT}/{commit}", commit)


def _some(names: list[str]) -> str:
    return ", ".join(names[-8:]) if names else "no branches or tags at all"
