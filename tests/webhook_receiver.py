"""A receiver of webhooks on a real socket, which answers as a test wants.

It refuses to know what it is sent.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Taken:
    """One request."""

    path: str
    """Its path."""
    headers: dict[str, str]
    """Its headers, by lower-case names."""
    body: bytes
    """Its body."""


@dataclass
class Receiver:
    """The receiver."""

    url: str
    """Where it listens."""
    taken: list[Taken] = field(default_factory=list)
    """What it got."""
    answers: list[int] = field(default_factory=list)
    """The statuses it answers next; 200 when none is left, and 0 never answers."""
    released: threading.Event = field(default_factory=threading.Event)
    """Ends the wait of those that are never answered."""

    @staticmethod
    @contextmanager
    def listening() -> Iterator["Receiver"]:
        """Listen for the length of a block."""
        receiver = Receiver(url="")

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.taken.append(Taken(self.path, headers, body))
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 0:
                    receiver.released.wait(30)
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.released.set()
            server.shutdown()
            server.server_close()
            thread.join(10)
