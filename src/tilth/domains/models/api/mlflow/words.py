"""MLflow's words for what is wrong with a name, a tag or a version, and for what is not there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tilth.core.comparisons import InvalidComparison
from tilth.domains.models.types import (
    ModelExists,
    ModelParamChanged,
    ModelSealed,
    UnknownAlias,
    UnknownLoggedModel,
    UnknownModel,
    UnknownVersion,
)
from tilth.wire.mlflow import SEE_DOCS, MlflowError, invalid, invalid_value, missing
from tilth.wire.mlflow_registry import Pair

MAX_KEY = 250
MAX_VALUE = 100_000
MAX_ALIAS = 255
_KEY = re.compile(r"[/\w.\- :]*")
_ALIAS = re.compile(r"[\w\-]*")
_BAD_IN_LOGGED_NAMES = ("/", ":", ".", "%", '"', "'")


@contextmanager
def in_mlflow_words(name: str = "", version: object = "") -> Iterator[None]:
    """Lets what the actions refuse be told as MLflow tells it."""
    try:
        yield
    except UnknownModel:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={name} not found") from None
    except UnknownVersion:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version={version}) not found") from None
    except ModelExists:
        raise MlflowError("RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.") from None
    except UnknownAlias:
        raise invalid(f"Registered model alias {version} not found.") from None
    except ModelSealed as sealed:
        raise MlflowError("RESOURCE_CONFLICT", str(sealed)) from None
    except InvalidComparison as fault:
        raise invalid(str(fault)) from None


@contextmanager
def about_logged_model(model_id: str) -> Iterator[None]:
    try:
        yield
    except UnknownLoggedModel:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Logged model with ID '{model_id}' not found.") from None
    except ModelParamChanged as told:
        raise invalid(
            f"Changing param values is not allowed. Param with key='{told.key}' was already logged with value='{told.old}' "
            f"for model ID='{model_id}'. Attempted logging new value '{told.new}'."
        ) from None
    except InvalidComparison as fault:
        raise invalid(str(fault)) from None


def check_model_name(name: str | None, parameter: str = "name") -> str:
    if name is None or not name.strip():
        raise invalid(f"Missing value for required parameter '{parameter}'.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name[:300]}'. Names cannot contain '/' or ':'.")
    _check_path_like("name", name)
    return name


def check_version(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise invalid(f"Parameter 'version' must be an integer, got '{text[:80]}'.") from None
    # Greater numbers cannot be stored, so nobody has them.
    return number if 0 <= number < 2**31 else 0


def check_alias(alias: str) -> str:
    if not _ALIAS.fullmatch(alias):
        raise invalid(
            f"Invalid alias name: '{alias[:300]}'. Names may only contain alphanumerics, underscores (_), and dashes (-)."
        )
    if len(alias) > MAX_ALIAS:
        raise invalid(f"'Registered model alias name' exceeds the maximum length of {MAX_ALIAS} characters")
    return alias


def check_alias_free(alias: str) -> str:
    if check_alias(alias).lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if re.fullmatch(r"[vV]\d+", alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")
    return alias


def check_key(key: str | None) -> str:
    if not key:
        raise missing("key")
    if not _KEY.fullmatch(key):
        raise invalid(
            invalid_value(
                "key",
                key,
                "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
            )
        )
    _check_path_like("key", key)
    if len(key) > MAX_KEY:
        raise invalid(f"'key' exceeds the maximum length of {MAX_KEY} characters")
    return key


def check_value(value: str | None) -> str:
    if len(value or "") > MAX_VALUE:
        raise invalid(f"'value' exceeds the maximum length of {MAX_VALUE} characters")
    return value or ""


def pairs(sent: Sequence[Pair] | None) -> dict[str, str]:
    """Of a key that is there twice the last counts."""
    return {check_key(each.key): check_value(each.value) for each in sent or ()}


def free_pairs(sent: Sequence[Pair] | None) -> dict[str, str]:
    """Of logged models, whose keys MLflow does not look at."""
    return {each.key or "": check_value(each.value) for each in sent or ()}


def check_logged_name(name: str) -> str:
    if not name or any(char in name for char in _BAD_IN_LOGGED_NAMES):
        raise invalid(
            f"Invalid model name ({name[:300]!r}) provided. Model name must be a non-empty string and cannot contain the following "
            f"characters: {_BAD_IN_LOGGED_NAMES}"
        )
    return name


def check_max_results(given: int | None, default: int, most: int) -> int:
    if given is None:
        return default
    if given > most:
        raise invalid(invalid_value("max_results", str(given), " Hint: Value was of type 'str'.") + SEE_DOCS)
    if given < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {given}")
    return given


def _check_path_like(parameter: str, name: str) -> None:
    plain = posixpath.normpath(name)
    if plain != name or plain == "." or plain.startswith(("..", "/")):
        raise invalid(
            invalid_value(
                parameter,
                name,
                "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
                f"This name would resolve to {plain!r}",
            )
        )
