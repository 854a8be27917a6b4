"""Who compiles the sources of an image: its own interpreter in the image, else one of this machine's.

Where commands can be run (an engine, namespaces), the image is put together without byte code, loaded under a name of its own and
discarded; its interpreter compiles, so that what a release fixed in the compiler is heeded. Elsewhere any interpreter whose byte
code begins with the same number does, of the same version where there is one, and the report says which.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from slimrun.assemble.assemble import write_image
from slimrun.backend.base import Limits, NotRun
from slimrun.backend.host_python import find_python, run_python
from slimrun.cache.store import writing
from slimrun.elf.model import Finding
from slimrun.errors import ImageFailed
from slimrun.plan.steps import WriteImage
from slimrun.python.bytecode import ENV, OPTIONS, Compiled, batches, magic_number, parse, program
from slimrun.recipe.model import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from slimrun.backend.base import Backend, Layered
    from slimrun.cache.store import Cache
    from slimrun.errors import Where
    from slimrun.prune.pruned import Pruned
    from slimrun.python.interpreter import Interpreter
    from slimrun.tree.tree import Tree

    Answer = tuple[int | None, str, str]
    Run = Callable[[Sequence[str]], Answer | NotRun]

# Bytes of sources in one run and of its answer, which is half of that as a rule; a path among the arguments counts too.
_BATCH, _ANSWER, _PATH = 1 << 24, 1 << 26, 2048
_TIMEOUT = 600.0


class Compiler:
    """Compiles for images on `base` with `interpreter`; `where` is the recipe's line that asks for byte code.

    `findings` grow by what a person should know of how it was done.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        base: Layered,
        backend: Backend,
        cache: Cache,
        *,
        platform: str,
        where: Where,
        environ: Mapping[str, str],
    ) -> None:
        self._interpreter, self._base, self._backend, self._cache = interpreter, base, backend, cache
        self._platform, self._environ = platform, environ
        self.where = where
        self.findings: list[Finding] = []

    def compile(self, pruned: Pruned, tree: Tree, paths: Sequence[str]) -> Compiled:
        """The byte code of `paths` of `tree`, which is all of the image; raises ImageFailed."""
        step = WriteImage(
            name="bytecode", description="", runtime="", runtime_where=self.where, image=Image(user="0:0")
        )
        made = write_image(pruned, self._base, step, platform=self._platform, epoch=0, cache=self._cache)
        image = self._backend.load(made.finished(()))
        limits = Limits(env=ENV, timeout=_TIMEOUT, entrypoint=(self._interpreter.path,), output=_ANSWER)

        def run(argv: Sequence[str]) -> Answer | NotRun:
            ran = self._backend.run(image, argv, limits)
            return ran if isinstance(ran, NotRun) else (ran.exit, ran.stdout, ran.stderr)

        try:
            found = self._in_batches(tree, paths, run, root="/", scratch="/tmp")
        finally:
            self._backend.discard(image)
        return self._on_host(tree, paths, found.reason) if isinstance(found, NotRun) else found

    def _in_batches(self, tree: Tree, paths: Sequence[str], run: Run, *, root: str, scratch: str) -> Compiled | NotRun:
        tag, code = "", dict[str, bytes]()
        for group in batches(paths, [tree[path].size + _PATH for path in paths], _BATCH):
            answer = run((*OPTIONS, program(), root, scratch, *group))
            if isinstance(answer, NotRun):
                return answer
            status, out, err = answer
            compiled = parse(group, out) if status == 0 else None
            if compiled is None:
                how = (
                    "it ran out of time"
                    if status is None
                    else f"status {status}: {err.strip()[-500:] or 'it said nothing'}"
                )
                msg = f"the interpreter that was to compile the sources did not: {how}"
                raise ImageFailed(
                    msg, where=self.where, hint="leave prune.bytecode out to see what else is wrong with it"
                )
            tag, code = compiled.tag, code | dict(compiled.code)
        return Compiled(tag=tag, code=tuple(sorted(code.items())))

    def _on_host(self, tree: Tree, paths: Sequence[str], reason: str) -> Compiled:
        magic, interpreter = magic_number(tree, self._interpreter), self._interpreter
        python = None
        if magic is not None:
            python = find_python(magic, interpreter.series, interpreter.full_version, self._environ)
        if python is None:
            here = f"{reason}, and there is no python{interpreter.series} on PATH"
            msg = f"byte code for CPython {interpreter.full_version} cannot be made here: {here}"
            hint = f"install a CPython {interpreter.series}, use the Docker backend, or leave prune.bytecode out"
            raise ImageFailed(msg, where=self.where, hint=hint)
        with TemporaryDirectory(dir=self._cache.scratch(), prefix="sources-") as folder, writing(self._cache.root):
            root, scratch = Path(folder, "root"), Path(folder, "made")
            scratch.mkdir()
            for path in paths:
                there = Path(f"{root}{path}")
                there.parent.mkdir(parents=True, exist_ok=True)
                there.write_bytes(tree.read(path))

            def run(argv: Sequence[str]) -> Answer:
                return run_python(python, argv, dict(ENV), keep=_ANSWER)

            found = self._in_batches(tree, paths, run, root=str(root), scratch=str(scratch))
        if isinstance(found, NotRun):
            raise ImageFailed(found.reason, where=self.where)
        if python.version != interpreter.full_version:
            text = f"byte code was made by {python.path} {python.version}, not by the image's {interpreter.full_version}: {reason}"
            self.findings.append(Finding(rule="bytecode", path=interpreter.path, text=text))
        return found
