"""What is remembered of an image by its name: how its last run went, and which image the last good one made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slimrun.cache.store import Cache
    from slimrun.cli.choose import Chosen
    from slimrun.schedule import Outcome

_KIND = "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """An image's last run, and the backend that it had: `recipe` is its absolute path, `error` "" where it went well.

    `digest` (bare hex) and `size` (bytes) are those of the last image that passed, "" and 0 without one.
    """

    recipe: str
    digest: str = ""
    size: int = 0
    error: str = ""
    backend: str = ""


def recall(cache: Cache, name: str) -> Last | None:
    """What is remembered of an image; None where there is nothing, or nothing that this version can read."""
    record: Any = cache.load(_KIND, name)
    return Last(**record) if isinstance(record, dict) and record.keys() == asdict(Last(recipe="")).keys() else None


def remember(cache: Cache, item: Chosen, outcome: Outcome, backend: str) -> None:
    """Keep how an image's run went; a failure does not make the last good image forgotten."""
    recipe = str(item.recipe.source.resolve())
    before = recall(cache, item.recipe.name)
    last = before if before and before.recipe == recipe else Last(recipe=recipe)
    if outcome.finished is not None:
        digest = outcome.finished.config.digest()
        last = Last(recipe=recipe, digest=digest, size=outcome.finished.size, backend=backend)
    elif outcome.error is not None:
        line = outcome.error.message.partition("\n")[0] or "failed"
        last = replace(last, error=line, backend=backend)
    if last != before:
        cache.save(_KIND, item.recipe.name, asdict(last))
