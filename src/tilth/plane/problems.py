"""What can be wrong with the values of a request, as its sender is told."""

from __future__ import annotations

from tilth.core.errors import Invalid

MAX_EXACT = 1 << 53
"""Integers beyond this have no exact float64; they are refused rather than rounded in silence."""


class UnsuitableSignature(Invalid):
    """A signature that cannot be turned into numbers."""


class MissingColumn(Invalid):
    """The request lacks an input of the model."""


class ExtraColumn(Invalid):
    """The request holds a column that is no input of the model."""


class WrongType(Invalid):
    """A value is not of its column's type."""


class NullValue(Invalid):
    """A value is null in a column that takes none."""


class UnseenCategory(Invalid):
    """A string outside the vocabulary of its column."""


class WrongShape(Invalid):
    """An array is not of its input's shape."""
