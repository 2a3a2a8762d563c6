"""How a user's function wants to be called, read from its parameters and type hints, and what its answer means."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tilth.flavours import tabular
from tilth.flavours.port import UnusableExample
from tilth.wire.models import PredictMethod
from tilth.wire.signature import Column

Style = Literal["rows", "frame", "matrix", "arrays", "polars"]
"""`rows`: once for each row, values by name. Otherwise once for all rows: a pandas or polars DataFrame, a matrix, arrays by name."""

_SCALARS = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Call:
    """vocabularies: of parameters hinted as Literal. optional: parameters that may be None. returns: the hint, None without one."""

    style: Style
    vocabularies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    types: dict[str, type] = field(default_factory=dict)
    returns: Any = None

    def declared(self, column: Column, *, missing: bool) -> Column:
        """The column as the hints say it is. missing: whether the example lacks a value there. Raises UnusableExample."""
        wanted = self.types.get(column.name)
        nullable = column.name in self.optional or (self.style != "rows" and missing)
        if missing and not nullable:
            raise UnusableExample(
                f"the example lacks values of {column.name!r}; hint the parameter as `{column.name}: ... | None` if it may be missing."
            )
        if wanted is None:
            return msgspec.structs.replace(column, nullable=nullable)
        if (wanted is str) != (column.type == "string"):
            raise UnusableExample(
                f"the function takes {column.name!r} as {wanted.__name__}, and the example holds {column.type} there."
            )
        declared: dict[type, Any] = {str: "string", int: "long", float: "double", bool: "boolean"}
        return msgspec.structs.replace(column, type=declared[wanted], nullable=nullable)


def last_of(model: Any) -> Any:
    """The step that answers."""
    return model[-1] if isinstance(model, list | tuple) else model


def classes_of(model: Any) -> tuple[str, ...]:
    return tuple(str(label) for label in getattr(last_of(model), "classes_", ()))


def call_of(model: Any, columns: Sequence[str]) -> Call:
    """columns: those of the example. Raises UnusableExample where they are not the function's parameters."""
    first = model[0] if isinstance(model, list | tuple) else model
    function = first if isinstance(first, types.FunctionType | types.MethodType) else _entry(first)
    try:
        parameters = {
            name: parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if name != "artifacts" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        }
    except (TypeError, ValueError):
        return Call("frame")
    hints = _hints(function)
    returns = hints.pop("return", None)
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if len(needed) == 1 and not _is_scalar(hints.get(needed[0])):
        return Call(_style_of(hints.get(needed[0])), returns=returns)
    if strange := sorted(set(columns) - set(parameters)):
        raise UnusableExample(f"the example has a column {strange[0]!r}, and the function takes {', '.join(parameters)}.")
    if lacking := sorted(set(needed) - set(columns)):
        raise UnusableExample(f"the function takes {lacking[0]!r}, and the example has no such column.")
    return Call("rows", *_scalars({name: hints[name] for name in columns if name in hints}), returns=returns)


def caller_of(model: Any, style: Style, method: PredictMethod, places: dict[str, Path]) -> Callable[[Any], Any]:
    """A function from a DataFrame to the model's answer."""
    if isinstance(model, list | tuple):
        *functions, last = model
        steps = [caller_of(functions[0], style, method, places), *(_with_places(step, places) for step in functions[1:])]
        return lambda frame: _through(steps, last, method, frame)
    function = _with_places(_entry(model), places)
    match style:
        case "rows":
            return lambda frame: [function(**row) for row in _records(frame)]
        case "frame":
            return lambda frame: function(frame)
        case "matrix":
            return lambda frame: function(frame.to_numpy(dtype=np.float64))
        case "arrays":
            return lambda frame: function(_arrays(frame))
        case "polars":
            import polars

            return lambda frame: function(polars.DataFrame(_arrays(frame)))


def by_name(answer: Any, rows: int) -> dict[str, NDArray[Any]]:
    """An answer in any of its forms as 1-d arrays by name. Raises ValueError unless there is a value for each row."""
    if hasattr(answer, "to_dict") and hasattr(answer, "columns"):
        named = {str(name): np.asarray(answer[name]) for name in answer.columns}
    elif isinstance(answer, Mapping):
        named = {str(name): np.asarray(values) for name, values in answer.items()}
    elif isinstance(answer, list | tuple) and answer and all(isinstance(row, Mapping) for row in answer):
        named = {str(name): np.asarray([row[name] for row in answer]) for name in answer[0]}
    else:
        array = np.asarray(answer)
        if array.ndim == 2 and array.shape[1] > 1:
            named = {f"prediction_{at}": array[:, at] for at in range(array.shape[1])}
        else:
            named = {"prediction": array[:, 0] if array.ndim == 2 else array}
    for name, values in named.items():
        if values.ndim != 1 or len(values) != rows:
            raise ValueError(
                f"the function gave {name!r} in the shape {values.shape} for {rows} rows; it must give one value per row"
            )
    return {name: values.astype(object) if values.dtype.kind in "UT" else values for name, values in named.items()}


