"""A report as text and as a page: what is inside, how large, and why; from the value that its schema describes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LARGEST = 20
_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #8884; padding: .2em .6em; text-align: left; vertical-align: top; }}
td.n {{ text-align: right; white-space: nowrap; }}
code, td.p {{ font-family: ui-monospace, monospace; font-size: 13px; overflow-wrap: anywhere; }}
.bad {{ color: #b00; }}
:root {{ color-scheme: light dark; }}
</style>
<h1>{title}</h1>
{body}</html>
"""


def to_text(report: dict[str, Any]) -> str:
    """What a person reads first: size by layer, what is inside, the largest files each with its nearest reason, checks."""
    lines = [f"{report['image']}  {report['digest']}", f"tags: {', '.join(report['tags'])}", ""]
    lines += _rows(
        ("layer", "bytes", "diff_id"), [(row["name"], row["size"], row["diff_id"]) for row in report["layers"]]
    )
    lines += [f"total  {report['size']}", ""]
    lines += [f"{head}: {', '.join(names) or 'none'}" for head, names in _inside(report)]
    own = [row for row in report["files"] if row["layer"] != "base"]  # busybox counts once for each of its names
    kept = sorted(own, key=lambda row: (-row["size"], row["path"]))[:_LARGEST]
    lines += ["", f"the {len(kept)} largest of {len(own)} files on the base:"]
    lines += _rows(("bytes", "path", "because"), [(row["size"], row["path"], _because(row)) for row in kept])
    freed = sum(row["size"] for row in report["removed"])
    lines += ["", f"{len(report['removed'])} paths were left out ({freed} bytes)"]
    lines += [
        f"check {_state(row)}: {row['name']}" + (f" ({row['detail']})" if row["detail"] else "")
        for row in report["checks"]
    ]
    lines += [f"warning: {text}" for text in report["warnings"]]
    return "\n".join(lines) + "\n"


def to_html(report: dict[str, Any]) -> str:
    """One page that needs nothing else: every file and every path that was left out, each with its whole chain of reasons."""
    checks = "".join(map(_item, report["checks"]))
    body = [
        f"<p><code>{escape(report['digest'])}</code><br>{escape(', '.join(report['tags']))}</p>\n",
        _table(("layer", "bytes", "diff_id"), [(row["name"], row["size"], row["diff_id"]) for row in report["layers"]]),
        f"<p>{report['size']} bytes in all.</p>\n",
        *(f"<p>{escape(head)}: {escape(', '.join(names) or 'none')}</p>\n" for head, names in _inside(report)),
        f"<h2>Checks</h2>\n<ul>\n{checks}</ul>\n",
        *(f"<p>Warning: {escape(text)}</p>\n" for text in report["warnings"]),
        f"<h2>{len(report['files'])} files</h2>\n",
        _table(
            ("path", "bytes", "layer", "why"), [(r["path"], r["size"], r["layer"], _chain(r)) for r in report["files"]]
        ),
        f"<h2>{len(report['removed'])} paths that were left out</h2>\n",
        _table(("path", "bytes", "why"), [(row["path"], row["size"], _chain(row)) for row in report["removed"]]),
    ]
    return _PAGE.format(title=escape(report["image"]), body="".join(body))


def _item(check: dict[str, Any]) -> str:
    mark = "" if check["ok"] or check["skipped"] else " class=bad"
    return f"<li{mark}>{escape(_state(check))}: {escape(check['name'])} {escape(check['detail'])}</li>\n"


def _inside(report: dict[str, Any]) -> tuple[tuple[str, list[str]], ...]:
    return (
        ("made from", [f"{row['reference']} ({row['digest']})" for row in report["pins"]]),
        ("compiled from", [f"{row['ref']} of {row['repo']} ({row['commit']})" for row in report["commits"]]),
        ("CPython", [report["python"]] if report["python"] else []),
        ("distributions", [f"{row['name']} {row['version']}" for row in report["distributions"]]),
        ("Debian packages", [f"{row['name']} {row['version']}" for row in report["packages"]]),
    )


def _because(row: dict[str, Any]) -> str:
    return str(row["why"][0]["text"]) if row["why"] else ""


def _chain(row: dict[str, Any]) -> str:
    return "; ".join(step["text"] + (f" ({step['where']})" if step["where"] else "") for step in row["why"])


def _state(row: dict[str, Any]) -> str:
    return "skipped" if row["skipped"] else "ok" if row["ok"] else "failed"


def _rows(heads: Sequence[str], rows: Sequence[tuple[object, ...]]) -> Iterator[str]:
    """Columns under their heads, all but the last as wide as their widest word."""
    cells = [tuple(map(str, row)) for row in (tuple(heads), *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads) - 1)]
    for row in cells:
        yield "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()


def _table(heads: Sequence[str], rows: Sequence[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{"n" if isinstance(cell, int) else "p"}">{escape(str(cell))}</td>' for cell in row)
        + "</tr>\n"
        for row in rows
    )
    return f"<table>\n<tr>{head}</tr>\n{body}</table>\n"
