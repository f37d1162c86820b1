"""Who may use a checkpoint, in OpenAI's shapes.

It refuses to know checkpoints.
"""

from typing import Literal

import msgspec


class CreatePermission(msgspec.Struct, frozen=True, kw_only=True):
    """A request to let other projects use a checkpoint."""

    project_ids: list[str]
    """The projects."""


class PermissionObject(msgspec.Struct, frozen=True, kw_only=True):
    """The leave of one project to use a checkpoint of another."""

    id: str
    """Its id."""
    object: Literal["checkpoint.permission"] = "checkpoint.permission"
    """Always `checkpoint.permission`."""
    created_at: int
    """Unix time in seconds."""
    project_id: str
    """The project."""


class PermissionList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of permissions: always empty, because versions belong to one project."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[PermissionObject]
    """None."""
    first_id: str | None = None
    """Null."""
    last_id: str | None = None
    """Null."""
    has_more: bool = False
    """Never."""
