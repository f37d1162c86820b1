"""Versions and deployments of one moment, as routing needs them; read only when they changed.

It refuses to know what is routed where.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Select, case, cast, func, literal, select

from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, Deployment
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import fetch_all

Stamp = tuple[int, ...]
"""Figures that differ when the versions or the deployments differ; to be compared, not read."""


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
        """Return the contents; the known ones themselves, unread, when their stamp still holds.

        Stamp and contents are read in one transaction, so a deployment never points at a version
        that was published after the versions were read.

        Raises:
            Unavailable: The database cannot be reached.
        """
        versions, deployments = tables.adapters, tables.deployments
        standing = versions.c.status != AdapterStatus.DELETED
        async with self._database.read_as_one() as connection:
            row = (await connection.execute(_stamp())).one()
            stamp = tuple(int(figure) for figure in row)
            if known is not None and stamp == known.stamp:
                return known
            return Contents(
                stamp=stamp,
                versions=await fetch_all(
                    connection,
                    select(versions).where(standing).order_by(versions.c.seq),
                    AdapterVersion,
                ),
                deployments=await fetch_all(
                    connection, select(deployments).order_by(deployments.c.name), Deployment
                ),
            )


_PRIME = 8191
"""Keeps the sums within 64 bits for ten million versions."""


def _stamp() -> Select[tuple[int, ...]]:
    """Return the query of the stamp.

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
    figures = [
        select(func.count(changes.c.seq)),
        select(func.max(changes.c.seq)),
        select(func.count(versions.c.seq)),
        select(func.max(versions.c.seq)),
        select(func.sum(state * place)),
        select(func.sum(state * place * (place % _PRIME))),
    ]
    return select(*(func.coalesce(figure.scalar_subquery(), 0) for figure in figures))
