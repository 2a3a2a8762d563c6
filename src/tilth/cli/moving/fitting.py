"""Whether what another system allowed can be kept here, and what is shortened or left out where it cannot."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from tilth.cli.moving.source import Points, SourceRun
from tilth.core.hashing import content_address
from tilth.core.names import InvalidName, check_artifact_path, check_key, check_name
from tilth.wire.tracking import MAX_KEY_CHARS, MAX_NOTES_CHARS, MAX_PARAM_CHARS, MAX_TAG_CHARS, DatasetInput

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\\]")
MAX_MOMENT = 253_402_300_799_999


def id_here(id_: str, salt: str) -> str:
    """The id that a run gets here: its own where it is 32 hexadecimal digits, else one that follows from it and from `salt`."""
    text = id_.replace("-", "").lower()
    if re.fullmatch(r"[0-9a-f]{32}", text):
        return text
    return other_id(id_, salt)


def other_id(id_: str, salt: str) -> str:
    """The same for the same run and project, so that importing again finds it."""
    return content_address(f"imported run\0{salt}\0{id_}".encode())[:32]


def fit_name(name: str, what: str, otherwise: str) -> str:
    """A name without what may not stand in one."""
    plain = _CONTROL.sub(" ", name).strip()[:MAX_KEY_CHARS]
    try:
        return check_name(plain, what)
    except InvalidName:
        return otherwise


def fit_run(run: SourceRun, left: list[str]) -> SourceRun:
    """The run as it can be kept. Adds a sentence to `left` for everything that is shortened or left out."""
    end = None if run.ended is None else min(max(run.ended, 0), MAX_MOMENT)
    return replace(
        run,
        name=fit_name(run.name, "run", run.id[:8]),
        started=min(max(run.started, 0), MAX_MOMENT),
        ended=end,
        notes=run.notes.replace("\0", "")[:MAX_NOTES_CHARS],
        params=_fit_texts(run.params, MAX_PARAM_CHARS, f"run {run.id}: param", left),
        tags=_fit_texts(run.tags, MAX_TAG_CHARS, f"run {run.id}: tag", left),
        inputs=_fit_inputs(run.inputs),
    )


def fit_points(points: Points, run_id: str, left: list[str]) -> Points:
    return {key: found for key, found in points.items() if _is_key(key, f"run {run_id}: metric", left)}


def fits_as_artifact(path: str, where: str, left: list[str]) -> bool:
    try:
        check_artifact_path(path)
    except InvalidName as error:
        left.append(f"{where}: {error}")
        return False
    return True


def _fit_texts(pairs: Mapping[str, str], most: int, what: str, left: list[str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for key, value in pairs.items():
        if not _is_key(key, what, left):
            continue
        text = value.replace("\0", "")
        if len(text) > most:
            left.append(f"{what} {key!r} has {len(text):,} characters and is cut to {most:,}")
        kept[key] = text[:most]
    return kept


def _fit_inputs(inputs: list[DatasetInput]) -> list[DatasetInput]:
    fitted = {}
    for data in inputs:
        one = DatasetInput(
            name=fit_name(data.name, "data set", "dataset"),
            digest=data.digest[:128] or "unknown",
            context=data.context[:MAX_KEY_CHARS],
            source_type=data.source_type[:MAX_KEY_CHARS],
            source=data.source[:65_535],
            schema=data.schema,
            profile=data.profile,
            tags=data.tags,
        )
        fitted[(one.name, one.digest, one.context)] = one
    return list(fitted.values())


def _is_key(key: str, what: str, left: list[str]) -> bool:
    try:
        check_key(key, what, MAX_KEY_CHARS)
    except InvalidName:
        left.append(f"{what} {key[:80]!r} is left out: its name is not allowed here")
        return False
    return True
