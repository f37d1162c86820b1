"""`graftline compare`: two models on the rows of a file, through a running service.

It refuses to compute: the exam is an evaluation like any other, and its results are printed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec

from registry.errors import Invalid, NotFound, Unavailable
from registry.records import Record

_OK = 200
_MISSING = 404
_SERVER_FAULT = 500
_POLL_SECONDS = 1.0
_FAILURES = 30
_CALL_SECONDS = 600.0


class Compared(Record, frozen=True, kw_only=True):
    """Two models, as an exam found them."""

    evaluation: str
    """Id of the evaluation."""
    first: str
    """The first model."""
    second: str
    """The second model."""
    results: dict[str, Any]
    """What the evaluation found."""
    sign: int
    """1 when differences are second minus first, -1 when they must be turned."""
    first_arm: str
    """The first model's arm in the results."""
    second_arm: str
    """The second model's."""

    @property
    def differences(self) -> list[dict[str, Any]]:
        """Second minus first, by metric."""
        other = self.first_arm if self.sign > 0 else self.second_arm
        every = [*self.results["differences"], *self.results.get("model_differences", [])]
        found = {each["metric"]: each for each in every if each["baseline"] == other}
        return [self._turned(each) for each in found.values()]

    def _turned(self, found: dict[str, Any]) -> dict[str, Any]:
        if self.sign > 0 or found["estimate"] is None:
            return found
        low, high = found["high"], found["low"]
        return found | {
            "estimate": -found["estimate"],
            "low": None if low is None else -low,
            "high": None if high is None else -high,
        }


class _Examined(NamedTuple):
    version: str
    base: str


class _Problem(msgspec.Struct):
    message: str


class _ProblemBody(msgspec.Struct):
    error: _Problem


class Comparison:
    """One comparison over one connection to the service."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: str,
        *,
        say: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._say = say
        self._sleep = sleep

    async def run(self, first: str, second: str, rows: bytes, *, max_rows: int) -> Compared:
        """Examine both models on the rows of a JSONL file.

        Raises:
            Unavailable: The service does not answer.
            Invalid: It refuses, or the evaluation failed; in its own words.
        """
        if first == second:
            raise Invalid("Both models have the same name; name two.")
        examined, base = await self._examined(first, second)
        other = first if examined == second else second
        file_id = await self._upload(rows)
        body: dict[str, Any] = {
            "model": examined,
            "heldout_file": file_id,
            "arms": [],
            "suites": [],
            "models": [] if other == base else [other],
            "policy": {"max_rows": max_rows, "min_rows": 1},
            "decides": False,
        }
        made = await self._call("POST", "/v1/evaluations", json=body)
        self._say(f"{made['id']}: asking both, and the base model")
        results = (await self._finished(made["id"]))["results"]
        return Compared(
            evaluation=made["id"],
            first=first,
            second=second,
            results=results,
            sign=1 if examined == second else -1,
            first_arm=_arm(first, examined, base),
            second_arm=_arm(second, examined, base),
        )

    async def _examined(self, first: str, second: str) -> _Examined:
        """Return the version that is examined; the other model is compared with it."""
        for name in (second, first):
            try:
                found = await self._call("GET", f"/v1/adapters/{quote(name, safe='')}")
            except NotFound:
                continue
            return _Examined(version=name, base=str(found["base_model"]))
        message = f"Neither '{first}' nor '{second}' is an adapter version of this service."
        raise Invalid(message)

    async def _upload(self, rows: bytes) -> str:
        form = aiohttp.FormData({"purpose": "evals"})
        form.add_field("file", rows, filename="compared.jsonl")
        return str((await self._call("POST", "/v1/files", data=form))["id"])

    async def _finished(self, identifier: str) -> dict[str, Any]:
        """Return an evaluation once it has ended; a service that restarts is waited for."""
        failures = 0
        while True:
            try:
                found = await self._call("GET", f"/v1/evaluations/{identifier}")
                failures = 0
            except Unavailable:
                failures += 1
                if failures >= _FAILURES:
                    raise
                found = {"status": "unknown"}
            if found["status"] == "succeeded":
                return found
            if found["status"] in {"failed", "cancelled"}:
                raise Invalid(f"The evaluation {identifier} {found['status']}: {found['error']}")
            await self._sleep(_POLL_SECONDS)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        json: dict[str, Any] | None = None,
        data: aiohttp.FormData | None = None,
    ) -> dict[str, Any]:
        deadline = aiohttp.ClientTimeout(total=_CALL_SECONDS, sock_connect=10)
        try:
            async with self._session.request(
                method,
                self._url + path,
                headers=self._headers,
                timeout=deadline,
                json=json,
                data=data,
            ) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as exc:
            message = f"The service at {self._url} does not answer ({exc}). Start it, or use --url."
            raise Unavailable("service", message) from exc
        return _understood(status, content)


def _arm(model: str, examined: str, base: str) -> str:
    return {examined: "adapter", base: "base"}.get(model, model)


def _understood(status: int, content: bytes) -> dict[str, Any]:
    try:
        if status == _OK:
            return msgspec.json.decode(content, type=dict[str, Any])
        words = msgspec.json.decode(content, type=_ProblemBody).error.message
    except msgspec.MsgspecError:
        words = f"The address answered {status}, and not as a Graftline service does."
    if status == _MISSING:
        raise NotFound("record", words)
    if status >= _SERVER_FAULT:
        raise Unavailable("service", words)
    raise Invalid(words)


def compare(
    url: str,
    key: str,
    models: tuple[str, str],
    data: Path,
    *,
    max_rows: int,
    say: Callable[[str], None],
) -> Compared:
    """Compare two models on the rows of a file, from start to end.

    Raises:
        Unavailable: The service does not answer.
        Invalid: The file cannot be read, the service refuses, or the evaluation failed.
    """
    try:
        rows = data.read_bytes()
    except OSError as exc:
        raise Invalid(f"{data} cannot be read: {exc.strerror}.") from exc

    async def work() -> Compared:
        async with aiohttp.ClientSession() as session:
            comparison = Comparison(session, url, key, say=say)
            return await comparison.run(*models, rows, max_rows=max_rows)

    return asyncio.run(work())
