"""From a fitted model to a folder that the model server can run, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tilth.flavours.explaining import with_explanation
from tilth.flavours.frames import as_table
from tilth.flavours.mlflow_folder import MLMODEL_NAME, Section, write_companions, write_tensor_companions
from tilth.flavours.parity import compare, make_rows
from tilth.flavours.port import (
    ArrayPredictor,
    Arrays,
    CannotCompile,
    Compiled,
    Compiler,
    EngineUnusable,
    Flavour,
    Predictor,
    Rows,
)
from tilth.flavours.registry import COMPILERS, compiler_named, flavour_for, flavour_named
from tilth.flavours.tabular import versions_of
from tilth.wire.models import DOCUMENT_NAME, CompiledEngine, ModelDocument, Parity, PredictMethod
from tilth.wire.signature import Unseen

MOST_SEEDS = 2000
"""Rows of the example, and of check_rows, that the gate looks at: somebody passes the whole training set."""


NOTHING_TO_COMPILE = frozenset({"function"})
"""No compiler reads Python: that it did not is nothing to be told of."""
NAMED_NOT_EXPLAINED = "reasons are given for models of numbers and categories only"
NAMED_NOT_COMPILED = "the model takes arrays by name, and the compiled engines take one table of numbers"


class FallbackPredictor:
    """The framework's own engine where a compiled one was there but could not be used, and why not."""

    def __init__(self, predictor: Predictor, reason: str) -> None:
        self.engine = predictor.engine
        self.reason = reason
        self.predict = predictor.predict


class FallbackArrayPredictor:
    """The same for a model that takes arrays by name."""

    def __init__(self, predictor: ArrayPredictor, reason: str) -> None:
        self.engine = predictor.engine
        self.reason = reason
        self.predict_arrays = predictor.predict_arrays


def save_model(
    model: Any,
    folder: Path,
    *,
    example: Any,
    method: PredictMethod | None = None,
    categories: Mapping[str, Sequence[str]] | None = None,
    unseen: Mapping[str, Unseen] | None = None,
    check_rows: Any = None,
    compilers: Sequence[Compiler] = COMPILERS,
) -> ModelDocument:
    """Writes the model into the empty `folder` as an MLflow model directory, with a compiled form where one passes the parity gate.

    example: a DataFrame (pandas or polars), a list of dicts or a 2-d array of at least one row, with the columns and types of training;
    its first rows are kept.
    check_rows: more rows of that kind for the gate. A model that does not compile is saved all the same; `not_compiled` says why.
    A model whose signature is `named` is read back and answers its example once, and is not compiled.
    Raises UnknownFlavour, UnusableExample.
    """
    example, check_rows = as_table(example), as_table(check_rows)
    flavour = flavour_for(model)
    method = method or flavour.default_method(model)
    signature = flavour.signature(model, example, method, categories=categories, unseen=unseen)
    folder.mkdir(parents=True, exist_ok=True)
    document = flavour.save(model, folder, signature=signature, example=example, method=method)
    if not (folder / MLMODEL_NAME).exists():
        _describe_for_mlflow(flavour, folder, document, example)
    # The reference is what was saved, read back: the gate then also proves that the folder loads.
    reference = flavour.load(folder, document)
    if isinstance(reference, ArrayPredictor):
        arrays = _arrays(flavour.encode(example, signature))
        reference.predict_arrays({name: array[:MOST_SEEDS] for name, array in arrays.items()})
        not_compiled = document.not_compiled or ("" if document.flavour in NOTHING_TO_COMPILE else NAMED_NOT_COMPILED)
        document = msgspec.structs.replace(document, not_compiled=not_compiled, not_explained=NAMED_NOT_EXPLAINED)
    else:
        seeds = _rows(flavour.encode(example[:MOST_SEEDS], signature))
        if check_rows is not None:
            seeds = np.vstack([seeds, _rows(flavour.encode(check_rows[:MOST_SEEDS], signature))])
        if document.flavour not in NOTHING_TO_COMPILE:
            document = _with_compiled(model, folder, document, reference, seeds, compilers)
        document = with_explanation(document, folder, reference, seeds)
    (folder / DOCUMENT_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(document)))
    return document


