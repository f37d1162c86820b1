"""Load by wrk: closed at so many connections, or paced at so many requests a second.

It refuses to know which system answers and what the figures must be.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.serving.figures import Load, parse_wrk
from tests.benchmarks.serving.systems import System

CHAT = "/v1/chat/completions"
UNITS = 64
"""End users in turn, so that a split sends them to both arms."""
PACED_CYCLE_SECONDS = 0.02
"""Time between two requests of one connection of a paced load: a stall shorter than that holds up
only the connections that wait for it, so the load goes on as if it were open."""
_SCRIPT = Path(__file__).with_name("post.lua")
_TIMEOUT_SECONDS = 30
_MIN_PACED, _MAX_CONNECTIONS = 8, 1000
_PACED_TRIES = 3
_PACED_TOLERANCE = 0.1  # of the rate, by which a paced load may differ from what was asked


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the requests are."""

    stream: bool = False
    """Whether the answer comes in pieces."""
    events: int | None = None
    """Events of a stream; the upstream's default unless told."""
    streamed_share: int = 0
    """One of so many requests is streamed, the others are not; 0 when all are alike."""
    models: Sequence[str] = ()
    """Models in turn; the system's own unless told."""

    more: Mapping[str, object] = field(default_factory=dict)
    """Further fields of each body."""

    def bodies(self, model: str) -> list[str]:
        """Return the bodies to send in turn, one for each unit at least."""
        models = self.models or [model]
        count = max(UNITS, len(models))
        return [self._body(models[number % len(models)], number) for number in range(count)]

    def _body(self, model: str, number: int) -> str:
        body: dict[str, object] = {
            "model": model,
            "messages": [
                {"role": "user", "content": "Where is my card? It was to come on Monday."}
            ],
            "user": f"user-{number}",
            **self.more,
        }
        if self.stream or (self.streamed_share and number % self.streamed_share == 0):
            body["stream"] = True
        if self.events is not None:
            body["max_tokens"] = self.events
        return json.dumps(body)


PLAIN = Shape()
STREAMED = Shape(stream=True)


def closed(system: System, shape: Shape, *, connections: int, seconds: int) -> Load:
    """Send requests on each connection as fast as they are answered."""
    return _wrk(system, shape, connections=connections, seconds=seconds, pause_ms=0.0)


def paced(
    system: System, shape: Shape, *, per_second: float, seconds: int, warm_seconds: int
) -> Load:
    """Send about so many requests a second, on connections that pause for a random time.

    There are so many connections that each sends once in `PACED_CYCLE_SECONDS`, and a few at
    least. A first run shows how much of the cycle the answer takes; the pause is the rest. A run
    that sent faster or slower all the same shows it better, and is made again, twice at most.
    """
    wanted = round(per_second * PACED_CYCLE_SECONDS)
    connections = min(max(_MIN_PACED, wanted), _MAX_CONNECTIONS)
    pause_ms = cycle_ms = connections / per_second * 1000
    load = _wrk(system, shape, connections=connections, seconds=warm_seconds, pause_ms=cycle_ms)
    for _ in range(_PACED_TRIES):
        if not load.requests:  # so slow that the rate cannot be kept; the figures will say so
            return load
        seen_ms = connections * 1000 / load.per_second
        pause_ms = pause_for(cycle_ms, seen_ms, pause_ms)
        load = _wrk(system, shape, connections=connections, seconds=seconds, pause_ms=pause_ms)
        if abs(load.per_second / per_second - 1) <= _PACED_TOLERANCE:
            break
    return load


def pause_for(cycle_ms: float, seen_ms: float, paused_ms: float) -> float:
    """Return the pause that makes a cycle as long as wanted, half of the cycle at least.

    Args:
        cycle_ms: How long a cycle of request, answer and pause should take.
        seen_ms: How long it took.
        paused_ms: The pause of which that was seen.
    """
    return max(paused_ms + cycle_ms - seen_ms, cycle_ms / 2)


def _wrk(system: System, shape: Shape, *, connections: int, seconds: int, pause_ms: float) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as bodies:
        bodies.write("\n".join(shape.bodies(system.model)) + "\n")
        bodies.flush()
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_TIMEOUT_SECONDS}s"]
        arguments = [CHAT, system.key, bodies.name, f"{pause_ms:.3f}"]
        done = subprocess.run(
            ["wrk", *options, "-s", _SCRIPT, system.url, "--", *arguments],
            capture_output=True,
            text=True,
            timeout=seconds + 4 * _TIMEOUT_SECONDS,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
    return parse_wrk(done.stdout)
