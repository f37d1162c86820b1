"""The exam as it is set: which rows, which arms, which examples. The same files set the same exam.

It refuses to know the answers.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from anyio import to_thread

from evals.arms import Examples, choose_examples
from evals.compare import ArmName
from evals.suites.heldout import Exam, read_exam
from registry.blobs import Blobs
from registry.chatdata import Row
from registry.errors import InvalidData, NotFound
from registry.formats.reading import read_rows
from registry.policy import Policy, resolve_policy
from registry.records import Evaluation, Record

T = TypeVar("T")


class Paper(Record, frozen=True, kw_only=True):
    """What is asked of whom."""

    policy: Policy
    """The rule of the verdict."""
    exam: Exam
    """The rows."""
    arms: list[ArmName]
    """Who is examined."""
    examples: Examples
    """Those of the few-shot prompt."""
    notes: list[str]
    """What a reader of the verdict should know besides."""


class _FewShot(Record, frozen=True, kw_only=True):
    examples: Examples
    absence: str | None


async def set_paper(evaluation: Evaluation, blobs: Blobs) -> Paper:
    """Set the exam of an evaluation.

    Without training rows, or where all of them are held out too, there is no few-shot arm, and a
    note says why.

    Raises:
        Invalid: The policy or the held-out file cannot be used.
        NotFound: The held-out file is gone.
    """
    policy = resolve_policy(evaluation.policy)
    exam = await _read(
        blobs,
        evaluation.heldout_file,
        lambda rows: read_exam(rows, max_rows=policy.max_rows, seed=policy.seed),
    )
    shown = await _few_shot(evaluation, policy, exam, blobs)
    absent = shown.absence
    return Paper(
        policy=policy,
        exam=exam,
        arms=[arm for arm in ArmName if arm != ArmName.FEW_SHOT or absent is None],
        examples=shown.examples,
        notes=[] if absent is None else [f"There is no few-shot arm: {absent}."],
    )


async def _few_shot(evaluation: Evaluation, policy: Policy, exam: Exam, blobs: Blobs) -> _FewShot:
    if not policy.few_shot_examples:
        return _absent("the policy asks for none")
    if evaluation.training_file is None:
        return _absent("the training rows are not known")
    try:
        examples = await _read(
            blobs,
            evaluation.training_file,
            lambda rows: choose_examples(
                rows,
                heldout_prompts=exam.prompt_digests,
                count=policy.few_shot_examples,
                seed=policy.seed,
            ),
        )
    except NotFound:
        return _absent("the training file is gone")
    except InvalidData as exc:
        return _absent(f"the training file has faulty rows, such as {exc.faults[0]}")
    if not any(examples.fitting(entry.row) for entry in exam.rows):
        return _absent("no training row may serve as an example")
    return _FewShot(examples=examples, absence=None)


def _absent(why: str) -> _FewShot:
    return _FewShot(examples=Examples(chat=[], completion=[]), absence=why)


async def _read(blobs: Blobs, file_id: str, read: Callable[[Iterable[Row]], T]) -> T:
    """Read a stored file in a thread of its own: it may be large."""

    def work() -> T:
        try:
            return read(read_rows(blobs.path(file_id)))
        except FileNotFoundError as exc:
            raise NotFound("file content", file_id) from exc

    return await to_thread.run_sync(work)
