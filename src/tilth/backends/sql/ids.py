"""Ids in columns: 16 bytes on disk, 32 hexadecimal digits everywhere else.

An id stands in every row and every index entry of what a run logged: as text it was half of the database.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Dialect, LargeBinary
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from tilth.backends.sql.schema import Str

_DIGITS = re.compile(r"[0-9a-f]{32}")
_NO_ID = b""


class Id(TypeDecorator[str]):
    """An id of 32 lower-case hexadecimal digits. Bytes sort as the digits do.

    Text that is no id may be asked for, since callers ask for what they were told: it equals no id, and sorts before all of them.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        if value is None:
            return None
        return bytes.fromhex(value) if _DIGITS.fullmatch(value) else _NO_ID

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        return None if value is None else value.hex()


class _Digits(FunctionElement[str]):
    type = Str()
    name = "digits"
    inherit_cache = True


@compiles(_Digits, "sqlite")
def _in_sqlite(element: _Digits, compiler: SQLCompiler, **kw: Any) -> str:
    # hex(NULL) is '' there.
    return f"nullif(lower(hex({compiler.process(element.clauses, **kw)})), '')"


@compiles(_Digits, "postgresql")
def _in_postgres(element: _Digits, compiler: SQLCompiler, **kw: Any) -> str:
    return f"encode({compiler.process(element.clauses, **kw)}, 'hex')"


def id_text(column: Any) -> ColumnElement[str]:
    """The digits of an Id as text, for patterns and for joining it to other text. NULL stays NULL. No index helps."""
    return _Digits(column)
