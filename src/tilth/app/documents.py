"""Works out every document once, before there are threads.

msgspec looks at a Struct or dataclass when it first converts to it, and two threads that do so at once can end the process with SIGSEGV
(seen with 0.22.0 in model servers). The threads of the database convert rows.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator

import msgspec

_DOCUMENTS = re.compile(r"tilth\.(wire|domains\.\w+\.types)(\.|$)")


def learn_documents() -> None:
    """Of all modules that are loaded."""
    for kind in set(_kinds()):
        try:
            msgspec.json.Decoder(kind)
        except TypeError:
            # Nothing that msgspec could ever convert to, such as a dataclass with a callable in it.
            continue


def _kinds() -> Iterator[type]:
    for name, module in list(sys.modules.items()):
        if not name.startswith("tilth.") or module is None:
            continue
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == name and _is_document(kind):
                yield kind


def _is_document(kind: type) -> bool:
    if issubclass(kind, msgspec.Struct):
        return True
    return dataclasses.is_dataclass(kind) and _DOCUMENTS.match(kind.__module__) is not None
