"""What a project chose about its data.

It refuses to know how the choice is carried out.
"""

from typing import Literal

import msgspec

from registry.records import Project


class ChangeProject(msgspec.Struct, frozen=True, kw_only=True):
    """New choices; what is left out stays as it is."""

    text_share: float | None = None
    """Share of interactions whose text is kept, 0 to 1; 0 keeps no new ones."""
    text_retention_days: int | None = None
    """Days after which kept texts are deleted, 1 to 3650."""


class ProjectObject(msgspec.Struct, frozen=True, kw_only=True):
    """A project's choices."""

    object: Literal["project"] = "project"
    """Always `project`."""
    name: str
    """The project."""
    text_share: float
    """Share of interactions whose text is kept, 0 to 1."""
    text_retention_days: int
    """Days after which kept texts are deleted."""
    updated_at: int | None
    """Unix time in seconds; null when the project never chose."""


class TextsDeleted(msgspec.Struct, frozen=True, kw_only=True):
    """The confirmation that a project's texts are gone."""

    object: Literal["project.texts"] = "project.texts"
    """Always `project.texts`."""
    deleted: Literal[True] = True
    """Always true."""
    texts: int
    """How many were deleted."""


def project_object(project: Project) -> ProjectObject:
    """Return a record as it goes over the wire."""
    return ProjectObject(
        name=project.name,
        text_share=project.text_share,
        text_retention_days=project.text_retention_days,
        updated_at=project.updated_at or None,
    )
