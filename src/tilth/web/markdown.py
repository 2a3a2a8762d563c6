"""Notes and cards: Markdown that people write becomes HTML that cannot carry a script."""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
_TAGS = {
    "p",
    "br",
    "hr",
    "em",
    "strong",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
} | {f"h{level}" for level in range(1, 7)}


def to_html(text: str) -> Markup:
    """Safe HTML of `text`. Raw HTML in it is shown as text; images are left out, since they would be fetched from elsewhere."""
    return Markup(
        nh3.clean(
            _MARKDOWN.render(text), tags=_TAGS, attributes={"a": {"href", "title"}}, url_schemes={"http", "https", "mailto"}
        )
    )
