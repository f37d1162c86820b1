"""One life of the local stack: start it, follow it, and stop it with nothing left behind.

It refuses to know what the parts do; they are programs that answer or do not.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from registry.errors import Unavailable
from registry.settings import Settings, child_environment
from service.stack import parts as standing
from service.stack.display import Display, welcome
from service.stack.parts import Part, Standing
from service.stack.programs import Program, shared_environment
from service.stack.readiness import answers, ask, missing_parts
from service.stack.readyfile import StackStatus, status_of, write_status
from service.stack.supervision import Supervision

_LOOK_SECONDS = 0.5
"""Time between two looks at the processes."""
_LOG_LINES = 30


@dataclass
class Stack:
    """The parts of a running stack and what was last told about them."""

    settings: Settings
    """Every setting."""
    programs: Sequence[Program]
    """What runs."""
    supervision: Supervision
    """Who keeps it running."""
    display: Display
    """Where the operator looks."""
    ready_file: Path | None = None
    """Where other programs look."""
    parts: dict[str, Part] = field(default_factory=dict)
    """Each part by name."""
    welcomed: bool = False
    """Whether the stack was ever ready as a whole."""
    written: StackStatus | None = None
    """What the ready file says."""

    def look(self) -> None:
        """Take one look at everything, tell what changed, and raise if a part cannot start.

        Raises:
            Unavailable: A part died too often without ever answering.
        """
        programs = {program.name: program for program in self.programs}
        for seen in self.supervision.observe():
            before = self.parts[seen.name]
            after = standing.advance(before, seen)
            if after.pid is not None and after.standing is not Standing.READY:
                after = self._ask(after, programs[seen.name])
            self.parts[seen.name] = after
            self.display.tell(standing.changes(before, after))
            if after.gave_up:
                raise Unavailable(after.name, self._obituary(after))
        self.display.show(self._present())
        self._report()

    def _ask(self, part: Part, program: Program) -> Part:
        return standing.answered(part) if answers(program.health_url) else part

    def _present(self) -> list[Part]:
        return [self.parts[program.name] for program in self.programs]

    def _report(self) -> None:
        """Welcome the operator at the first readiness, and keep the ready file true."""
        ready = standing.is_ready(self._present())
        if ready and not (self.written and self.written.ready):
            ready = not missing_parts(ask(f"{self.settings.service_url}/health/ready"))
        if ready and not self.welcomed:
            self.welcomed = True
            self.display.settle()
            self.display.say(welcome(self.settings, _read_key(self.settings.admin_key_file)))
        if self.welcomed:
            self._write(ready=ready)

    def _write(self, *, ready: bool) -> None:
        status = status_of(
            self.settings, self._present(), ready=ready, supervisor_pid=self.supervision.pid
        )
        if status != self.written and self.ready_file is not None:
            write_status(self.ready_file, status)
        self.written = status

    def _obituary(self, part: Part) -> str:
        log = self.supervision.log_of(part.name)
        last = "\n".join(f"  | {line}" for line in tail(log, _LOG_LINES))
        return (
            f"The {part.name} died {part.deaths} times before it ever answered ({part.fault}).\n"
            f"The last lines of {log}:\n{last}"
        )


def run(
    settings: Settings,
    programs: Sequence[Program],
    display: Display,
    *,
    python: str,
    ready_file: Path | None,
) -> None:
    """Run the stack until Ctrl-C or SIGTERM, then stop all of it. Call it in the main thread.

    Raises:
        Unavailable: A part cannot start, or supervisord was killed; everything was stopped.
    """
    # Ctrl-C too: a shell that starts us in the background has it ignored.
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, signal.default_int_handler)
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    with Supervision(settings.data_dir.absolute(), programs, python) as supervision:
        stack = Stack(settings, programs, supervision, display, ready_file)
        stack.parts = {one.name: Part(name=one.name, waits_for=one.waits_for) for one in programs}
        try:
            supervision.start(child_environment(settings, shared_environment(settings)))
            with display:
                follow(stack)
        except KeyboardInterrupt:
            display.say("\nStopping everything; a moment")
        finally:
            # From here on a second Ctrl-C must not leave half of it running.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if ready_file is not None:
                ready_file.unlink(missing_ok=True)


def follow(stack: Stack) -> None:
    """Look at the stack again and again.

    Raises:
        Unavailable: A part cannot start, or supervisord was killed.
        KeyboardInterrupt: The operator wants to stop.
    """
    while True:
        stack.look()
        stack.supervision.wait(_LOOK_SECONDS)


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a text file; none when it is not there."""
    try:
        return path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _read_key(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