def output_column(name: str, values: NDArray[Any], hint: Any) -> Column:
    """hint: what the function says it returns; a function that says nothing may give 0 today and 0.5 tomorrow."""
    if hint in _SCALARS and name == "prediction":
        kinds: dict[type, Any] = {str: "string", int: "long", float: "double", bool: "boolean"}
        return Column(name=name, type=kinds[hint])
    match values.dtype.kind:
        case "f":
            return Column(name=name, type="double")
        case "i" | "u":
            return Column(name=name, type="long" if hint is not None else "double")
        case "b":
            return Column(name=name, type="boolean")
        case _ if all(isinstance(value, str) for value in values):
            return Column(name=name, type="string")
        case _:
            raise UnusableExample(
                f"output {name!r} of the function is of the type {values.dtype}; return numbers, booleans or text, one for each row."
            )


def _entry(model: Any) -> Any:
    """What is called: `predict` of an object that has it."""
    return model.predict if not isinstance(model, types.FunctionType | types.MethodType) and hasattr(model, "predict") else model


def _through(steps: Sequence[Callable[[Any], Any]], last: Any, method: PredictMethod, frame: Any) -> Any:
    for step in steps:
        frame = step(frame)
    if method == "predict_proba":
        answer = tabular.second_of_two(np.asarray(last.predict_proba(frame)))
        outputs = tabular.probabilities_of(last.classes_)
        columns = [answer] if answer.ndim == 1 else list(answer.T)
        return {output.name: values for output, values in zip(outputs, columns, strict=True)}
    return last.predict(frame) if hasattr(last, "predict") else last(frame)


def _with_places(function: Any, places: dict[str, Path]) -> Any:
    try:
        takes = "artifacts" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return function
    return (lambda *given, **named: function(*given, **named, artifacts=places)) if takes else function


def _arrays(frame: Any) -> dict[str, NDArray[Any]]:
    return {
        name: frame[name].astype(object).to_numpy() if frame[name].dtype.name in ("category", "str") else frame[name].to_numpy()
        for name in frame.columns
    }


def _records(frame: Any) -> list[dict[str, Any]]:
    """Plain values by name; missing ones are None."""
    columns = []
    for values in _arrays(frame).values():
        missing = (values != values) if values.dtype.kind in "fO" else np.zeros(len(values), dtype=bool)
        columns.append([None if lost else value for value, lost in zip(values.tolist(), missing, strict=True)])
    return [dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True)]


def _hints(function: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _is_scalar(hint: Any) -> bool:
    return bool(_members(hint)[0])


def _members(hint: Any) -> tuple[Any, bool]:
    """(str, int, float, bool or a Literal of texts, else None; whether None is allowed, too)."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [member for member in typing.get_args(hint) if member is not type(None)]
        return (_members(inner[0])[0] if len(inner) == 1 else None), type(None) in typing.get_args(hint)
    if hint in _SCALARS:
        return hint, False
    is_texts = typing.get_origin(hint) is Literal and all(isinstance(value, str) for value in typing.get_args(hint))
    return (hint if is_texts else None), False


def _scalars(hints: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], frozenset[str], dict[str, type]]:
    """Vocabularies, names that may be None, and plain types. Raises UnusableExample for another hint."""
    vocabularies, optional, plain = {}, set(), {}
    for name, hint in hints.items():
        member, may_lack = _members(hint)
        if member is None:
            raise UnusableExample(
                f"parameter {name!r} is hinted {hint}; a value of a row is str, int, float, bool or Literal of texts."
            )
        if may_lack:
            optional.add(name)
        if member in _SCALARS:
            plain[name] = member
        else:
            vocabularies[name] = typing.get_args(member)
    return vocabularies, frozenset(optional), plain


def _style_of(hint: Any) -> Style:
    kind = typing.get_origin(hint) or hint
    module = getattr(kind, "__module__", "").partition(".")[0]
    if module == "polars":
        return "polars"
    if kind is np.ndarray:
        return "matrix"
    if isinstance(kind, type) and kind is not object and issubclass(kind, Mapping):
        return "arrays"
    return "frame"
