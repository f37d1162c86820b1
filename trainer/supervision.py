"""The training child, seen from outside: started, listened to, and ended.

It refuses to know jobs and their records.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

from registry.settings import Settings, training_environment
from trainer.protocol import Message, decode_message
from trainer.pulse import Pulse

LINE_BYTES = 1024 * 1024
"""Longest message of a child."""
STOP_SECONDS = 3.0
"""Time a child gets between SIGTERM and SIGKILL."""


class TrainingChild:
    """A running training process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the child reports, until it closes its pipe; foreign lines are skipped."""
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            try:
                yield decode_message(line)
            except msgspec.MsgspecError:
                continue

    async def wait(self) -> int:
        """Return the exit status, negative for a signal."""
        return await self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End the child, gently and then not; one that has ended is no error.

        Args:
            seconds: Time it gets for the step it is in and a checkpoint.
        """
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the child at once; one that has ended is no error."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def training_child(
    settings: Settings, folder: Path, extra: Mapping[str, str] | None = None
) -> AsyncIterator[TrainingChild]:
    """Run a training child while the block lasts.

    It has a session of its own, so that a signal to the trainer's process group is not taken for
    the child's own death; the kernel ends it when the trainer dies, and it ends by itself when it
    feels no pulse. `extra` are variables beside the usual ones.
    """
    process = await asyncio.create_subprocess_exec(
        *_command(settings.training_gpus, folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**child_variables(settings), **(extra or {})},
        start_new_session=True,
        limit=LINE_BYTES,
    )
    child = TrainingChild(process)
    pulse = None if process.stdin is None else Pulse(process.stdin)
    try:
        yield child
    finally:
        try:
            await child.stop()
        finally:
            if pulse is not None:
                pulse.stop()


def child_variables(settings: Settings) -> Mapping[str, str]:
    """Return a child's environment: no secret, no network unless the base model needs it."""
    ours = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # A thread that waits looks for work some 10 µs long before it sleeps: long enough for the
        # gaps between a small model's operations, too short to starve the engine beside us.
        "GOMP_SPINCOUNT": "10000",
    }
    if Path(settings.base_model).exists():
        ours["HF_HUB_OFFLINE"] = "1"
    if version("torch").endswith("+cpu"):
        # Nothing of ours is compiled, and bitsandbytes imports the whole compiler to find out.
        ours["TORCH_COMPILE_DISABLE"] = "1"
    # A job that uses one GPU sees one: several would make the Trainer replicate the model.
    alone = {"CUDA_VISIBLE_DEVICES": "0"} if settings.training_gpus == 1 else {}
    return {**alone, **training_environment(settings), **ours}


def _command(gpus: int, folder: Path) -> list[str]:
    """Return what starts a child, or one for each GPU."""
    module = "trainer.child" if gpus == 1 else "trainer.several"
    more = [] if gpus == 1 else [str(gpus)]
    return [sys.executable, "-m", module, str(folder), str(os.getpid()), *more]


def describe_death(status: int) -> str:
    """Return how a child ended that did not say so itself."""
    if status >= 0:
        return f"ended with status {status} and no result"
    name = signal.Signals(-status).name
    if -status == signal.SIGKILL:
        return f"was killed by {name}, which may mean that the machine ran out of memory"
    return f"was killed by {name}"
