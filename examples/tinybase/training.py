"""The model's shape and the loop that trains it, in bfloat16 on a CPU.

Knows nothing of what the exercises ask.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import distributed
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from examples.tinybase import curriculum, vocabulary
from examples.tinybase.vocabulary import Row
from examples.tinybase.words import Dice

LEARNING_RATE = 3e-3
WARMUP_SHARE = 0.03
LAST_RATE_SHARE = 0.02
BATCH_TOKENS = 2048
"""Tokens of a step in one process, padding included."""
POOL_EXERCISES = 2048
"""So many exercises are sorted by length together, which keeps padding near 5 %."""
TEXT_SHARE = 0.1
"""Share of the tokens that come from plain text."""
TEXT_TOKENS = 256
"""Length of a run of plain text."""
STEPS_BETWEEN_REPORTS = 100


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train: whichever of the two is reached first; the rate decays to meet it."""

    seconds: float
    """Wall time."""
    steps: int
    """Optimiser steps."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of several training processes this one is."""

    rank: int
    """From 0; the first one also writes files."""
    processes: int
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of about one length, padded on the right."""

    ids: torch.Tensor
    """Token ids, shape (rows, tokens)."""
    learnt: torch.Tensor
    """Whether a token carries loss, same shape."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far training has come."""

    step: int
    """Optimiser steps done, less one."""
    loss: float
    """Mean cross-entropy of the last batch, in nats."""
    tokens: int
    """Tokens read so far, padding included."""
    seconds: float
    """Time since the start."""


def shape(vocabulary_size: int, pad: int, end: int) -> LlamaConfig:
    """Describe a Llama of 2.8 million parameters whose heads are 32 wide."""
    return LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=32,
        max_position_embeddings=vocabulary.LONGEST_TOKENS,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        attention_bias=False,
        bos_token_id=None,
        pad_token_id=pad,
        eos_token_id=end,
    )


def train(
    model: LlamaForCausalLM,
    batches: Iterator[Batch],
    budget: Budget,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Train in place, and pause after every few steps to tell how it goes."""
    # Compiled, plain attention over these short rows is twice as fast as the fused kernel.
    model.set_attn_implementation("eager")
    model.model.compile(dynamic=True)
    optimisers = _optimisers(model)
    start, tokens = clock(), 0
    for step, batch in enumerate(batches):
        done = _agreed(max((clock() - start) / budget.seconds, step / budget.steps))
        if done >= 1:
            break
        for group in itertools.chain.from_iterable(o.param_groups for o in optimisers):
            group["lr"] = LEARNING_RATE * _rate_share(done)
        loss = _step(model, optimisers, batch)
        tokens += batch.ids.numel()
        if step % STEPS_BETWEEN_REPORTS == 0:
            yield Progress(step, loss, tokens, clock() - start)


def _optimisers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Build Muon (Jordan et al., 2024) for the layers' matrices, AdamW for all the rest."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if p.ndim == 2 and "embed_tokens" not in name]
    others = [p for name, p in named if p.ndim != 2 or "embed_tokens" in name]
    return [
        torch.optim.Muon(
            matrices, lr=LEARNING_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(others, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def _agreed(done: float) -> float:
    """Take the first process's word for how much is done, so that all stop together."""
    if not distributed.is_initialized():
        return done
    word = torch.tensor(done, dtype=torch.float64)
    distributed.broadcast(word, src=0)
    return word.item()


def _average_gradients(model: LlamaForCausalLM) -> None:
    """Average over the processes: meeting once a step suits cores that others use too."""
    if not distributed.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def _rate_share(done: float) -> float:
    """Rise over the warm-up, then fall along a cosine."""
    if done < WARMUP_SHARE:
        return max(done / WARMUP_SHARE, 0.01)
    fall = 0.5 * (1 + math.cos(math.pi * (done - WARMUP_SHARE) / (1 - WARMUP_SHARE)))
    return LAST_RATE_SHARE + (1 - LAST_RATE_SHARE) * fall


def _step(model: LlamaForCausalLM, optimisers: list[torch.optim.Optimizer], batch: Batch) -> float:
    """Learn from one batch; the vocabulary's scores are computed only where loss is carried."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
        wanted = batch.learnt[:, 1:]
        scores = model.lm_head(hidden[:, :-1][wanted])
    loss = functional.cross_entropy(scores.float(), batch.ids[:, 1:][wanted])
    model.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    _average_gradients(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
    return loss.item()


def batches(tokenizer: PreTrainedTokenizerFast, texts: list[str], seed: int) -> Iterator[Batch]:
    """Mix exercises and text without end."""
    dice = Dice(seed)
    lessons = curriculum.lessons(seed)
    stream = _text_stream(tokenizer, texts)
    while True:
        rows = vocabulary.rows(tokenizer, list(itertools.islice(lessons, POOL_EXERCISES)))
        tokens = sum(len(row.ids) for row in rows)
        texts_wanted = int(tokens * TEXT_SHARE / (1 - TEXT_SHARE) / TEXT_TOKENS)
        rows += [_text_row(stream, dice) for _ in range(texts_wanted)]
        some = list(_padded(rows, tokenizer.pad_token_id))
        dice.shuffle(some)
        yield from some


def _text_stream(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[int]:
    encoded = tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [token for text in encoded for token in [*text.ids, tokenizer.eos_token_id]]


def _text_row(stream: list[int], dice: Dice) -> Row:
    start = dice.randrange(len(stream) - TEXT_TOKENS)
    return Row(stream[start : start + TEXT_TOKENS], [True] * TEXT_TOKENS)


def _padded(rows: list[Row], pad: int) -> Iterator[Batch]:
    """Cut rows, sorted by length, into batches of at most `BATCH_TOKENS`."""
    pending: list[Row] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if len(row.ids) * (len(pending) + 1) > BATCH_TOKENS:
            yield _batch(pending, pad)
            pending = []
        pending.append(row)
    yield _batch(pending, pad)


def _batch(rows: list[Row], pad: int) -> Batch:
    longest = max(len(row.ids) for row in rows)
    gaps = [longest - len(row.ids) for row in rows]
    ids = [row.ids + [pad] * gap for row, gap in zip(rows, gaps, strict=True)]
    learnt = [row.learnt + [False] * gap for row, gap in zip(rows, gaps, strict=True)]
    return Batch(torch.tensor(ids), torch.tensor(learnt))
