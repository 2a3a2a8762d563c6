"""`tilth.json`: what stands beside MLflow's `MLmodel` in the folder of a logged model."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tilth.wire.signature import Signature

DOCUMENT_NAME = "tilth.json"

PredictMethod = Literal["predict", "predict_proba"]
Link = Literal["identity", "logistic", "softmax", "log"]
"""How contributions become an answer: their sum is the answer itself, its log-odds, the logarithm of its share, or its logarithm."""


class Parity(msgspec.Struct, frozen=True):
    """How a compiled engine compared with the framework that trained the model, over the same rows.

    max_difference: greatest |difference| of an output; flips: rows whose predicted class differs at threshold 0.5 (or argmax);
    passed: whether the engine may serve. reason: why not, else empty.
    """

    rows: int
    max_difference: float
    tolerance: float
    flips: int
    missing_checked: bool
    categories_checked: bool
    passed: bool
    reason: str = ""


class CompiledEngine(msgspec.Struct, frozen=True):
    """A faster form of the model: `engine` names who runs it (`treelite`), `path` is the file within the folder."""

    engine: str
    path: str
    parity: Parity
    detail: dict[str, Any] = {}


class Explanation(msgspec.Struct, frozen=True, omit_defaults=True):
    """How answers of the model are explained. base and contributions add up to the answer, as `link` says, within max_difference over
    `rows` rows that were checked.

    kind: by the trees of the compiled engine, by the framework itself, or as a sum over the inputs. For the last one `reference` is a
    row (None: missing), `means` what each input moves the sum by on average, shape (outputs, inputs), `base` the average sum (outputs,).
    """

    kind: Literal["trees", "native", "additive"]
    link: Link
    rows: int = 0
    max_difference: float = 0.0
    reference: tuple[float | None, ...] = ()
    base: tuple[float, ...] = ()
    means: tuple[tuple[float, ...], ...] = ()


class BlockImportance(msgspec.Struct, frozen=True):
    """How much the score falls when the rows of these inputs are mixed up together. values: one for each repetition, in order."""

    name: str
    inputs: tuple[str, ...]
    mean: float
    low: float
    high: float
    values: tuple[float, ...]


class Importance(msgspec.Struct, frozen=True):
    """Permutation importance over `rows` rows, the greatest first. baseline: the metric without mixing. low and high: between them lie
    95 % of the repetitions. A metric where less is better counts its rise."""

    metric: str
    baseline: float
    rows: int
    repeats: int
    seed: int
    blocks: tuple[BlockImportance, ...]


class ModelDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything the model server needs to load the folder and to check requests against it.

    isolated: loading or predicting may run code that came with the model: only a process of its own may do either.
    """

    flavour: str
    signature: Signature
    method: PredictMethod
    model_path: str
    format: int = 1
    classes: tuple[str, ...] = ()
    frameworks: dict[str, str] = {}
    compiled: tuple[CompiledEngine, ...] = ()
    not_compiled: str = ""
    detail: dict[str, Any] = {}
    isolated: bool = False
    explanation: Explanation | None = None
    not_explained: str = ""
    importance: Importance | None = None


model_documents = msgspec.json.Decoder(ModelDocument)
"""Made while modules are imported, by one thread: msgspec works out what a struct holds when it is first needed, and two threads that
load models and are at it at the same time end their process."""
