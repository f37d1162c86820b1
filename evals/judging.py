"""The judge's way: any OpenAI-compatible endpoint, asked about each row in both orders.

It refuses to know what makes an answer better. Each judged row is stored as it comes; none is
asked twice. A judge that cannot be had costs the judgement of its rows, never the verdict.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from evals import judge
from evals.compare import ArmName
from evals.results import prompt_text
from evals.scorers.jsontext import canonical
from registry.chatdata import Row
from registry.errors import EngineError, GraftlineError, Unavailable
from registry.evaluation_options import JudgeOptions
from registry.records import EvaluationRow, Record
from registry.store import Store

_OK = 200
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_ATTEMPTS = 4
_MAX_TOKENS = 512
logger = logging.getLogger(__name__)


class Endpoint(Record, frozen=True, kw_only=True):
    """Where a judge is."""

    url: str
    """Up to and with `/v1`."""
    model: str | None
    """The model asked where an evaluation names none."""
    key: str | None = None
    """Its key; only ever sent to `url`."""
    concurrency: int = 8
    """Questions in flight."""
    deadline_seconds: float = 60.0
    """For one question."""
    pause_seconds: float = 1.0
    """Before the second attempt; it doubles."""

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, model={self.model!r})"


class Pair(Record, frozen=True, kw_only=True):
    """One row with the two answers that are compared."""

    number: int
    """Row number."""
    prompt: str
    """What was asked."""
    target: str
    """The right answer."""
    adapter: str
    """The adapter's answer."""
    baseline: str
    """The baseline's."""

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to choose."""
        return canonical(self.adapter) == canonical(self.baseline)


class _Reply(Record, frozen=True, kw_only=True):
    words: str
    tokens: int


def pairs_of(
    rows: Mapping[int, Row],
    targets: Mapping[int, str],
    answers: Sequence[EvaluationRow],
    options: JudgeOptions,
) -> list[Pair]:
    """Return the rows that both arms answered: labelled ones first, then in the order of asking."""
    said = {(answer.arm, answer.row): answer.output for answer in answers}
    labelled = {label.row for label in options.labels}
    order = sorted(rows, key=lambda number: number not in labelled)  # sorting keeps the rest
    found = []
    for number in order:
        ours = said.get((ArmName.ADAPTER, number))
        theirs = said.get((options.baseline, number))
        if ours is not None and theirs is not None:
            found.append(
                Pair(
                    number=number,
                    prompt=prompt_text(rows[number]),
                    target=targets[number],
                    adapter=ours,
                    baseline=theirs,
                )
            )
    return found[: options.max_rows]


class Judge:
    """Asks one endpoint."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        store: Store,
        endpoint: Endpoint,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._store = store
        self._endpoint = endpoint
        self._sleep = sleep

    def model_for(self, options: JudgeOptions) -> str:
        """Return the model that is asked."""
        return options.model or self._endpoint.model or ""

    async def judge(self, evaluation_id: str, pairs: Sequence[Pair], options: JudgeOptions) -> None:
        """Judge every pair, and store each as it comes."""
        todo = iter(pairs)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._endpoint.concurrency):
                tasks.create_task(self._some(evaluation_id, todo, options))

    async def _some(self, evaluation_id: str, todo: Iterator[Pair], options: JudgeOptions) -> None:
        for pair in todo:
            row = EvaluationRow(
                evaluation_id=evaluation_id,
                suite=judge.SUITE,
                arm=options.baseline,
                row=pair.number,
                output=None,
                scores={},
            )
            await self._store.evaluations.add_row(await self._judged(row, pair, options))

    async def _judged(self, row: EvaluationRow, pair: Pair, options: JudgeOptions) -> EvaluationRow:
        if pair.is_same:
            return msgspec.structs.replace(
                row, output="the answers are the same", scores={judge.PREFERENCE: 0.0}
            )
        try:
            first = await self._ask(pair, options, a=pair.adapter, b=pair.baseline)
            second = await self._ask(pair, options, a=pair.baseline, b=pair.adapter)
        except GraftlineError as exc:
            return msgspec.structs.replace(row, error=str(exc))
        sides = judge.side_of(first.words), judge.side_of(second.words)
        said = f"{first.words}\n---\n{second.words}"
        spent = {judge.TOKENS: float(first.tokens + second.tokens)}
        if sides[0] is None or sides[1] is None:
            error = "The judge said neither A, B nor tie."
            return msgspec.structs.replace(row, output=said, scores=spent, error=error)
        verdicts = judge.Verdicts(adapter_first=sides[0], adapter_second=sides[1])
        scores = spent | {
            judge.PREFERENCE: verdicts.preference,
            judge.CONSISTENT: float(verdicts.is_consistent),
        }
        return msgspec.structs.replace(row, output=said, scores=scores)

    async def _ask(self, pair: Pair, options: JudgeOptions, *, a: str, b: str) -> _Reply:
        """Ask about a pair in one order.

        Raises:
            EngineError: The judge refuses, or its answer cannot be read.
            Unavailable: It does not answer, after some attempts.
        """
        body = {
            "model": self.model_for(options),
            "messages": judge.messages(
                options.rubric, prompt=pair.prompt, target=pair.target, a=a, b=b
            ),
            "temperature": 0,
            "max_tokens": _MAX_TOKENS,
        }
        pause = self._endpoint.pause_seconds
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._attempt(body)
            except Unavailable:
                if attempt == _ATTEMPTS:
                    raise
            await self._sleep(pause)
            pause *= 2
        raise Unavailable("judge", "The judge does not answer.")

    async def _attempt(self, body: dict[str, Any]) -> _Reply:
        key = self._endpoint.key
        deadline = aiohttp.ClientTimeout(total=self._endpoint.deadline_seconds)
        try:
            async with self._session.post(
                f"{self._endpoint.url.rstrip('/')}/chat/completions",
                json=body,
                headers={} if key is None else {"Authorization": f"Bearer {key}"},
                timeout=deadline,
                allow_redirects=False,  # the key goes to the address that the operator named
            ) as response:
                status = response.status
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            message = f"The judge cannot be reached ({type(exc).__name__})."
            raise Unavailable("judge", message) from exc
        if status in _AGAIN:
            raise Unavailable("judge", f"The judge answers {status}.")
        if status != _OK:
            raise EngineError(status, "The judge refuses the question.")
        return _reply(content)


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    total_tokens: int = 0


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


def _reply(content: bytes) -> _Reply:
    try:
        found = msgspec.json.decode(content, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise EngineError(_OK, "The judge's answer cannot be read.") from exc
    words = found.choices[0].message.content if found.choices else None
    return _Reply(words=words or "", tokens=found.usage.total_tokens if found.usage else 0)
