"""One exercise: a conversation whose last assistant turn is the only right answer.

Knows nothing of tokens, of models or of where the words come from.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from examples.tinybase.words import Dice

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its one right answer, not yet put into a conversation."""

    question: str
    """What the user asks."""
    answer: str
    """What the assistant must say, to the letter."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """A conversation to learn from, or to be examined on."""

    kind: str
    """The name of the skill it trains."""
    messages: list[Message]
    """Chat messages; the last one is the assistant's."""
    tools: list[dict[str, Any]] = field(default_factory=list)
    """Tool descriptions in OpenAI's form; usually none."""

    @property
    def prompt_key(self) -> str:
        """Everything before the answer: two exercises with one key are the same question."""
        return repr((self.messages[:-1], self.tools))


@dataclass(frozen=True, slots=True)
class Skill:
    """A kind of exercise and how often it is set."""

    kind: str
    """Its name, used in the exam's table."""
    weight: float
    """Its share among all exercises, relative to the others."""
    make: Callable[[Dice], Task | Exercise]
    """Invents one exercise."""


def said(role: str, content: str) -> Message:
    """Write one message."""
    return {"role": role, "content": content}
