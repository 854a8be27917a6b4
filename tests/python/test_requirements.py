"""The lines of `wheels`: what each becomes, and everything that can be wrong with them, with its place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from wheelmaker import make

from slimrun.errors import RecipeInvalid, Where
from slimrun.fetch.target import Target
from slimrun.python.hostfiles import files_read
from slimrun.python.reqfile import MAX_BYTES, logical_lines, split_hashes
from slimrun.python.requirements import Requirements, read_requirements
from slimrun.recipe.model import Wheel

if TYPE_CHECKING:
    from pathlib import Path

PY37 = Target(version=(3, 7, 17), abi="cp37m", arch="x86_64", glibc=(2, 28))
PY311 = Target(version=(3, 11, 2), abi="cp311", arch="x86_64", glibc=(2, 36))
SHA = "a" * 64


def lines(base: Path, *texts: str) -> list[Wheel]:
    return [Wheel(text=text, where=Where("recipe.yaml", number), base=base) for number, text in enumerate(texts, 5)]


def read(base: Path, *texts: str, target: Target = PY311) -> Requirements:
    return read_requirements(lines(base, *texts), target)


def problems(base: Path, *texts: str) -> list[str]:
    with pytest.raises(RecipeInvalid) as caught:
        read(base, *texts)
    assert all(problem.hint for problem in caught.value.problems)
    return [f"{problem.where}: {problem.text} | {problem.hint}" for problem in caught.value.problems]


def write(base: Path, **files: str) -> None:
    for name, text in files.items():
        (base / f"{name}.txt").write_text(text, encoding="utf-8")


def test_named(tmp_path: Path) -> None:
    texts = ("A_b==1.0", "click[x]>=8 ; python_version >= '3.8'", "old; python_version < '3.8'")
    found = read(tmp_path, *texts, "six @ https://h/six-1-py3-none-any.whl")
    assert [named.name for named in found.named] == ["a-b", "click", "six"]
    assert str(found.named[0].why) == "A_b==1.0 (recipe.yaml:5)"
    assert [named.name for named in read(tmp_path, "old; python_version < '3.8'", target=PY37).named] == ["old"]
    assert read(tmp_path, "win; sys_platform == 'win32'", "e; extra == 'x'").named == []


def test_local_wheels(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    wheel = make(tmp_path / "dist", "my_app", "1.0")
    found = read(
        tmp_path, "./dist/my_app-1.0-py3-none-any.whl[web, cli]", str(wheel), f"my-app @ {wheel.as_uri()}"
    ).local
    assert [(one.path, one.name, one.version) for one in found] == [(wheel, "my-app", "1.0")] * 3
    assert found[0].extras == {"web", "cli"}


def test_folders_are_sources(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    assert [source.path for source in read(tmp_path, "./").sources] == [tmp_path]


def test_requirements_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        top="# all\n-r sub/more.txt\n--only-binary :all:\n--require-hashes\n"
        f"click==8.0 \\\n    --hash=sha256:{SHA} \\\n    --hash=md5:00\nsix  # a comment\n-c limits.txt\n",
        limits="numpy<2\n-e ignored\n",
    )
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", more="\ufeffflask; python_version > '3'\n-cnear.txt", near="-r far.txt\n", far="jinja2<4")
    found = read(tmp_path, "-r top.txt", "uvloop")
    assert [named.name for named in found.named] == ["flask", "click", "six", "uvloop"]
    assert found.named[1].hashes == (SHA,)
    assert found.constraints == ["jinja2<4", "numpy<2"]
    flask, click = found.named[:2]
    assert str(click.why).endswith(f"({tmp_path}/top.txt:5) <- -r top.txt (recipe.yaml:5)")
    assert [step.rule for step in flask.why.chain()] == ["requirements", "requirements", "recipe"]


@pytest.mark.parametrize(
    "text", ["-r top.txt", "-rtop.txt", "--requirement top.txt", "--requirement=top.txt", "-r ./top.txt"]
)
def test_spellings_of_r(text: str, tmp_path: Path) -> None:
    write(tmp_path, top="six")
    assert [named.name for named in read(tmp_path, text).named] == ["six"]


def test_pip_constraints(tmp_path: Path) -> None:
    write(tmp_path, limits="six<2")
    (line,) = lines(tmp_path, "limits.txt")
    assert read_requirements([], PY311, constraints=line).constraints == ["six<2"]
    (line,) = lines(tmp_path, "gone.txt")
    with pytest.raises(RecipeInvalid, match="1 problem"):
        read_requirements([], PY311, constraints=line)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("six=1.0", "not a requirement: six=1.0: | did you mean six==1.0?"),
        ("six 1.0", "not a requirement: six 1.0: | PEP 508"),
        ("", "not a requirement"),
        ("git+https://h/x", "not a requirement: git+https://h/x | PEP 508"),
        ("six @ git+https://h/x", "is not the address of a wheel | pip.from_source"),
        ("six @ https://h/six-1.0.tar.gz", "is not the address of a wheel | pip.from_source"),
        ("-e .", "nothing is editable | write the folder itself: ."),
        ("-c limits.txt", "-c asks for nothing | pip.constraints: limits.txt"),
        ("-r", "-r needs a file | -r requirements.txt"),
        ("-r gone.txt", "cannot read | there is here.txt"),
        ("-r gone/pylock.toml", "cannot read | check the path"),
        ("--index-url https://h", "--index-url is not read from here | set pip.index"),
        ("-i https://h", "-i is not read from here | set pip.index"),
        ("--extra-index-url=https://h", "--extra-index-url is not read from here | set pip.extra_index"),
        ("--no-binary :all:", "--no-binary is not read from here | set pip.from_source"),
        ("--unknown", "--unknown is not read from here | remove the line"),
        ("./gone-1.0-py3-none-any.whl", "there is no | there is bad.whl, here-1.0-py3-none-any.whl"),
        ("./none/gone-1.0-py3-none-any.whl", "there is no | build it first"),
        ("./here.txt", "here.txt is not a wheel | -r reads"),
        ("./bad.whl", "Invalid wheel filename | keep the name"),
        ("./empty", "has no pyproject.toml | a wheel can be built"),
    ],
)
def test_problems(text: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, here="six")
    make(tmp_path, "here", "1.0")
    (tmp_path / "bad.whl").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (found,) = problems(tmp_path, text)
    assert found.startswith("recipe.yaml:5: ")
    for part in says.split(" | "):
        assert part in found


def test_all_problems_at_once_in_order(tmp_path: Path) -> None:
    write(tmp_path, top="ok\nsix=1\n\n-r top.txt\n-r more.txt", more="-f x\n")
    found = problems(tmp_path, "a b", "-r top.txt", "-e x")
    assert [text.partition(": ")[0] for text in found] == [
        "recipe.yaml:5", f"{tmp_path}/top.txt:2", f"{tmp_path}/top.txt:4", f"{tmp_path}/more.txt:1", "recipe.yaml:7",
    ]  # fmt: skip
    assert "top.txt includes itself" in found[2]


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert "is not UTF-8" in problems(tmp_path, "-r latin.txt")[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a\n\n b \n", [("a", 1), ("b", 3)]),
        ("a \\\n  b\nc", [("a b", 1), ("c", 3)]),
        ("a#b\nc #d", [("a#b", 1), ("c", 2)]),
        ("# x \\\na", [("a", 2)]),
        ("a \\", [("a", 1)]),
        ("a \\\n\nb", [("a", 1), ("b", 3)]),
    ],
)
def test_logical_lines(text: str, expected: list[tuple[str, int]]) -> None:
    assert logical_lines(text) == expected


def test_hashes() -> None:
    text = f"six==1 ; python_version > '3' --hash=sha256:{SHA.upper()} --hash sha512:00 --config-settings x=y"
    assert split_hashes(text) == ("six==1 ; python_version > '3'", (SHA,))


def test_what_only_a_file_names_is_not_waited_for(tmp_path: Path) -> None:
    """The recipe's own paths are looked at before; these are named in files that the recipe names."""
    os.mkfifo(tmp_path / "pipe.txt")
    os.mkfifo(tmp_path / "pylock.pipe.toml")
    os.mkfifo(tmp_path / "x-1-py3-none-any.whl")
    (tmp_path / "in.txt").write_text("-r pipe.txt\n-r pylock.pipe.toml\n./x-1-py3-none-any.whl\n")
    found = problems(tmp_path, "-r in.txt")
    assert len(found) == 3
    assert f"cannot read {tmp_path}/pipe.txt: it is no regular file | paths start from {tmp_path}" in found[0]
    assert f"cannot read {tmp_path}/pylock.pipe.toml: it is no regular file" in found[1]
    assert "x-1-py3-none-any.whl is no file" in found[2]
    assert files_read(lines(tmp_path, "-r in.txt", "-r pipe.txt")) == (tmp_path / "in.txt",)


def test_a_file_larger_than_any_list_of_requirements(tmp_path: Path) -> None:
    with (tmp_path / "big.txt").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    (found,) = problems(tmp_path, "-r big.txt")
    assert "it is larger than 16 MiB" in found
