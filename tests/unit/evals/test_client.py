"""Asking the service: what is waited for, what is refused, what fails."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from evals.arms import Question, question
from evals.client import Client, Patience
from evals.compare import ArmName
from registry.chatdata import Row
from registry.errors import Denied, EngineError, NotFound, Unavailable
from tests.fakes.char_tokenizer import CharTokenizer
from tests.fakes.fake_service import KEY, FakeService, serving

CHAT = Row(
    line=1,
    messages=[{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}],
    tools=[{"type": "function"}],
)
PLAIN = Row(line=1, prompt="hello", completion="hi")


class Time:
    """A clock that only sleeping moves, and that may do something at each sleep."""

    def __init__(self, on_sleep: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self._on_sleep = on_sleep

    def clock(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move the time."""
        self.now += seconds
        self._on_sleep()


def _question(row: Row) -> Question:
    return question(
        ArmName.BASE,
        0,
        row,
        model="base",
        examples=[],
        tokenizer=CharTokenizer(),
        max_model_len=500,
    )


@asynccontextmanager
async def _client(
    service: FakeService, folder: Path, time: Time, deadline_seconds: float = 5.0
) -> AsyncIterator[Client]:
    key_file = folder / "evals.key"
    key_file.write_text(f"{KEY}\n")
    async with serving(service) as url, aiohttp.ClientSession() as session:
        yield Client(
            session,
            url=url,
            key_file=key_file,
            concurrency=2,
            patience=Patience(deadline_seconds=deadline_seconds),
            sleep=time.sleep,
            clock=time.clock,
        )


async def test_chat_is_asked_as_a_user_does(tmp_path: Path) -> None:
    """A conversation goes to chat completions: greedy, bounded, tools described."""
    service = FakeService(speak=lambda model, prompt: f"{model} heard {prompt}")
    async with _client(service, tmp_path, Time()) as client:
        assert await client.generate(_question(CHAT)) == "base heard hello"
    path, body = service.bodies[0]
    assert path == "/v1/chat/completions"
    assert (body["temperature"], body["max_tokens"], body["tool_choice"]) == (0, 22, "none")


async def test_a_prompt_is_asked_as_text(tmp_path: Path) -> None:
    """A prompt–completion row goes to completions as it is."""
    service = FakeService(speak=lambda _model, prompt: prompt.upper())
    async with _client(service, tmp_path, Time()) as client:
        assert await client.generate(_question(PLAIN)) == "HELLO"


async def test_target_logprobs(tmp_path: Path) -> None:
    """The target's tokens are measured, its end of turn included."""
    service = FakeService(loss={"base": 0.25})
    async with _client(service, tmp_path, Time()) as client:
        assert (await client.measure(_question(CHAT))).logprobs == [-0.25] * 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_outages_are_waited_out(tmp_path: Path, status: int) -> None:
    """A part that is away for a while costs time, not rows."""
    service = FakeService(statuses=[status] * 30)
    time = Time()
    async with _client(service, tmp_path, time) as client:
        assert await client.generate(_question(CHAT)) == ""
    assert time.now > 60


async def test_a_service_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    """Without a service the client waits, and says in the end what it waited for."""
    time = Time()
    (tmp_path / "evals.key").write_text(KEY)
    async with aiohttp.ClientSession() as session:
        client = Client(
            session,
            url="http://127.0.0.1:9",
            key_file=tmp_path / "evals.key",
            concurrency=1,
            patience=Patience(deadline_seconds=5),
            sleep=time.sleep,
            clock=time.clock,
        )
        with pytest.raises(Unavailable, match="cannot be reached"):
            await client.generate(_question(CHAT))
    assert time.now >= 900


async def test_a_key_that_comes_later_is_read(tmp_path: Path) -> None:
    """A key that the service makes after our start is used."""
    service = FakeService()
    time = Time(on_sleep=lambda: None)
    async with _client(service, tmp_path, time) as client:
        (tmp_path / "evals.key").unlink()
        time._on_sleep = lambda: _write(tmp_path / "evals.key", KEY)
        assert await client.generate(_question(CHAT)) == ""


async def test_a_key_that_is_mended_is_read(tmp_path: Path) -> None:
    """A key that was wrong at first is read anew at the next attempt."""
    time = Time(on_sleep=lambda: _write(tmp_path / "evals.key", KEY))
    async with _client(FakeService(), tmp_path, time) as client:
        _write(tmp_path / "evals.key", "wrong")
        assert await client.generate(_question(CHAT)) == ""


def _write(path: Path, text: str) -> None:
    path.write_text(text)


async def test_a_refused_row_is_unscored(tmp_path: Path) -> None:
    """A 400 is the row's own fault, and its words are kept."""
    async with _client(FakeService(refuse="hello"), tmp_path, Time()) as client:
        with pytest.raises(EngineError, match="400: This row is refused"):
            await client.generate(_question(CHAT))


async def test_internal_errors_are_repeated_a_few_times(tmp_path: Path) -> None:
    """A 500 that stays is an unscored row, one that goes is none."""
    async with _client(FakeService(statuses=[500] * 5), tmp_path, Time()) as client:
        with pytest.raises(EngineError):
            await client.generate(_question(CHAT))
        assert await client.generate(_question(CHAT)) == ""


async def test_a_deadline_is_kept(tmp_path: Path) -> None:
    """A request that is never answered ends at its deadline."""
    async with _client(FakeService(seconds=0.2), tmp_path, Time(), 0.05) as client:
        with pytest.raises(EngineError, match=r"no answer within 0\.05 s"):
            await client.generate(_question(CHAT))


async def test_an_unknown_model_fails(tmp_path: Path) -> None:
    """A model that stays unknown ends the evaluation, not the row."""
    async with _client(FakeService(unknown={"base"}), tmp_path, Time()) as client:
        with pytest.raises(NotFound, match="base"):
            await client.generate(_question(CHAT))


async def test_a_forbidden_key_fails(tmp_path: Path) -> None:
    """A key without the scope is not waited for."""
    async with _client(FakeService(statuses=[403]), tmp_path, Time()) as client:
        with pytest.raises(Denied):
            await client.generate(_question(CHAT))