def _describe_for_mlflow(flavour: Flavour, folder: Path, document: ModelDocument, example: Any) -> None:
    """For a flavour of somebody's own that writes only its model: MLflow loads it through ours."""
    section = Section("tilth", {"data": document.model_path}, "tilth.flavours.pyfunc")
    described = msgspec.structs.replace(document, frameworks=versions_of("tilth", "numpy") | document.frameworks)
    signature = document.signature
    if not signature.tensors:
        write_companions(folder, described, example, section)
        return
    arrays, tensors = _arrays(flavour.encode(example, signature)), (signature.tensors, signature.output_tensors)
    write_tensor_companions(folder, described, arrays, section, tensors=tensors, data=document.model_path)


def load_predictor(folder: Path, document: ModelDocument) -> Predictor | ArrayPredictor:
    """The compiled engine if it passed its gate and loads here, else the framework's own.

    Where a compiled engine could not be loaded the answer is a FallbackPredictor (FallbackArrayPredictor) with the reason.
    The framework's own engine may run code from the folder (pickle): never call this in the control process.
    """
    reasons = []
    for compiled in document.compiled:
        if not compiled.parity.passed:
            continue
        compiler = compiler_named(compiled.engine)
        if compiler is None:
            reasons.append(f"this version of Tilth has no engine {compiled.engine!r}")
            continue
        try:
            return compiler.load(folder / compiled.path, compiled.detail, len(document.signature.outputs))
        except EngineUnusable as unusable:
            reasons.append(str(unusable))
    predictor = flavour_named(document.flavour).load(folder, document)
    if not reasons:
        return predictor
    if isinstance(predictor, ArrayPredictor):
        return FallbackArrayPredictor(predictor, "; ".join(reasons))
    return FallbackPredictor(predictor, "; ".join(reasons))


def _rows(encoded: Rows | Arrays) -> Rows:
    assert isinstance(encoded, np.ndarray), "a signature of columns of numbers and categories encodes to one array"
    return encoded


def _arrays(encoded: Rows | Arrays) -> Arrays:
    assert not isinstance(encoded, np.ndarray), "a signature of named arrays encodes to arrays by name"
    return encoded


def _with_compiled(
    model: Any, folder: Path, document: ModelDocument, reference: Predictor, seeds: Rows, compilers: Sequence[Compiler]
) -> ModelDocument:
    reasons = []
    for compiler in compilers:
        try:
            compiled = compiler.compile(model, document.signature, document.method, folder)
        except CannotCompile as refused:
            reasons.append(f"{compiler.engine}: {refused}")
            continue
        try:
            predictor = compiler.load(folder / compiled.path, compiled.detail, len(document.signature.outputs))
            if isinstance(predictor, ArrayPredictor):
                raise EngineUnusable("it takes arrays by name where the model takes one table of numbers")
            parity = _measure(document, reference, predictor, seeds, compiled)
            reason = parity.reason
        except EngineUnusable as unusable:
            reason = str(unusable)
        if not reason:
            engine = CompiledEngine(engine=compiler.engine, path=compiled.path, parity=parity, detail=compiled.detail)
            return msgspec.structs.replace(document, compiled=(engine,), not_compiled="")
        (folder / compiled.path).unlink(missing_ok=True)
        reasons.append(f"{compiler.engine} refused by the parity gate: {reason}")
    return msgspec.structs.replace(document, not_compiled="; ".join(reasons) or "nobody asked for it")


def _measure(document: ModelDocument, reference: Predictor, predictor: Predictor, seeds: Rows, compiled: Compiled) -> Parity:
    rows = make_rows(document.signature, seeds, landmarks=compiled.landmarks)
    decides = document.method == "predict_proba"
    # Far beyond its training a model may overflow; both sides must then do so.
    with np.errstate(all="ignore"):
        expected, answered = reference.predict(rows), predictor.predict(rows)
    return compare(document.signature, rows, expected, answered, decides=decides)
