"""What the training file gives to an exam: examples, a suite, and rows to choose on.

It refuses to know who is examined. Every pass reads the file line by line.
"""

from pathlib import Path

from evals.arms import Examples, choose_examples
from evals.findings.leakage import Leaks, search
from evals.neighbours import choose_pool
from evals.order import Numbered
from evals.suites import choice, training
from evals.suites.heldout import Exam
from registry.evaluation_options import BuiltInSuite, EvaluationOptions, PromptArm
from registry.formats.reading import read_rows
from registry.policy import Policy
from registry.records import Record


class Source(Record, frozen=True, kw_only=True):
    """What the training file gives."""

    examples: Examples
    """Those that stand before every prompt."""
    nearest: list[Numbered]
    """Rows among which the most similar ones are searched."""
    suite: list[Numbered]
    """Rows of the `training` suite."""
    trial: list[Numbered]
    """Rows on which the number of examples is chosen."""
    absence: str | None = None
    """Why there is nothing; none when there is."""
    leaks: Leaks | None = None
    """Examined rows that stand in it too; none when it is not known."""


def nothing(why: str) -> Source:
    """Return what is left without a training file."""
    empty = Examples(chat=[], completion=[])
    return Source(examples=empty, nearest=[], suite=[], trial=[], absence=why)


def read_source(path: Path, exam: Exam, policy: Policy, options: EvaluationOptions) -> Source:
    """Read what an exam needs of a training file.

    Rows on which the number of examples is chosen are never examples; no row whose prompt is held
    out is used at all.

    Raises:
        InvalidData: The file has faulty rows.
        FileNotFoundError: It is gone.
    """
    prompts, seed = exam.prompt_digests, policy.seed
    trial = choice.choice_rows(read_rows(path), seed=seed) if options.choose_examples else []
    apart = prompts | {entry.row.prompt_digest for entry in trial}
    count = max(choice.COUNTS) if options.choose_examples else policy.few_shot_examples
    examples = choose_examples(read_rows(path), heldout_prompts=apart, count=count, seed=seed)
    wants_nearest = PromptArm.NEAREST in options.arms
    wants_suite = BuiltInSuite.TRAINING in options.suites
    return Source(
        examples=examples,
        nearest=choose_pool(read_rows(path), heldout_prompts=apart, seed=seed)
        if wants_nearest
        else [],
        suite=training.read_training(
            read_rows(path),
            heldout_prompts=prompts,
            max_rows=min(options.max_training_rows, len(exam.rows)),
            seed=seed,
        )
        if wants_suite
        else [],
        trial=trial,
        leaks=search(read_rows(path), {entry.number: entry.row for entry in exam.rows}),
    )
