"""The header fields of a request, read as they are asked for.

It refuses to know what they mean. Most requests carry many and need few: none is decoded before.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

from litestar.types import Scope

Default = TypeVar("Default")


class Headers(Mapping[str, str]):
    """Header fields by lower-case name; of a repeated one, the last."""

    __slots__ = ("_raw",)

    def __init__(self, scope: Scope) -> None:
        self._raw: dict[bytes, bytes] = dict(scope["headers"])

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: Default) -> str | Default: ...
    def get(self, key: str, /, default: object = None) -> object:
        """Return a field's value."""
        value = self._raw.get(key.encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def __getitem__(self, key: str) -> str:
        return self._raw[key.encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)
