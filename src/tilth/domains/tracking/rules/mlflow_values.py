"""What MLflow's protocol allows in keys and values of a run, in its own words. What passes here must pass our own rules, too."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from tilth.wire.mlflow import MlflowError, invalid, invalid_value, missing
from tilth.wire.mlflow_tracking import DatasetInput, LoggedPoint
from tilth.wire.tracking import MAX_KEY_CHARS, MAX_METRICS, MAX_PARAM_CHARS, MAX_PARAMS, MAX_TAG_CHARS, MAX_TAGS

MAX_ENTITIES: Final = 1000
MAX_BATCH_BYTES: Final = 1_000_000
MAX_EXPERIMENT_NAME_CHARS: Final = 500
MAX_EXPERIMENT_TAG_CHARS: Final = 20_000
MAX_DATASETS: Final = 1000
MAX_SEARCH_RESULTS: Final = 50_000
MAX_INT32: Final = 2**31 - 1

Lifecycle = Literal["active", "deleted", "all"]

VIEWS: Final[dict[str | int, Lifecycle]] = {
    "ACTIVE_ONLY": "active",
    "DELETED_ONLY": "deleted",
    "ALL": "all",
    1: "active",
    2: "deleted",
    3: "all",
    "1": "active",
    "2": "deleted",
    "3": "all",
}

_NAME = re.compile(r"[/\w.\- :]*")
_BAD_CHARACTERS: Final = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
)
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")


def check_metric(key: str | None, timestamp: int | None, value: float | str | None, path: str = "") -> None:
    """path: such as `metrics[3]`. Raises MlflowError."""
    _check_name(key, f"{path}.name" if path else "name")
    if timestamp is not None and timestamp < 0:
        hint = f"metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) "
        raise invalid(invalid_value(f"{path}.timestamp" if path else "timestamp", timestamp, hint))
    check_length("Metric name", key or "", MAX_KEY_CHARS)


def check_points(points: list[LoggedPoint]) -> None:
    for index, point in enumerate(points):
        if _name_fault(point.key) is not None or point.ts is None or point.ts < 0 or len(point.key) > MAX_KEY_CHARS:
            if not point.key or point.ts is None:
                raise missing(f"metrics[{index}].{'key' if not point.key else 'timestamp'}")
            check_metric(point.key, point.ts, point.value, f"metrics[{index}]")


def param(key: str | None, value: str | None, path: str = "") -> tuple[str, str]:
    """Key and value as they are kept: a long value is cut, as MLflow's own server does it. Raises MlflowError."""
    name = _check_name(key, f"{path}.key" if path else "key")
    check_length("Param key", name, MAX_KEY_CHARS)
    return name, (value or "")[:MAX_PARAM_CHARS]


def tag(key: str | None, value: str | None, path: str = "") -> tuple[str, str]:
    """As `param`."""
    where = f"{path}.key" if path else "key"
    name = _check_name(key, where)
    check_length(where, name, MAX_KEY_CHARS)
    return name, (value or "")[:MAX_TAG_CHARS]


def experiment_tag(key: str | None, value: str | None) -> tuple[str, str]:
    """Too long a value is refused here, not cut. Raises MlflowError."""
    name = _check_name(key, "key")
    check_length("key", name, MAX_KEY_CHARS)
    check_length("value", value or "", MAX_EXPERIMENT_TAG_CHARS)
    return name, value or ""


def check_unique_params(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    doubled = [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    if doubled:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {doubled}. Please ensure "
            "the request contains only one param value per param key."
        )


def check_batch_counts(metrics: int, params: int, tags: int) -> None:
    for what, most, count in (
        ("metrics", MAX_METRICS, metrics),
        ("params", MAX_PARAMS, params),
        ("tags", MAX_TAGS, tags),
        ("metrics, params, and tags", MAX_ENTITIES, metrics + params + tags),
    ):
        if count > most:
            raise invalid(
                f"A batch logging request can contain at most {most} {what}. "
                f"Got {count} {what}. Please split up {what} across multiple requests and try again."
            )


def check_batch_bytes(size: int) -> None:
    if size > MAX_BATCH_BYTES:
        raise invalid(f"Batched logging API requests must be at most {MAX_BATCH_BYTES} bytes, got a request of size {size}.")


def check_run_id(run_id: str) -> None:
    if _RUN_ID.fullmatch(run_id) is None:
        raise invalid(invalid_value("run_id", run_id[:300]))


def check_datasets(inputs: list[DatasetInput]) -> None:
    """Raises MlflowError."""
    if len(inputs) > MAX_DATASETS:
        raise invalid(f"A request can contain at most {MAX_DATASETS} datasets. Got {len(inputs)} datasets.")
    for entry in inputs:
        data = entry.dataset
        if data is None:
            raise invalid("Dataset cannot be None")
        for name, most, needed in (
            ("name", 500, True),
            ("digest", 36, True),
            ("source_type", 250, True),
            ("source", 65_535, True),
            ("schema", 1_048_575, False),
            ("profile", 16_777_215, False),
        ):
            text: str | None = getattr(data, name)
            if text is None and needed:
                raise invalid(f"Dataset {name} cannot be None")
            check_length(name, text or "", most)
        for given in entry.tags:
            if given.key is None or given.value is None:
                raise invalid(f"InputTag {'key' if given.key is None else 'value'} cannot be None")
            check_length("key", given.key, 255)
            check_length("value", given.value, 500)


def check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise invalid(f"'{what}' exceeds the maximum length of {most} characters")


def experiment_number(text: str) -> int:
    """The number behind an experiment's id; one that no experiment can have is -1. Raises MlflowError."""
    try:
        number = int(text)
    except ValueError:
        raise invalid(f"Invalid experiment ID '{text[:100]}'. Experiment ID must be a valid integer.") from None
    return number if 0 <= number <= MAX_INT32 else -1


def view(given: str | int | None) -> Lifecycle:
    """active, deleted or all. Raises MlflowError."""
    if given is None:
        return "active"
    found = VIEWS.get(given.upper() if isinstance(given, str) else given)
    if found is None:
        raise invalid(f"Invalid view type '{given}'. Valid view types are ['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL']")
    return found


def check_max_results(given: int) -> int:
    if given < 1:
        raise invalid(f"Invalid value {given} for parameter 'max_results' supplied. It must be a positive integer")
    if given > MAX_SEARCH_RESULTS:
        raise invalid(f"Invalid value {given} for parameter 'max_results' supplied. It must be at most {MAX_SEARCH_RESULTS}")
    return given


def check_artifact_location(location: str | None) -> None:
    """A place for artifacts is chosen by the server: a caller may name the one root that there is. Raises MlflowError."""
    if location and location.rstrip("/") != "mlflow-artifacts:":
        raise MlflowError(
            "INVALID_PARAMETER_VALUE",
            f"Invalid artifact_location {location[:200]!r}: Tilth chooses where artifacts lie. Leave it out, or give 'mlflow-artifacts:/'",
        )


def _check_name(name: str | None, path: str) -> str:
    if not name:
        raise missing(path)
    fault = _name_fault(name)
    if fault is not None:
        raise invalid(invalid_value(path, name, fault))
    return name


@lru_cache(maxsize=4096)
def _name_fault(name: str) -> str | None:
    if _NAME.fullmatch(name) is None:
        return _BAD_CHARACTERS
    plain = posixpath.normpath(name)
    if plain != name or plain == "." or plain.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {plain!r}"
        )
    return None
