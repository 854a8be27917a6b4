"""What an image is made of, accounted for (ELF.md 6.3, 9 and 10): each check made to fail in each way that it can."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.images import INTERPRETER
from tests.treetext import tree

from slimrun.backend.assembled import Assembled
from slimrun.cache.store import Cache
from slimrun.elf.model import Closure, FamilyChoice, FamilyDecision
from slimrun.elf.output import BASE
from slimrun.errors import Where
from slimrun.oci.config import Config
from slimrun.oci.layer import Layer, whiteouts, with_parents, write_layer
from slimrun.prune.pruned import Pruned
from slimrun.tree.entry import link
from slimrun.tree.tree import Tree
from slimrun.verify.proof import layers_as_checked, origin_of, privileges, provenance, supply_of
from slimrun.why import Why

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EPOCH = 1_700_000_000
LINE = Why(rule="recipe", text="python: x", where=Where("x.yaml", 1))
PYTHON = tree(
    {
        "/usr/bin/python3": "file 0755 one inode 7",
        "/usr/bin/python3.11": "file 0755 one inode 7",
        "/usr/lib/libm.so.6": b"libm",
        "/lib64": "symlink usr/lib64",
    }
)
WHEELS = tree({"/usr/lib/site/x.py": "file 0644 x owner 1:2", "/usr/bin/tool": "file 0755 old"})
FILES = tree({"/usr/bin/tool": "file 0750 new", "/srv": "dir 0700"})
SYSTEM = tree({"/etc/passwd": b"root"})
RUNTIME = tree({"/bin/sh": b"sh", "/lib/libold.so": b"old"})


class Image:
    """An image as assemble would give it, which a test then spoils."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.trees = {"python": PYTHON, "wheels": WHEELS, "files": FILES, "system": SYSTEM}
        self.layers = [Layer(name="base", diff_id="0" * 64, content=1)]
        self.layers += [self.layer(name, whole) for name, whole in self.trees.items()]
        self.whys = dict.fromkeys({path for tree_ in self.trees.values() for path in tree_} - set(SYSTEM), LINE)
        self.whole = RUNTIME.without(["/lib/libold.so"]).merge(*self.trees.values())
        self.system = {"/etc/passwd": LINE}

    def layer(
        self, name: str, whole: Tree, *, hide: tuple[str, ...] = ("/lib/libold.so",), epoch: int = EPOCH
    ) -> Layer:
        gone = whiteouts(hide) if name == "system" else Tree()
        return write_layer(with_parents(whole.merge(gone), RUNTIME), self.cache, name=name, epoch=epoch)

    def replace(self, name: str, layer: Layer) -> None:
        self.layers = [layer if one.name == name else one for one in self.layers]

    @property
    def assembled(self) -> Assembled:
        whys = tuple(self.system.items())
        config = Config(architecture="amd64")
        return Assembled(config=config, layers=tuple(self.layers), tree=self.whole, whys=whys, base_why=LINE)

    def pruned(self, **facts: Any) -> Pruned:
        layers = tuple((name, Tree() if name == "system" else whole) for name, whole in self.trees.items())
        given: dict[str, Any] = {
            "removed": (),
            "roots": (),
            "also": (),
            "closure": Closure(),
            "interpreter": INTERPRETER,
            **facts,
        }
        return Pruned(layers=layers, whys=tuple(self.whys.items()), hidden=("/lib/libold.so",), **given)

    def proved(self) -> str:
        check = layers_as_checked(self.assembled, self.pruned(), self.cache, epoch=EPOCH)
        assert check.name == "layers"
        return "" if check.ok else check.detail

    def accounted(self) -> str:
        check = provenance(self.assembled, self.pruned())
        assert check.name == "provenance"
        return "" if check.ok else check.detail


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(Cache(tmp_path))


def test_a_sound_image(image: Image) -> None:
    assert (image.proved(), image.accounted()) == ("", "")
    check = layers_as_checked(image.assembled, image.pruned(), image.cache, epoch=EPOCH)
    assert check.detail == "4 layers hold what was checked, and are written the same again"
    assert provenance(image.assembled, image.pruned()).detail == "6 files and links, each with its reason and digest"


def test_a_layer_is_proved_once(image: Image) -> None:
    assert image.proved() == ""
    for layer in image.layers[1:]:
        image.cache.blob_path(layer.diff_id).unlink()
    assert image.proved() == ""


def changed(image: Image, path: str, **facts: object) -> None:
    """What was checked is another entry than what was written."""
    image.whole = image.whole.merge(Tree({path: replace(image.whole[path], **facts)}))  # type: ignore[arg-type]


def lost(image: Image) -> None:
    image.replace("wheels", image.layer("wheels", WHEELS.without(["/usr/lib/site/x.py"])))


def a_folder(image: Image) -> None:
    image.replace("python", image.layer("python", PYTHON.without(["/lib64"]).merge(tree({"/lib64/x": b""}))))


def no_system(image: Image) -> None:
    image.layers.pop()


def hides_more(image: Image) -> None:
    image.replace("system", image.layer("system", SYSTEM, hide=("/lib/libold.so", "/bin/sh")))


def another_time(image: Image) -> None:
    image.replace("python", image.layer("python", PYTHON, epoch=1))


