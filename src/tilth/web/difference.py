"""A unified diff as coloured HTML, line by line."""

from __future__ import annotations

from markupsafe import Markup, escape

MAX_LINES = 2000


def coloured(diff: str) -> Markup:
    """Lines in spans of class add, del, hunk or file. Shows at most 2,000 lines and says how many are left out."""
    lines = diff.splitlines()
    body = "".join(f"{_line(line)}" for line in lines[:MAX_LINES])
    left = len(lines) - MAX_LINES
    return Markup(body + (f"… {left:,} more lines; download the whole diff" if left > 0 else ""))


def _line(line: str) -> str:
    text = escape(line)
    if line.startswith(("diff ", "+++", "---", "index ")):
        return f'<span class="file">{text}</span>'
    if line.startswith("@@"):
        return f'<span class="hunk">{text}</span>'
    if line.startswith("+"):
        return f'<span class="add">{text}</span>'
    if line.startswith("-"):
        return f'<span class="del">{text}</span>'
    return f"{text}\n"
