"""What became of an inference request, and where that is written down.

It refuses to know how an answer is found. Everything here is done in memory, behind the answer.
"""

import time

import msgspec

from registry.records import ApiKey, Interaction
from service.answer_notes import AnswerNotes
from service.features import request_features
from service.inquiry import Inquiry
from service.kept_text import KeptText
from service.limits import Admission
from service.metrics import UNROUTED
from service.routing import Route
from service.services import Services
from service.streaming import Reading, StreamReader, Usage

CLIENT_LEFT = 499
"""Status we report when the client closed the connection first; nobody sees it."""
STREAM_BROKE = 502
"""Status we report when a stream that began well did not end well."""
_OK, _ERRORS = 200, 400


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and who asks."""

    inquiry: Inquiry
    """What is asked."""
    key: ApiKey
    """The key that asks."""
    request_id: str
    """Our id for it."""

    @property
    def interaction_id(self) -> str:
        """Id of the answer, as the client sees it."""
        return self.inquiry.dialect.id_prefix + self.request_id


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one request so far."""

    started: float
    """When it came, on the performance counter, in seconds."""
    status: int = CLIENT_LEFT
    """What the client saw."""
    usage: Usage | None = None
    """Tokens, when the engine told."""
    finish_reason: str | None = None
    """Why the answer ended."""
    first_byte_seconds: float | None = None
    """From the request to the first byte of a streamed answer."""
    admission: Admission | None = None
    """The count of a key with limits."""
    notes: AnswerNotes | None = None
    """What is kept of the answer, when something is."""
    is_reported: bool = False
    """Whether it was written down."""

    def take(self, status: int, told: Reading | StreamReader) -> None:
        """Take note of a whole answer, or of a stream that ended."""
        self.status = status
        self.usage = told.usage
        self.finish_reason = told.finish_reason

    def note_first_byte(self) -> None:
        """Take note of the time of the first byte, once."""
        if self.first_byte_seconds is None:
            self.first_byte_seconds = time.perf_counter() - self.started


def report(services: Services, asked: Asked, route: Route | None, outcome: Outcome) -> None:
    """Write down what became of a request; a second call does nothing."""
    if outcome.is_reported:
        return
    outcome.is_reported = True
    duration = time.perf_counter() - outcome.started
    _measure(services, asked, route, outcome, duration)
    if route is None:
        return
    interaction = _interaction(asked, route, outcome, duration)
    prompt, answer = interaction.prompt_tokens or 0, interaction.completion_tokens or 0
    services.usage.add(asked.key, route.model, interaction.created_at, prompt, answer)
    if outcome.admission is not None:
        outcome.admission.settle(prompt + answer)
    if asked.inquiry.dialect.is_interaction:
        services.interaction_log.record(interaction, _kept_text(asked, outcome))
        if outcome.status == _OK and route.shadow is not None:
            services.shadows.offer(route, asked.inquiry, interaction.id)


def _measure(
    services: Services, asked: Asked, route: Route | None, outcome: Outcome, duration: float
) -> None:
    name = asked.inquiry.dialect.name
    place = (
        (name, "", "", UNROUTED)
        if route is None
        else (name, route.deployment or "", route.arm.value, route.model)
    )
    services.metrics.tally.count(
        place,
        status=outcome.status,
        duration_seconds=duration,
        first_byte_seconds=outcome.first_byte_seconds,
        usage=outcome.usage,
    )


def _kept_text(asked: Asked, outcome: Outcome) -> KeptText | None:
    notes = outcome.notes
    if notes is None or notes.text is None or outcome.status >= _ERRORS:
        return None
    inquiry = asked.inquiry
    return KeptText(
        request=inquiry.body_for(inquiry.model),
        answer=notes.text.value,
        prompt_fields=inquiry.dialect.prompt_fields,
    )


def _interaction(asked: Asked, route: Route, outcome: Outcome, duration: float) -> Interaction:
    inquiry, usage, notes = asked.inquiry, outcome.usage, outcome.notes
    return Interaction(
        id=asked.interaction_id,
        project=route.project,
        key_id=asked.key.id,
        deployment=route.deployment,
        arm=route.arm,
        model=route.model,
        unit_hash=route.unit_hash,
        endpoint=inquiry.dialect.name,
        status=outcome.status,
        finish_reason=outcome.finish_reason,
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
        first_token_seconds=outcome.first_byte_seconds,
        duration_seconds=duration,
        created_at=time.time() - duration,
        mean_logprob=None if notes is None else notes.mean_logprob,
        features=request_features(inquiry.fields, body_bytes=inquiry.size_bytes),
    )
