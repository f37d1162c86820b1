"""The only SQL: one door to the database for every process.

It refuses to know what the records are used for.
"""

from registry.settings import Settings, training_environment
from registry.store.adapters import Adapters
from registry.store.batch_process import BatchProcess
from registry.store.catalogue import Catalogue
from registry.store.database import WAIT_SECONDS, Database
from registry.store.deployments import Deployments
from registry.store.drift import Drift
from registry.store.evaluations import Evaluations
from registry.store.event_feed import EventFeed
from registry.store.files import Files
from registry.store.interactions import Interactions
from registry.store.jobs import Jobs
from registry.store.keys import Keys
from registry.store.known_answers import KnownAnswers
from registry.store.leases import Leases
from registry.store.parts import Parts
from registry.store.projects import Projects
from registry.store.uploads import Uploads
from registry.store.usage import Usage
from registry.store.uses import Uses
from registry.store.webhooks import Webhooks


class Store:
    """Every record, by kind. Make one for each process with `open_store`."""

    def __init__(self, database: Database, batches: BatchProcess | None = None) -> None:
        self.database = database
        self._batches = batches
        self.files = Files(database)
        self.jobs = Jobs(database)
        self.event_feed = EventFeed(database)
        self.adapters = Adapters(database)
        self.deployments = Deployments(database)
        self.catalogue = Catalogue(database)
        self.evaluations = Evaluations(database)
        self.known_answers = KnownAnswers(database)
        self.interactions = Interactions(database, batches)
        self.drift = Drift(database)
        self.keys = Keys(database)
        self.parts = Parts(database)
        self.usage = Usage(database)
        self.projects = Projects(database)
        self.uses = Uses(database)
        self.leases = Leases(database)
        self.uploads = Uploads(database)
        self.webhooks = Webhooks(database)

    async def close(self) -> None:
        """Close every connection."""
        if self._batches is not None:
            await self._batches.close()
        await self.database.close()


async def open_store(settings: Settings, *, wait_seconds: float = WAIT_SECONDS) -> Store:
    """Migrate the database to the newest schema and open it.

    Args:
        settings: Where it is.
        wait_seconds: Longest time to wait for it, at any later time.

    Raises:
        Unavailable: The database cannot be reached.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.store_url, wait_seconds=wait_seconds)
    await database.migrate(lock_file=settings.data_dir / "migrate.lock")
    file = database.file
    if file is None:
        return Store(database)
    return Store(database, BatchProcess(file, wait_seconds, training_environment(settings)))


__all__ = ["Store", "open_store"]
