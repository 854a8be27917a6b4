"""From a server that lies to a Release that is believed: a table of what must not pass."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest
from debmaker import make_deb
from loopback import Answer
from signing import signer

from slimrun.errors import (
    BadArchive,
    BadSignature,
    DownloadFailed,
    IndexUnreachable,
    NotCached,
    PackageNotFound,
    SlimrunError,
)
from slimrun.events import Note, Warned

if TYPE_CHECKING:
    from collections.abc import Callable

    from worlds import World

PAST, FUTURE = "Fri, 31 Jul 2026 00:00:00 UTC", "Sun, 02 Aug 2026 00:00:00 UTC"


def stanza(**fields: str) -> bytes:
    given = {
        "Package": "a",
        "Version": "1",
        "Architecture": "all",
        "Filename": "pool/a.deb",
        "Size": "1",
        "SHA256": "0" * 64,
    }
    return lzma.compress("".join(f"{key}: {value}\n" for key, value in (given | fields).items() if value).encode())


def tampered(world: World) -> None:
    site = world.archive.site
    (path,) = [path for path in site.answers if "/dists/bookworm/main" in path and "by-hash" in path]
    body = site.answers[path][0].body
    for place in (path, path.partition("/by-hash/")[0] + "/Packages.xz"):
        site.serve(place, body[:-1] + b"X")


def changed_release(world: World) -> None:
    world.archive.publish(
        signed=world.archive.publish().replace(b"Architectures: all amd64", b"Architectures: all arm64")
    )


def other_suite(world: World) -> None:
    world.archive.publish(codename="bullseye")


def replayed_updates(world: World) -> None:
    world.archive.publish(signed=world.archive.publish("bookworm-updates"))


def unsigned(world: World) -> None:
    world.archive.publish(signed=b"Origin: Debian\nCodename: bookworm\n")


def unknown_key(world: World) -> None:
    world.archive.publish(signed=signer("Mallory", seed=2).clearsign("Codename: bookworm\n"))


def without_hashes(world: World) -> None:
    world.archive.publish(
        signed=world.archive.key.clearsign("Codename: bookworm\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n")
    )


def expired(world: World) -> None:
    world.archive.publish(until=PAST)


def no_time(world: World) -> None:
    world.archive.publish(until="soon")


def foreign(world: World) -> None:
    world.archive.publish(architecture="riscv64")


def no_security(world: World) -> None:
    del world.archive.site.answers["/debian-security/dists/bookworm-security/InRelease"]


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (tampered, DownloadFailed, "has sha256 .*, expected"),
        (changed_release, BadSignature, "by Test Archive .* is wrong"),
        (other_suite, BadSignature, "InRelease of bookworm is that of bullseye"),
        (replayed_updates, BadSignature, "InRelease of bookworm is that of bookworm-updates"),
        (unsigned, BadSignature, "not a signed message"),
        (unknown_key, BadSignature, "none of which is a known key"),
        (without_hashes, BadSignature, "lacks SHA256"),
        (expired, BadSignature, "valid until 2026-07-31 00:00 UTC"),
        (no_time, BadSignature, "lacks SHA256 or a date"),
        (foreign, PackageNotFound, "no packages for amd64"),
        (no_security, (DownloadFailed, IndexUnreachable), "bookworm-security"),
    ],
)
def test_lies(spoil: Callable[[World], None], error: type[SlimrunError], says: str, world: World) -> None:
    world.publish(make_deb("a"))
    # Debian itself is asked where a mirror has no security updates; nothing answers there in this test.
    world.network = type(world.network)(
        retries=0, mirrors=(("http://deb.debian.org/debian-security/", f"{world.archive.site.url}/none/"),)
    ) if spoil is no_security else world.network  # fmt: skip
    spoil(world)
    with pytest.raises(error, match=says) as caught:
        world.resolve("a")
    assert caught.value.hint
    assert str(caught.value.where) == "recipe.yaml:5:5"
    assert "Traceback" not in caught.value.render()


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (stanza(SHA256=""), "no 'sha256'"),
        (stanza(Version="1 2"), "not the version"),
        (stanza(Filename="../../etc/passwd"), "file name or SHA256"),
        (stanza(Filename="/etc/passwd"), "file name or SHA256"),
        (stanza(Size="many"), "not complete"),
        (stanza(Depends="b (= )"), "relation"),
        (lzma.compress(b"Version: 1\nSize: 3\n"), "without a name"),
        (lzma.compress(b"Package: a\n")[:-8], "decompressed"),
    ],
)
def test_signed_nonsense(index: bytes, says: str, world: World) -> None:
    """Bytes that the Release vouches for can be wrong too, and end as an error that names the suite."""
    import hashlib

    world.publish()
    digest, name = hashlib.sha256(index).hexdigest(), "main/binary-amd64/Packages.xz"
    text = f"Codename: bookworm\nDate: {PAST}\nArchitectures: amd64\nSHA256:\n {digest} {len(index)} {name}\n"
    world.archive.publish(signed=world.archive.key.clearsign(text))
    world.archive.site.serve(f"/debian/dists/bookworm/{name}", index)
    with pytest.raises(BadArchive, match=says) as caught:
        world.resolve("a")
    assert "bookworm" in caught.value.message


def test_valid_until(world: World) -> None:
    world.publish(make_deb("a"))
    world.archive.publish(until=FUTURE)
    assert [pin.name for pin in world.resolve("a")] == ["a"]


def test_snapshot_may_be_old(world: World) -> None:
    """A snapshot's address is the pin's, its Valid-Until is passed over, and the note says so."""
    time = "20260710T000000Z"
    root = f"/archive/debian/{time}"
    world.publish(make_deb("a"))
    world.archive.publish(until=PAST)
    site = world.archive.site
    for path in list(site.answers):
        kind = "debian-security" if path.startswith("/debian-security/") else "debian"
        site.answers[path.replace(f"/{kind}/", f"/archive/{kind}/{time}/", 1)] = site.answers.pop(path)
    world.network = type(world.network)(retries=0, mirrors=(("https://snapshot.debian.org", site.url),))
    (pin,) = world.resolve("a", snapshot=time)
    assert pin.url.startswith(f"https://snapshot.debian.org{root}/pool/main/a_")
    assert any(isinstance(event, Note) and "a snapshot is old by its nature" in event.text for event in world.events)
    assert all(path.startswith("/archive/") for path in site.asked)


@pytest.mark.parametrize(
    ("suite", "snapshot", "hint"),
    [
        ("bookworm-security", None, "did you mean bookworm?"),
        ("../x", None, "known:"),
        ("Bookworm", None, "did you mean bookworm?"),
        ("bookworm", "2025-05-20", "20250520T000000Z"),
    ],
)
def test_no_suite(suite: str, snapshot: str | None, hint: str, world: World) -> None:
    with pytest.raises(PackageNotFound) as caught:
        world.resolve("a", suite=suite, snapshot=snapshot)
    assert hint in caught.value.hint
    assert world.archive.site.asked == []


def test_misspelt_suite(world: World) -> None:
    with pytest.raises(DownloadFailed) as caught:
        world.resolve("a", suite="bokworm")
    assert "did you mean bookworm?" in caught.value.hint


def test_second_run_reads_only_releases(world: World) -> None:
    world.publish(make_deb("a"))
    first = world.resolve("a")
    world.archive.site.asked.clear()
    assert world.resolve("a") == first
    assert len(world.archive.site.asked) == 3
    assert all(path.endswith("/InRelease") for path in world.archive.site.asked)


def test_by_hash_comes_first(world: World) -> None:
    world.publish(make_deb("a"))
    world.resolve("a")
    assert all("/by-hash/SHA256/" in path for path in world.archive.site.asked if "binary-" in path)


def test_mirror_without_by_hash(world: World) -> None:
    """The Release says that there is one, the mirror has none: the plain name, checked all the same."""
    world.publish(make_deb("a"))
    site = world.archive.site
    for path in [path for path in site.answers if "/by-hash/" in path]:
        plain = path.partition("/by-hash/")[0] + "/Packages.xz"
        site.answers[plain] = site.answers.pop(path)
    assert [pin.name for pin in world.resolve("a")] == ["a"]


def test_mirror_without_security(world: World) -> None:
    """A mirror that is not called /debian is not asked for security updates at all."""
    world.publish(make_deb("a"))
    site = world.archive.site
    for path in [path for path in site.answers if path.startswith("/debian/")]:
        site.answers[path.replace("/debian/", "/deb/", 1)] = site.answers.pop(path)
    real = (("http://deb.debian.org/debian-security/", f"{site.url}/debian-security/"),)
    world.network = type(world.network)(retries=0, mirrors=real)
    (pin,) = world.resolve("a", mirror=f"{site.url}/deb/")
    assert pin.url.startswith("http://deb.debian.org/debian/pool/main/a_")


def test_security_wins(world: World) -> None:
    world.archive.add(make_deb("a", "1.0"))
    world.archive.add(make_deb("a", "1.0+deb12u1"), suite="bookworm-security")
    world.archive.add(make_deb("a", "1.0~old"), suite="bookworm-updates")
    world.archive.publish_all()
    (pin,) = world.resolve("a")
    assert (pin.version, pin.suite) == ("1.0+deb12u1", "bookworm-security")
    assert pin.url.startswith("http://deb.debian.org/debian-security/pool/")
    (pin,) = world.resolve("a=1.0")
    assert (pin.version, pin.suite) == ("1.0", "bookworm")


def test_packages_whose_files_alone_are_wanted(world: World) -> None:
    world.publish(make_deb("a"), make_deb("data", Depends="tool"), make_deb("tool"))
    pins = world.resolve("a", alone=("data", "a", "nowhere"))
    assert [(pin.name, pin.named) for pin in pins] == [("a", True), ("data", False)], "without what it depends on"
    assert [pin.name for pin in world.resolve("data", alone=("a", "tool"))] == ["a", "data", "tool"]


def test_testing_may_lack_security(world: World) -> None:
    world.archive.suite = "forky"
    world.archive.add(make_deb("a"))
    world.archive.publish()
    world.network = type(world.network)(
        retries=0, mirrors=(("http://deb.debian.org/debian-security/", f"{world.archive.site.url}/none/"),)
    )
    (pin,) = world.resolve("a", suite="forky", mirror=world.archive.mirror)
    assert pin.suite == "forky"
    warned = [event.text for event in world.events if isinstance(event, Warned)]
    assert [text.partition(":")[0] for text in warned] == ["there is no forky-updates", "there is no forky-security"]


def test_offline(world: World) -> None:
    world.publish(make_deb("a"))
    with pytest.raises(NotCached, match="no index of Debian's bookworm"):
        world.resolve("a", offline=True)
    pins = world.resolve("a")
    with pytest.raises(NotCached, match=r"the cache has not: a 1\.0"):
        world.open("a", offline=True)
    world.open("a")
    world.archive.site.asked.clear()
    assert world.resolve("a", offline=True) == pins
    assert world.open("a", offline=True).named
    assert world.archive.site.asked == []


def test_offline_and_expired(world: World) -> None:
    """The newest there is, and a warning; its signature is verified again."""
    world.publish(make_deb("a"))
    world.archive.publish(until=FUTURE)
    pins = world.resolve("a")
    world.now = world.now.replace(year=2027)
    assert world.resolve("a", offline=True) == pins
    assert any(isinstance(event, Warned) and "nothing newer can be had offline" in event.text for event in world.events)


def test_unreachable(world: World) -> None:
    world.archive.site.serve("/debian/dists/bookworm/InRelease", Answer(status=503))
    with pytest.raises(IndexUnreachable) as caught:
        world.resolve("a")
    assert caught.value.exit_code == 4
