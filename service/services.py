"""Everything a request may use, wired once by `service/asgi.py`.

It refuses to know how any part works, and starts none of them.
"""

from dataclasses import dataclass

from registry.blobs import Blobs
from registry.settings import Settings
from registry.store import Store
from service.auth import Keyring
from service.fleet.fleet import Fleet
from service.interaction_log import InteractionLog
from service.metrics import ServiceMetrics
from service.reconcile import Reconciler
from service.routing import RoutingTable
from service.sharing import Sharing


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of one running service. It lies on `app.state.services`."""

    settings: Settings
    """Every setting."""
    store: Store
    """The records."""
    blobs: Blobs
    """The content of data files."""
    metrics: ServiceMetrics
    """What Prometheus reads."""
    fleet: Fleet
    """The vLLM servers."""
    routing: RoutingTable
    """Which version answers which name."""
    sharing: Sharing
    """What the service processes tell one another."""
    reconciler: Reconciler
    """Keeps every replica's adapters as wanted, and knows which are loaded."""
    interaction_log: InteractionLog
    """Writes interactions behind the requests."""
    keyring: Keyring
    """The valid API keys."""
