"""The HTTP side as one process.

It refuses to know any route; it reads the settings, listens, and stops within its time.
"""

import logging
import signal
import sys
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn

from registry.errors import Invalid
from registry.settings import Settings
from registry.signing import check_keys
from service import garbage
from service.asgi import create_app
from service.listening import serve
from service.patience import ImpatientProtocol

_STOP_SECONDS = 2.0
"""Part of the time to stop that is kept for the background loops and the last writes."""


def run() -> None:
    """Serve until SIGTERM or SIGINT; requests in flight get their time to end."""
    settings = Settings()
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    try:
        check_keys(settings.signing_key, settings.verification_key)
    except Invalid as exc:
        sys.exit(str(exc))
    # uvicorn raises the signal again once it has stopped cleanly: that is then a success.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    config = uvicorn.Config(
        create_app(settings, started=garbage.settle),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=cast("Any", partial(ImpatientProtocol, client_seconds=settings.client_seconds)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds - _STOP_SECONDS)),
    )
    serve(config)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
