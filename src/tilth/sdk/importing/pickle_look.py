"""A look at pickles from outside: which names they would import, read off their opcodes. Nothing is ever unpickled.

A pickle that imports nothing but the parts of arrays and tensors is clean. One that imports what starts programs, opens files or
evaluates text is flagged. Of any other nobody can tell from outside: each class may run code of its own when it is rebuilt.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

UNKNOWN = "unknown.unknown"
MAX_OPCODES = 5_000_000
MAX_BYTES = 512 << 20
"""Of one pickle that is looked through; what lies behind is not scannable."""

SAFE = frozenset(
    {
        "collections.OrderedDict",
        "_codecs.encode",
        *(
            f"{module}.{name}"
            for module in ("numpy", "numpy._core.multiarray", "numpy.core.multiarray")
            for name in ("dtype", "ndarray", "_reconstruct", "scalar")
        ),
        *(f"numpy.{part}.numeric._frombuffer" for part in ("core", "_core")),
        *(f"torch._utils._rebuild_{kind}" for kind in ("tensor", "tensor_v2", "parameter", "parameter_with_state")),
        *(
            f"torch.{kind}Storage"
            for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
        ),
        *(
            f"{module}.{kind}"
            for module in ("builtins", "__builtin__")
            for kind in ("set", "frozenset", "complex", "bytearray", "slice", "range")
        ),
    }
)
_MODULES = """
    os posix nt subprocess socket shutil sys runpy pty ctypes importlib pkgutil code codeop timeit webbrowser commands
    multiprocessing asyncio http urllib requests httpx ftplib smtplib telnetlib marshal types inspect pdb bdb cProfile
    profile pip ensurepip venv tempfile pathlib io _io glob zipfile tarfile signal threading _thread concurrent ssl xmlrpc
    builtins __builtin__ operator _operator functools dill _pickle pickle shelve distutils setuptools site trace doctest
    linecache idlelib lib2to3 aiohttp paramiko copyreg unknown
"""
DANGEROUS = frozenset(_MODULES.split())
"""First parts of modules that no model needs by name, other than what SAFE lists and HARMLESS allows."""
HARMLESS = frozenset(
    {
        *(
            f"{module}.{name}"
            for module in ("builtins", "__builtin__")
            for name in (
                "object",
                "list",
                "dict",
                "tuple",
                "int",
                "float",
                "str",
                "bytes",
                "bool",
                "type",
                "print",
                "len",
                "sum",
                "min",
                "max",
                "sorted",
                "zip",
                "abs",
            )
        ),
        "functools.partial",
        "operator.itemgetter",
        "types.SimpleNamespace",
        "pathlib.PosixPath",
        "pathlib._local.PosixPath",
    }
)
"""They do nothing by themselves, and do not make a pickle clean either."""
_PLANTED = re.compile(
    rb"c(?:os|posix|nt|subprocess|builtins|__builtin__|socket|runpy)\n(?:system|popen|exec|eval|execfile|Popen|run|call|check_output|spawn\w*)\n"
    rb"|\x8c.(?:os|posix|nt|subprocess|runpy)\x94?\x8c.(?:system|popen|Popen|run|call|check_output|spawn\w*|run_path|run_module)"
)
"""Imports of what starts programs, wherever they stand: arrays lie bare between the opcodes of a joblib file."""


@dataclass(frozen=True, slots=True)
class Look:
    """names: those that it would import. whole: every opcode was read. planted: what starts programs stands somewhere in the bytes."""

    names: frozenset[str]
    whole: bool
    planted: bool


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def look_at(stream: _Readable) -> Look:
    """Several pickles may follow each other in the stream. Never raises for what it reads."""
    content = stream.read(MAX_BYTES + 1)
    names: set[str] = set()
    whole = _read(content[:MAX_BYTES], names) and len(content) <= MAX_BYTES
    return Look(frozenset(names), whole, _PLANTED.search(content) is not None)


def look_at_file(path: Path) -> Look:
    """As look_at, through zlib, gzip, bz2 and xz, as joblib compresses. What cannot be unpacked is not whole."""
    with path.open("rb") as raw:
        head = raw.read(6)
        raw.seek(0)
        try:
            if head[:1] == b"\x78" and head[1:2] in b"\x01\x5e\x9c\xda":
                return look_at(io.BytesIO(zlib.decompressobj().decompress(raw.read(MAX_BYTES), MAX_BYTES)))
            if head[:2] == b"\x1f\x8b":
                return look_at(gzip.open(raw))
            if head[:3] == b"BZh":
                return look_at(bz2.open(raw))
            if head[:6] in (b"\xfd7zXZ\x00", b"]\x00\x00\x80\x00\x00"):
                return look_at(lzma.open(raw))
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            return Look(frozenset(), False, False)
        return look_at(raw)


def dangerous(look: Look) -> list[str]:
    """Names that start programs, open files, evaluate text or reach for other names.

    A name that is put together as the pickle runs counts, unless bytes of arrays were read as if they were opcodes.
    """
    names = look.names if look.whole else look.names - {UNKNOWN}
    found = (name for name in names if name not in SAFE and name not in HARMLESS and name.partition(".")[0] in DANGEROUS)
    return sorted(found)


def _read(content: bytes, names: set[str]) -> bool:
    """Fills `names`; whether every opcode was read."""
    at = count = 0
    # joblib puts a pickle of its own, with a memo of its own, where an array of objects stands.
    nested: list[_Machine] = []
    while at < len(content):
        end = None
        try:
            for opcode, argument, position in pickletools.genops(content[at:] if at else content):
                count += 1
                if count > MAX_OPCODES:
                    return False
                if opcode.name == "PROTO" or not nested:
                    nested.append(_Machine())
                names.update(nested[-1].imported(opcode.name, argument))
                if opcode.name == "STOP":
                    nested.pop()
                    end = at + (position or 0) + 1
        except (ValueError, IndexError, UnicodeDecodeError, OverflowError, AttributeError):
            return False
        if end is None:
            return False
        at = end
    return True


class _Machine:
    """As much of a pickle machine as tells which names it would import. Nothing is imported."""

    def __init__(self) -> None:
        self._texts: list[Any] = []
        self._memo: dict[int, Any] = {}

    def imported(self, name: str, argument: Any) -> Iterator[str]:
        """The import that an opcode makes, if it is one."""
        texts, memo = self._texts, self._memo
        match name:
            case "GLOBAL" | "INST":
                yield str(argument).replace(" ", ".")
                texts.append(None)
            case "STACK_GLOBAL":
                known = [text for text in texts[-2:] if isinstance(text, str)]
                yield ".".join(known) if len(known) == 2 else UNKNOWN
                texts.append(None)
            case "MEMOIZE":
                memo[len(memo)] = texts[-1] if texts else None
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[int(argument)] = texts[-1] if texts else None
            case "GET" | "BINGET" | "LONG_BINGET":
                texts.append(memo.get(int(argument)))
            case "EXT1" | "EXT2" | "EXT4":
                yield f"copyreg.extension_{argument}"
            case _ if isinstance(argument, str):
                texts.append(argument)
            case "PROTO" | "FRAME" | "MARK":
                pass
            case _:
                texts.append(None)
        del texts[:-64]
