"""Builds the tiny base model from nothing: text, tokenizer, training, exam, files.

Fetches nothing; needs a C++ compiler for torch's. Run: `python -m examples.build_tiny_base`.
"""

import argparse
import copy
import itertools
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from torch import distributed
from transformers import GenerationConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from examples.tinybase import corpus, curriculum, training, vocabulary
from examples.tinybase.exam import examine

HERE = Path(__file__).parent
VOCABULARY_SIZE = 2048
SAMPLE_EXERCISES = 15_000
"""So many exercises are read to learn the vocabulary."""
CHECKED_EXERCISES = 500
"""So many are compared with the chat template, token by token."""
EXAM_SEED = 1009
LONGEST_NEW_TOKENS = 256
STEPS_BETWEEN_SAVES = 500
READABLE = 0o644


class Made(NamedTuple):
    """A model and the tokenizer it reads with."""

    model: LlamaForCausalLM
    """In float32, ready to be trained."""
    tokenizer: PreTrainedTokenizerFast
    """With its chat template."""


def main() -> None:
    """Build, save and examine."""
    asked = _arguments()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    place = _join_processes()
    torch.manual_seed(asked.seed)
    texts = corpus.documents(asked.seed)
    model, tokenizer = _found(asked.resume) if asked.resume else _new(texts, asked.seed)
    batches = training.batches(tokenizer, texts, asked.seed)
    mine = itertools.islice(batches, place.rank, None, place.processes)
    budget = training.Budget(seconds=asked.minutes * 60, steps=asked.steps)
    for progress in training.train(model, mine, budget):
        if place.rank == 0:
            sys.stdout.write(f"{progress}\n")
            sys.stdout.flush()
        if place.rank == 0 and progress.step % STEPS_BETWEEN_SAVES == 0:
            save(model, tokenizer, asked.out)
    if place.rank == 0:
        save(model, tokenizer, asked.out)
        report(asked.out, asked.exam_rows)


def _join_processes() -> training.Place:
    """Meet the other processes, where `torchrun` started several."""
    if not distributed.is_torchelastic_launched():
        return training.Place(rank=0, processes=1)
    distributed.init_process_group("gloo")
    return training.Place(rank=distributed.get_rank(), processes=distributed.get_world_size())


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a folder beside the wanted one, then put it in its place."""
    fresh = folder.with_name(f"{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        max_new_tokens=LONGEST_NEW_TOKENS,
        do_sample=False,
    )
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(fresh)
    tokenizer.save_pretrained(fresh)
    for path in fresh.iterdir():
        path.chmod(READABLE)
    stale = folder.with_name(f"{folder.name}.stale")
    if folder.exists():
        folder.rename(stale)
    fresh.rename(folder)
    shutil.rmtree(stale, ignore_errors=True)


def report(folder: Path, rows_per_skill: int) -> None:
    """Examine the saved files, as a server would load them, and print a table."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    scores = examine(model, tokenizer, curriculum.exam(EXAM_SEED, rows_per_skill))
    for score in scores:
        sys.stdout.write(f"{score.kind:24} {score.right:4} of {score.asked}\n")
    right, asked = sum(score.right for score in scores), sum(score.asked for score in scores)
    sys.stdout.write(f"{'all':24} {right:4} of {asked} = {right / asked:.1%}\n")


def _found(folder: Path) -> Made:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return Made(model, vocabulary.read_tokenizer(folder))


def _new(texts: list[str], seed: int) -> Made:
    tokenizer = _tokenizer(texts, seed)
    shape = training.shape(len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id)
    return Made(LlamaForCausalLM(shape), tokenizer)


def _tokenizer(texts: list[str], seed: int) -> PreTrainedTokenizerFast:
    sample = list(itertools.islice(curriculum.lessons(seed), SAMPLE_EXERCISES))
    said = [message["content"] for exercise in sample for message in exercise.messages]
    tokenizer = vocabulary.learn_tokenizer([*texts, *said], VOCABULARY_SIZE)
    vocabulary.check_rows(tokenizer, sample[:CHECKED_EXERCISES])
    return tokenizer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "tiny-base")
    parser.add_argument("--resume", type=Path, help="go on from the model in this folder")
    parser.add_argument("--minutes", type=float, default=25.0, help="stop after so much time")
    parser.add_argument("--steps", type=int, default=10**9, help="stop after so many steps")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--exam-rows", type=int, default=20, help="questions per skill")
    return parser.parse_args()


if __name__ == "__main__":
    main()
