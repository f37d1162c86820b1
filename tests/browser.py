"""A real browser without a window, driven over a pair of pipes.

It refuses to know which page it shows. It can reach no other machine: every name is unknown to it.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SECONDS = 60.0
_CHUNK = 1 << 16
_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


@dataclass
class Seen:
    """What happened while a page was open."""

    complaints: list[str] = field(default_factory=list)
    """Errors and refusals in the page's console, and scripts that failed."""
    requests: list[str] = field(default_factory=list)
    """Addresses that were asked for, the page's own included."""


class Page:
    """An open page."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser = browser
        self._session = session
        self.seen = Seen()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer; what happens meanwhile is noted."""
        return self._browser.call(method, parameters, session=self._session, note=self._note)

    def shape(self, width: int, *, height: int = 900, scheme: str = "light") -> None:
        """Give the window a width in CSS pixels, and prefer light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=preferred)

    def open(self, file: Path) -> None:
        """Load a file and wait until everything in it is loaded."""
        self.call("Page.navigate", url=file.absolute().as_uri())
        loaded = "new Promise(done => document.readyState === 'complete' ? done() : "
        self.run(f"{loaded}addEventListener('load', done))")

    def run(self, script: str) -> Any:
        """Return what an expression is in the page; a promise is waited for.

        Raises:
            AssertionError: It failed.
        """
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page, or of what the window shows."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, event: dict[str, Any]) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.seen.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.seen.complaints.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.seen.complaints.append(str(told["args"]))
        elif method == "Log.entryAdded":
            self.seen.complaints.append(told["entry"]["text"])


class Browser:
    """A running browser; make one with `running_browser`."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._received = b""
        self._count = 0

    def page(self) -> Page:
        """Open an empty page."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        asked = {"targetId": target, "flatten": True}
        return Page(self, self.call("Target.attachToTarget", asked)["sessionId"])

    def call(
        self,
        method: str,
        parameters: dict[str, Any],
        *,
        session: str | None = None,
        note: Any = None,
    ) -> dict[str, Any]:
        """Send a command, return its answer, and hand every event before it to `note`."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._count:
                assert "error" not in told, f"{method}: {told['error']}"
                answer: dict[str, Any] = told["result"]
                return answer
            if note is not None and told.get("sessionId") == session:
                note(told)

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + _SECONDS
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self._answers, _CHUNK) if ready else b""
            assert chunk, "the browser ended or is silent"
            self._received += chunk
        message, self._received = self._received.split(b"\0", 1)
        told: dict[str, Any] = json.loads(message)
        return told


@contextmanager
def running_browser(folder: Path) -> Iterator[Browser]:
    """Run a browser for the length of a block, with a profile in a folder."""
    reads_commands, commands = os.pipe()
    answers, writes_answers = os.pipe()
    # The browser reads from descriptor 3 and writes to 4.
    shell = f'exec "$0" "$@" 3<&{reads_commands} 4>&{writes_answers}'
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", shell, program(), *_OPTIONS, f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(reads_commands, writes_answers),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    os.close(reads_commands)
    os.close(writes_answers)
    try:
        browser = Browser(commands, answers)
        yield browser
        browser.call("Browser.close", {})
        process.wait(timeout=_SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(commands)
        os.close(answers)


def program() -> str:
    """Return the browser's path; `deploy/test-tools.sh` installs one."""
    found = [shutil.which(name) for name in _NAMES]
    path = next((place for place in found if place), None)
    assert path is not None, "no browser: run deploy/test-tools.sh"
    return path
