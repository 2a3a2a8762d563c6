"""What is known about a model from elsewhere before anything of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tilth.core.errors import Invalid
from tilth.wire.provenance import ScanVerdict

Format = Literal[
    "onnx",
    "xgboost",
    "lightgbm",
    "catboost",
    "keras",
    "saved-model",
    "torch-export",
    "torchscript",
    "torch-pickle",
    "pickle",
    "joblib",
    "safetensors",
    "hugging-face",
    "mlflow",
    "tilth",
]

RUNS_CODE: frozenset[Format] = frozenset({"saved-model", "torch-export", "torchscript", "torch-pickle", "pickle", "joblib"})
"""Formats whose loader runs what is in the file: Python (pickle, joblib, PyTorch's pickles), or a program that may touch files
(TorchScript, SavedModel), or that is unpickled on the way (torch.export)."""


class NotImportable(Invalid):
    """What was given is no model that can be brought in: unknown, truncated, unsafe to unpack, or without what is needed to ask it."""


@dataclass(frozen=True, slots=True)
class Scan:
    """findings: what was found, in words; the first is the weightiest. scanner: who looked."""

    verdict: ScanVerdict
    findings: tuple[str, ...]
    scanner: str


@dataclass(frozen=True, slots=True)
class Found:
    """A model at `path` (a file or folder). runs_code: loading it may run what came with it.

    note: why it cannot be served, whoever trusts it; empty where it can be. example: rows that came with it.
    """

    path: Path
    format: Format
    runs_code: bool
    note: str = ""
    example: Path | None = None
