"""A stack of small programs under the real supervisor: `python -m tests.fakes.small_stack …`.

It refuses to know vLLM: each program is this file again, and answers every address with "all well".
"""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from rich.console import Console

from registry.errors import GraftlineError
from registry.settings import Settings
from service.stack.display import Display
from service.stack.programs import Program
from service.stack.run import run

_ALL_WELL = b'{"status": "ready", "parts": {"database": {"ok": true, "detail": "answers"}}}'


class Handler(BaseHTTPRequestHandler):
    """Answers 200 to everything."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(_ALL_WELL)))
        self.end_headers()
        self.wfile.write(_ALL_WELL)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def serve(port: int) -> None:
    """Answer for ever, beside a child process of our own."""
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


def program(name: str, port: int, *, broken: bool = False) -> Program:
    """Return a program that serves, or one that ends at once with a word."""
    broken_code = f"import sys; print('{name} has no licence to run'); sys.exit(3)"
    works = ("-m", "tests.fakes.small_stack", "serve", str(port))
    return Program(
        name=name,
        command=(sys.executable, *(("-c", broken_code) if broken else works)),
        health_url=f"http://127.0.0.1:{port}/health",
        waits_for="its first answer",
        stop_seconds=5,
    )


def main() -> None:
    """Serve, or run a stack: `run FOLDER READY_FILE SERVICE_PORT OTHER_PORT [broken]`."""
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    folder, ready_file, *ports = sys.argv[2:6]
    first, second = (int(port) for port in ports)
    settings = Settings(data_dir=Path(folder), port=first)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    programs = [program("service", first), program("trainer", second, broken="broken" in sys.argv)]
    try:
        run(
            settings,
            programs,
            Display(Console()),
            python=sys.executable,
            ready_file=Path(ready_file),
        )
    except GraftlineError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
