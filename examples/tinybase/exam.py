"""The held-out exam: greedy answers, compared to the letter, counted by skill.

Knows nothing of how the model was trained.
"""

from collections import Counter
from dataclasses import dataclass

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from examples.tinybase.exercise import Exercise

LONGEST_ANSWER = 96
"""Tokens; no right answer is longer."""
ROWS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Score:
    """How many of a skill's questions were answered exactly."""

    kind: str
    """The skill."""
    right: int
    """Answers that equal the expected one, to the letter."""
    asked: int
    """Questions."""


def examine(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, questions: list[Exercise]
) -> list[Score]:
    """Let the model answer each question and count by skill."""
    asked, right = Counter[str](), Counter[str]()
    ordered = sorted(questions, key=lambda question: len(question.prompt_key))
    for start in range(0, len(ordered), ROWS_AT_ONCE):
        some = ordered[start : start + ROWS_AT_ONCE]
        for question, answer in zip(some, _answers(model, tokenizer, some), strict=True):
            asked[question.kind] += 1
            right[question.kind] += answer == _expected(tokenizer, question)
    return [Score(kind, right[kind], number) for kind, number in sorted(asked.items())]


@torch.inference_mode()
def _answers(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, questions: list[Exercise]
) -> list[str]:
    prompts = [_rendered(tokenizer, question, answered=False) for question in questions]
    encoded = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")
    written = model.generate(
        input_ids=encoded.input_ids,
        attention_mask=encoded.attention_mask,
        max_new_tokens=LONGEST_ANSWER,
        do_sample=False,
    )
    texts = tokenizer.batch_decode(written[:, encoded.input_ids.shape[1] :])
    return [str(text).split(tokenizer.eos_token)[0] for text in texts]


def _expected(tokenizer: PreTrainedTokenizerFast, question: Exercise) -> str:
    prompt = _rendered(tokenizer, question, answered=False)
    whole = _rendered(tokenizer, question, answered=True)
    return whole.removeprefix(prompt).split(tokenizer.eos_token)[0]


def _rendered(tokenizer: PreTrainedTokenizerFast, question: Exercise, *, answered: bool) -> str:
    messages = question.messages if answered else question.messages[:-1]
    return str(
        tokenizer.apply_chat_template(
            messages,
            tools=question.tools or None,
            tokenize=False,
            add_generation_prompt=not answered,
        )
    )
