"""A plugin of vLLM: an adapter whose files are not on this host is brought from the artifact store.

It refuses to know who asks for the adapter. Where service and vLLM share a folder nothing happens:
the service has brought the files already. Elsewhere the service asks vLLM to load the same path,
and this host fetches it first, checked like the service's own copy.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any

from registry.artifact_store import ArtifactStore
from registry.errors import GraftlineError, StoreAway
from registry.settings import Settings
from service.stack.lora_memory import MODELS, SERVING, wrap

logger = logging.getLogger("vllm.graftline")  # vLLM shows its own loggers alone

WAIT_SECONDS = 60.0
"""Longest time a load waits for files; they go on coming, and a later load finds them."""
_LOAD = "load_lora_adapter"

Load = Callable[..., Awaitable[Any]]
Answer = Callable[[str], Any]
"""Makes vLLM's own answer with status 503 of a message."""


def install() -> None:
    """Wrap vLLM's routine in the process that serves HTTP, if a bucket is set."""
    serving = sys.modules.get(SERVING)
    settings = Settings()
    if serving is None or settings.artifacts_url is None:
        return

    def unavailable(message: str) -> Any:  # noqa: ANN401 - vLLM's own types
        return serving.create_error_response(
            message=message,
            err_type="ServiceUnavailableError",
            status_code=HTTPStatus.SERVICE_UNAVAILABLE,
        )

    fetcher = Fetcher(ArtifactStore(settings), settings.adapters_dir)
    wrap(serving, MODELS, _LOAD, lambda load: fetching(load, fetcher, unavailable))


class Fetcher:
    """Brings adapters to this host, each once however often it is asked for."""

    def __init__(self, artifacts: ArtifactStore, root: Path) -> None:
        self._artifacts = artifacts
        self._root = root
        self._coming: dict[str, asyncio.Future[Any]] = {}

    async def fetch(self, path: Path, *, wait_seconds: float = WAIT_SECONDS) -> None:
        """Return once the files at a path are whole; a path that is not ours is left alone.

        Raises:
            StoreAway: The bucket cannot be read, or the files are still coming.
            GraftlineError: They cannot be had, or not be trusted.
        """
        if path.parent != self._root:
            return
        loop, name = asyncio.get_running_loop(), path.name
        if name not in self._coming:
            self._coming[name] = loop.run_in_executor(None, self._artifacts.bring_newest, name)
        done, _ = await asyncio.wait({self._coming[name]}, timeout=wait_seconds)
        if not done:
            raise StoreAway("artifact_store", f"The files of '{name}' are still coming.")
        self._coming.pop(name, None)
        for future in done:
            future.result()


def fetching(load: Load, fetcher: Fetcher, unavailable: Answer) -> Load:
    """Return `load`, before which the files are brought."""

    @wraps(load)
    async def fetch_and_load(models: Any, request: Any, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - vLLM's own types
        try:
            await fetcher.fetch(Path(request.lora_path))
        except StoreAway as exc:
            return unavailable(str(exc))
        except (GraftlineError, OSError) as exc:  # vLLM says itself that there is no such adapter
            logger.warning("'%s' is not brought here: %s", request.lora_name, exc)
        return await load(models, request, *rest, **named)

    return fetch_and_load
