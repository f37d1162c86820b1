"""What earlier exams were answered by a base model, taken instead of asking again.

It refuses to know rows, scores and adapters' answers: those are never taken from anywhere. A key is
a hash of everything an answer depends on: the project, the base model's weights and template as the
adapter's manifest knows them, the engine and its configuration as it names itself, and the whole
request. What is not known is never taken for equal: without any of these nothing is kept or taken.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from anyio import to_thread

from evals.panel import Arm
from evals.results import digest
from evals.wire import Call, Measured, Reply
from registry.artifacts import read_manifest
from registry.errors import CorruptArtifact
from registry.records import AdapterVersion, KnownAnswer, Record
from registry.store import Store

T = TypeVar("T")
FORM = 1
"""Changes when what is kept, or how it is asked for, changes its meaning."""
TOLERANCE_NATS = 0.05
"""Most that a target's log-probability a token may differ when it is measured again, for what is
kept to be of the same model; engines compute a row a little differently beside other rows."""
logger = logging.getLogger(__name__)


class CacheLimits(Record, frozen=True, kw_only=True):
    """Where manifests lie, and how much is kept for how long."""

    adapters_dir: Path
    """Folder of the published adapters."""
    max_bytes: int
    """Most bytes of kept answers, of all projects together."""
    max_age_seconds: float
    """Age beyond which an answer is dropped."""


class Base(Record, frozen=True, kw_only=True):
    """A base model, as the manifest of an adapter that was trained on it knows it."""

    name: str
    """Its name."""
    sha256: str
    """Hash over its configuration and weights."""
    template_sha256: str | None
    """Hash of its chat template; none where it has none."""


async def base_of(adapters_dir: Path, adapter: AdapterVersion) -> Base | None:
    """Return the base model of an adapter; none where its manifest is not here."""
    try:
        manifest = await to_thread.run_sync(read_manifest, adapters_dir / adapter.directory)
    except CorruptArtifact as exc:
        logger.info("no base answers are kept: %s", exc)
        return None
    return Base(
        name=manifest.base_model,
        sha256=manifest.base_sha256,
        template_sha256=manifest.template_sha256,
    )


class Recall:
    """The memory of one evaluation.

    It answers nothing before it knows the engine, which the first live answer tells (`met`).
    """

    def __init__(
        self, store: Store, project: str, base: Base, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._project = project
        self._base = base
        self._clock = clock
        self._engine: str | None = None

    def covers(self, arm: Arm) -> bool:
        """Return whether an arm is the base model, however it is prompted."""
        return arm.model == self._base.name

    async def met(self, call: Call, measured: Measured) -> None:
        """Take note of a live measurement: it names the engine, and shows whether it changed.

        Where the same was measured otherwise before, everything kept of that engine is of other
        weights, whatever their name, and is dropped.
        """
        if measured.engine is None:
            return
        found = (await self._find(measured.engine, [call]))[0]
        before = None if found is None else _read(found, Measured)
        if before is not None and not _agree(before.logprobs, measured.logprobs):
            gone = await self._store.known_answers.forget(self._scope(measured.engine))
            logger.warning("the base model answers otherwise than before: %d answers dropped", gone)
        self._engine = measured.engine

    async def replies(self, calls: Sequence[Call]) -> list[Reply | None]:
        """Return what was said to each request; none where that is not known."""
        return [None if each is None else _read(each, Reply) for each in await self._known(calls)]

    async def measurements(self, calls: Sequence[Call]) -> list[Measured | None]:
        """Return what was measured at each request; none where that is not known."""
        known = await self._known(calls)
        return [None if each is None else _read(each, Measured) for each in known]

    def to_keep(self, call: Call, answer: Reply | Measured) -> list[KnownAnswer]:
        """Return what is to be kept of a live answer: nothing where no engine stands behind it."""
        if answer.engine is None:
            return []
        scope, content = self._scope(answer.engine), msgspec.json.encode(answer).decode()
        return [
            KnownAnswer(
                project=self._project,
                scope=scope,
                key=_key(scope, call),
                content=content,
                bytes=len(content),
                created_at=int(self._clock()),
            )
        ]

    async def _known(self, calls: Sequence[Call]) -> list[str | None]:
        if self._engine is None:
            return [None] * len(calls)
        return await self._find(self._engine, calls)

    async def _find(self, engine: str, calls: Sequence[Call]) -> list[str | None]:
        scope = self._scope(engine)
        keys = [_key(scope, call) for call in calls]
        found = await self._store.known_answers.find(self._project, keys)
        return [found.get(key) for key in keys]

    def _scope(self, engine: str) -> str:
        return digest([FORM, self._project, self._base, engine])


def _key(scope: str, call: Call) -> str:
    return digest([scope, call.path, call.body])


def _read(content: str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        return None


def _agree(before: Sequence[float], now: Sequence[float]) -> bool:
    if len(before) != len(now):
        return False
    gaps = [abs(one - other) for one, other in zip(before, now, strict=True)]
    return math.fsum(gaps) <= TOLERANCE_NATS * len(gaps)
