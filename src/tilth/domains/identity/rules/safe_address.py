"""Where a person may be led after signing in: only to a page of this server."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote, urlsplit

HOME = "/"
MAX_CHARS = 2000
_ENTRY = ("/login", "/logout", "/api/", "/static/")


def page_after_sign_in(wanted: str) -> str:
    """`wanted` if it is the path of one of our pages, else the home page. Browsers read `//host`, `/\\host` and `/<tab>/host` as hosts."""
    bad = (
        not wanted.startswith("/")
        or wanted.startswith("//")
        or len(wanted) > MAX_CHARS
        or "\\" in unquote(wanted)
        or unquote(wanted).startswith("//")
        or any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in unquote(wanted))
    )
    if bad:
        return HOME
    try:
        split = urlsplit(wanted)
    except ValueError:
        return HOME
    return HOME if split.scheme or split.netloc or split.path.startswith(_ENTRY) else wanted
