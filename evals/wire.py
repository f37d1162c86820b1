"""What goes to the service and what comes back, as far as the exams need it.

It refuses to know transport and retries.
"""

import math
from typing import Any

import msgspec

from evals.arms import Question
from registry.errors import EngineError

_SEED = 0
_UNREADABLE = 502


class Logprob(msgspec.Struct, frozen=True):
    """One token's log-probability."""

    logprob: float
    """In nats."""


class Message(msgspec.Struct, frozen=True):
    """The answer of a chat completion."""

    content: str | None = None
    """Its text."""


class Sureness(msgspec.Struct, frozen=True):
    """The log-probabilities of an answer's own tokens, of either endpoint."""

    content: list[Logprob] | None = None
    """By token, for a chat completion."""
    token_logprobs: list[float | None] | None = None
    """By token, for a completion."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said."""

    text: str | None
    """Its words; none when it could not be asked."""
    confidence: float | None = None
    """Probability that it gave this answer, where it was asked for."""
    engine: str | None = None
    """The engine and its configuration, as it names itself (`system_fingerprint`)."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """How a model takes the right answer."""

    logprobs: list[float]
    """Log-probability of each target token, in nats."""
    engine: str | None = None
    """The engine and its configuration, as it names itself."""


class Choice(msgspec.Struct, frozen=True):
    """One answer, of either endpoint."""

    message: Message | None = None
    """For a chat completion."""
    text: str | None = None
    """For a completion."""
    prompt_logprobs: list[dict[str, Logprob] | None] | None = None
    """For each prompt token, its log-probability by token id; none for the first."""
    logprobs: Sureness | None = None
    """Of the answer's tokens, where they were asked for."""


class Completion(msgspec.Struct, frozen=True):
    """An answer of either endpoint."""

    choices: list[Choice]
    """The answers; we ask for one."""
    system_fingerprint: str | None = None
    """The engine and its configuration, as it names itself."""


class Fault(msgspec.Struct, frozen=True):
    """What went wrong."""

    message: str
    """In words."""


class Problem(msgspec.Struct, frozen=True):
    """An error in OpenAI's shape."""

    error: Fault
    """The error."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the service."""

    path: str
    """Path below the service's address."""
    body: dict[str, Any]
    """JSON body."""


def generation(question: Question) -> Call:
    """Return the request for an answer: greedy, so that it can be repeated."""
    body: dict[str, Any] = {
        "model": question.model,
        "temperature": 0,
        "seed": _SEED,
        "max_tokens": question.max_tokens,
    }
    if question.stop:
        body["stop"] = question.stop
    if question.messages is None:
        sure = {"logprobs": 1} if question.wants_confidence else {}
        return Call(path="/v1/completions", body={**body, **sure, "prompt": question.prompt})
    if question.wants_confidence:
        body["logprobs"] = True
    if question.tools:
        # The tools are described in the prompt; the answer comes back as the text it is.
        body |= {"tools": question.tools, "tool_choice": "none"}
    return Call(path="/v1/chat/completions", body={**body, "messages": question.messages})


def measurement(question: Question) -> Call:
    """Return the request for the target's log-probabilities (`prompt_logprobs` is vLLM's own)."""
    body = {
        "model": question.model,
        "prompt": question.token_ids,
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": 0,
    }
    return Call(path="/v1/completions", body=body)


def read_text(content: bytes) -> str:
    """Return the text of an answer.

    Raises:
        EngineError: The answer cannot be read.
    """
    return _text(_completion(content).choices[0])


def _text(choice: Choice) -> str:
    if choice.message is not None:
        return choice.message.content or ""
    if choice.text is None:
        raise EngineError(_UNREADABLE, "The answer has no text.")
    return choice.text


def read_reply(content: bytes) -> Reply:
    """Return what a model said, and how sure it was where it was asked.

    Raises:
        EngineError: The answer cannot be read.
    """
    completion = _completion(content)
    choice = completion.choices[0]
    return Reply(
        text=_text(choice),
        confidence=_confidence(choice.logprobs),
        engine=completion.system_fingerprint,
    )


def _confidence(sureness: Sureness | None) -> float | None:
    if sureness is None:
        return None
    if sureness.content is not None:
        values: list[float | None] = [token.logprob for token in sureness.content]
    else:
        values = sureness.token_logprobs or []
    known = [value for value in values if value is not None]
    return math.exp(min(math.fsum(known), 0.0)) if known else None


def read_measured(content: bytes, question: Question) -> Measured:
    """Return the log-probability of each target token.

    Raises:
        EngineError: The answer cannot be read, or does not cover the target.
    """
    completion = _completion(content)
    found = completion.choices[0].prompt_logprobs or []
    if len(found) != len(question.token_ids):
        raise EngineError(_UNREADABLE, "The answer has no log-probabilities of the prompt.")
    target = range(question.target_start, len(question.token_ids))
    values = [(found[place] or {}).get(str(question.token_ids[place])) for place in target]
    logprobs = [value.logprob for value in values if value is not None]
    if len(logprobs) != len(values) or not logprobs:
        raise EngineError(_UNREADABLE, "A target token has no log-probability.")
    return Measured(logprobs=logprobs, engine=completion.system_fingerprint)


def read_problem(content: bytes) -> str:
    """Return what an error says: OpenAI's message, or the first of whatever came."""
    try:
        return msgspec.json.decode(content, type=Problem).error.message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content[:200].decode("utf-8", "replace") or "no reason given"


def _completion(content: bytes) -> Completion:
    """Return an answer with at least one choice."""
    try:
        found = msgspec.json.decode(content, type=Completion)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise EngineError(_UNREADABLE, f"The answer cannot be read: {exc}") from exc
    if not found.choices:
        raise EngineError(_UNREADABLE, "The answer has no choice.")
    return found
