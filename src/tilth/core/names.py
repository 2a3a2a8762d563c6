"""What a name may look like. User text never becomes a path or a URI; these rules keep it harmless as a key, too."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from tilth.core.errors import Invalid

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?")
MAX_NAME_CHARS = 250
MAX_PATH_CHARS = 1000


class InvalidName(Invalid):
    """A name breaks the rules for its kind."""


def check_slug(text: str, what: str) -> str:
    """Names that stand in URLs: projects, deployments. 1 to 63 of a-z 0-9 `-` `_` `.`, first and last a letter or digit."""
    if not SLUG.fullmatch(text) or ".." in text:
        raise InvalidName(
            f"{what} name {text[:80]!r} is not allowed: use 1 to 63 of a-z, 0-9, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    return text


def slug_of(text: str) -> str:
    """What a deployment of a model of this name is called where nobody says: small letters, with `-` for all that no slug has."""
    return re.sub(r"[^a-z0-9_.-]+", "-", text.lower())[:63].strip("-_.")


def check_name(text: str, what: str, max_chars: int = MAX_NAME_CHARS) -> str:
    """Names that people give: experiments, runs, models. Printable, not blank, no path tricks."""
    if not text or not text.strip():
        raise InvalidName(f"{what} name is empty: give it at least one character")
    if len(text) > max_chars:
        raise InvalidName(f"{what} name has {len(text)} characters; at most {max_chars} are allowed")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in text) or "\\" in text or text in (".", ".."):
        raise InvalidName(f"{what} name {text[:80]!r} is not allowed: no control characters, backslash, '.' or '..'")
    return text


def check_model_name(name: str) -> str:
    """Names of registered models stand in `models:/name/3` and `name@alias`, so they hold no '/' and no ':'."""
    check_name(name, "model")
    if "/" in name or ":" in name:
        raise InvalidName(f"model name {name[:80]!r} is not allowed: it stands in URIs, so it holds no '/' and no ':'")
    return name


def check_key(text: str, what: str, max_chars: int = MAX_NAME_CHARS) -> str:
    """Keys of metrics, params and tags: letters, digits, `_ - . space : /`; must not read as a path that climbs."""
    check_name(text, what, max_chars)
    if not re.fullmatch(r"[\w\-. :/]+", text) or text.startswith("/") or any(s in ("", ".", "..") for s in text.split("/")):
        raise InvalidName(
            f"{what} {text[:80]!r} is not allowed: use letters, digits, '_', '-', '.', ' ', ':' and '/' between non-empty parts"
        )
    return text


def check_artifact_path(text: str) -> str:
    """A path of an artifact within its run or model: relative, `/` between segments, each segment a plain name."""
    bad = (
        not text
        or len(text) > MAX_PATH_CHARS
        or "\\" in text
        or any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
        or any(segment in ("", ".", "..") for segment in text.split("/"))
        or any(len(segment.encode()) > 255 for segment in text.split("/"))
    )
    if bad:
        raise InvalidName(
            f"artifact path {text[:80]!r} is not allowed: give a relative path without empty, '.' or '..' segments, "
            f"backslashes or control characters, at most {MAX_PATH_CHARS} characters"
        )
    return text


def path_of_segments(raw: Iterable[bytes]) -> str:
    """An artifact path from the segments of a raw address, each decoded once, so that no second decoding can climb.

    Raises InvalidName, also for an encoded `/`, which would make one segment two.
    """
    segments: list[str] = []
    for segment in raw:
        try:
            text = unquote_to_bytes(segment).decode()
        except UnicodeDecodeError as error:
            raise InvalidName("the path is not UTF-8; percent-encode its UTF-8 bytes") from error
        if "/" in text:
            raise InvalidName(f"path segment {text[:80]!r} holds an encoded '/': send it as it is")
        segments.append(text)
    return check_artifact_path("/".join(segments))