def another_order(image: Image) -> None:
    """A sound tar of the same files, as another writer makes it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as out:
        for path in sorted(WHEELS, reverse=True):
            entry = WHEELS[path]
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode, info.mtime, info.uid, info.gid = entry.size, entry.mode, EPOCH, entry.uid, entry.gid
            out.addfile(info, io.BytesIO(entry.read()))
    with image.cache.new_blob() as blob:
        blob.write(raw.getvalue())
    image.replace("wheels", Layer(name="wheels", diff_id=blob.digest, content=0))


SPOILED: dict[str, tuple[Callable[[Image], None], str]] = {
    "mode": (lambda it: changed(it, "/usr/bin/python3", mode=0o700), "/usr/bin/python3 is not written as it was checked"),
    "owner": (lambda it: changed(it, "/usr/lib/site/x.py", uid=9), "/usr/lib/site/x.py is not written as it was"),
    "content": (lambda it: changed(it, "/etc/passwd", digest="a" * 64), "/etc/passwd is not written as it was"),
    "link": (lambda it: changed(it, "/lib64", target="lib"), "/lib64 is not written as it was checked"),
    "a folder in the place of a link": (a_folder, "/lib64 is not written as it was checked"),
    "lost": (lost, "/usr/lib/site/x.py is in no layer"),
    "no system layer": (no_system, "/etc/passwd is in no layer"),
    "a path that was not checked": (lambda it: setattr(it, "whole", it.whole.without(["/lib64"])), "/lib64 is not written"),
    "hides more": (hides_more, "a layer hides /bin/sh"),
    "another time": (another_time, "the layer python is written in other bytes the second time"),
    "another order": (another_order, "the layer wheels is written in other bytes the second time"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_layers_that_are_not_what_was_checked(name: str, image: Image) -> None:
    spoil, says = SPOILED[name]
    spoil(image)
    assert says in image.proved()
    assert says in image.proved(), "what failed is not remembered as proved"


def test_what_a_lower_layer_had_is_not_asked_for(image: Image) -> None:
    """/usr/bin/tool is of wheels and of files; the upper one counts, and is what was checked."""
    assert image.whole["/usr/bin/tool"] == FILES["/usr/bin/tool"]
    assert image.proved() == ""


@pytest.mark.parametrize(
    ("why", "says"),
    [
        (None, "/usr/bin/tool has no reason that ends at a line"),
        (Why(rule="needed", text="x", because=Why(rule="level", text="y")), "/usr/bin/tool has no reason that ends at a line"),
        (Why(rule="needed", text="x", because=LINE), ""),
    ],
)  # fmt: skip
def test_reasons(why: Why | None, says: str, image: Image) -> None:
    image.whys.pop("/usr/bin/tool")
    if why is not None:
        image.whys["/usr/bin/tool"] = why
    found = image.accounted()
    assert says in found
    assert bool(says) is bool(found)


def test_digests(image: Image) -> None:
    changed(image, "/usr/lib/libm.so.6", digest="")
    assert image.accounted() == "/usr/lib/libm.so.6 has no digest"
    image.whole = image.whole.merge(Tree({"/lib64": link("elsewhere")}))
    assert image.accounted() == "/usr/lib/libm.so.6 has no digest", "a link has none"


def test_origins(image: Image) -> None:
    origin = origin_of(image.assembled, image.pruned())
    assert [origin(path) for path in ("/lib64", "/usr/bin/tool", "/etc/passwd", "/bin/sh", "/none")] == [
        "python", "files", "system", BASE, BASE,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "expected"),
    [(FamilyChoice.SUPPLY, "builder"), (FamilyChoice.REPLACED, "builder"), (FamilyChoice.BASE, BASE), (FamilyChoice.NONE, BASE)],
)  # fmt: skip
def test_supplies_of_glibc(choice: FamilyChoice, expected: str, image: Image) -> None:
    """What the closure took is of the supply that it chose; what somebody selected is of its layer."""
    image.whys["/usr/lib/libm.so.6"] = Why(rule="needed", text="libm", because=LINE)
    pruned = image.pruned(closure=Closure(family=FamilyDecision(choice=choice, supply="builder")))
    supply = supply_of(image.assembled, pruned)
    assert (supply("/usr/lib/libm.so.6"), supply("/usr/bin/tool")) == (expected, "files")


def test_files_that_run_with_more_rights_are_named(image: Image) -> None:
    """Of what was added; what the runtime has is its own affair, and the policy's."""
    assert privileges(image.pruned()) == ()
    image.whole = image.whole.merge(tree({"/bin/sh": "file 4755 sh"}))
    assert privileges(image.pruned()) == ()
    capable = replace(PYTHON["/usr/lib/libm.so.6"], xattrs=(("security.capability", b"x"),))
    image.trees["files"] = tree(
        {"/bin/a": "file 4755 a", "/bin/b": "file 2755 b", "/bin/c": "file 1755 c", "/d": "dir 2755"}
    )
    image.trees["python"] = Tree({"/usr/bin/ping": capable})
    assert privileges(image.pruned()) == (
        "added with set-user-ID, set-group-ID or file capabilities: /bin/a, /bin/b, /usr/bin/ping",
    )
    image.trees["files"] = tree({f"/bin/{number}": "file 4755 a" for number in range(8)})
    assert privileges(image.pruned())[0].endswith("/bin/0, /bin/1, /bin/2, /bin/3, /bin/4 and 4 more")
