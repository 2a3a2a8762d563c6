"""What names, aliases, tags and texts of models may look like. MLflow's rules, so that its clients meet no surprise."""

from __future__ import annotations

import re

from tilth.core.names import MAX_NAME_CHARS, InvalidName, check_key
from tilth.domains.models.types import STAGES, ReservedAlias, TooLongText, UnknownStage

MAX_ALIAS_CHARS = 255
MAX_TAG_CHARS = 100_000
MAX_PARAM_CHARS = 6_000
MAX_TEXT_CHARS = 100_000
_ALIAS = re.compile(r"[\w\-]{1,255}")
_VERSION_ALIAS = re.compile(r"v\d+", re.IGNORECASE)


def check_alias(alias: str) -> str:
    """1 to 255 letters, digits, `_` and `-`; neither `latest` nor `v<number>`. Raises InvalidName, ReservedAlias."""
    if not _ALIAS.fullmatch(alias):
        raise InvalidName(f"alias {alias[:80]!r} is not allowed: use 1 to {MAX_ALIAS_CHARS} letters, digits, '_' and '-'")
    if alias.lower() == "latest" or _VERSION_ALIAS.fullmatch(alias):
        raise ReservedAlias(alias)
    return alias


def check_stage(stage: str) -> str:
    """The stage as MLflow writes it; case is ignored. Raises UnknownStage."""
    for known in STAGES:
        if known.lower() == stage.lower():
            return known
    raise UnknownStage(stage)


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        check_key(key, "tag")
        _check_length(value, f"value of tag {key!r}", MAX_TAG_CHARS)
    return tags


def check_model_words(params: dict[str, str], tags: dict[str, str]) -> None:
    """Of logged models, which MLflow's clients give keys of any kind: printable ones are kept. Raises Invalid."""
    for what, pairs, most in (("param", params, MAX_PARAM_CHARS), ("tag", tags, MAX_TAG_CHARS)):
        for key, value in pairs.items():
            if not key or len(key) > MAX_NAME_CHARS or not key.isprintable():
                raise InvalidName(
                    f"{what} {key[:80]!r} is not allowed: use 1 to {MAX_NAME_CHARS} printable characters, without line breaks"
                )
            _check_length(value, f"value of {what} {key!r}", most)


def check_text(text: str, what: str, most: int = MAX_TEXT_CHARS) -> str:
    """Descriptions, card fields and comments: Markdown, at most `most` characters, no NUL. Raises TooLongText."""
    return _check_length(text, what, most)


def _check_length(text: str, what: str, most: int) -> str:
    if len(text) > most:
        raise TooLongText(f"the {what} has {len(text)} characters; at most {most} are kept")
    if "\0" in text:
        raise TooLongText(f"the {what} holds a NUL character, which no database keeps; remove it")
    return text
