"""Versions and deployments of one moment, as routing needs them; read only where they changed.

It refuses to know what is routed where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Select, case, cast, func, literal, select

from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, Deployment
from registry.store import tables
from registry.store.database import Database
from registry.store.prepared import Prepared
from registry.store.rows import fetch_all

_PRIME = 8191
"""Keeps the sums within 64 bits for ten million versions."""


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """Figures that differ when the rows differ; to be compared, not read."""

    deployments: tuple[int, ...]
    """Of the deployments."""
    versions: tuple[int, ...]
    """Of the versions."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The versions and deployments of one moment."""

    stamp: Stamp
    """Stands for them."""
    versions: list[AdapterVersion]
    """Every version that is not deleted, in all projects, oldest first."""
    deployments: list[Deployment]
    """Every deployment, in all projects, by name."""


class Catalogue:
    """The versions and deployments, together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, known: Contents | None = None) -> Contents:
        """Return the contents; the known ones themselves when their stamp still holds.

        All is read in one transaction, so a deployment never points at a version that was published
        after the versions were read. Of the known contents, what did not change is not read again.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if known is not None and await self._stamp() == known.stamp:
            return known
        versions, deployments = tables.adapters, tables.deployments
        standing = versions.c.status != AdapterStatus.DELETED
        every_version = select(versions).where(standing).order_by(versions.c.seq)
        every_deployment = select(deployments).order_by(deployments.c.name)
        async with self._database.read_as_one() as connection:
            stamp = _stamp_of((await connection.execute(_FIGURES)).one())
            if known is not None and stamp.versions == known.stamp.versions:
                found_versions = known.versions
            else:
                found_versions = await fetch_all(connection, every_version, AdapterVersion)
            if known is not None and stamp.deployments == known.stamp.deployments:
                found_deployments = known.deployments
            else:
                found_deployments = await fetch_all(connection, every_deployment, Deployment)
        return Contents(stamp=stamp, versions=found_versions, deployments=found_deployments)

    async def _stamp(self) -> Stamp:
        (row,) = await self._database.look(_LOOK)
        return _stamp_of(row)


def _stamp_of(row: Sequence[Any]) -> Stamp:
    figures = tuple(int(figure) for figure in row)
    return Stamp(deployments=figures[:2], versions=figures[2:])


def _figures() -> Select[Any]:
    """Return the query of the stamp: two figures of the deployments, four of the versions.

    Every change of a deployment adds a row of history, and none is ever removed. Both the count and
    the highest number are asked for: a transaction that commits late adds a row below the highest.
    Versions have no such history: their states are added up, weighed by the row's number in two
    ways, so that opposite moves between two looks do not cancel out.
    """
    changes, versions = tables.deployment_changes, tables.adapters
    states = {status.value: place for place, status in enumerate(AdapterStatus, start=1)}
    state = 2 * case(states, value=versions.c.status, else_=0) + case(
        (versions.c.pinned, literal(1)), else_=literal(0)
    )
    place = cast(versions.c.seq, BigInteger)
    return select(
        select(func.count(changes.c.seq)).scalar_subquery(),
        func.coalesce(select(func.max(changes.c.seq)).scalar_subquery(), 0),
        func.count(versions.c.seq),
        func.coalesce(func.max(versions.c.seq), 0),
        func.coalesce(func.sum(state * place), 0),
        func.coalesce(func.sum(state * place * (place % _PRIME)), 0),
    )


_FIGURES = _figures()
_LOOK = Prepared(_FIGURES)
