"""Lists and confirmations of deletion, in OpenAI's shapes.

It refuses to know what is listed.
"""

from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")


class ListOf(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of objects."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[T]
    """The objects."""
    has_more: bool = False
    """Whether another page follows; ask for it with `after` set to the last object's id."""


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """The confirmation of a deletion."""

    id: str
    """What was deleted."""
    object: str
    """Its kind."""
    deleted: Literal[True] = True
    """Always true."""
