"""The filter strings of the MLflow protocol: `metrics.auc > 0.7 AND params.model LIKE 'xg%' AND tags."my tag" IS NOT NULL`.

Comparisons stand side by side, joined by AND; there is neither OR nor NOT nor a parenthesis other than that of a list. What entities,
keys and operators mean, and which values they take, is for each kind of search to say: runs, experiments, models, versions.
The texts of errors begin as those of MLflow's own parser, because clients match them; the position is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from tilth.core.errors import Invalid

MAX_CHARS = 100_000
MAX_COMPARISONS = 100
MAX_LIST = 1000

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<name>(?:\w+|"[^"]*"|`[^`]*`)(?:\.(?:\w+|"[^"]*"|`[^`]*`|'[^']*'))*)
  | (?P<text>'(?:''|\\'|[^'])*')
  | (?P<sign><=|>=|!=|==|<>|!<|!>|<|>|=|~)
  | (?P<open>\()
  | (?P<close>\))
  | (?P<comma>,)
  | (?P<end>;)
  | (?P<odd>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME_PART = re.compile(r"""\w+|"[^"]*"|`[^`]*`|'[^']*'""")
_WORD_OPERATORS = ("LIKE", "ILIKE", "RLIKE", "IN")


class InvalidComparison(Invalid):
    """A filter or an order is not understood. position: index of the character at which it stopped making sense."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(f"{reason} (at character {position + 1})")
        self.position = position


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison, as written.

    prefix: what stands before the first dot, None for a bare key. key: without its quotes.
    operator: upper case, blanks single: = != < <= > >= LIKE ILIKE IN `NOT IN` `IS NULL` `IS NOT NULL`, and others that were written
    (== <> RLIKE `NOT LIKE`), which the caller refuses.
    value: text, a number, the parts of a list, or None after IS [NOT] NULL. quoted: whether it stood in '...' or "...".
    literal: the value as written. position, value_at: indices of the first characters of the key and of the value.
    """

    prefix: str | None
    key: str
    operator: str
    value: str | int | float | tuple[str | int | float, ...] | None
    quoted: bool
    literal: str
    position: int
    value_at: int

    def texts(self) -> tuple[str, ...]:
        """The parts of a list, each of which must be text. Raises InvalidComparison, also for a value that is no list."""
        parts = self.value if isinstance(self.value, tuple) else None
        if parts is None or len(parts) == 0:
            raise InvalidComparison(
                "While parsing a list in the query, expected a non-empty list of string values, but got "
                + ("empty list" if parts is not None else "ill-formed list."),
                self.value_at,
            )
        texts = tuple(part for part in parts if isinstance(part, str))
        if len(texts) < len(parts):
            raise InvalidComparison(
                "While parsing a list in the query, expected string value, punctuation, or whitespace, "
                f"but got different type in list: {self.literal[:200]}",
                self.value_at,
            )
        return texts


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One item of an ORDER BY, as written: see Comparison for prefix and key."""

    prefix: str | None
    key: str
    ascending: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "name" and self.text.upper() in words


def as_set(names: Iterable[str]) -> str:
    """Names as MLflow's texts list them: `{'a', 'b'}`."""
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"


def parse_comparisons(text: str, *, most: int = MAX_COMPARISONS) -> tuple[Comparison, ...]:
    """The comparisons of a filter, in order; none for blank text. Raises InvalidComparison."""
    if len(text) > MAX_CHARS:
        raise InvalidComparison(f"Invalid filter: it has {len(text)} characters, and at most {MAX_CHARS} are allowed", MAX_CHARS)
    return tuple(_Reader(text, most).comparisons())


def parse_order_item(text: str) -> OrderItem:
    """`metrics.auc DESC`, `start_time`, `params."a b" asc`. Raises InvalidComparison."""
    if len(text) > 2000:
        raise InvalidComparison("Invalid order_by clause. Could not be parsed: it is longer than 2000 characters", 2000)
    tokens = list(_tokens(text))
    if not tokens or len(tokens) > 2 or any(token.kind != "name" for token in tokens):
        wrong = next((token.at for token in tokens if token.kind != "name"), tokens[2].at if len(tokens) > 2 else 0)
        raise InvalidComparison(f"Invalid order_by clause '{text}'. Could not be parsed.", wrong)
    direction = tokens[1].text.lower() if len(tokens) == 2 else "asc"
    if direction not in ("asc", "desc"):
        raise InvalidComparison(f"Invalid ordering key in order_by clause '{text}'.", tokens[1].at)
    prefix, key = _prefix_and_key(tokens[0].text)
    return OrderItem(prefix, key, direction == "asc")


