"""What may stand in a comment, and whom it names."""

from __future__ import annotations

import re

from tilth.domains.comments.types import InvalidComment

MAX_COMMENT_CHARS = 20_000
MAX_MENTIONS = 20

_CODE = re.compile(r"^(```|~~~).*?(?:^\1|\Z)|`[^`\n]*`", re.MULTILINE | re.DOTALL)
# An address such as ada@example.org names nobody.
_MENTION = re.compile(r"(?<![\w@./-])@([a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?)")


def checked_text(text: str) -> str:
    """Without blanks around it. Raises InvalidComment."""
    kept = text.strip()
    if not kept:
        raise InvalidComment("this comment is empty: write at least one character")
    if len(kept) > MAX_COMMENT_CHARS:
        raise InvalidComment(
            f"this comment has {len(kept):,} characters; at most {MAX_COMMENT_CHARS:,} are kept: log a file instead"
        )
    return kept


def names_mentioned(text: str) -> list[str]:
    """The names behind `@` outside of code, each once, in the order of the text; at most 20. Whether somebody has the name is not asked."""
    found = _MENTION.findall(_CODE.sub(" ", text))
    return list(dict.fromkeys(found))[:MAX_MENTIONS]
