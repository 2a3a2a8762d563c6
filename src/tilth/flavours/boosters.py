"""What the adapters of boosting libraries share: classes, decisions, the vocabularies of training, and what stands beside the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.flavours import frames, tabular
from tilth.flavours.estimators import innermost
from tilth.flavours.mlflow_folder import Section, write_companions
from tilth.flavours.optional import is_of
from tilth.flavours.port import Rows, UnusableExample
from tilth.wire.models import Link, ModelDocument, PredictMethod
from tilth.wire.signature import Column, Signature, Unseen


class Booster(ABC):
    """An adapter of the library `name`, which keeps a model as one file in a form of its own."""

    name: str

    def knows(self, model: object) -> bool:
        return is_of(innermost(model), self.name)

    def encode(self, example: Any, signature: Signature) -> Rows:
        return frames.encode(example, signature)

    @abstractmethod
    def load(self, folder: Path, document: ModelDocument) -> tabular.TableRun: ...

    def described(
        self, folder: Path, document: ModelDocument, example: Any, content: Mapping[str, Any], expected: NDArray[Any] | None
    ) -> ModelDocument:
        """The document of a model whose file is written; lays beside it what MLflow reads, and asks it.

        content: of the library's section in `MLmodel`. expected: what the model in memory answers to the example, None where it cannot
        be asked. Raises NotFaithful.
        """
        # MLflow's own loader would hand the texts of categories to the library, which takes the codes of training.
        coded = any(column.categories is not None for column in document.signature.inputs)
        loader = "tilth.flavours.pyfunc" if coded else ""
        write_companions(folder, document, example, Section(self.name, {"data": document.model_path, **content}, loader))
        if expected is not None:
            tabular.check_same(expected, self.load(folder, document), self.encode(example, document.signature), "booster")
        return document


def signature_of(
    example: Any,
    ask: tabular.Ask,
    method: PredictMethod,
    classes: Sequence[Any],
    *,
    build_of: Callable[[Signature, Sequence[frames.Kind]], tabular.Build | None] | None = None,
    vocabularies: Mapping[str, Sequence[str]],
    categories: Mapping[str, Sequence[str]] | None,
    unseen: Mapping[str, Unseen] | None,
) -> Signature:
    """ask: probabilities where there are classes, else the answer. vocabularies: of training; they win, since codes are places in them."""

    def run_of(draft: Signature, kinds: Sequence[frames.Kind]) -> tabular.TableRun:
        return tabular.TableRun("", ask, build_of(draft, kinds) if build_of else None)

    def outputs_of(answer: NDArray[Any]) -> tuple[Column, ...]:
        if method == "predict_proba":
            return tabular.probabilities_of(classes)
        return tabular.predictions_of(tabular.chosen(answer, np.asarray(classes)) if len(classes) else answer, classes)

    known = {**(categories or {}), **vocabularies}
    return tabular.signature_of(example, run_of, outputs_of, categories=known, unseen=unseen)


def deciding(ask: tabular.Ask, document: ModelDocument) -> tabular.Ask:
    """Where the class is wanted: what `ask` finds likelier. Classes that are numbers come as numbers, others as their names."""
    if document.method == "predict_proba" or not document.classes:
        return ask
    names = document.signature.outputs[0].categories is not None
    classes = np.array(document.classes, dtype=object) if names else np.array([float(label) for label in document.classes])
    return lambda table: tabular.chosen(np.asarray(ask(table)), classes)


def check_categories(example: Any, trained: Sequence[Sequence[Any]]) -> dict[str, list[str]]:
    """Vocabularies by column. trained: those of the columns of type category, in their order, as the booster keeps them.

    Raises UnusableExample where the example has other columns of type category.
    """
    names = [name for name in example.columns if example[name].dtype.name == "category"] if frames.is_frame(example) else []
    if len(names) != len(trained):
        raise UnusableExample(
            f"the model was fitted on {len(trained)} columns of type category, the example has {len(names)}; "
            "give some rows of the DataFrame that the model was fitted on."
        )
    return {name: [str(value) for value in values] for name, values in zip(names, trained, strict=True)}


class NativeReasons:
    """Contributions that the library computes. answer: shape (rows, inputs + 1) or (rows, outputs, inputs + 1), the base last."""

    def __init__(self, answer: Callable[[Any], NDArray[Any]], link: Link, inputs: int) -> None:
        self._answer, self.link, self._inputs = answer, link, inputs

    def contributions(self, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        answer = np.asarray(self._answer(rows), dtype=np.float64).reshape(len(rows), -1, self._inputs + 1)
        base = answer[0, :, -1] if len(answer) else np.zeros(answer.shape[1])
        return answer[:, :, :-1], base