class _Reader:
    """Reads comparisons from left to right, one token ahead."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = most
        self._tokens = list(_tokens(text))
        self._next = 0

    def comparisons(self) -> Iterator[Comparison]:
        count = 0
        while (token := self._peek()) is not None:
            if token.is_word("AND"):
                self._next += 1
                continue
            count += 1
            if count > self._most:
                raise InvalidComparison(
                    f"Invalid filter: more than {self._most} comparisons; ask in several requests, or tag the runs and ask for the tag",
                    token.at,
                )
            yield self._comparison()

    def _peek(self, ahead: int = 0) -> _Token | None:
        place = self._next + ahead
        return self._tokens[place] if place < len(self._tokens) else None

    def _take(self) -> _Token | None:
        token = self._peek()
        self._next += token is not None
        return token

    def _comparison(self) -> Comparison:
        start = self._next
        subject = self._take()
        assert subject is not None
        if subject.kind in ("number", "text") and (sign := self._peek()) is not None and sign.kind == "sign":
            raise InvalidComparison(f"Invalid comparison clause. Expected 'Identifier' found '{subject.text[:200]}'", subject.at)
        operator = self._operator() if subject.kind == "name" else None
        if operator is None:
            follow = self._peek()
            self._next += follow is not None and follow.kind in ("odd", "number")
            self._refuse(start)
        prefix, key = _prefix_and_key(subject.text)
        if operator in ("IS NULL", "IS NOT NULL"):
            return Comparison(prefix, key, operator, None, False, "", subject.at, subject.at)
        value = self._take()
        if value is None or value.is_word("AND"):
            self._refuse(start)
        if value.kind == "open":
            return self._with_list(start, prefix, key, operator, value)
        if value.kind not in ("number", "text", "name") or operator in ("IN", "NOT IN"):
            self._refuse(start)
        plain, quoted = _plain_value(value)
        return Comparison(prefix, key, operator, plain, quoted, value.text, subject.at, value.at)

    def _operator(self) -> str | None:
        """The operator that follows, taken; None if there is none."""
        first, second, third = self._peek(), self._peek(1), self._peek(2)
        if first is None:
            return None
        if first.kind == "sign":
            self._next += 1
            return first.text
        if first.is_word(*_WORD_OPERATORS):
            self._next += 1
            return first.text.upper()
        if second is not None and first.is_word("NOT") and second.is_word(*_WORD_OPERATORS):
            self._next += 2
            return f"NOT {second.text.upper()}"
        if second is not None and first.is_word("IS") and second.is_word("NULL"):
            self._next += 2
            return "IS NULL"
        if second is not None and third is not None and first.is_word("IS") and second.is_word("NOT") and third.is_word("NULL"):
            self._next += 3
            return "IS NOT NULL"
        return None

    def _with_list(self, start: int, prefix: str | None, key: str, operator: str, opened: _Token) -> Comparison:
        parts: list[str | int | float] = []
        while (token := self._take()) is not None and token.kind != "close":
            if token.kind == "comma":
                continue
            plain, quoted = _plain_value(token) if token.kind in ("number", "text", "name") else ("", False)
            if isinstance(plain, str) and not quoted:
                raise InvalidComparison(
                    "While parsing a list in the query, expected a non-empty list of string values, but got ill-formed list.",
                    token.at,
                )
            parts.append(plain)
            if len(parts) > MAX_LIST:
                raise InvalidComparison(
                    f"Invalid filter: a list of more than {MAX_LIST} values; ask in several requests", token.at
                )
        if token is None:
            self._refuse(start)
        literal = self._text[opened.at : token.at + 1]
        return Comparison(prefix, key, operator, tuple(parts), False, literal, self._tokens[start].at, opened.at)

    def _refuse(self, start: int) -> NoReturn:
        """Names the tokens from `start` up to the one that stopped making sense."""
        first = self._tokens[start]
        if any(token.kind == "end" for token in self._tokens[:-1]):
            raise InvalidComparison(
                f"Search filter contained multiple expression {self._text[:200]!r}. Provide AND-ed expression list.", first.at
            )
        if first.kind == "open":
            closed = self._text.find(")", first.at)
            clauses = [self._text[first.at : closed + 1 or None]]
        else:
            clauses = [token.text for token in self._tokens[start : max(self._next, start + 1)]]
        named = ", ".join(f"'{clause[:200]}'" for clause in clauses[:20])
        last = self._tokens[max(self._next - 1, start)]
        odd = last.kind in ("odd", "number") and last.text not in "'\"`"
        hint = "; keys with odd characters stand in backticks" if odd else ""
        raise InvalidComparison(f"Invalid clause(s) in filter string: {named}{hint}", last.at)


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or "odd"
        if kind != "space":
            yield _Token(kind, found.group(), found.start())


def _prefix_and_key(name: str) -> tuple[str | None, str]:
    """`metrics."a b"` is (metrics, a b). Quotes around the whole, as in `"metrics.a"`, do not hide its first dot, as in MLflow."""
    first = _NAME_PART.match(name)
    assert first is not None
    if first.end() == len(name):
        prefix, dot, _ = name.partition(".")
        return (prefix, _bare(name)) if dot else (None, _bare(name))
    rest = name[first.end() + 1 :]
    parts = [_bare(found.group()) for found in _NAME_PART.finditer(rest)]
    return _bare(first.group()), ".".join(parts)


def _bare(part: str) -> str:
    return part[1:-1] if part[0] in "\"'`" else part


def _plain_value(token: _Token) -> tuple[str | int | float, bool]:
    if token.kind == "number":
        whole = token.text.lstrip("-").isdigit()
        return (int(token.text) if whole and len(token.text) < 300 else float(token.text)), False
    quote = token.text[0]
    if token.kind == "text" or (quote == '"' and token.text[-1] == '"' and token.text.count('"') == 2):
        inner = token.text[1:-1]
        return inner.replace(quote * 2, quote).replace(f"\\{quote}", quote), True
    return token.text, False
